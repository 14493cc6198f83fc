"""The second path: slowness that some items feel more than others.

Owns: what another process costs arithmetic otherwise than memory. Each item has one loading, the
same in all processes of a campaign; loadings and path are fitted in turns, both held towards 0.
The path is 0 where the machine is calm, so that the items stay what they are on a calm machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.measuring.estimate.processes import Combined, combine
from edgeprof.measuring.estimate.samples import Floats, Ints
from edgeprof.measuring.estimate.turns import ProcessFit, Turns, fit_process

N_ROUNDS = 3
N_STEPS = 8
CALM_QUANTILE = 0.1
GAIN = 0.97
"""The second path is kept where it leaves so much of the first one's error, or less."""

OUTLIER = 4.0
"""In units of an item's noise: no visit counts as farther from the path."""


def fit_campaign(turns: Sequence[Turns], n_items: int) -> tuple[list[ProcessFit], Combined]:
    """Fit all processes of a campaign, with the second path where there is one to see."""
    added, height = [np.zeros_like(of_one.y) for of_one in turns], None
    for _ in range(N_ROUNDS):
        heights = [None] * len(turns) if height is None else height
        fits = list(map(fit_process, turns, added, heights))
        combined = combine(fits, n_items)
        added, height = _second_path(fits, added, combined, n_items)
    return fits, combined


def _second_path(
    fits: Sequence[ProcessFit], known: Sequence[Floats], combined: Combined, n_items: int
) -> tuple[list[Floats], list[Floats]]:
    """Return, per process, what the second path adds to each visit, and the visits' heights.

    Nothing is added where the second path does not predict the visits better. The height is how
    much slower than calm the machine was for the item that felt it most.
    """
    ends = np.cumsum([len(fit.path) for fit in fits])[:-1]
    item = np.concatenate([fit.turns.items[fit.turns.item] for fit in fits])
    precision = np.concatenate([f.turns.visits.weight / f.noise[f.turns.item] ** 2 for f in fits])
    path = np.concatenate([f.path + level for f, level in zip(fits, combined.level, strict=True)])
    values = [combined.value] * len(fits)
    left = np.concatenate(list(map(_above_path, fits, known, values, combined.level)))
    second = path - _low(path)
    first = np.zeros_like(path)
    for _ in range(N_STEPS):
        second = second - np.average(second, weights=precision)
        loading = _loadings(left - first, second, item, n_items, precision)
        first, second = _two_paths(fits, loading[item], left, precision, ends)
    before = float(np.average(np.abs(left), weights=np.sqrt(precision)))
    after = np.abs(left - first - loading[item] * second)
    if float(np.average(after, weights=np.sqrt(precision))) > GAIN * before:
        return [np.zeros_like(fit.path) for fit in fits], np.split(path - _low(path), ends)
    # The items that feel it least and most are each calm at times, if not at the same ones.
    extremes = loading.min(), loading.max()
    slowness = [path + first + extreme * second for extreme in extremes]
    calm = [_low(of_one) for of_one in slowness]
    second = second - (calm[1] - calm[0]) / (extremes[1] - extremes[0])
    height = np.maximum(slowness[0] - calm[0], slowness[1] - calm[1])
    return np.split(loading[item] * second, ends), np.split(height, ends)


def _low(slowness: Floats) -> float:
    return float(np.quantile(slowness, CALM_QUANTILE))


def _above_path(fit: ProcessFit, known: Floats, value: Floats, level: float) -> Floats:
    """Return each visit above the first path, outliers cut.

    It is above the item's value over all processes: one that is slow throughout shows so.
    """
    reach = OUTLIER * np.maximum(fit.noise[fit.turns.item], 0.005)
    here = fit.value - value[fit.turns.items] - level
    return known + here[fit.turns.item] + np.clip(fit.residual, -reach, reach)


def _loadings(left: Floats, second: Floats, item: Ints, n_items: int, precision: Floats) -> Floats:
    """Return each item's loading: mean 0, variance 1, held towards 0 where little is known."""
    square = np.bincount(item, precision * second**2, n_items)
    slope = np.bincount(item, precision * second * left, n_items) / np.maximum(square, 1e-300)
    known = square > 0
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
    pull = turns.kernel * precision[other]
    total = np.maximum(pull.sum(axis=1), 1e-300)
    mean = (pull * loading[other]).sum(axis=1) / total
    level = (pull * left[other]).sum(axis=1) / total
    around = loading[other] - mean[:, None]
    spread = np.maximum((pull * around**2).sum(axis=1), 1e-300)
    product = (pull * around * (left[other] - level[:, None])).sum(axis=1)
    variance = float(np.average((product / spread) ** 2 - 1 / spread, weights=spread))
    slope = product / (spread + 1 / max(variance, 1e-10))
    return level - slope * mean, slope
