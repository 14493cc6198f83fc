"""Smooth functions of layers and of networks, as columns of a linear model.

Owns: the kernels, and their Nystroem features. Layers of different kinds share nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgeprof.predictors.layers.quantities import Floats, Integers, LayerTable, kind_numbers

MOST_POINTS = 300
_JITTER = 1e-6
_ENOUGH = 1e-3
"""No more points are chosen where none keeps more than this fraction of its variance."""

POSITION_WEIGHT = 0.3
"""How much the mean shape of its layers says about a network, beside their kinds."""

ALIKE_LENGTH = 0.2


def smooth(a: Floats, b: Floats, length: float) -> Floats:
    """Return the squared-exponential correlation of points: (n_a, n_b)."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    correlation: Floats = np.exp(-0.5 / length**2 * np.maximum(squares, 0.0))
    return correlation


def choose(n: int, weight: Floats, column: Callable[[int], Floats]) -> list[int]:
    """Choose points that span the others, by pivoted Cholesky.

    Args:
        n: number of points.
        weight: (n,), how much each matters.
        column: correlations of one point with all.
    """
    left = np.ones(n)
    factor = np.zeros((n, min(MOST_POINTS, n)))
    chosen: list[int] = []
    while len(chosen) < factor.shape[1]:
        pivot = int(np.argmax(left * weight))
        if left[pivot] < _ENOUGH:
            break
        known = len(chosen)
        rest = column(pivot) - factor[:, :known] @ factor[pivot, :known]
        factor[:, known] = rest / np.sqrt(left[pivot])
        left = np.maximum(left - factor[:, known] ** 2, 0.0)
        chosen.append(pivot)
    return chosen


def _whitening(gram: Floats) -> Floats:
    factor = np.linalg.cholesky(gram + _JITTER * np.eye(len(gram)))
    whitening: Floats = np.linalg.inv(factor).T
    return whitening


@dataclass(frozen=True)
class OfLayers:
    """Smooth functions of a layer's position, one for each kind.

    Attributes:
        length: over which costs change, in units of ``LayerTable.position``.
        kinds: names of the kinds of the points.
        kind, position: of the points.
    """

    length: float
    kinds: tuple[str, ...]
    kind: Integers
    position: Floats

    @classmethod
    def spanning(cls, table: LayerTable, weight: Floats, length: float) -> OfLayers:
        """Choose points among the layers of a table; ``weight``: how much each matters."""
        every = cls(length, table.kinds, table.kind, table.position)

        def column(pivot: int) -> Floats:
            same = every.kind == every.kind[pivot]
            one = every.position[pivot : pivot + 1]
            correlation: Floats = smooth(every.position, one, length)[:, 0] * same
            return correlation

        points = choose(len(table.kind), weight, column)
        return cls(length, table.kinds, table.kind[points], table.position[points])

    def __len__(self) -> int:
        return len(self.kind)

    @cached_property
    def whitening(self) -> Floats:
        """What makes features of correlations with the points."""
        return _whitening(self._correlation(self.kind, self.position))

    def features(self, table: LayerTable) -> Floats:
        """Return the columns of layers: (n_layers, n_points)."""
        kind = kind_numbers(table.kinds, self.kinds)[table.kind]
        return self._correlation(kind, table.position) @ self.whitening

    def unexplained(self, table: LayerTable, share: Floats, features: Floats) -> Floats:
        """Return the variance of each network that the columns of its layers cannot express.

        Args:
            table: the layers.
            share: (n_uses,), of each use in the latency of its network.
            features: of the layers.
        """
        variance = np.zeros(table.n_networks)
        for network, uses in enumerate(table.uses_of):
            layers = table.layer[uses]
            same = table.kind[layers][:, None] == table.kind[layers][None, :]
            position = table.position[layers]
            own = smooth(position, position, self.length) * same
            expressed = share[uses] @ features[layers]
            variance[network] = share[uses] @ own @ share[uses] - expressed @ expressed
        return np.maximum(variance, 0.0)

    def _correlation(self, kind: Integers, position: Floats) -> Floats:
        correlation = np.zeros((len(kind), len(self.kind)))
        for number in np.unique(kind[kind >= 0]):
            rows, columns = np.flatnonzero(kind == number), np.flatnonzero(self.kind == number)
            at = np.ix_(rows, columns)
            correlation[at] = smooth(position[rows], self.position[columns], self.length)
        return correlation


@dataclass(frozen=True)
class OfNetworks:
    """A smooth function of what a network consists of.

    It takes what the layers alone do not explain: networks of one architecture share it, others
    do not, so that intervals stay honest for architectures that were not measured.

    Attributes:
        points: what the networks consist of that span the others, see ``consists_of``.
    """

    points: Floats

    @classmethod
    def spanning(cls, parts: Floats) -> OfNetworks:
        """Choose points among networks."""

        def column(pivot: int) -> Floats:
            return smooth(parts, parts[pivot : pivot + 1], ALIKE_LENGTH)[:, 0]

        return cls(parts[choose(len(parts), np.ones(len(parts)), column)])

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def whitening(self) -> Floats:
        """What makes features of correlations with the points."""
        return _whitening(smooth(self.points, self.points, ALIKE_LENGTH))

    def features(self, parts: Floats) -> Floats:
        """Return the columns of networks: (n_networks, n_points)."""
        return smooth(parts, self.points, ALIKE_LENGTH) @ self.whitening


def consists_of(table: LayerTable, cost: Floats, bases: tuple[str, ...]) -> Floats:
    """Return what networks consist of: roots of the shares by kind, and the mean position.

    Args:
        table: their layers.
        cost: (n_layers,), rough.
        bases: kinds, operators aside.
    """
    base = kind_numbers(table.base_names, bases)[table.kind]
    share = table.shares(cost)
    rows = np.zeros((table.n_networks, len(bases) + 1))
    np.add.at(rows, (table.network, base[table.layer]), share)  # the last column: other kinds
    middle = np.zeros((table.n_networks, table.position.shape[1]))
    np.add.at(middle, table.network, share[:, None] * table.position[table.layer])
    return np.concatenate([np.sqrt(rows), POSITION_WEIGHT * middle], axis=1)
