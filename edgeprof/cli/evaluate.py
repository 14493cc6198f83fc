"""``edgeprof evaluate`` and ``edgeprof compare-predictors``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli.rows import read_rows, rows_options
from edgeprof.cli.settings import dask_option, jobs_option

if TYPE_CHECKING:
    from edgeprof.predictors.metrics import Metrics


@click.command()
@click.argument("predictor", type=click.Path(readable=False, path_type=Path))
@click.argument("data", type=click.Path(readable=False, path_type=Path))
@rows_options
@click.option("--space", help="Search space, where lookup tables do not name it.")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def evaluate(
    predictor: Path,
    data: Path,
    device: str | None,
    rows: str | None,
    count: int | None,
    seed: int,
    drop_invalid: bool,
    space: str | None,
    as_json: bool,
) -> None:
    """Compare the predictions of PREDICTOR with the measurements in DATA.

    A .edgp is judged as it is shipped; a .host.npz also by the coverage of its 90 % intervals.
    The trivial predictors beside it (the mean; MACs, scaled) are fitted to the rows it was trained
    on, or, where it does not know them, to the very rows they are judged on.

    \b
    Example:
      edgeprof evaluate pi4.edgp rack.csv --device pi4-01 --rows 8500:10000
    """
    from edgeprof.predictors.evaluation import evaluate_predictor
    from edgeprof.predictors.load import load_predictor

    measured = read_rows(data, device, rows, count, seed, drop_invalid=drop_invalid)
    result = evaluate_predictor(load_predictor(predictor, space=space), measured)
    if as_json:
        click.echo(json.dumps(result.to_dict()))
        return
    click.echo(f"{predictor} on {len(measured)} measurements of {measured.device}")
    trivial = {f"trivial: {name}": metrics for name, metrics in result.trivial.items()}
    print_metrics({predictor.name: result.metrics, **trivial})
    if result.trivial_fitted_to == "these rows":
        click.echo("the trivial predictors are fitted to these very rows, which flatters them")
    if result.coverage_90pct is not None:
        click.echo(f"90 % intervals hold {result.coverage_90pct:.1%} of the measurements")


@click.command("compare-predictors")
@click.argument("data", type=click.Path(readable=False, path_type=Path))
@rows_options
@click.option(
    "--counts",
    default="5,10,20,50,100",
    show_default=True,
    metavar="N[,N...]",
    help="Sample counts.",
)
@click.option(
    "--models", default="gp,linear,paper-mlp", show_default=True, help="Models to compare."
)
@click.option(
    "--base",
    "bases",
    multiple=True,
    type=click.Path(readable=False, path_type=Path),
    help="Predictor of another device: gp is also judged with it, and a paper-mlp (.host.npz) "
    "fine-tuned; may be repeated.",
)
@click.option(
    "--lut",
    type=click.Path(readable=False, path_type=Path),
    help="Lookup tables of the device, judged as lut.",
)
@click.option("--held-out", type=click.IntRange(1), help="Rows to judge on  [default: a fifth]")
@click.option(
    "--draws", default=5, show_default=True, type=click.IntRange(1), help="Draws per count."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(readable=False, path_type=Path),
    help="Learning curves, .png or .svg.",
)
@jobs_option
@dask_option
@click.option("--json", "as_json", is_flag=True, help="Print the points as JSON.")
def compare_predictors(
    data: Path,
    device: str | None,
    rows: str | None,
    count: int | None,
    seed: int,
    drop_invalid: bool,
    counts: str,
    models: str,
    bases: tuple[Path, ...],
    lut: Path | None,
    held_out: int | None,
    draws: int,
    output: Path | None,
    jobs: int | None,
    dask: str | None,
    as_json: bool,
) -> None:
    """Compare all models at several sample counts on the measurements in DATA.

    \b
    Example:
      edgeprof compare-predictors rack.csv --device pi4-01 -o curves.svg
      edgeprof compare-predictors nano.csv --base pi4.edgp --counts 5,10,20 --models gp,linear
    """
    from dataclasses import asdict

    from edgeprof.base.executors import FITS_WORTH_A_POOL, bulk_executor
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.cli.subnets import parse_integers
    from edgeprof.predictors.learning_curve import compare_models, plot_learning_curves
    from edgeprof.predictors.lut.tables import load_tables
    from edgeprof.predictors.train import load_base

    wanted = parse_integers(counts, "--counts") or []
    measured = read_rows(data, device, rows, count, seed, drop_invalid=drop_invalid)
    n_trials = len(wanted) * draws
    with (
        bulk_executor(n_trials, FITS_WORTH_A_POOL, jobs=jobs, dask=dask) as executor,
        progress_bar("Comparing", n_trials, quiet=as_json) as advance,
    ):
        points = compare_models(
            measured,
            wanted,
            models=models.split(","),
            bases=[load_base(path, measured.space) for path in bases],
            tables=None if lut is None else load_tables(lut, measured.space),
            held_out=held_out,
            draws=draws,
            seed=seed,
            progress=advance,
            executor=executor,
        )
    if as_json:
        click.echo(json.dumps([asdict(point) for point in points]))
    else:
        click.echo(f"{measured.device}: median of {draws} draws; MAPE with smallest and largest")
        for p in points:
            click.echo(
                f"{p.model:<14}  n {p.n:>5}  MAE {p.mae_ms:>8.3g} ms  RMSE {p.rmse_ms:>8.3g} ms  "
                f"MAPE {p.mape:>7.2%} ({p.low_mape:.2%}..{p.high_mape:.2%})  "
                f"in 10 % {p.within_10pct:>6.1%}  Spearman {_rank(p.spearman)}"
            )
    if output is not None:
        plot_learning_curves(points, f"{measured.device} ({measured.space})", output)
        click.echo(f"{output}: learning curves", err=True)


def print_metrics(table: Mapping[str, Metrics]) -> None:
    """Print metrics as an aligned table, one predictor a line."""
    width = max(len(name) for name in table)
    click.echo(
        f"{'':<{width}}  {'MAE ms':>8}  {'RMSE ms':>8}  {'MAPE':>7}  {'in 5 %':>7}  "
        f"{'in 10 %':>7}  {'Spearman':>8}  {'Kendall':>8}"
    )
    for name, m in table.items():
        click.echo(
            f"{name:<{width}}  {m.mae_ms:>8.3g}  {m.rmse_ms:>8.3g}  {m.mape:>7.2%}  "
            f"{m.within_5pct:>7.1%}  {m.within_10pct:>7.1%}  {_rank(m.spearman):>8}  "
            f"{_rank(m.kendall_tau):>8}"
        )


def _rank(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
