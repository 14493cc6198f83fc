"""The whole Pareto front of latency and accuracy in one call.

Owns: how the front is covered: searches at budgets from the smallest latency to that of the most
accurate subnet, everything they evaluated pooled, and generations of children of the pooled front
in which the lonely points have the more children.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeprof.search.engine import Explored, Search, checked_rows, explore
from edgeprof.search.feasibility import nearest_row
from edgeprof.search.options import SearchOptions
from edgeprof.search.pareto import crowding, front_indices, front_ranks
from edgeprof.search.problem import OutOfEvaluations, Problem
from edgeprof.search.results import SearchResult
from edgeprof.spaces.base import Codes

N_BUDGETS = 12
_REFINING_GENERATIONS = 40
_UNLIMITED_MS = 1e12


def search_front(
    search: Search, *, highest_ms: float | None = None, n_budgets: int = N_BUDGETS
) -> list[SearchResult]:
    """Return subnets none of which is both slower and less accurate than another, fastest first.

    Args:
        search: space, models, further limits and options.
        highest_ms: the largest latency of interest  [default: that of the most accurate subnet].
        n_budgets: how many budgets the range is searched at.

    Raises:
        InfeasibleBudget: if the further limits, or ``highest_ms``, cannot be kept.
    """
    started = time.perf_counter()
    top = search.problem(_UNLIMITED_MS if highest_ms is None else highest_ms)
    fastest = nearest_row(search.problem(_lowest_ms(search)))
    if highest_ms is None:
        explore(top, fastest, search.options)
        highest_ms = float(top.costs(top.best(1)[0])[0, 0])
    lowest_ms = float(top.costs(fastest[None])[0, 0])
    pooled = [top.all_feasible()[0]]
    evaluations = top.evaluations
    for budget_ms in np.geomspace(lowest_ms, max(highest_ms, lowest_ms), n_budgets):
        problem = search.problem(float(budget_ms) * (1 + 1e-12))
        explore(problem, fastest, replace(search.options, patience=1))
        pooled.append(problem.all_feasible()[0])
        evaluations += problem.evaluations
    final = search.problem(highest_ms, max_evaluations=search.options.evaluation_limit * n_budgets)
    rows = _refine(final, _non_dominated(final, np.concatenate(pooled)), search.options)
    evaluations += final.evaluations
    seconds = time.perf_counter() - started
    return _as_results(search, Explored(final, evaluations, seconds, {}), rows)


def _lowest_ms(search: Search) -> float:
    """Return the smallest latency within the further limits, or one that shows there is none."""
    unlimited = search.problem(_UNLIMITED_MS)
    row = nearest_row(unlimited)
    return float(unlimited.costs(row[None])[0, 0])


def _non_dominated(problem: Problem, rows: Codes) -> Codes:
    rows = np.unique(rows, axis=0)
    costs = problem.costs(rows)
    rows, costs = rows[problem.within(costs)], costs[problem.within(costs)]
    scores = problem.scores(rows, np.ones(len(rows), dtype=bool))
    return rows[front_indices(costs[:, 0], scores)]


def _refine(problem: Problem, front: Codes, options: SearchOptions) -> Codes:
    """Breed the front (NSGA-II: rank, then crowding) for some generations; return the new one."""
    rng = np.random.default_rng(options.seed)
    population = front
    with suppress(OutOfEvaluations):
        for _ in range(min(_REFINING_GENERATIONS, options.generations)):
            children = _children(problem, population, options, rng)
            rows = np.unique(np.concatenate([population, children]), axis=0)
            costs = problem.costs(rows)
            rows, costs = rows[problem.within(costs)], costs[problem.within(costs)]
            scores = problem.scores(rows, np.ones(len(rows), dtype=bool))
            size = max(2 * options.population, len(front))
            population = rows[_survivors(costs[:, 0], scores, size)]
    rows, scores = problem.all_feasible()
    return rows[front_indices(problem.costs(rows)[:, 0], scores)]


def _children(
    problem: Problem, population: Codes, options: SearchOptions, rng: np.random.Generator
) -> Codes:
    n = options.population
    parents = population[rng.integers(len(population), size=(2, n))]
    crossed = problem.space.crossover(parents[0], parents[1], rng)
    return problem.space.mutate(
        crossed,
        rng,
        options.mutation_probability / 2,
        options.resolution_mutation_probability / 2,
        problem.resolutions,
    )


def _survivors(costs: NDArray[np.float64], scores: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Return the first ``n`` by front, and within a front the lonely before the crowded."""
    ranks = front_ranks(costs, scores)
    lonely = np.zeros(len(costs))
    for rank in range(int(ranks.max()) + 1):
        on_front = ranks == rank
        lonely[on_front] = crowding(costs[on_front], scores[on_front])
    return np.lexsort((-lonely, ranks))[:n]


def _as_results(search: Search, explored: Explored, rows: Codes) -> list[SearchResult]:
    """Return the rows as results, fastest first."""
    checked = checked_rows(explored.problem, len(rows), rows)
    results = [search.result(explored, row) for row in checked]
    results.sort(key=lambda result: (result.latency_ms, -result.accuracy))
    kept: list[SearchResult] = []
    for result in results:
        if not kept or result.accuracy > kept[-1].accuracy:
            kept.append(result)
    return kept
