"""``edgeprof evaluate`` and ``edgeprof compare-predictors``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options
from edgeprof.cli.rows import RowsArguments
from edgeprof.cli.say import columns, say
from edgeprof.cli.values import Integers

if TYPE_CHECKING:
    from edgeprof.predictors.base import LatencyPredictor
    from edgeprof.predictors.evaluation import Rows
    from edgeprof.predictors.learning_curve import Point
    from edgeprof.predictors.metrics import Metrics
    from edgeprof.records.dataset import Dataset


_include_trained = partial(
    options.flag,
    "--include-trained",
    help="Judge on rows that were learned from, too; they are left out otherwise.",
)


@dataclass(frozen=True)
class EvaluateArguments(RowsArguments):
    """What ``edgeprof evaluate`` is asked for."""

    predictor: Path = options.argument(type=options.INPUT)
    data: Path = options.argument(type=options.INPUT)
    space: str | None = options.space_of_files()
    include_trained: bool = _include_trained()
    as_json: bool = options.as_json()


@click.command()
@options.takes(EvaluateArguments)
def evaluate(arguments: EvaluateArguments) -> None:
    """Compare the predictions of PREDICTOR with the measurements in DATA.

    DATA may name model files where PREDICTOR takes networks of any kind.
    Rows that PREDICTOR has learned from are left out, as far as its files name them (the host model
    beside an .edgp does). A .edgp is judged as it is shipped; a .host.npz also by the coverage of
    its 90 % intervals.
    The trivial predictors beside it (the mean; MACs, scaled) are fitted to the rows it was trained
    on, or, where it does not know them, to the very rows they are judged on.

    \b
    Example:
      edgeprof evaluate pi4.edgp rack.csv --device pi4-01 --rows 8500:10000
    """
    from edgeprof.predictors.base import is_of_any_space
    from edgeprof.predictors.load import for_space, load_predictor
    from edgeprof.records.network_rows import names_models

    predictor = load_predictor(arguments.predictor, space=arguments.space)
    if is_of_any_space(predictor) and names_models(arguments.data):
        _evaluate(predictor, arguments.read_networks(arguments.data), arguments)
        return
    measured = arguments.read(arguments.data)
    _evaluate(for_space(predictor, measured.space), measured, arguments)


def _evaluate(predictor: LatencyPredictor, selected: Rows, arguments: EvaluateArguments) -> None:
    """Judge a predictor on rows, and print the result."""
    from edgeprof.predictors.evaluation import evaluate_predictor, unseen_rows

    measured = selected if arguments.include_trained else unseen_rows(predictor, selected)
    result = evaluate_predictor(predictor, measured)
    n_left_out = len(selected) - len(measured)
    if arguments.as_json:
        click.echo(json.dumps({**result.to_dict(), "n_left_out": n_left_out}))
        return
    trained = _trained_text(result.n_learned, n_left_out)
    say(f"{arguments.predictor} on {len(measured)} measurements of {measured.device}{trained}")
    trivial = {f"trivial: {name}": metrics for name, metrics in result.trivial.items()}
    print_metrics({arguments.predictor.name: result.metrics, **trivial})
    say("\n".join(result.verdict.lines), wrap=True)
    if result.trivial_fitted_to == "these rows":
        say("the trivial predictors are fitted to these very rows, which flatters them")
    if result.coverage_90pct is not None:
        say(f"90 % intervals hold {result.coverage_90pct:.1%} of the measurements")


def _trained_text(n_learned: int | None, n_left_out: int) -> str:
    """Say how many of the rows were learned from, where it is known."""
    if n_left_out:
        return f"; {n_left_out} more that it learned from are left out"
    if n_learned:
        return f", {n_learned} of which it learned from: its errors on those mean nothing"
    if n_learned is None:
        return " (it does not say which rows it learned from: no host model beside it)"
    return ""


@dataclass(frozen=True)
class CompareArguments(RowsArguments):
    """What ``edgeprof compare-predictors`` is asked for."""

    data: Path = options.argument(type=options.INPUT)
    counts: tuple[int, ...] = options.option(
        "--counts", default="5,10,20,50,100", type=Integers(), help="Sample counts."
    )
    models: str = options.option(
        "--models", default="gp,linear,paper-mlp", help="Models to compare."
    )
    bases: tuple[Path, ...] = options.option(
        "--base",
        multiple=True,
        type=options.INPUT,
        help="Predictor of another device: gp is also judged with it, and a paper-mlp "
        "(.host.npz) fine-tuned; may be repeated.",
    )
    lut: Path | None = options.option(
        "--lut", type=options.INPUT, help="Lookup tables of the device, judged as lut."
    )
    held_out: int | None = options.option(
        "--held-out", type=click.IntRange(1), help="Rows to judge on  [default: a fifth]"
    )
    include_trained: bool = _include_trained()
    draws: int = options.option(
        "--draws", default=5, type=click.IntRange(1), help="Draws per count."
    )
    output: Path | None = options.output_file(help="Learning curves, .png or .svg.")
    jobs: int | None = options.jobs()
    dask: str | None = options.dask()
    as_json: bool = options.as_json()


@click.command("compare-predictors")
@options.takes(CompareArguments)
def compare_predictors(arguments: CompareArguments) -> None:
    """Compare all models at several sample counts on the measurements in DATA.

    \b
    Example:
      edgeprof compare-predictors rack.csv --device pi4-01 -o curves.svg
      edgeprof compare-predictors nano.csv --base pi4.edgp --counts 5,10,20 --models gp,linear
    """
    from edgeprof.base.executors import FITS_WORTH_A_POOL, bulk_executor
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.predictors.learning_curve import compare_models, plot_learning_curves
    from edgeprof.predictors.load import load_base
    from edgeprof.predictors.lut.tables import load_tables

    measured = arguments.read(arguments.data)
    bases = [load_base(path, measured.space) for path in arguments.bases]
    if not arguments.include_trained:
        measured = _unseen_by(bases, measured)
    lut, n_trials = arguments.lut, len(arguments.counts) * arguments.draws
    pool = bulk_executor(n_trials, FITS_WORTH_A_POOL, jobs=arguments.jobs, dask=arguments.dask)
    bar = progress_bar("Comparing", n_trials, quiet=arguments.as_json)
    with pool as executor, bar as advance:
        points = compare_models(
            measured,
            arguments.counts,
            models=arguments.models.split(","),
            bases=bases,
            tables=None if lut is None else load_tables(lut, measured.space),
            held_out=arguments.held_out,
            draws=arguments.draws,
            seed=arguments.seed,
            progress=advance,
            executor=executor,
        )
    _print_points(points, measured.device, arguments)
    if arguments.output is not None:
        title = f"{measured.device} ({measured.space})"
        plot_learning_curves(points, title, arguments.output)
        say(f"{arguments.output}: learning curves", err=True)


def _unseen_by(bases: Sequence[LatencyPredictor], measured: Dataset) -> Dataset:
    from edgeprof.predictors.evaluation import unseen_rows

    unseen = measured
    for base in bases:
        unseen = unseen_rows(base, unseen)
    if len(unseen) < len(measured):
        n_left_out = len(measured) - len(unseen)
        say(f"{n_left_out} rows that a base learned from are left out", err=True)
    return unseen


def _print_points(points: Sequence[Point], device: str, arguments: CompareArguments) -> None:
    if arguments.as_json:
        click.echo(json.dumps([asdict(point) for point in points]))
        return
    say(f"{device}: median of {arguments.draws} draws; MAPE with smallest and largest")
    for point in points:
        say(_point_line(point))


def _point_line(p: Point) -> str:
    return (
        f"{p.model:<14}  n {p.n:>5}  MAE {p.mae_ms:>8.3g} ms  RMSE {p.rmse_ms:>8.3g} ms  "
        f"MAPE {p.mape:>7.2%} ({p.low_mape:.2%}..{p.high_mape:.2%})  "
        f"in 10 % {p.within_10pct:>6.1%}  Spearman {_rank(p.spearman)}"
    )


_COLUMNS: tuple[tuple[str, int, Callable[[Metrics], str]], ...] = (
    ("MAE ms", 7, lambda m: f"{m.mae_ms:.3g}"),
    ("RMSE ms", 7, lambda m: f"{m.rmse_ms:.3g}"),
    ("MAPE", 7, lambda m: f"{m.mape:.2%}"),
    ("in 5 %", 7, lambda m: f"{m.within_5pct:.1%}"),
    ("in 10 %", 7, lambda m: f"{m.within_10pct:.1%}"),
    ("Spearman", 8, lambda m: _rank(m.spearman)),
    ("Kendall", 8, lambda m: _rank(m.kendall_tau)),
)
_FIRST_LEFT_OUT = ("Kendall", "RMSE ms", "in 5 %")
"""Where a terminal is narrow."""


def print_metrics(table: Mapping[str, Metrics]) -> None:
    """Print metrics as an aligned table, one predictor a line."""
    name_width = max(len(name) for name in table)
    shown = list(_COLUMNS)
    for heading in _FIRST_LEFT_OUT:
        if name_width + sum(2 + width for _, width, _ in shown) > columns():
            shown = [column for column in shown if column[0] != heading]
    say(" " * name_width + "".join(f"  {heading:>{width}}" for heading, width, _ in shown))
    for name, metrics in table.items():
        cells = (f"  {text(metrics):>{width}}" for _, width, text in shown)
        say(f"{name:<{name_width}}" + "".join(cells))


def _rank(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
