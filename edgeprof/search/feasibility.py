"""The subnet nearest to keeping all limits, found before a search begins.

Owns: the answer to "can this be met at all?". With one limit on a cost that is a sum (a lookup
table, MACs) the answer is exact; else it is the end of a directed search.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InfeasibleBudget
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.spaces.structure import AdditiveTables, single_changes
from edgeprof.search.constraints import Constraint
from edgeprof.search.problem import Problem


def nearest_row(problem: Problem) -> NDArray[np.uint8]:
    """Return a row that keeps all limits.

    Raises:
        InfeasibleBudget: if none was found; names the smallest cost reached.
    """
    tables = [_tables(problem, constraint) for constraint in problem.constraints]
    starts = [table.cheapest() for table in tables]
    ends = np.array([_descend(problem, row) for row in starts], dtype=np.uint8)
    excess = problem.excess(problem.costs(ends))
    best = int(excess.argmin())
    nearest: NDArray[np.uint8] = ends[best]
    if excess[best] <= 0:
        return nearest
    exact = len(tables) == 1 and tables[0].exact
    raise InfeasibleBudget(_message(problem, nearest, exact), subnet=_subnet(problem, nearest))


def _tables(problem: Problem, constraint: Constraint) -> AdditiveTables:
    return AdditiveTables.fit(problem.space, constraint.cost, problem.resolution_indices)


def _descend(problem: Problem, row: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Follow the single change that most reduces the excess over the worst limit, to the end."""
    excess = float(problem.excess(problem.costs(row[None]))[0])
    while True:
        changes: Codes = single_changes(problem.space, row, problem.resolution_indices)
        over = problem.excess(problem.costs(changes))
        best = int(over.argmin())
        if not over[best] < excess:
            return row
        excess, row = float(over[best]), changes[best]


def _subnet(problem: Problem, row: NDArray[np.uint8]) -> dict[str, object]:
    return problem.space.decode(row[None])[0].to_dict()


def _message(problem: Problem, row: NDArray[np.uint8], exact: bool) -> str:
    costs = problem.costs(row[None])[0]
    low, high = min(problem.resolutions), max(problem.resolutions)
    where = f"{problem.space.id} at resolution {low}..{high}"
    if len(problem.constraints) == 1:
        only = problem.constraints[0]
        smallest = _round_up(costs[0])
        return (
            f"no subnet of {where} {'keeps' if exact else 'was found that keeps'} {only.name} <= "
            f"{only.limit:g} {only.unit}: the smallest {'reachable' if exact else 'found'} is "
            f"{smallest} {only.unit}; raise the limit or allow smaller resolutions"
        )
    reached = ", ".join(
        f"{constraint.name} {_round_up(cost)} (limit {constraint.limit:g}) {constraint.unit}"
        for constraint, cost in zip(problem.constraints, costs, strict=True)
    )
    return (
        f"no subnet of {where} was found that keeps all limits; the nearest has {reached}; "
        f"raise a limit or allow smaller resolutions"
    )


def _round_up(cost: float) -> str:
    """Write a cost so that, given as limit, it can be met."""
    if cost >= 1000:
        return f"{np.ceil(cost):.0f}"
    return f"{np.ceil(cost * 1e4) / 1e4:g}"
