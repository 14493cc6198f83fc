"""Real measurement of the finalists of a search.

Owns: which subnets are measured and how the winner is chosen by what they took. How they are
measured is a function, so that this machine, a board or a test can be behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import EdgeprofError, InfeasibleBudget, SearchError
from edgeprof.base.units import ns_to_ms
from edgeprof.measuring.measurement import error_of
from edgeprof.networks.subnet import Subnet
from edgeprof.records.store import Store
from edgeprof.search.engine import Search, checked_rows
from edgeprof.search.problem import Problem
from edgeprof.search.results import SearchResult

Measure = Callable[[Sequence[Subnet]], Sequence[float | EdgeprofError]]
"""Subnets to their measured median latencies in ms, or why there is none, in the same order."""

Profile = Callable[[Sequence[Subnet], Store], object]
"""Measures subnets into a store."""

_WIDEST_MARGIN = 0.15
"""The last finalist is predicted this far below the budget, should the prediction be low."""


def search_verified(
    search: Search, budgets_ms: Sequence[float], measure: Measure, n_finalists: int
) -> list[SearchResult]:
    """Search, measure the finalists of each budget, and return the best that was measured within.

    Args:
        search: see ``Search``.
        budgets_ms: the budgets.
        measure: measures them.
        n_finalists: per budget; the first is the best predicted, the others keep growing margins.

    Raises:
        SearchError: for less than one finalist.
        InfeasibleBudget: if no finalist was measured within its budget; names the fastest.
        EdgeprofError: if no finalist of a budget could be measured: what the first failed of.
    """
    if isinstance(n_finalists, bool) or not isinstance(n_finalists, int) or n_finalists < 1:
        raise SearchError(f"number of finalists is {n_finalists!r}, want an integer of at least 1")
    results = []
    for explored in search.explore_all(budgets_ms):
        rows = _finalists(explored.problem, n_finalists)
        outcomes = measure(search.space.decode(np.array(rows, dtype=np.uint8)))
        measured_ms = {i: value for i, value in enumerate(outcomes) if isinstance(value, float)}
        failures = [value for value in outcomes if isinstance(value, EdgeprofError)]
        if not measured_ms:
            raise failures[0]
        chosen = _winner(explored.problem, measured_ms)
        result = search.result(explored, rows[chosen])
        notes = tuple(f"a finalist could not be measured: {error}" for error in failures)
        results.append(replace(result, measured_ms=measured_ms[chosen], notes=notes))
    return results


def _finalists(problem: Problem, n: int) -> list[NDArray[np.uint8]]:
    """Return the best row below each of ``n`` falling shares of the budget, best first."""
    rows, scores = problem.all_feasible()
    costs = problem.costs(rows)[:, 0]
    chosen: dict[int, None] = {}
    for share in 1 - np.linspace(0, _WIDEST_MARGIN, n):
        below = [i for i in np.flatnonzero(costs <= share * problem.limits[0]) if i not in chosen]
        if below:
            chosen[int(below[0])] = None
    ranked = sorted(chosen, key=lambda i: (-scores[i], i))
    return checked_rows(problem, n, rows[ranked])


def _winner(problem: Problem, measured_ms: Mapping[int, float]) -> int:
    """Return the first, thus most accurate, finalist that was measured within the budget."""
    budget = problem.constraints[0]
    for index, latency_ms in measured_ms.items():
        if latency_ms <= budget.limit:
            return index
    raise InfeasibleBudget(
        f"none of {len(measured_ms)} finalists was measured within {budget.limit:g} ms, the "
        f"fastest took {min(measured_ms.values()):.4g} ms; {budget.name} is predicted too low: "
        f"measure and train again, or lower the budget",
        measured_ms=list(measured_ms.values()),
    )


def measure_through(profile: Profile, store_path: Path) -> Measure:
    """Return the function that measures subnets as bulk runs do, and reads what they took.

    Args:
        profile: a bulk run, here or on a board.
        store_path: where its records go; a subnet that is in there is not measured again.
    """

    def measure(subnets: Sequence[Subnet]) -> list[float | EdgeprofError]:
        with Store(store_path) as store:
            profile(subnets, store)
            latency_ms = {
                item.subnet.id: float(ns_to_ms(item.latency_median_ns))
                for item in store.measurements()
                if item.subnet is not None
            }
            failures = {
                item.subnet.id: error_of(item.record) for item in store.failures() if item.subnet
            }
        return [
            latency_ms.get(subnet.id)
            or failures.get(subnet.id)
            or SearchError(f"finalist {subnet.id} was not measured")
            for subnet in subnets
        ]

    return measure
