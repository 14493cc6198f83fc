"""The second path: slowness that some items feel more than others.

Owns: what another process costs arithmetic otherwise than memory. Each item has one loading, the
same in all processes of a campaign; loadings and path are fitted in turns, both held towards 0.
The path is 0 where the machine is calm, so that the items stay what they are on a calm machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgeprof.measuring.estimate.processes import Combined, combine
from edgeprof.measuring.estimate.samples import Bools, Floats, Ints, group_medians
from edgeprof.measuring.estimate.turns import (
    SMALLEST_NOISE,
    ProcessFit,
    Turns,
    fit_process,
)

N_ROUNDS = 4
N_STEPS, N_FURTHER = 8, 4
CALM_QUANTILE = 0.1
GAIN = 0.97
"""The second path is kept where it leaves so much of the first one's error, or less, in the
mean over items."""

OUTLIER = 30.0
"""In units of an item's noise: no visit counts as farther from the path."""


def fit_campaign(turns: Sequence[Turns], is_reference: Bools) -> tuple[list[ProcessFit], Combined]:
    """Fit all processes of a campaign, with the second path where there is one to see."""
    ends = np.cumsum([len(of_one.y) for of_one in turns])[:-1]
    added = [np.zeros_like(of_one.y) for of_one in turns]
    fits = [fit_process(of_one) for of_one in turns]
    n_items = len(is_reference)
    combined = combine(fits, is_reference)
    found: _SecondPath | None = None
    for _ in range(N_ROUNDS - 1):
        found = _second_path(fits, _gather(fits, added, combined, n_items), found, n_items)
        added, height = np.split(found.added, ends), np.split(found.height, ends)
        fits = list(map(fit_process, turns, added, height, fits))
        combined = combine(fits, is_reference)
        if not found.added.any():
            break
    return fits, combined


@dataclass(frozen=True)
class _SecondPath:
    """The second path at each visit of all processes; arrays (n_visits,).

    Attributes:
        slope: what it adds to an item of loading 1.
        added: what it adds to the visit's item; 0 where it does not predict visits better.
        height: how much slower than calm the machine was for the item that felt it most.
    """

    slope: Floats
    added: Floats
    height: Floats


@dataclass(frozen=True)
class _Everything:
    """The visits of all processes in one row; arrays (n_visits,).

    Attributes:
        item: index of the item.
        cell: item and process in one.
        process: index of the process.
        precision: 1 / noise^2 of each visit.
        path: log slowness, on the level common to all processes.
        left: each visit above the item's value over all processes and the path.
    """

    item: Ints
    cell: Ints
    process: Ints
    precision: Floats
    path: Floats
    left: Floats

    def centred(self, values: Floats) -> Floats:
        """Return the values less their mean over each item in each process."""
        return values - self.means(values)[self.cell]

    def means(self, values: Floats) -> Floats:
        """Return the mean of each cell."""
        total = np.maximum(np.bincount(self.cell, self.precision), 1e-300)
        means: Floats = np.bincount(self.cell, self.precision * values) / total
        return means


def _gather(
    fits: Sequence[ProcessFit], known: Sequence[Floats], combined: Combined, n_items: int
) -> _Everything:
    item = [fit.turns.items[fit.turns.item] for fit in fits]
    level = combined.level
    left = [
        _above_path(f, k, combined.value, c) for f, k, c in zip(fits, known, level, strict=True)
    ]
    process = np.repeat(np.arange(len(fits)), [len(fit.path) for fit in fits])
    weight = np.concatenate([fit.turns.visits.weight for fit in fits])
    seen = _Everything(
        item=np.concatenate(item),
        cell=np.concatenate(item) + n_items * process,
        process=process,
        precision=weight,
        path=np.concatenate([f.path + c for f, c in zip(fits, level, strict=True)]),
        left=np.concatenate(left),
    )
    return replace(seen, precision=weight / _steps(seen, n_items)[seen.item] ** 2)


def _steps(seen: _Everything, n_items: int) -> Floats:
    """Return the noise of each item from one of its visits to the next.

    What lasts longer is no noise here: it is what the second path is to explain.
    """
    order = np.argsort(seen.cell, kind="stable")
    is_same = np.diff(seen.cell[order]) == 0
    steps = np.abs(np.diff(seen.left[order]))[is_same]
    pooled = max(float(np.median(steps)) if len(steps) else 0.0, SMALLEST_NOISE)
    own = group_medians(steps, seen.item[order][1:][is_same], n_items)
    noise: Floats = np.where(np.isfinite(own), np.maximum(own, pooled / 4), pooled) * 1.05
    return noise


