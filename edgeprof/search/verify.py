"""Real measurement of the finalists of a search.

Owns: which subnets are measured and how the winner is chosen by what they took. How they are
measured is a function, so that this machine, a board or a test can be behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.errors import InfeasibleBudget, SearchError
from edgeprof.measurement import error_of
from edgeprof.search.engine import Search, checked_rows
from edgeprof.search.problem import Problem
from edgeprof.search.results import SearchResult
from edgeprof.store import Store
from edgeprof.subnet import Subnet
from edgeprof.units import ns_to_ms

Measure = Callable[[Sequence[Subnet]], Sequence[float]]
"""Subnets to their measured median latencies in ms, in the same order."""

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
    """
    if isinstance(n_finalists, bool) or not isinstance(n_finalists, int) or n_finalists < 1:
        raise SearchError(f"number of finalists is {n_finalists!r}, want an integer of at least 1")
    results = []
    for explored in search.explore_all(budgets_ms):
        rows = _finalists(explored.problem, n_finalists)
        measured_ms = measure(search.space.decode(np.array(rows, dtype=np.uint8)))
        chosen = _winner(explored.problem, rows, measured_ms)
        result = search.result(explored, rows[chosen])
        results.append(replace(result, measured_ms=float(measured_ms[chosen])))
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


def _winner(
    problem: Problem, rows: Sequence[NDArray[np.uint8]], measured_ms: Sequence[float]
) -> int:
    """Return the first, thus most accurate, row that was measured within the budget."""
    budget = problem.constraints[0]
    for index, latency_ms in enumerate(measured_ms):
        if latency_ms <= budget.limit:
            return index
    raise InfeasibleBudget(
        f"none of {len(rows)} finalists was measured within {budget.limit:g} ms, the fastest took "
        f"{min(measured_ms):.4g} ms; {budget.name} is predicted too low: measure and train anew, "
        f"or lower the budget",
        measured_ms=list(measured_ms),
    )


def measure_through(profile: Profile, store_path: Path) -> Measure:
    """Return the function that measures subnets as bulk runs do, and reads what they took.

    Args:
        profile: a bulk run, here or on a board.
        store_path: where its records go; a subnet that is in there is not measured again.
    """

    def measure(subnets: Sequence[Subnet]) -> list[float]:
        with Store(store_path) as store:
            profile(subnets, store)
            latency_ms = {
                item.subnet.id: float(ns_to_ms(item.latency_median_ns))
                for item in store.measurements()
                if item.subnet is not None
            }
            failures = {item.subnet.id: item for item in store.failures() if item.subnet}
        for subnet in subnets:
            if subnet.id not in latency_ms:
                if subnet.id in failures:
                    raise error_of(failures[subnet.id].record)
                raise SearchError(f"finalist {subnet.id} was not measured")
        return [latency_ms[subnet.id] for subnet in subnets]

    return measure
