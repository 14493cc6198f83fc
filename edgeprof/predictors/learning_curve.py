"""All models by sample count on one dataset: a table, and learning curves.

Owns: what ``edgeprof compare-predictors`` computes and draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edgeprof.base.errors import DatasetError, OutputError
from edgeprof.base.executors import map_through
from edgeprof.base.extras import optional
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.lut.tables import LookupTables
from edgeprof.predictors.metrics import Metrics, evaluate, trivial_predictors
from edgeprof.predictors.models import fit_model
from edgeprof.predictors.paper.mlp import PaperMlp
from edgeprof.records.dataset import Dataset

COMPARED = ("gp", "linear", "paper-mlp")
"""Judged always; ``gp + base``, ``paper-finetune`` and ``lut`` where there is what they need."""

TRIVIAL = ("macs", "mean")


@dataclass(frozen=True)
class Point:
    """Errors of one model at one sample count, over several draws.

    Attributes:
        model: its name.
        n: samples it was fitted to.
        mae_ms, rmse_ms, mape, within_10pct, spearman: medians over the draws of what ``Metrics``
            has; ``spearman`` is None where no draw has one.
        low_mape, high_mape: the smallest and largest.
    """

    model: str
    n: int
    mae_ms: float
    rmse_ms: float
    mape: float
    within_10pct: float
    spearman: float | None
    low_mape: float
    high_mape: float


def compare_models(
    data: Dataset,
    counts: Sequence[int],
    *,
    models: Sequence[str] = COMPARED,
    bases: Sequence[LatencyPredictor] = (),
    tables: LookupTables | None = None,
    held_out: int | None = None,
    draws: int = 5,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> list[Point]:
    """Fit every model to draws of every size and judge it on rows none of them sees.

    Args:
        data: the measurements.
        counts: sample counts.
        models: names of ``models.MODELS``; with bases, ``gp`` is also judged as ``gp + base``.
        bases: predictors of other devices to transfer from; a ``paper-mlp`` among them is judged
            as ``paper-finetune``.
        tables: lookup tables to judge as ``lut``.
        held_out: rows to judge on; a fifth of all where not given.
        draws: per count.
        seed: of the split and of the draws.
        progress: called with 1 for each count and draw.
        executor: does each count and draw elsewhere (``base/executors``); here, one after the
            other, where not given.

    Raises:
        DatasetError: if too few rows are left to draw from.
    """
    judged, pool = _split(data, held_out or max(len(data) // 5, 1), max(counts), seed)
    trials = [(n, seed + draw) for n in counts for draw in range(draws)]
    judge = partial(_errors, judged, models, bases, tables)
    drawn = [pool.draw(n, trial_seed) for n, trial_seed in trials]
    seeds = [trial_seed for _, trial_seed in trials]
    return _points([n for n, _ in trials], map_through(executor, judge, drawn, seeds), progress)


def _points(
    counts: Sequence[int],
    judged: Iterable[Mapping[str, Metrics]],
    progress: Callable[[int], object] | None,
) -> list[Point]:
    errors: dict[tuple[str, int], list[Metrics]] = {}
    for n, found in zip(counts, judged, strict=True):
        for name, metrics in found.items():
            errors.setdefault((name, n), []).append(metrics)
        if progress is not None:
            progress(1)
    return [_point(name, n, found) for (name, n), found in errors.items()]


def _split(data: Dataset, n_judged: int, most: int, seed: int) -> tuple[Dataset, Dataset]:
    """Return the rows to judge on, and those to draw up to ``most`` from."""
    order = np.random.default_rng(seed).permutation(len(data))
    judged, pool = data.take(np.sort(order[:n_judged])), data.take(np.sort(order[n_judged:]))
    if most > len(pool):
        raise DatasetError(
            f"{data.source}: {len(pool)} rows are left to draw {most} from, beside "
            f"{n_judged} held out; want more rows or smaller --counts"
        )
    return judged, pool


def _errors(
    judged: Dataset,
    models: Sequence[str],
    bases: Sequence[LatencyPredictor],
    tables: LookupTables | None,
    data: Dataset,
    seed: int,
) -> dict[str, Metrics]:
    fitted = _fitted(data, models, bases, tables, seed)
    return {name: evaluate(model, judged) for name, model in fitted.items()}


def _fitted(
    data: Dataset,
    models: Sequence[str],
    bases: Sequence[LatencyPredictor],
    tables: LookupTables | None,
    seed: int,
) -> dict[str, LatencyPredictor]:
    networks = [base for base in bases if isinstance(base, PaperMlp)]
    fitted: dict[str, LatencyPredictor] = {
        name: fit_model(name, data, seed=seed)
        for name in models
        if name not in ("paper-finetune", "lut")
    }
    if bases and "gp" in models:
        fitted["gp + base"] = fit_model("gp", data, bases, seed=seed)
    if networks or "paper-finetune" in models:
        fitted["paper-finetune"] = fit_model("paper-finetune", data, networks, seed=seed)
    if tables is not None or "lut" in models:
        fitted["lut"] = fit_model("lut", data, [] if tables is None else [tables])
    return {**fitted, **trivial_predictors(data)}


def _point(name: str, n: int, found: Sequence[Metrics]) -> Point:
    def median(of: str) -> float:
        return float(np.median([getattr(metrics, of) for metrics in found]))

    ranked = [metrics.spearman for metrics in found if metrics.spearman is not None]
    mapes = [metrics.mape for metrics in found]
    return Point(
        name,
        n,
        median("mae_ms"),
        median("rmse_ms"),
        median("mape"),
        median("within_10pct"),
        float(np.median(ranked)) if ranked else None,
        min(mapes),
        max(mapes),
    )


def plot_learning_curves(points: Sequence[Point], title: str, path: Path) -> None:
    """Draw relative error by sample count, one curve a model, as .png or .svg.

    Raises:
        OutputError: on another suffix, or if the file cannot be written.
        MissingDependency: if matplotlib is not installed.
    """
    if path.suffix not in (".png", ".svg"):
        raise OutputError(f"{path}: want a file name that ends in .png or .svg")
    with optional(f"{path}: drawing a plot"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name in dict.fromkeys(point.model for point in points):
        curve = sorted((p for p in points if p.model == name), key=lambda p: p.n)
        counts = [p.n for p in curve]
        style = "--" if name in TRIVIAL else "-"
        (line,) = axes.plot(counts, [100 * p.mape for p in curve], f"o{style}", label=name)
        low, high = ([100 * getattr(p, side) for p in curve] for side in ("low_mape", "high_mape"))
        axes.fill_between(counts, low, high, alpha=0.15, color=line.get_color())
    axes.set(xscale="log", yscale="log", xlabel="samples", ylabel="MAPE, %", title=title)
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    try:
        figure.savefig(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
