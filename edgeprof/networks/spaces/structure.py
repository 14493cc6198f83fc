"""What can be changed in a code, and what changes add up.

Owns: all single changes of a row, and tables of costs that are sums
over code columns. Reads ``SearchSpace.choice_groups``; does not know accuracy or budgets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import ChoiceGroup, Codes, SearchSpace

CostFunction = Callable[[Codes], NDArray[np.float64]]
"""Codes (n, n_columns) to costs (n,)."""

_CHECKED_ROWS = 32
_RELATIVE_TOLERANCE = 1e-6


Variant = tuple[tuple[int, ...], ...]
"""Per column the codes it may hold."""


def fill_variant(
    group: ChoiceGroup, variant: Variant, pattern: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return a pattern of the group made to fit one of its variants.

    Codes that the variant allows stay. Others become the code of the same rank where there are as
    many (the same kernel with another expand ratio), else the middle one.
    """
    current = next(v for v in group.variants if _is_of(v, pattern))
    return np.array(
        [
            int(code) if int(code) in allowed else allowed[_rank(int(code), before, len(allowed))]
            for code, before, allowed in zip(pattern, current, variant, strict=True)
        ],
        dtype=np.uint8,
    )


def _is_of(variant: Variant, pattern: NDArray[np.uint8]) -> bool:
    return all(int(code) in allowed for code, allowed in zip(pattern, variant, strict=True))


def _rank(code: int, before: tuple[int, ...], n: int) -> int:
    return before.index(code) if len(before) == n else n // 2


def start_rows(space: SearchSpace, resolution_index: int) -> Codes:
    """Return the smallest, a middle and the largest choice of everything at one resolution."""
    rows = np.zeros((3, len(space.cardinalities)), dtype=np.uint8)
    rows[:, -1] = resolution_index
    for group in space.choice_groups:
        for row, share in enumerate((0.0, 0.5, 1.0)):
            variant = group.variants[round(share * (len(group.variants) - 1))]
            rows[row, group.columns] = [
                allowed[round(share * (len(allowed) - 1))] for allowed in variant
            ]
    return rows


def single_changes(
    space: SearchSpace, row: NDArray[np.uint8], resolution_indices: Sequence[int]
) -> Codes:
    """Return every row that differs from ``row`` in one choice.

    One choice is the code of a column, the variant of a group (e.g. one depth; columns that it
    adds are tried with each code, one column at a time), or the resolution.
    """
    rows = [change for group in space.choice_groups for change in _group_changes(group, row)]
    for index in resolution_indices:
        changed = row.copy()
        changed[-1] = index
        rows.append(changed)
    unique = np.unique(np.array(rows, dtype=np.uint8), axis=0)
    changed_rows: Codes = unique[(unique != row).any(axis=1)]
    return changed_rows


