"""Latency-constrained search: the best subnet per budget, and the whole Pareto front.

Owns: how the parts make one search, and the promise that every result keeps its budget when
computed again from the subnet. A budget that cannot be met ends at once, before anything is
searched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeprof.accuracy.base import AccuracyModel
from edgeprof.base.errors import SearchError
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.search.constraints import Constraint, latency_constraint
from edgeprof.search.evolution import evolve, random_population
from edgeprof.search.feasibility import nearest_row
from edgeprof.search.genes import Genes
from edgeprof.search.guided import MIN_EVALUATIONS, Reached, crossed_climbs, first_climbs
from edgeprof.search.local import climb
from edgeprof.search.options import SearchOptions
from edgeprof.search.problem import OutOfEvaluations, Problem
from edgeprof.search.results import SearchResult

_CLIMB_EVALUATIONS = 2000
"""At most so many are kept for the climb after evolution; it needs a few hundred a round."""


@dataclass(frozen=True)
class Explored:
    """A problem that was searched, with what was found.

    Attributes:
        problem: the problem.
        evaluations: distinct subnets the accuracy model was asked about.
        seconds: wall-clock time, the search for a feasible row included.
        stages: the best score after each stage: ``climbs`` and ``crossed`` of a guided search,
            ``evolution`` and ``local_search`` of an evolution.
    """

    problem: Problem
    evaluations: int
    seconds: float
    stages: Mapping[str, float]


class Search:
    """What all budgets of one call have in common.

    Args:
        space: the space to search.
        accuracy: what to maximise.
        latency: whose latency is limited.
        limits: further limits (other devices, MACs, parameters, model bytes).
        confidence: keep the budget for the upper bound of the prediction; see
            ``latency_constraint``.
        resolutions: those to search  [default: the space's usual ones].
        options: how to search.

    Raises:
        SearchError: if these do not go together.
    """

    def __init__(
        self,
        space: SearchSpace,
        accuracy: AccuracyModel,
        latency: LatencyPredictor,
        *,
        limits: Sequence[Constraint] = (),
        confidence: float | None = None,
        resolutions: Sequence[int] | None = None,
        options: SearchOptions | None = None,
    ) -> None:
        self.space = space
        self.accuracy = accuracy
        self.latency = latency
        self.limits = tuple(limits)
        self.confidence = confidence
        self.options = options or SearchOptions()
        self.resolutions = _checked_resolutions(space, accuracy, resolutions)

    def problem(self, budget_ms: float, known: dict[bytes, float] | None = None) -> Problem:
        """Return the problem of one budget; see ``Problem`` for ``known``."""
        budget = latency_constraint(self.latency, budget_ms, self.space, confidence=self.confidence)
        return Problem(
            self.space,
            self.accuracy,
            [budget, *self.limits],
            self.resolutions,
            self.options.evaluation_limit,
            known,
        )

    def run(self, budgets_ms: Sequence[float]) -> list[SearchResult]:
        """Return the best subnet found under each budget.

        Raises:
            InfeasibleBudget: naming the smallest latency there is, before anything is searched.
        """
        return [
            self.result(explored, checked_rows(explored.problem, 1)[0])
            for explored in self.explore_all(budgets_ms)
        ]

    def explore_all(self, budgets_ms: Sequence[float]) -> Iterator[Explored]:
        """Search each budget in turn, once all of them are known to be feasible."""
        if not budgets_ms:
            raise SearchError("no budget given")
        problems = [self.problem(budget_ms) for budget_ms in budgets_ms]
        started = [_timed(nearest_row, problem) for problem in problems]
        for problem, (row, seconds) in zip(problems, started, strict=True):
            explored = explore(problem, row, self.options)
            yield replace(explored, seconds=explored.seconds + seconds)

    def result(self, explored: Explored, row: NDArray[np.uint8]) -> SearchResult:
        """Return the result for a row, every number computed again from its subnet."""
        subnet = self.space.decode(row[None])[0]
        budget = explored.problem.constraints[0]
        return SearchResult(
            budget_ms=budget.limit,
            latency_ms=float(self.latency.predict([subnet])[0]),
            latency_bound_ms=None if self.confidence is None else budget.exact_cost(subnet),
            accuracy=float(self.accuracy.predict_codes(row[None])[0]),
            subnet=subnet,
            evaluations=explored.evaluations,
            seconds=explored.seconds,
            latency_source=self.latency.device,
            accuracy_model=self.accuracy.name,
            accuracy_is_proxy=self.accuracy.is_proxy,
            stages=explored.stages,
            costs={limit.name: limit.exact_cost(subnet) for limit in self.limits},
        )


def _timed(
    find: Callable[[Problem], NDArray[np.uint8]], problem: Problem
) -> tuple[NDArray[np.uint8], float]:
    started = time.perf_counter()
    return find(problem), time.perf_counter() - started


def _checked_resolutions(
    space: SearchSpace, accuracy: AccuracyModel, resolutions: Sequence[int] | None
) -> tuple[int, ...]:
    chosen = tuple(space.sampled_resolutions if resolutions is None else resolutions)
    space.resolution_indices(chosen)  # refuses those that the space does not have
    unknown = [r for r in chosen if r not in accuracy.resolutions]
    if unknown:
        known = ", ".join(str(r) for r in accuracy.resolutions)
        raise SearchError(
            f"accuracy model {accuracy.name} does not know resolution {unknown[0]}, it "
            f"knows {known}; give --resolutions"
        )
    return tuple(sorted(set(chosen)))


def explore(problem: Problem, feasible_row: NDArray[np.uint8], options: SearchOptions) -> Explored:
    """Search one problem."""
    started = time.perf_counter()
    rng = np.random.default_rng(options.seed)
    stages: dict[str, float] = {}
    # So that there is a result whatever the number of evaluations allowed.
    problem.scores(feasible_row[None], np.ones(1, dtype=bool))
    if options.method == "guided" and options.evaluation_limit >= MIN_EVALUATIONS:
        reached: list[Reached] = []
        with suppress(OutOfEvaluations):
            first_climbs(problem, reached)
        stages["climbs"] = _best_score(problem)
        with suppress(OutOfEvaluations):
            crossed_climbs(problem, reached, rng, options)
        stages["crossed"] = _best_score(problem)
    else:
        _evolve_and_climb(problem, feasible_row, rng, options, stages)
    return Explored(problem, problem.evaluations, time.perf_counter() - started, stages)


def _evolve_and_climb(
    problem: Problem,
    feasible_row: NDArray[np.uint8],
    rng: np.random.Generator,
    options: SearchOptions,
    stages: dict[str, float],
) -> None:
    genes = Genes(problem.space, problem.resolution_indices)
    allowed = problem.max_evaluations
    reserved = min(allowed // 4, _CLIMB_EVALUATIONS) if options.local_search else 0
    problem.max_evaluations = allowed - reserved
    with suppress(OutOfEvaluations):
        population = random_population(problem, genes, feasible_row, options.population, rng)
        evolve(problem, genes, population, rng, options)
    stages["evolution"] = _best_score(problem)
    problem.max_evaluations = allowed
    if options.local_search:
        with suppress(OutOfEvaluations):
            climb(problem, problem.best(1)[0][0])
        stages["local_search"] = _best_score(problem)


def _best_score(problem: Problem) -> float:
    return float(problem.best(1)[1][0])


def checked_rows(problem: Problem, n: int, rows: Codes | None = None) -> list[NDArray[np.uint8]]:
    """Return the first ``n`` rows that keep every limit when computed again from their subnets.

    Args:
        problem: whose limits to keep.
        n: at most.
        rows: those to look at, in order  [default: every feasible row evaluated, best first].

    Raises:
        SearchError: if none does: the latency source contradicts itself.
    """
    kept: list[NDArray[np.uint8]] = []
    if rows is None:
        rows, _ = problem.all_feasible()
    for row in rows:
        subnet = problem.space.decode(row[None])[0]
        if all(limit.exact_cost(subnet) <= limit.limit for limit in problem.constraints):
            kept.append(row)
            if len(kept) == n:
                break
    if not kept:
        raise SearchError(
            f"none of {len(rows)} subnets kept its limits when computed again: "
            f"{problem.constraints[0].name} gives different values for one subnet"
        )
    return kept
