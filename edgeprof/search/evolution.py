"""Evolution as in Once-For-All, a whole generation at a time.

Owns: selection, mutation and crossover under limits. Children beyond a limit are drawn again, as
OFA does, but never without end: what stays beyond after some draws is replaced by its parent.

Source: Cai et al., Once-for-All (ICLR 2020), section 3.3 and appendix; hyper-parameters of the
published code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeprof.search.options import SearchOptions
from edgeprof.search.problem import Problem
from edgeprof.spaces.base import Codes

_MAX_DRAWS = 20


def evolve(
    problem: Problem,
    population: Codes,
    rng: np.random.Generator,
    options: SearchOptions,
) -> None:
    """Run generations until the last, or until ``options.patience`` of them brought nothing.

    What is found is remembered by the problem.

    Args:
        problem: what to maximise and what to keep.
        population: feasible rows to begin with.
        rng: source of randomness.
        options: see ``SearchOptions``.

    Raises:
        OutOfEvaluations: if those allowed are used up before.
    """
    n_parents = max(1, round(options.parent_ratio * options.population))
    n_mutants = round(options.mutation_ratio * options.population)
    n_crossed = options.population - n_mutants
    scores = problem.scores(population, np.ones(len(population), dtype=bool))
    idle = 0
    best = scores.max()
    for _ in range(options.generations):
        order = np.argsort(-scores, kind="stable")[:n_parents]
        parents, parent_scores = population[order], scores[order]
        children = np.concatenate(
            [
                _mutants(problem, parents, n_mutants, rng, options),
                _crossed(problem, parents, n_crossed, rng),
            ]
        )
        child_scores = problem.scores(children, np.ones(len(children), dtype=bool))
        population = np.concatenate([parents, children])
        scores = np.concatenate([parent_scores, child_scores])
        idle = 0 if scores.max() > best else idle + 1
        best = max(best, scores.max())
        if options.patience is not None and idle >= options.patience:
            return


def random_population(
    problem: Problem, feasible_row: NDArray[np.uint8], n: int, rng: np.random.Generator
) -> Codes:
    """Return ``n`` feasible rows: random ones, or under a tight budget variants of a known one."""
    return _draw(
        problem,
        np.repeat(feasible_row[None], n, axis=0),
        [
            *[lambda rows: problem.space.sample_codes(len(rows), rng, problem.resolutions)] * 10,
            *[lambda rows: _mutate(problem, rows, rng, 0.1, 0.1)] * 10,
        ],
    )


def _mutants(
    problem: Problem, parents: Codes, n: int, rng: np.random.Generator, options: SearchOptions
) -> Codes:
    chosen = parents[rng.integers(len(parents), size=n)]
    probability = options.mutation_probability
    resolution_probability = options.resolution_mutation_probability

    def mutate(rows: Codes) -> Codes:
        return _mutate(problem, rows, rng, probability, resolution_probability)

    return _draw(problem, chosen, [mutate] * _MAX_DRAWS)


def _mutate(
    problem: Problem, rows: Codes, rng: np.random.Generator, each: float, resolution: float
) -> Codes:
    return problem.space.mutate(rows, rng, each, resolution, problem.resolutions)


def _crossed(problem: Problem, parents: Codes, n: int, rng: np.random.Generator) -> Codes:
    def cross(rows: Codes) -> Codes:
        other = parents[rng.integers(len(parents), size=len(rows))]
        return problem.space.crossover(rows, other, rng)

    return _draw(problem, parents[rng.integers(len(parents), size=n)], [cross] * _MAX_DRAWS)


def _draw(problem: Problem, parents: Codes, draws: list[Callable[[Codes], Codes]]) -> Codes:
    """Draw a child per parent, again and again where it breaks a limit; else keep the parent."""
    children: Codes = parents.copy()
    waiting = np.arange(len(parents))
    for draw in draws:
        if not len(waiting):
            break
        drawn = draw(parents[waiting])
        kept = problem.feasible(drawn)
        children[waiting[kept]] = drawn[kept]
        waiting = waiting[~kept]
    return children
