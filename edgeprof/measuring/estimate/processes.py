"""Several processes of a campaign: what they agree on, and by how much they differ.

Owns: value of an item in a process = item + level of the process + luck of that item there (the
kernels chosen, the memory's layout) + noise. The luck's variance is estimated over all items and,
as far as its few processes allow, for each: a standard error without it would promise what a
fresh process does not keep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeprof.measuring.estimate.contrasts import inverse_on_contrasts, quasi_variances
from edgeprof.measuring.estimate.samples import Bools, Floats
from edgeprof.measuring.estimate.turns import ProcessFit

N_ITERATIONS = 10
OUTLYING = 5.0
"""An item counts for no more than so many times the variance of the others."""

SCALE_SPREAD = 0.35
"""How far (log) the variance of most items is from the mean of all, before they are looked at."""

WITHIN_DOF = 20.0
"""Degrees of freedom of a variance within processes: it rests on blocks of time."""

_PRIOR_DOFS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_PRIOR_SCALES = tuple(2 ** (k / 3) for k in range(-12, 4))


@dataclass(frozen=True)
class Combined:
    """Items over all processes; arrays (n_items,), NaN for an item that none timed.

    Attributes:
        value: log latency, on a level common to all items.
        variance: of it; that of a difference is the sum of two.
        dof: degrees of freedom of that variance.
        between_sd: spread (log) of the item between its processes, beyond the noise within.
        level: (n_processes,) what was added to each process' values.
        process_sd: spread between processes over all items but the references.
    """

    value: Floats
    variance: Floats
    dof: Floats
    between_sd: Floats
    level: Floats
    process_sd: float


def combine(fits: Sequence[ProcessFit], is_reference: Bools) -> Combined:
    """Combine the processes of a campaign; groups are linked by the items that they share.

    Args:
        fits: what each process tells.
        is_reference: (n_items,) whether an item is there to link groups. What it has between
            processes says nothing of the others: the machine's memory may be slow throughout one.
    """
    n_items = len(is_reference)
    z, within = _by_item_and_process(fits, n_items)
    is_there: Bools = np.isfinite(z)
    within = _smooth(within, is_there)
    kinds = [~is_reference, is_reference]
    if (is_there.any(axis=1) & ~is_reference).sum() < 2:
        kinds = [np.ones(n_items, dtype=bool)]
    between, own, dof = np.zeros((n_items, 1)), np.ones(n_items), np.full(n_items, WITHIN_DOF)
    for _ in range(N_ITERATIONS):
        fitted = _two_way(z, within + between, is_there)
        left = np.where(is_there, z - fitted.value[:, None] - fitted.level, 0.0)
        free = 1 - fitted.leverage
        for kind in kinds:
            cells = left[kind], within[kind], free[kind], is_there[kind]
            between[kind] = _variance_between(*cells)
    ratio = np.where(is_there, left**2 / (within + between), 0.0).sum(axis=1)
    for kind in kinds:
        own[kind], dof[kind] = _moderated(ratio[kind], free[kind].sum(axis=1))
    timed: Bools = np.asarray(is_there.any(axis=1))
    variance = np.full(n_items, np.nan)
    variance[timed] = quasi_variances(fitted.covariance(timed)) * own[timed]
    square = np.where(is_there, left**2 - free * within, 0.0).sum(axis=1)
    spread = np.sqrt(np.maximum(square, 0.0) / np.maximum(free.sum(axis=1), 1e-9))
    return Combined(
        value=np.where(timed, fitted.value, np.nan),
        variance=variance,
        dof=dof,
        between_sd=np.where(free.sum(axis=1) > 0.5, spread, np.nan),
        level=fitted.level,
        process_sd=math.sqrt(between[kinds[0]].max()),
    )


def _by_item_and_process(fits: Sequence[ProcessFit], n_items: int) -> tuple[Floats, Floats]:
    """Return values and variances, (n_items, n_processes) each; NaN where an item was not timed."""
    value = np.full((n_items, len(fits)), np.nan)
    variance = np.full_like(value, np.nan)
    for process, fit in enumerate(fits):
        value[fit.turns.items, process] = fit.value
        variance[fit.turns.items, process] = fit.variance
    return value, variance


def _smooth(within: Floats, is_there: Bools) -> Floats:
    """Return variances by item and by process: one cell's own is of too few visits to weigh by."""
    filled = np.where(is_there, np.maximum(within, 1e-12), 0.0)
    count = np.maximum(is_there.sum(axis=1), 1)
    per_process = filled.sum(axis=0) / np.maximum(is_there.sum(axis=0), 1)
    per_item = (filled / np.maximum(per_process, 1e-12)).sum(axis=1) / count
    smooth: Floats = np.maximum(per_item[:, None] * per_process, filled / 4)
    return np.where(is_there, smooth, np.nan)


