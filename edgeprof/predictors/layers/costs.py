"""Costs of layers and of networks, and how they change with what is learned.

Owns: the formula. A layer costs ``exp(g(shape)) * sum over quantities of exp(u[kind, quantity]) *
quantity``, a network the sum of its layers times ``exp(h(network))``; ``u``, ``g`` and ``h`` are
linear in the weights. Does not own: how the weights are found (``learning``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from edgeprof.predictors.layers.prior import (
    LENGTHS,
    LEVEL_VARIANCE,
    QUANTITY_SCALES,
    expected_log_costs,
)
from edgeprof.predictors.layers.quantities import (
    BASES,
    QUANTITIES,
    Floats,
    Integers,
    LayerTable,
    base_of,
    kind_numbers,
)
from edgeprof.predictors.layers.smooth import OfLayers, OfNetworks, consists_of

_N = len(QUANTITIES)


@dataclass(frozen=True)
class Prepared:
    """Networks with the columns that do not change while weights are learned.

    Attributes:
        table: their layers.
        known: position of each of the table's kinds among the known ones, -1 for others.
        shapes: columns of the layers, by name of ``LENGTHS``.
        alike: columns of the networks.
    """

    table: LayerTable
    known: Integers
    shapes: dict[str, Floats]
    alike: Floats


@dataclass(frozen=True)
class Linearised:
    """Networks around given weights.

    Attributes:
        layer_cost: (n_layers,), in ms.
        total: (n_networks,), in ms.
        columns: derivatives of the logarithm of the total by the weights.
        terms: each network's shares by kind of the table and quantity.
    """

    layer_cost: Floats
    total: Floats
    columns: Floats
    terms: Floats


@dataclass(frozen=True)
class Costs:
    """What layers and networks cost.

    Attributes:
        kinds: names of the kinds that were measured.
        level: logarithm of the cost of one multiply-accumulate, in ms, before learning.
        shapes: smooth functions of layers, by name of ``LENGTHS``.
        alike: the smooth function of networks.
        weights: what was learned; 0 is what was expected.
    """

    kinds: tuple[str, ...]
    level: float
    shapes: Mapping[str, OfLayers]
    alike: OfNetworks
    weights: Floats

    @classmethod
    def expected(cls, table: LayerTable, latency_ms: Floats) -> Costs:
        """Return the costs of a device of which only latencies of these networks are known."""
        rough = rough_costs(table)
        total = table.total(rough[:, None])[:, 0]
        weight = np.zeros(len(rough))
        np.maximum.at(weight, table.layer, table.shares(rough))
        return cls(
            table.kinds,
            float(np.median(np.log(latency_ms) - np.log(total))),
            {name: OfLayers.spanning(table, weight, length) for name, length in LENGTHS.items()},
            OfNetworks.spanning(consists_of(table, rough, BASES)),
            np.zeros(0),
        ).at_rest()

    def at_rest(self) -> Costs:
        """Return the costs before learning."""
        return self.at(np.zeros(self.groups["alike"].stop))

    def at(self, weights: Floats) -> Costs:
        """Return the costs with other weights."""
        moved = replace(self, weights=weights)
        moved.__dict__.update(
            {name: self.__dict__[name] for name in ("bases", "groups") if name in self.__dict__}
        )
        return moved

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """The kinds that were measured, operators and element types aside."""
        return tuple(sorted({base_of(kind) for kind in self.kinds}))

    @cached_property
    def groups(self) -> dict[str, slice]:
        """Where the weights of each group stand."""
        widths = {
            "level": 1,
            "quantities": _N,
            "bases": _N * len(self.bases),
            "kinds": len(self.kinds),
            "terms": _N * len(self.kinds),
            **{name: len(points) for name, points in self.shapes.items()},
            "alike": len(self.alike),
        }
        groups, at = {}, 0
        for name, width in widths.items():
            groups[name] = slice(at, at + width)
            at += width
        return groups

    def prior_variances(self, variances: Mapping[str, float]) -> Floats:
        """Return the variance of each weight before learning."""
        prior = np.empty(len(self.weights))
        for name, where in self.groups.items():
            prior[where] = LEVEL_VARIANCE if name == "level" else variances[name]
        return prior

    def prepare(self, table: LayerTable) -> Prepared:
        """Work out the columns of networks that do not depend on the weights."""
        return Prepared(
            table,
            kind_numbers(table.kinds, self.kinds),
            {name: points.features(table) for name, points in self.shapes.items()},
            self.alike.features(consists_of(table, rough_costs(table), BASES)),
        )

    def linearise(self, networks: Prepared) -> Linearised:
        """Return the latencies of networks and their derivatives."""
        table, part = networks.table, self.parts
        stretch = sum(columns @ part[name] for name, columns in networks.shapes.items())
        unit = np.exp(self.log_unit_costs(table.kinds, networks.known))[table.kind]
        by_quantity = table.quantities * unit * np.exp(stretch)[:, None]
        layer_cost = by_quantity.sum(axis=1)
        terms = np.zeros((table.n_networks, len(table.kinds), _N))
        used = table.uses[:, None] * by_quantity[table.layer]
        np.add.at(terms, (table.network, table.kind[table.layer]), used)
        total = terms.sum(axis=(1, 2))
        terms /= total[:, None, None]
        columns = [
            np.ones((len(total), 1)),
            QUANTITY_SCALES * terms.sum(axis=1),
            _gathered(terms, kind_numbers(table.base_names, self.bases), len(self.bases)),
            _gathered(terms.sum(axis=2)[:, :, None], networks.known, len(self.kinds)),
            _gathered(terms, networks.known, len(self.kinds)),
            *(
                table.total(layer_cost[:, None] * shape) / total[:, None]
                for shape in networks.shapes.values()
            ),
            networks.alike,
        ]
        factor = np.exp(networks.alike @ part["alike"])
        return Linearised(layer_cost, total * factor, np.concatenate(columns, axis=1), terms)

    @property
    def parts(self) -> dict[str, Floats]:
        """The weights by group."""
        return {name: self.weights[where] for name, where in self.groups.items()}

    def log_unit_costs(self, kinds: Sequence[str], known: Integers) -> Floats:
        """Return the logarithms of unit costs: (n_kinds, n_quantities).

        Args:
            kinds: their names.
            known: position of each among those that were measured, -1 for others.
        """
        part = self.parts
        base = kind_numbers([base_of(kind) for kind in kinds], self.bases)
        costs = np.array([expected_log_costs(kind) for kind in kinds]) + self.level
        costs += part["level"] + QUANTITY_SCALES * part["quantities"]
        costs += _or_zero(part["bases"].reshape(-1, _N), base)
        costs += _or_zero(part["kinds"][:, None], known)
        costs += _or_zero(part["terms"].reshape(-1, _N), known)
        return costs


def rough_costs(table: LayerTable) -> Floats:
    """Return what layers are expected to cost, relative to a multiply-accumulate."""
    unit = np.exp([expected_log_costs(kind) for kind in table.kinds])
    costs: Floats = (table.quantities * unit[table.kind]).sum(axis=1)
    return costs


def _or_zero(rows: Floats, numbers: Integers) -> Floats:
    """Return the rows of these numbers, zeros for -1."""
    extended = np.concatenate([rows, np.zeros((1, rows.shape[1]))])
    chosen: Floats = extended[numbers]
    return chosen


def _gathered(terms: Floats, numbers: Integers, n: int) -> Floats:
    """Sum terms (networks, kinds, width) by number of the kind, those of -1 left out."""
    sums = np.zeros((n, len(terms), terms.shape[2]))
    known = numbers >= 0
    np.add.at(sums, numbers[known], terms[:, known].transpose(1, 0, 2))
    flat: Floats = sums.transpose(1, 0, 2).reshape(len(terms), -1)
    return flat