def _second_path(
    fits: Sequence[ProcessFit], seen: _Everything, before: _SecondPath | None, n_items: int
) -> _SecondPath:
    """Fit the second path to all processes, from what it was before where it is known."""
    ends = np.cumsum([len(fit.path) for fit in fits])[:-1]
    # Loadings are from what changes within processes: between them, items have luck as well.
    left = seen.centred(seen.left)
    first, second = np.zeros_like(left), seen.path if before is None else before.slope
    for _ in range(N_STEPS if before is None else N_FURTHER):
        loading = _loadings(left - first, seen.centred(second), seen, n_items)
        first, second = _two_paths(fits, loading[seen.item], left, seen.precision, ends)
    if not loading.any() or _gain(seen, left, left - first - loading[seen.item] * second) > GAIN:
        return _SecondPath(second, np.zeros_like(second), seen.path - _low(seen.path))
    second = second + _offsets(seen, first, second, loading, len(fits))[seen.process]
    # The items that feel it least and most are each calm at times, if not at the same ones.
    extremes = loading.min(), loading.max()
    slowness = [seen.path + first + extreme * second for extreme in extremes]
    calm = [_low(of_one) for of_one in slowness]
    second = second - (calm[1] - calm[0]) / (extremes[1] - extremes[0])
    height = np.maximum(slowness[0] - calm[0], slowness[1] - calm[1])
    return _SecondPath(second, loading[seen.item] * second, height)


def _gain(seen: _Everything, left: Floats, rest: Floats) -> float:
    """Return what is left of an item's error, the mean over items; no visit predicts itself."""
    weight = np.sqrt(seen.precision)
    before = np.bincount(seen.item, weight * np.abs(left))
    after = np.bincount(seen.item, weight * np.abs(rest))
    known = before > 0
    change = np.log(np.maximum(after[known], 1e-300) / before[known])
    return float(np.exp(np.clip(change, -1.0, 0.1).mean())) if known.any() else 1.0


def _offsets(
    seen: _Everything, first: Floats, second: Floats, loading: Floats, n_processes: int
) -> Floats:
    """Return how high the second path was throughout each process.

    It is the slope, on the loading, of what the items have in that process; held towards 0 where
    the items' luck may have made it.
    """
    means = seen.means(seen.left - first - loading[seen.item] * second)
    offsets = np.zeros(n_processes)
    variances = np.zeros(n_processes)
    for process in range(n_processes):
        own = np.unique(seen.item[seen.process == process])
        around = loading[own] - loading[own].mean()
        values = means[own + len(loading) * process]
        square = max(float(around @ around), 1e-300)
        offsets[process] = around @ values / square
        spread = values - values.mean() - offsets[process] * around
        variances[process] = spread @ spread / max(len(own) - 2, 1) / square
    signal = max(float(np.mean(offsets**2 - variances)), 0.0)
    shrunk: Floats = offsets * signal / np.maximum(signal + variances, 1e-300)
    return shrunk


def _low(slowness: Floats) -> float:
    return float(np.quantile(slowness, CALM_QUANTILE))


def _above_path(fit: ProcessFit, known: Floats, value: Floats, level: float) -> Floats:
    """Return each visit above the first path, outliers cut.

    It is above the item's value over all processes: one that is slow throughout shows so.
    """
    reach = OUTLIER * np.maximum(fit.noise[fit.turns.item], 0.005)
    here = fit.value - value[fit.turns.items] - level
    return known + here[fit.turns.item] + np.clip(fit.residual, -reach, reach)


def _loadings(left: Floats, second: Floats, seen: _Everything, n_items: int) -> Floats:
    """Return each item's loading: mean 0, variance 1, held towards 0 where little is known."""
    weighted = seen.precision * second
    square = np.bincount(seen.item, weighted * second, n_items)
    slope = np.bincount(seen.item, weighted * left, n_items) / np.maximum(square, 1e-300)
    known = square > 0
    if not known.any():
        return np.zeros(n_items)
    prior = max(float(np.median(slope[known] ** 2)), 1e-12)
    slope = slope * square / (square + 1 / prior)
    slope[known] -= slope[known].mean()
    size = float(np.sqrt(np.mean(slope[known] ** 2)))
    return slope / size if size > 0 else slope


def _two_paths(
    fits: Sequence[ProcessFit], loading: Floats, left: Floats, precision: Floats, ends: Ints
) -> tuple[Floats, Floats]:
    """Fit level and slope on the loading around each visit, process by process."""
    columns = (np.split(column, ends) for column in (loading, left, precision))
    both = [_local_line(fit.turns, *own) for fit, *own in zip(fits, *columns, strict=True)]
    return np.concatenate([b[0] for b in both]), np.concatenate([b[1] for b in both])


def _local_line(
    turns: Turns, loading: Floats, left: Floats, precision: Floats
) -> tuple[Floats, Floats]:
    other = turns.neighbour
    pull = turns.closeness * precision[other]
    total = np.maximum(pull.sum(axis=1), 1e-300)
    mean = (pull * loading[other]).sum(axis=1) / total
    level = (pull * left[other]).sum(axis=1) / total
    around = loading[other] - mean[:, None]
    spread = np.maximum((pull * around**2).sum(axis=1), 1e-300)
    product = (pull * around * (left[other] - level[:, None])).sum(axis=1)
    variance = float(np.average((product / spread) ** 2 - 1 / spread, weights=spread))
    slope = product / (spread + 1 / max(variance, 1e-10))
    return level - slope * mean, slope
