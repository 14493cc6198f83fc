"""The reference speed: the calmest state of the machine that a campaign saw and that lasted.

Owns: which state that is, and how sure its level is. Ratios of items do not depend on it; every
latency in milliseconds does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from edgeprof.measuring.estimate.samples import Floats
from edgeprof.measuring.estimate.turns import ProcessFit

CALMEST_SHARE = 0.2
"""The calmest part of the campaign; the reference speed is its median."""

STRETCH_S = 1.0
"""A state must last so long; the level's standard error is over stretches of this length."""

SAME_STATE = 0.02
"""Stretches whose speeds (log) differ by no more are taken for the same state."""

_N_HALVES = 64


@dataclass(frozen=True)
class ReferenceLevel:
    """The state whose speed the latencies are told at.

    Attributes:
        log_slowness: of that state, on the level of the items.
        se: standard error of it (log).
        calm_s: seconds of the campaign that ran within 2 % of that speed.
        share: the same as a share of the campaign.
        slowest: how much slower (factor) the machine was at its slowest twentieth.
        path: (n_stretches, 2), in the order of the processes: seconds that each stretch lasted, and
            how much slower (factor) than the reference the machine was in it.
    """

    log_slowness: float
    se: float
    calm_s: float
    share: float
    slowest: float
    path: Floats = field(repr=False, compare=False)


def reference_level(fits: Sequence[ProcessFit], process_level: Floats) -> ReferenceLevel:
    """Find the calmest sustained state over all processes of a campaign."""
    stretches = [_stretches(fit, level) for fit, level in zip(fits, process_level, strict=True)]
    slowness = np.concatenate([of_one[0] for of_one in stretches])
    seconds = np.concatenate([of_one[1] for of_one in stretches])
    level = _calmest(slowness, seconds)
    rng = np.random.default_rng(0)
    halves = []
    for _ in range(_N_HALVES):
        chosen = rng.permutation(len(slowness))[: max(1, len(slowness) // 2)]
        halves.append(_calmest(slowness[chosen], seconds[chosen]))
    is_calm = slowness < level + SAME_STATE
    calm_s = float(seconds[is_calm].sum())
    return ReferenceLevel(
        log_slowness=level,
        se=float(np.std(halves)),
        calm_s=calm_s,
        share=calm_s / float(seconds.sum()),
        slowest=float(np.exp(np.quantile(slowness, 0.95) - level)),
        path=np.column_stack([seconds, np.exp(slowness - level)]),
    )


def _stretches(fit: ProcessFit, process_level: float) -> tuple[Floats, Floats]:
    """Return slowness and seconds of each stretch of one process."""
    begin_s, end_s = fit.turns.visits.begin_s, fit.turns.visits.end_s
    stretch = ((begin_s - begin_s[0]) / STRETCH_S).astype(np.int64)
    _, first = np.unique(stretch, return_index=True)
    bounds = [*first.tolist(), len(begin_s)]
    observed = fit.path + fit.residual
    slowness = [
        float(np.median(observed[low:high])) + process_level for low, high in pairwise(bounds)
    ]
    edges = np.append(begin_s[first], end_s.max())
    return np.array(slowness), np.maximum(np.diff(edges), 1e-9)


def _calmest(slowness: Floats, seconds: Floats) -> float:
    """Return the median slowness of the calmest share of the time."""
    order = np.argsort(slowness)
    reached = np.cumsum(seconds[order]) - seconds[order] / 2
    return float(np.interp(CALMEST_SHARE / 2 * seconds.sum(), reached, slowness[order]))
