"""One process of a campaign: each item against those that ran around it.

Owns: log latency = item + path of the machine + noise, fitted within one process. The path is never
drawn: the items are those for which visits close in time differ by no more than their items do
(least squares over pairs of visits, a graph Laplacian). A pair counts by how close its visits
are, how calm the machine was and how well they agree, so that a step of the machine, a preemption
or a mode of its own weighs little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeprof.measuring.estimate.contrasts import (
    inverse_on_contrasts,
    quasi_variances,
    solve_on_contrasts,
)
from edgeprof.measuring.estimate.samples import Floats, Ints, Visits, group_medians

N_NEIGHBOURS = 16
"""Visits on each side that a visit is compared with at most."""

N_NEAREST = 4
"""So many are compared with however long ago they were."""

BANDWIDTHS_S = (0.1, 0.3, 1.0, 3.0, 10.0)
"""How far a visit looks, in seconds; the one that predicts the visits best is taken."""

N_ITERATIONS, N_FURTHER = 6, 3
MOST_BLOCKS, FEWEST_BLOCKS = 12, 4
"""Blocks of time for the standard errors."""

CALM_HEIGHT = 0.3
"""A machine slower than its calm by this much (log) counts half."""

SMALLEST_NOISE = 1e-5
"""Of a visit (log): below the resolution of every clock."""


@dataclass(frozen=True)
class Turns:
    """The visits of one process and which of them are compared.

    Attributes:
        visits: the visits.
        items: (n,) indices of the items that were timed.
        item: (n_visits,) position in ``items``.
        neighbour: (n_visits, n_neighbours) visits around each one.
        closeness: (n_visits, n_neighbours) weight by closeness in time.
        kernel: the same, but 0 for the same item: what a visit is compared with.
    """

    visits: Visits
    items: Ints
    item: Ints
    neighbour: Ints
    closeness: Floats
    kernel: Floats

    @property
    def y(self) -> Floats:
        """Log latency of each visit."""
        return self.visits.log_latency

    def medians(self, values: Floats) -> Floats:
        """Return the median per item."""
        return group_medians(values, self.item, len(self.items))


@dataclass(frozen=True)
class ProcessFit:
    """What one process tells.

    Attributes:
        turns: its visits.
        value: (n,) log latencies of its items less the process' own level.
        variance: (n,) of each value; that of a difference is the sum of two.
        noise: (n,) scale of a visit around the path (log).
        path: (n_visits,) log slowness at each visit, on the level of ``value``.
        residual: (n_visits,) what is left of each visit.
    """

    turns: Turns
    value: Floats
    variance: Floats
    noise: Floats
    path: Floats
    residual: Floats


def turns_of(visits: Visits) -> Turns:
    """Find the neighbours of each visit, within the bandwidth that predicts the visits best."""
    items, item = np.unique(visits.item, return_inverse=True)
    item = item.astype(np.int64)
    neighbour, gap_s = _neighbours(visits)
    best: tuple[float, Turns] | None = None
    for bandwidth_s in BANDWIDTHS_S:
        closeness = _closeness(gap_s, item[neighbour] != item[:, None], bandwidth_s)
        kernel = np.where(item[neighbour] != item[:, None], closeness, 0.0)
        turns = Turns(visits, items, item, neighbour, closeness, kernel)
        value, path = start(turns)
        left = np.abs(turns.y - value[item] - path)
        error = float(np.average(left, weights=visits.weight))
        if best is None or error < 0.98 * best[0]:
            best = (error, turns)
    assert best is not None
    return best[1]


def start(turns: Turns) -> tuple[Floats, Floats]:
    """Return items and path by running medians."""
    value, path = turns.medians(turns.y), np.zeros_like(turns.y)
    for _ in range(4):
        path = _median_path(turns.y - value[turns.item], turns)
        value = value + turns.medians(turns.y - value[turns.item] - path)
    return value, path


def fit_process(
    turns: Turns,
    added: Floats | None = None,
    height: Floats | None = None,
    before: ProcessFit | None = None,
) -> ProcessFit:
    """Fit the items of one process.

    Args:
        turns: its visits.
        added: (n_visits,) what is known to be added to each visit (log) beside the one path;
            nothing where it is ``None``.
        height: (n_visits,) slowness of the machine above its calm (log); that of the path above
            its own lowest where it is ``None``.
        before: an earlier fit to go on from.
    """
    y, item = turns.y if added is None else turns.y - added, turns.item
    if len(turns.items) == 1:  # its path is all there is to see
        value = np.array([float(np.median(y))])
        zeros = np.zeros_like(y)
        noise = np.full(1, SMALLEST_NOISE)
        return ProcessFit(turns, value, np.zeros(1), noise, y - value, zeros)
    value, path = start(turns) if before is None else (before.value, before.path)
    for _ in range(N_ITERATIONS if before is None else N_FURTHER):
        noise, local = _noise(y - value[item] - path, turns)
        scale = noise[item] * local
        above = path - np.quantile(path, 0.05) if height is None else height
        calm = 1 / (1 + (np.maximum(above, 0.0) / CALM_HEIGHT) ** 2)
        weight = _pair_weights(y - value[item], scale, turns.visits.weight * calm, turns)
        value = _solve(y, weight, turns)
        path = _weighted_path(y - value[item], weight, turns)
    variance = _variances(y - value[item], weight, turns)
    return ProcessFit(turns, value, variance, noise, path, y - value[item] - path)


def _neighbours(visits: Visits) -> tuple[Ints, Floats]:
    """Return neighbours and the seconds between; infinite where there is none."""
    n = len(visits.item)
    reach = min(N_NEIGHBOURS, max(n - 1, 1))
    offsets = np.concatenate([np.arange(-reach, 0), np.arange(1, reach + 1)])
    index = np.arange(n)[:, None] + offsets
    neighbour = np.clip(index, 0, n - 1)
    own_begin, own_end = visits.begin_s[:, None], visits.end_s[:, None]
    gap = np.maximum(visits.begin_s[neighbour] - own_end, own_begin - visits.end_s[neighbour])
    return neighbour, np.where(index == neighbour, np.maximum(gap, 0.0), np.inf)


def _closeness(gap_s: Floats, is_other: npt.NDArray[np.bool_], bandwidth_s: float) -> Floats:
    """Return weights by closeness in time; the nearest ones of other items always have some."""
    nearest = np.sort(np.where(is_other, gap_s, np.inf), axis=1)[:, : N_NEAREST + 1]
    farthest = np.where(np.isfinite(nearest), nearest, 0.0).max(axis=1)
    reach = np.maximum(bandwidth_s, 1.2 * farthest)[:, None]
    closeness: Floats = np.where(np.isfinite(gap_s), 1 - (gap_s / reach) ** 2, 0.0)
    return np.maximum(closeness, 0.0)


def _median_path(r: Floats, turns: Turns) -> Floats:
    """Return the median of each visit's neighbours; 0 where there is none."""
    values = np.where(turns.kernel > 0.1, r[turns.neighbour], np.inf)
    count = np.isfinite(values).sum(axis=1)
    values.sort(axis=1)
    rows = np.arange(len(r))
    low, high = values[rows, np.maximum(count - 1, 0) // 2], values[rows, count // 2]
    return np.where(count > 0, (low + np.where(count % 2 == 1, low, high)) / 2, 0.0)


def _noise(residual: Floats, turns: Turns) -> tuple[Floats, Floats]:
    """Return the noise of each item, and by how much each visit's time was noisier."""
    size = np.abs(residual)
    pooled = max(1.48 * float(np.median(size)), SMALLEST_NOISE)
    own = 1.48 * turns.medians(size)
    count = np.bincount(turns.item, minlength=len(turns.items))
    noise = np.sqrt((count * own**2 + 8 * pooled**2) / (count + 8))
    around = 1.48 * _median_path(size / noise[turns.item], turns)
    return noise, np.clip(around, 0.3, 30.0)


def _pair_weights(r: Floats, scale: Floats, weight: Floats, turns: Turns) -> Floats:
    """Return the weights of the pairs."""
    other = turns.neighbour
    precision = weight / scale**2
    difference = r[:, None] - r[other]
    spread = np.sqrt(scale[:, None] ** 2 + scale[other] ** 2)
    close = turns.kernel / (1 + (difference / (3 * spread)) ** 2) ** 2
    total = np.maximum((close * precision[other]).sum(axis=1), 1e-300)
    share = np.sqrt(total[:, None] * total[other])
    weights: Floats = close * precision[:, None] * precision[other] / share
    return weights


def _laplacian(weight: Floats, turns: Turns) -> Floats:
    n_items = len(turns.items)
    cell = turns.item[:, None] * n_items + turns.item[turns.neighbour]
    joint = np.bincount(cell.ravel(), weight.ravel(), n_items**2).reshape(n_items, n_items)
    joint = joint + joint.T
    laplacian: Floats = np.diag(joint.sum(axis=1)) - joint
    return laplacian


def _pull(values: Floats, weight: Floats, turns: Turns) -> Floats:
    """Return how far each visit lies above those it is compared with, weighted and summed."""
    pull = weight * (values[:, None] - values[turns.neighbour])
    summed: Floats = pull.sum(axis=1)
    return summed - np.bincount(turns.neighbour.ravel(), pull.ravel(), len(values))


def _solve(y: Floats, weight: Floats, turns: Turns) -> Floats:
    pull = np.bincount(turns.item, _pull(y, weight, turns), len(turns.items)).astype(np.float64)
    return solve_on_contrasts(_laplacian(weight, turns), pull)


def _weighted_path(r: Floats, weight: Floats, turns: Turns) -> Floats:
    total = weight.sum(axis=1)
    path: Floats = (weight * r[turns.neighbour]).sum(axis=1) / np.maximum(total, 1e-300)
    return path


def _variances(r: Floats, weight: Floats, turns: Turns) -> Floats:
    """Return the variance of each value: of single visits, widened by what blocks of time share.

    Visits that follow each other resemble each other. Blocks of several rounds do not, but they
    are few: their say of one item is held to their say of all items.
    """
    item, n_items = turns.item, len(turns.items)
    inverse = inverse_on_contrasts(_laplacian(weight, turns))
    pull = _pull(r, weight, turns)
    count = np.bincount(item, minlength=n_items)
    # One is spent on the value, about one on weights that the residuals chose.
    spent = count / np.maximum(count - 2, 1)
    single = inverse * np.sqrt(spent * np.bincount(item, pull**2, n_items))
    n_rounds = int(np.ptp(turns.visits.round)) + 1
    n_blocks = min(MOST_BLOCKS, n_rounds // 2)
    alone = quasi_variances(single @ single.T)
    if n_blocks < FEWEST_BLOCKS:
        return alone * 2.0  # too short to tell how long the machine's states last
    block = np.arange(len(r)) * n_blocks // len(r)
    pulls = np.bincount(item * n_blocks + block, pull, n_items * n_blocks)
    shared = inverse @ pulls.reshape(n_items, n_blocks)
    blocked = quasi_variances(shared @ shared.T) * n_blocks / (n_blocks - 1)
    own = blocked / np.maximum(alone, 1e-300)
    # A few items that wander by themselves, like a reference, do not widen those of the others.
    inflation = float(np.minimum(own, 3 * np.median(own)).mean())
    return alone * max(1.0, inflation)