@dataclass(frozen=True)
class _TwoWay:
    """Item + process, fitted by weighted least squares.

    Attributes:
        value: (n_items,) of the items.
        level: (n_processes,) of the processes.
        leverage: (n_items, n_processes) of each cell.
        alone: (n_items,) variance of each item, were the processes' levels known.
        by_levels: (n_items, n_processes) what the levels' errors do to each item.
        of_levels: (n_processes, n_processes) covariance of the levels.
    """

    value: Floats
    level: Floats
    leverage: Floats
    alone: Floats
    by_levels: Floats
    of_levels: Floats

    def covariance(self, chosen: Bools) -> Floats:
        """Return the covariance of some items, up to a common constant."""
        by = self.by_levels[chosen]
        covariance: Floats = np.diag(self.alone[chosen]) + by @ self.of_levels @ by.T
        return covariance


def _two_way(z: Floats, variance: Floats, is_there: Bools) -> _TwoWay:
    """Fit values ``z`` of known variance; the items, of which there are many, are eliminated."""
    weight = np.where(is_there, 1 / variance, 0.0)
    filled = np.where(is_there, z, 0.0)
    per_item = np.maximum(weight.sum(axis=1), 1e-300)
    by_levels = weight / per_item[:, None]
    of_levels = inverse_on_contrasts(np.diag(weight.sum(axis=0)) - weight.T @ by_levels)
    mean = (by_levels * filled).sum(axis=1)
    level: Floats = of_levels @ (weight * (filled - mean[:, None])).sum(axis=0)
    value: Floats = mean - by_levels @ level
    both = by_levels @ of_levels
    of_cell = (1 / per_item + (both * by_levels).sum(axis=1))[:, None]
    of_cell = of_cell - 2 * both + np.diag(of_levels)
    leverage = np.where(is_there, np.clip(weight * of_cell, 0.0, 1.0), 1.0)
    return _TwoWay(value, level, leverage, 1 / per_item, by_levels, of_levels)


def _variance_between(left: Floats, within: Floats, free: Floats, is_there: Floats) -> float:
    """Return the variance that makes the residuals as large as they should be (Paule, Mandel).

    An item with a mode of its own in one process does not decide it.
    """
    wanted = float(free.sum())
    if wanted < 0.5:
        return 0.0

    def excess(between: float) -> float:
        per_item = np.where(is_there, left**2 / (within + between), 0.0).sum(axis=1)
        return float(np.minimum(per_item, OUTLYING * free.sum(axis=1)).sum()) - wanted

    low, high = 0.0, float(np.max(left**2)) * left.size + 1e-12
    if excess(low) <= 0:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


def _moderated(ratio: Floats, free: Floats) -> tuple[Floats, Floats]:
    """Hold each item's variance to that of all, as far as they are alike.

    Args:
        ratio: sum of squared standardised residuals per item.
        free: their degrees of freedom.

    Returns:
        A factor on each item's variance, and its degrees of freedom.
    """
    told = free > 0.5
    if not told.any():
        return np.ones_like(free), np.full_like(free, WITHIN_DOF)
    grid = [(dof, scale) for dof in _PRIOR_DOFS for scale in _PRIOR_SCALES]
    dof, scale = max(
        grid,
        key=lambda prior: (
            _likelihood(ratio[told], free[told], *prior)
            - (math.log(prior[1]) / SCALE_SPREAD) ** 2 / 2
        ),
    )
    known = float(free.sum())
    dof = min(dof, known)
    free, ratio = np.where(told, free, 0.0), np.where(told, ratio, 0.0)
    return (dof * scale + ratio) / (dof + free), np.minimum(dof + free, max(known, 1.0))


def _likelihood(ratio: Floats, free: Floats, dof: float, scale: float) -> float:
    """Log likelihood of sums of squares whose variances scatter around ``scale``."""
    gammas = sum(math.lgamma((own + dof) / 2) for own in free.tolist())
    shares = np.log1p(ratio / (dof * scale))
    constants = len(free) * math.lgamma(dof / 2) + float(free.sum()) / 2 * math.log(dof * scale)
    return gammas - constants - float(((free + dof) / 2 * shares).sum())