def _group_changes(group: ChoiceGroup, row: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    current = row[group.columns]
    for variant in group.variants:
        reference = fill_variant(group, variant, current)
        kept = bool((reference == current).all())
        for position, allowed in enumerate(variant):
            # In another variant only what it adds is tried; the rest is a second change.
            if not kept and int(current[position]) in allowed:
                continue
            for code in allowed:
                changed = row.copy()
                changed[group.columns] = reference
                changed[group.columns.start + position] = code
                yield changed
        if not kept:
            changed = row.copy()
            changed[group.columns] = reference
            yield changed


class AdditiveTables:
    """A cost as a sum over code columns, one table per resolution and variant.

    Exact for lookup tables, MACs and parameters of spaces whose blocks do not depend on each
    other's choices, and near the truth for most other latencies.

    Attributes:
        exact: whether random rows confirmed that the cost is such a sum.
    """

    def __init__(self, space: SearchSpace, resolution_indices: Sequence[int]) -> None:
        self.exact = False
        self._space = space
        self._resolution_indices = tuple(resolution_indices)
        n_values = max(space.cardinalities[:-1])
        # base[resolution]; per group: offset[resolution, variant], table[resolution, variant,
        # column, code] - both as differences from the reference row of that resolution.
        n_res = len(space.resolutions)
        self._base = np.zeros(n_res)
        self._offsets = [np.zeros((n_res, len(g.variants))) for g in space.choice_groups]
        self._tables = [
            np.zeros((n_res, len(g.variants), len(g.variants[0]), n_values))
            for g in space.choice_groups
        ]

    @classmethod
    def fit(
        cls, space: SearchSpace, cost: CostFunction, resolution_indices: Sequence[int]
    ) -> AdditiveTables:
        """Probe a cost one change at a time, then see on random rows whether it is a sum."""
        tables = cls(space, resolution_indices)
        for index in resolution_indices:
            tables._probe(cost, index)
        rng = np.random.default_rng(0)
        resolutions = [space.resolutions[index] for index in resolution_indices]
        rows = space.sample_codes(_CHECKED_ROWS, rng, resolutions)
        tables.exact = np.allclose(tables(rows), cost(rows), rtol=_RELATIVE_TOLERANCE, atol=0)
        return tables

    def _probe(self, cost: CostFunction, resolution_index: int) -> None:
        reference = start_rows(self._space, resolution_index)[0]
        probes = [reference]
        places: list[tuple[int, int, int, int]] = []  # group, variant, column (-1: offset), code
        for g, group in enumerate(self._space.choice_groups):
            for v, variant in enumerate(group.variants):
                filled = reference.copy()
                filled[group.columns] = [allowed[0] for allowed in variant]
                probes.append(filled)
                places.append((g, v, -1, 0))
                for position, allowed in enumerate(variant):
                    for code in allowed[1:]:
                        changed = filled.copy()
                        changed[group.columns.start + position] = code
                        probes.append(changed)
                        places.append((g, v, position, code))
        costs = cost(np.array(probes, dtype=np.uint8))
        self._base[resolution_index] = costs[0]
        offset = 0.0
        for (g, v, position, code), value in zip(places, costs[1:], strict=True):
            if position < 0:
                offset = float(value - costs[0])
                self._offsets[g][resolution_index, v] = offset
            else:
                self._tables[g][resolution_index, v, position, code] = value - costs[0] - offset

    @cached_property
    def _allowed(self) -> list[NDArray[np.bool_]]:
        """Per group: whether (variant, column) may hold a code."""
        masks = []
        for group, table in zip(self._space.choice_groups, self._tables, strict=True):
            mask = np.zeros(table.shape[1:], dtype=bool)
            for v, variant in enumerate(group.variants):
                for position, allowed in enumerate(variant):
                    mask[v, position, list(allowed)] = True
            masks.append(mask)
        return masks

    def __call__(self, codes: Codes) -> NDArray[np.float64]:
        """Return the cost of each row."""
        resolution = codes[:, -1].astype(np.intp)
        total: NDArray[np.float64] = self._base[resolution].copy()
        for group, offset, table, allowed in zip(
            self._space.choice_groups, self._offsets, self._tables, self._allowed, strict=True
        ):
            patterns = codes[:, group.columns].astype(np.intp)
            positions = np.arange(patterns.shape[1])
            variant = allowed[:, positions, patterns].all(axis=2).argmax(axis=0)
            total += offset[resolution, variant]
            cells = (resolution[:, None], variant[:, None], positions[None], patterns)
            total += table[cells].sum(axis=1)
        return total

    def cheapest(self) -> NDArray[np.uint8]:
        """Return the row of least cost; exact, as columns are free of one another."""
        best: tuple[float, NDArray[np.uint8]] | None = None
        for index in self._resolution_indices:
            row = np.zeros(len(self._space.cardinalities), dtype=np.uint8)
            row[-1] = index
            total = float(self._base[index])
            for group, offset, table, allowed in zip(
                self._space.choice_groups, self._offsets, self._tables, self._allowed, strict=True
            ):
                masked = np.where(allowed, table[index], np.inf)
                sums = offset[index] + masked.min(axis=2).sum(axis=1)
                variant = int(sums.argmin())
                row[group.columns] = masked[variant].argmin(axis=1)
                total += float(sums[variant])
            if best is None or total < best[0]:
                best = (total, row)
        if best is None:
            raise ValueError("no resolutions were given")
        return best[1]
