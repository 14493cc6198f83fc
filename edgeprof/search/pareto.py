"""Non-dominated sorting of (cost, score): less cost is better, more score is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def front_indices(costs: Floats, scores: Floats) -> NDArray[np.intp]:
    """Return the points that no other dominates, by ascending cost; of equal points the first."""
    order = np.lexsort((-scores, costs))
    ranked = scores[order]
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(ranked)[:-1]])
    return order[ranked > best_before]


def front_ranks(costs: Floats, scores: Floats) -> NDArray[np.intp]:
    """Return the front each point is on: 0 is dominated by none, 1 only by points of front 0 ..."""
    ranks = np.full(len(costs), -1, dtype=np.intp)
    left = np.arange(len(costs))
    rank = 0
    while len(left):
        on_front = left[front_indices(costs[left], scores[left])]
        ranks[on_front] = rank
        left = np.setdiff1d(left, on_front, assume_unique=True)
        rank += 1
    return ranks


def crowding(costs: Floats, scores: Floats) -> Floats:
    """Return how far each point of one front is from its neighbours (sum of the scaled gaps)."""
    n = len(costs)
    if n <= 2:
        return np.full(n, np.inf)
    order = np.argsort(costs, kind="stable")
    out = np.full(n, np.inf)
    gaps = np.zeros(n - 2)
    for values in (costs[order], scores[order]):
        span = float(values.max() - values.min())
        if span > 0:
            gaps += np.abs(values[2:] - values[:-2]) / span
    out[order[1:-1]] = gaps
    return out
