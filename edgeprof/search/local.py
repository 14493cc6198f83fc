"""Local search: change choices until no single change improves.

Owns: the climb. Each round looks at every single change of the row, combines them by dynamic
programming as if they added up, evaluates the combinations and moves to the best row found. It
ends at a row that no single change (code, depth, resolution) within the limits improves.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import Codes
from edgeprof.search.knapsack import LinearPicture, best_combinations, picture
from edgeprof.search.problem import Problem

PENALTIES = (0.0, 0.1, 0.4)
"""Taken off per changed column, in units of what one change typically does to the score.

Without a penalty the combinations leave the neighbourhood in which changes add up; with a large
one they are pairs and triples of changes.
"""

_ROWS_PER_PENALTY = 30


def climb(
    problem: Problem, row: NDArray[np.uint8], rounds: int | None = None
) -> tuple[NDArray[np.uint8], float] | None:
    """Improve a row until no single change does, or for a number of rounds.

    Args:
        problem: what to maximise and what to keep.
        row: where to start; need not keep the limits.
        rounds: at most; ``None``: until the end.

    Returns:
        The row reached and its score, or ``None`` where nothing within the limits was found.

    Raises:
        OutOfEvaluations: if those allowed are used up before.
    """
    score, excess = -np.inf, np.inf
    for _ in itertools.count() if rounds is None else range(rounds):
        view = picture(problem, row)
        here = float(problem.excess(view.costs[None])[0])
        if here <= 0:
            score = view.score
        candidates = _candidates(problem, view)
        costs = problem.costs(candidates)
        feasible = problem.within(costs)
        if not feasible.any():
            # Outside the limits: follow the cheapest candidate as long as it comes nearer.
            over = problem.excess(costs)
            nearest = int(over.argmin())
            if here <= 0 or over[nearest] >= min(excess, here):
                break
            excess, row = float(over[nearest]), candidates[nearest]
            continue
        inside = candidates[feasible]
        scores = problem.scores(inside, np.ones(len(inside), dtype=bool))
        best = int(scores.argmax())
        if scores[best] <= score:
            break
        row, score = inside[best], float(scores[best])
    return None if score == -np.inf else (row, score)


def _candidates(problem: Problem, view: LinearPicture) -> Codes:
    """Return combinations, all single changes within the limits, and the other resolutions."""
    penalties = np.array(PENALTIES) * view.step
    rows = [
        best_combinations(problem, view, penalties, emphasis, _ROWS_PER_PENALTY)
        for emphasis in _emphases(len(problem.constraints))
    ]
    rows.append(view.probes[1:][view.probe_feasible[1:]])
    other = [index for index in problem.resolution_indices if index != view.row[-1]]
    changed = np.repeat(view.row[None], len(other), axis=0)
    changed[:, -1] = other
    return np.concatenate([*rows, changed])


def _emphases(n_constraints: int) -> list[NDArray[np.float64]]:
    """Return weights for adding limits up: each alone, and where there are several, all alike."""
    alone = [np.eye(n_constraints)[i] for i in range(n_constraints)]
    alike = [np.full(n_constraints, 1 / n_constraints)] if n_constraints > 1 else []
    return list(itertools.chain(alone, alike))
