"""Sums over a subnet's layers, from tables instead of layer lists.

Owns: the observation that whatever is summed over layers is, at one resolution, a sum of one
table entry per slot - and the check that it is so in the space at hand. Where it is not (a choice
that changes the layers of another slot), layer lists are summed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.predictors.features import Floats

_WORTHWHILE = 256
"""Rows at one resolution, of all calls, from which a table pays; fewer are summed directly."""

_TOLERANCE = 1e-6
_RIDGE = 1e-6


class SlotTables:
    """A function of codes that is a sum over layers, made fast.

    Args:
        space: the space of the codes.
        function: codes (n, slots + 1) -> (n, width).
    """

    def __init__(self, space: SearchSpace, function: Callable[[Codes], Floats]) -> None:
        self._space, self._function = space, function
        self._starts = np.cumsum([0, *space.cardinalities[:-2]])
        self._tables: dict[int, Floats | None] = {}
        self._seen: Counter[int] = Counter()

    def __call__(self, codes: Codes) -> Floats:
        """Return the function's values."""
        parts, places = [], []
        for resolution in np.unique(codes[:, -1]):
            at = np.flatnonzero(codes[:, -1] == resolution)
            places.append(at)
            parts.append(self._at_resolution(codes[at], int(resolution)))
        if not parts:
            return self._function(codes)
        values = np.empty((len(codes), parts[0].shape[1]))
        for at, part in zip(places, parts, strict=True):
            values[at] = part
        return values

    def _at_resolution(self, codes: Codes, resolution: int) -> Floats:
        self._seen[resolution] += len(codes)
        if resolution not in self._tables and self._seen[resolution] >= _WORTHWHILE:
            self._tables[resolution] = self._fit(resolution)
        table = self._tables.get(resolution)
        if table is None:
            return self._function(codes)
        total = np.zeros((len(codes), table.shape[1]))
        for slot, start in enumerate(self._starts):
            total += table[start + codes[:, slot]]
        return total

    def _fit(self, resolution: int) -> Floats | None:
        """Solve for the entries on random subnets; None where others contradict them."""
        width = sum(self._space.cardinalities[:-1])
        pixels = [self._space.resolutions[resolution]]
        codes = self._space.sample_codes(2 * width, np.random.default_rng(resolution), pixels)
        values = self._function(codes)
        chosen = np.zeros((len(codes), width))
        np.put_along_axis(chosen, self._starts + codes[:, :-1].astype(np.intp), 1.0, axis=1)
        fitted = len(codes) * 3 // 4
        known, wanted = chosen[:fitted], values[:fitted]
        # Normal equations: a hundredth of the time of a singular value decomposition. The ridge
        # chooses among equal tables (slots are never absent alone); a second step takes it out.
        inverse = np.linalg.inv(known.T @ known + _RIDGE * np.eye(width))
        table: Floats = np.asarray(inverse @ (known.T @ wanted), dtype=np.float64)
        table += inverse @ (known.T @ (wanted - known @ table))
        wrong = np.abs(chosen @ table - values).max(axis=0)
        return None if np.any(wrong > _TOLERANCE * np.abs(values).max(axis=0)) else table
