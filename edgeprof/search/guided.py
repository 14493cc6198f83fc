"""The search that uses the structure of a space: climb, recombine, climb.

Owns: where climbs begin and when it ends. Evolution moves one mutation at a time and needs tens
of thousands of evaluations; a climb sees all single changes at once and solves for the best
combination of them. Climbs from a few plain subnets at each resolution give the parents; children
of two of them are climbed from in turn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.structure import start_rows
from edgeprof.search.local import climb
from edgeprof.search.options import DEFAULT_PATIENCE, SearchOptions
from edgeprof.search.problem import Problem

MIN_EVALUATIONS = 4000
"""Below this, a handful of climbs is all there would be, and evolution does better."""

_FIRST_ROUNDS = 2
_PARENTS = 5

Reached = tuple[float, NDArray[np.uint8]]
"""Where a climb ended: score and row."""


def first_climbs(problem: Problem, reached: list[Reached]) -> None:
    """Climb from plain subnets at each resolution, and on from the best; append what is reached.

    Raises:
        OutOfEvaluations: if those allowed are used up before.
    """
    for index in problem.resolution_indices:
        for row in start_rows(problem.space, index):
            _climb_from(problem, row, reached, _FIRST_ROUNDS)
    for _, row in _parents(reached):
        _climb_from(problem, row, reached)


def crossed_climbs(
    problem: Problem, reached: list[Reached], rng: np.random.Generator, options: SearchOptions
) -> None:
    """Climb from children of the best reached until some in turn bring nothing.

    Raises:
        OutOfEvaluations: if those allowed are used up before.
    """
    patience = DEFAULT_PATIENCE if options.patience is None else options.patience
    idle = 0
    while reached and idle < patience:
        parents = _parents(reached)
        best = parents[0][0]
        _climb_from(problem, _child(problem, parents, rng, options), reached)
        idle = 0 if max(score for score, _ in reached) > best else idle + 1


def _climb_from(
    problem: Problem, row: NDArray[np.uint8], reached: list[Reached], rounds: int | None = None
) -> None:
    result = climb(problem, row, rounds)
    if result is not None:
        reached.append((result[1], result[0]))


def _parents(reached: list[Reached]) -> list[Reached]:
    """Return the best distinct rows reached, best first."""
    distinct = {row.tobytes(): (score, row) for score, row in reached}
    return sorted(distinct.values(), key=lambda item: (-item[0], item[1].tobytes()))[:_PARENTS]


def _child(
    problem: Problem, parents: list[Reached], rng: np.random.Generator, options: SearchOptions
) -> NDArray[np.uint8]:
    """Cross two parents; a lone parent has a mutant."""
    space = problem.space
    if len(parents) == 1:
        children = space.mutate(
            parents[0][1][None],
            rng,
            options.mutation_probability,
            options.resolution_mutation_probability,
            problem.resolutions,
        )
    else:
        first, second = rng.choice(len(parents), size=2, replace=False)
        children = space.crossover(parents[first][1][None], parents[second][1][None], rng)
    child: NDArray[np.uint8] = children[0]
    return child
