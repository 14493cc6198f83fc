"""The whole Pareto front of latency and accuracy in one call.

Owns: how the front is covered: a whole search at each of some budgets from the smallest latency to
that of the most accurate subnet, everything they evaluated pooled, and generations of children of
the pooled front, more of them where its points are far apart.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import Codes
from edgeprof.search.engine import Explored, Search, checked_rows, explore
from edgeprof.search.feasibility import nearest_row
from edgeprof.search.options import SearchOptions
from edgeprof.search.pareto import crowding, front_indices, front_ranks
from edgeprof.search.problem import OutOfEvaluations, Problem
from edgeprof.search.results import SearchResult

_REFINING_GENERATIONS = 40
_UNLIMITED_MS = 1e12
_LEAST_ROUND, _GEOMETRIC = 8, 6
"""At least so many round budgets, and so many at equal ratios for the low end of a wide range."""


def search_front(search: Search, budgets_ms: Sequence[float] = ()) -> list[SearchResult]:
    """Return subnets none of which is both slower and less accurate than another, fastest first.

    At each budget of interest the front is at least as good as a search for that budget with the
    same options.

    Args:
        search: space, models, further limits and options.
        budgets_ms: those of interest, the largest being the far end of the front  [default: round
            ones up to the latency of the most accurate subnet].

    Raises:
        InfeasibleBudget: if the further limits, or the smallest budget, cannot be kept.
    """
    started = time.perf_counter()
    known: dict[bytes, float] = {}
    top = search.problem(max(budgets_ms, default=_UNLIMITED_MS), known)
    fastest = _fastest_row(search, min(budgets_ms, default=_UNLIMITED_MS))
    explore(top, fastest, search.options)
    highest_ms = float(top.costs(top.best(1)[0])[0, 0])
    lowest_ms = float(top.costs(fastest[None])[0, 0])
    pooled = [top.all_feasible()[0]]
    evaluations = top.evaluations
    for budget_ms in front_budgets(lowest_ms, highest_ms, budgets_ms):
        problem = search.problem(budget_ms, known)
        explore(problem, fastest, search.options)
        pooled.append(problem.all_feasible()[0])
        evaluations += problem.evaluations
    final = search.problem(top.constraints[0].limit, known)
    rows = _refine(final, _non_dominated(final, np.concatenate(pooled)), search.options)
    evaluations += final.evaluations
    seconds = time.perf_counter() - started
    return _as_results(search, Explored(final, evaluations, seconds, {}), rows)


def front_budgets(lowest_ms: float, highest_ms: float, wanted_ms: Sequence[float]) -> list[float]:
    """Return budgets that cover a range: those wanted, round ones, some at equal ratios."""
    span = max(highest_ms - lowest_ms, 1e-9 * highest_ms)
    magnitude = 10.0 ** np.floor(np.log10(span / _LEAST_ROUND))
    step = max(m * magnitude for m in (1, 2, 2.5, 5) if m * magnitude <= span / _LEAST_ROUND)
    first, last = int(np.ceil(lowest_ms / step)), int(np.floor(highest_ms / step))
    round_ms = [float(f"{i * step:.9g}") for i in range(first, last + 1)]
    # A little above its ends: a sum may come out some last digits larger in another order.
    spread_ms = np.geomspace(lowest_ms, highest_ms, _GEOMETRIC)[:-1] * (1 + 1e-12)
    return sorted({*wanted_ms, *round_ms, *map(float, spread_ms)} - {max(wanted_ms, default=0.0)})


def _fastest_row(search: Search, budget_ms: float) -> NDArray[np.uint8]:
    """Return the fastest row found that keeps the further limits and a budget.

    Raises:
        InfeasibleBudget: if there is none.
    """
    within = search.problem(budget_ms)
    row = nearest_row(within)
    # Seen from its own latency, the search for a feasible row goes on towards faster ones.
    lower = nearest_row(search.problem(float(within.costs(row[None])[0, 0])))
    rows = np.array([row, lower], dtype=np.uint8)
    fastest: NDArray[np.uint8] = rows[int(within.costs(rows)[:, 0].argmin())]
    return fastest


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
    """Return the first ``n`` by front, and within a front those far from others first."""
    ranks = front_ranks(costs, scores)
    distance = np.zeros(len(costs))
    for rank in range(int(ranks.max()) + 1):
        on_front = ranks == rank
        distance[on_front] = crowding(costs[on_front], scores[on_front])
    return np.lexsort((-distance, ranks))[:n]


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
