"""One search problem: maximise accuracy within limits, and count what that takes.

Owns: evaluation of codes with a memory, the count of evaluations, and the archive of the best
feasible rows. Does not own: which rows to try.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprof.accuracy.base import AccuracyModel
from edgeprof.base.errors import SearchError
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.search.constraints import Constraint


class OutOfEvaluations(Exception):
    """The evaluations allowed are used up; the archive holds what was found."""


class Problem:
    """A space, an accuracy model, limits, and everything evaluated so far.

    Args:
        space: the space to search.
        accuracy: what to maximise.
        constraints: what to keep; the first is the budget.
        resolutions: those to search, in pixels.
        max_evaluations: of the accuracy model, on distinct rows.
        known: scores by the bytes of their rows, shared by problems of one space and accuracy
            model; what is in there costs no evaluation.

    Attributes:
        max_evaluations: see above; what a stage of the search leaves for the next is up to it.
        evaluations: how many distinct rows this problem asked the accuracy model about.
    """

    def __init__(
        self,
        space: SearchSpace,
        accuracy: AccuracyModel,
        constraints: Sequence[Constraint],
        resolutions: Sequence[int],
        max_evaluations: int,
        known: dict[bytes, float] | None = None,
    ) -> None:
        self.space = space
        self.constraints = tuple(constraints)
        self.resolutions = tuple(resolutions)
        self.resolution_indices = [int(i) for i in space.resolution_indices(resolutions)]
        self.evaluations = 0
        self._accuracy = accuracy
        self.max_evaluations = max_evaluations
        self._limits = np.array([constraint.limit for constraint in constraints])
        self._scores: dict[bytes, float] = {} if known is None else known
        self._feasible: dict[bytes, float] = {}

    def costs(self, codes: Codes) -> NDArray[np.float64]:
        """Return the cost of each row under each constraint, (n, n_constraints).

        Raises:
            SearchError: if one is not a finite number.
        """
        costs = [
            self._finite(constraint.cost(codes), constraint.name, codes)
            for constraint in self.constraints
        ]
        return np.stack(costs, axis=1)

    def _finite(self, values: NDArray[np.float64], what: str, codes: Codes) -> NDArray[np.float64]:
        """Return the values as they are; with one that is none, the search would never end."""
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            subnet = self.space.decode(codes[wrong[:1]])[0]
            raise SearchError(
                f"{what} is {values[wrong[0]]} for {len(wrong)} of {len(codes)} subnets, the first "
                f"is {subnet.to_json()}; want a number for each"
            )
        return values

    def within(self, costs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which rows of ``costs`` keep every limit."""
        return np.asarray((costs <= self._limits).all(axis=1))

    def feasible(self, codes: Codes) -> NDArray[np.bool_]:
        """Return which rows keep every limit."""
        return self.within(self.costs(codes))

    def excess(self, costs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far each row is beyond its worst limit, as a fraction; below 0 within."""
        return np.asarray((costs / self._limits).max(axis=1) - 1)

    @property
    def limits(self) -> NDArray[np.float64]:
        """The limits, (n_constraints,)."""
        return self._limits

    def scores(self, codes: Codes, feasible: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the accuracy of each row and remember those marked feasible.

        Raises:
            OutOfEvaluations: if that would need more evaluations than allowed.
            SearchError: if an accuracy is not a finite number.
        """
        keys = [row.tobytes() for row in codes]
        missing = list({key: i for i, key in enumerate(keys) if key not in self._scores}.values())
        if self.evaluations + len(missing) > self.max_evaluations:
            raise OutOfEvaluations
        if missing:
            self.evaluations += len(missing)
            asked = codes[missing]
            name = f"accuracy by {self._accuracy.name}"
            values = self._finite(self._accuracy.predict_codes(asked), name, asked)
            for i, value in zip(missing, values, strict=True):
                self._scores[keys[i]] = float(value)
        scores = [self._scores[key] for key in keys]
        for key, score, kept in zip(keys, scores, feasible, strict=True):
            if kept:
                self._feasible[key] = score
        return np.array(scores)

    def best(self, n: int) -> tuple[Codes, NDArray[np.float64]]:
        """Return the best feasible rows so far and their scores; ties in order of their codes."""
        ranked = sorted(self._feasible.items(), key=lambda item: (-item[1], item[0]))[:n]
        n_columns = len(self.space.cardinalities)
        rows = np.frombuffer(b"".join(key for key, _ in ranked), dtype=np.uint8)
        return rows.reshape(-1, n_columns).copy(), np.array([score for _, score in ranked])

    def all_feasible(self) -> tuple[Codes, NDArray[np.float64]]:
        """Return every feasible row evaluated, best first."""
        return self.best(len(self._feasible))
