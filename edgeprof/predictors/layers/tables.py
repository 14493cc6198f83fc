"""Layer costs as a few tables: what boards, generated C and searches compute with.

Owns: the tables, how they follow from learned costs, and the arithmetic on them. The C++ reader
(``csrc/predictor/layer_costs.cpp``) and the generated C compute the same in float64. For a layer
with quantities q and position x::

    layer = exp(held(sum of c * correlation(x, p))) * q . unit[kind]     c, p: points of its kind

and for a network, where r = q . rough[base] is what a layer is expected to cost, relative::

    network = exp(held(sum of c * correlation(v, p))) * sum of its layers

v holds the roots of the shares of the bases in the sum of r, and the mean position weighted by r.
A correlation is exp(-d^2 / (2 length^2)), and ``held`` keeps exponents finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeprof.predictors.layers.costs import Costs
from edgeprof.predictors.layers.prior import expected_log_costs
from edgeprof.predictors.layers.quantities import (
    BASES,
    N_POSITION,
    Floats,
    Integers,
    LayerTable,
    base_of,
    kind_numbers,
)
from edgeprof.predictors.layers.smooth import ALIKE_LENGTH, POSITION_WEIGHT, OfLayers, smooth

MOST_EXPONENT = 20.0
"""No efficiency differs by more than exp(20): it keeps numbers finite, whatever a file holds."""


@dataclass(frozen=True)
class Points:
    """Points of a smooth function, with the coefficient of each.

    Attributes:
        length: over which it changes.
        kind: int64 (n,), ascending; of functions of networks all 0.
        position: float64 (n, width).
        coefficient: float64 (n,).
    """

    length: float
    kind: Integers
    position: Floats
    coefficient: Floats

    def sum(self, kind: Integers, position: Floats) -> Floats:
        """Return the function at other places: (n_places,)."""
        total = np.zeros(len(kind))
        for number in np.unique(self.kind):
            at, own = np.flatnonzero(kind == number), self.kind == number
            correlation = smooth(position[at], self.position[own], self.length)
            total[at] = correlation @ self.coefficient[own]
        return total


@dataclass(frozen=True)
class CostTables:
    """Costs of layers and networks.

    Attributes:
        kinds: names of the kinds that were measured; after them the ``bases`` are numbered, for
            kinds that were not.
        bases: all kinds, operators and element types aside.
        unit: float64 (n_kinds + n_bases, n_quantities), in ms.
        rough: float64 (n_bases, n_quantities), relative.
        stretches: the functions of a layer's position.
        columns: int64 (k,), the bases whose shares ``alike`` tells apart; the rest are one.
        alike: the function of networks; positions are k roots, that of the rest, the mean position.
    """

    kinds: tuple[str, ...]
    bases: tuple[str, ...]
    unit: Floats
    rough: Floats
    stretches: tuple[Points, ...]
    columns: Integers
    alike: Points

    @classmethod
    def of(cls, costs: Costs) -> CostTables:
        """Make the tables of learned costs; they give the same latencies."""
        measured = costs.log_unit_costs(costs.kinds, np.arange(len(costs.kinds)))
        others = costs.log_unit_costs(BASES, np.full(len(BASES), -1))
        shares, rest = np.split(costs.alike.points, [len(BASES)], axis=1)
        columns = np.flatnonzero(shares.any(axis=0))
        alike = Points(
            ALIKE_LENGTH,
            np.zeros(len(costs.alike), dtype=np.int64),
            np.concatenate([shares[:, columns], rest], axis=1),
            costs.alike.whitening @ costs.parts["alike"],
        )
        return cls(
            costs.kinds,
            BASES,
            np.exp(np.concatenate([measured, others])),
            np.exp([expected_log_costs(base) for base in BASES]),
            tuple(_points_of(points, costs.parts[name]) for name, points in costs.shapes.items()),
            columns,
            alike,
        )

    def number_of(self, kind: str) -> int:
        """Return the row of a kind in ``unit``."""
        if kind in self.kinds:
            return self.kinds.index(kind)
        return len(self.kinds) + self.base_number(kind)

    def base_number(self, kind: str) -> int:
        """Return the position of a kind's base."""
        return self.bases.index(base_of(kind))

    def layer_costs(self, table: LayerTable) -> Floats:
        """Return what each layer costs in ms: (n_layers,)."""
        number = np.array([self.number_of(kind) for kind in table.kinds])[table.kind]
        stretch = np.zeros(len(number))
        for points in self.stretches:
            stretch += points.sum(number, table.position)
        costs: Floats = np.exp(_held(stretch)) * (table.quantities * self.unit[number]).sum(axis=1)
        return costs

    def summands(self, table: LayerTable) -> Floats:
        """Return what a layer adds to the sums of its network: (n_layers, n_summands).

        What it costs, what it is expected to cost (by base in ``columns``, and all the others), and
        its position times that.
        """
        base = kind_numbers(table.base_names, self.bases)[table.kind]
        rough = (table.quantities * self.rough[base]).sum(axis=1)
        column = np.full(len(self.bases), len(self.columns))
        column[self.columns] = np.arange(len(self.columns))
        shares = rough[:, None] * (column[base][:, None] == np.arange(len(self.columns) + 1))
        cost = self.layer_costs(table)[:, None]
        return np.concatenate([cost, shares, rough[:, None] * table.position], axis=1)

    def latencies(self, sums: Floats) -> Floats:
        """Return the latencies in ms of networks: (n, n_summands) -> (n,)."""
        shares, middle = sums[:, 1:-N_POSITION], sums[:, -N_POSITION:]
        total = shares.sum(axis=1, keepdims=True)
        place = np.concatenate(
            [np.sqrt(shares / total), POSITION_WEIGHT * (middle / total)], axis=1
        )
        factor = np.exp(_held(self.alike.sum(np.zeros(len(sums), dtype=np.int64), place)))
        latencies: Floats = sums[:, 0] * factor
        return latencies


def _points_of(points: OfLayers, weights: Floats) -> Points:
    order = np.argsort(points.kind, kind="stable")
    coefficient = points.whitening @ weights
    return Points(points.length, points.kind[order], points.position[order], coefficient[order])


def _held(exponent: Floats) -> Floats:
    return np.clip(exponent, -MOST_EXPONENT, MOST_EXPONENT)
