"""From networks to the columns a Gaussian process learns from.

Owns: the named groups of columns and their scaling. All groups are sums over a network's blocks,
so a block is worked out once and a network is a row of counts.

========== ========================================================================================
group      columns
========== ========================================================================================
totals     each quantity of ``features.QUANTITIES``, relative to its mean over the space
levels     the same by level of the network
layers     a smooth function space over layer shapes (Nystroem features of a kernel between layers),
           so that every layer teaches something about every other of its kind
blocks     one-hot over the distinct blocks of the training networks, scaled by their work
bases      predictions of base predictors, relative to their mean (added by the caller)
========== ========================================================================================

``layers`` and ``blocks`` carry a tail: the variance of what their columns cannot express (a layer
unlike any seen, a block not in the training data). It widens intervals and changes no mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from edgeprof.networks.layers import Block, Network
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.predictors.features import (
    N_LEVELS,
    QUANTITIES,
    Floats,
    LayerPoint,
    block_features,
    layer_points,
    level_features,
)

_REFERENCE_NETWORKS = 512
_LENGTH_SCALES = np.array([1.5, 1.5, 1.5, 1.0, 1.0])
"""Of ``LayerPoint.position``: costs change smoothly over a factor of four in size."""

_MAX_INDUCING = 96
_INDUCING_TOLERANCE = 1e-4
"""Nystroem stops where no layer keeps more than this fraction of its variance."""

_CHUNK = 2048

Placed = tuple[int, Block]
"""Height of the network's input, and a block: what a block's columns depend on."""


@dataclass(frozen=True)
class Groups:
    """Where each group's columns stand; ``tails`` has the variance columns."""

    columns: dict[str, slice]
    tails: dict[str, int]
    width: int


@dataclass(frozen=True)
class Scales:
    """What is usual in a space: the units of the columns.

    Attributes:
        totals: mean of each quantity over the space, never 0.
        macs, elements, parameters, layers: mean sums over a network's layer points.
        inducing: layer points that span the others: (kind, 5 positions) rows.
    """

    totals: Floats
    work: Floats
    inducing: Floats

    @classmethod
    @cache
    def of_space(cls, space: SearchSpace) -> Scales:
        """Take the scales from random subnets of a space (always the same ones)."""
        codes = space.sample_codes(_REFERENCE_NETWORKS, np.random.default_rng(0), space.resolutions)
        return cls.of_networks([space.layers(subnet) for subnet in space.decode(codes)])

    @classmethod
    def of_networks(cls, networks: Sequence[Network]) -> Scales:
        """Take the scales from these networks."""
        blocks = [placed.block for network in networks for placed in network.blocks]
        totals = np.sum([block_features(block) for block in blocks], axis=0) / len(networks)
        points = [point for block in blocks for point in layer_points(block)]
        work = np.sum([_work(point) for point in points], axis=0) / len(networks)
        distinct = np.array(sorted({(float(p.kind), *p.position) for p in points}))
        return cls(_without_zeros(totals), np.maximum(work, 1.0), _inducing_points(distinct))


def _work(point: LayerPoint) -> tuple[int, int, int, int]:
    return point.macs, point.elements, point.parameters, 1


def _without_zeros(totals: Floats) -> Floats:
    """Give quantities a space has none of the unit of its most common kin."""
    macs = max(totals[:5].max(), 1.0)
    elements = max(totals[5:11].max(), 1.0)
    fallback = np.array([macs] * 5 + [elements] * 6 + [max(totals[11], 1.0)] + [totals[12]] * 2)
    return np.where(totals > 0, totals, fallback)


def _layer_kernel(a: Floats, b: Floats) -> Floats:
    """Correlation of layers: 0 between kinds, squared-exponential in position within one."""
    distance = (a[:, None, 1:] - b[None, :, 1:]) / _LENGTH_SCALES
    same = a[:, None, 0] == b[None, :, 0]
    smooth: Floats = np.exp(-0.5 * (distance**2).sum(axis=-1)) * same
    return smooth


def _inducing_points(points: Floats) -> Floats:
    """Choose points by pivoted Cholesky: always the one that is explained least."""
    unexplained = np.ones(len(points))
    factor = np.zeros((len(points), 0))
    chosen: list[int] = []
    while len(chosen) < min(_MAX_INDUCING, len(points)):
        pivot = int(np.argmax(unexplained))
        if unexplained[pivot] < _INDUCING_TOLERANCE:
            break
        row = _layer_kernel(points, points[pivot : pivot + 1])[:, 0] - factor @ factor[pivot]
        column = row / np.sqrt(unexplained[pivot])
        factor = np.column_stack([factor, column])
        unexplained = np.maximum(unexplained - column**2, 0.0)
        chosen.append(pivot)
    return points[chosen]


@dataclass
class FeatureMap:
    """Turns networks into columns.

    Attributes:
        space: the search space of the training networks.
        scales: units of the columns.
        vocabulary: the distinct blocks of the training networks and their column in ``blocks``.
    """

    space: SearchSpace
    scales: Scales
    vocabulary: dict[Block, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inducing = self.scales.inducing
        gram = _layer_kernel(inducing, inducing) + 1e-9 * np.eye(len(inducing))
        self._whitening = np.linalg.inv(np.linalg.cholesky(gram))
        self._rows: dict[Placed, int] = {}
        self._table = np.zeros((0, self.groups.width))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without the rows worked out so far, which may be megabytes."""
        return type(self), (self.space, self.scales, self.vocabulary)

    @classmethod
    def fit(cls, space: SearchSpace, codes: Codes, scales: Scales | None = None) -> FeatureMap:
        """Make the map whose vocabulary is the blocks of these subnets."""
        blocks: dict[Block, int] = {}
        for network in _networks(space, codes):
            for placed in network.blocks:
                blocks.setdefault(placed.block, len(blocks))
        return cls(space, scales or Scales.of_space(space), blocks)

    @property
    def groups(self) -> Groups:
        """Where the columns of each group stand."""
        widths = {
            "totals": len(QUANTITIES),
            "levels": len(QUANTITIES) * N_LEVELS,
            "layers": len(self.scales.inducing),
            "blocks": len(self.vocabulary),
        }
        columns, at = {}, 0
        for name, width in widths.items():
            columns[name] = slice(at, at + width)
            at += width
        return Groups(columns, {"layers": at, "blocks": at + 1}, at + 2)

    def of_codes(self, codes: Codes) -> Floats:
        """Return the columns of subnets: float64 (n_subnets, width)."""
        chunks = [
            self.of_networks(_networks(self.space, codes[start : start + _CHUNK]))
            for start in range(0, len(codes), _CHUNK)
        ]
        return np.concatenate(chunks) if chunks else np.zeros((0, self.groups.width))

    def of_networks(self, networks: Iterable[Network]) -> Floats:
        """Return the columns of networks of any kind: float64 (n_networks, width)."""
        rows = [self._row_numbers(network) for network in networks]
        columns = np.empty((len(rows), self.groups.width))
        for column, numbers in zip(columns, rows, strict=True):
            self._table[numbers].sum(axis=0, out=column)
        return columns

    def _row_numbers(self, network: Network) -> list[int]:
        height = network.input_shape.height
        return [self._row_number((height, placed.block)) for placed in network.blocks]

    def _row_number(self, placed: Placed) -> int:
        number = self._rows.get(placed)
        if number is None:
            number = self._rows[placed] = len(self._rows)
            if number == len(self._table):  # grow by doubling
                room = np.zeros((max(64, number), self.groups.width))
                self._table = np.concatenate([self._table, room])
            self._table[number] = self._block_columns(placed)
        return number

    def _block_columns(self, placed: Placed) -> Floats:
        height, block = placed
        groups = self.groups
        row = np.zeros(groups.width)
        row[groups.columns["totals"]] = block_features(block) / self.scales.totals
        by_level = level_features(block, height) / self.scales.totals
        row[groups.columns["levels"]] = by_level.ravel()
        points = layer_points(block)
        if not points:
            return row
        size = self._cost_scale(points)
        layers = np.array([(float(p.kind), *p.position) for p in points])
        smooth = _layer_kernel(layers, self.scales.inducing) @ self._whitening.T
        row[groups.columns["layers"]] = size @ smooth
        missed = np.maximum(1.0 - (smooth**2).sum(axis=1), 0.0)
        row[groups.tails["layers"]] = size**2 @ missed
        column = self.vocabulary.get(block)
        if column is None:
            row[groups.tails["blocks"]] = size.sum() ** 2
        else:
            row[groups.columns["blocks"].start + column] = size.sum()
        return row

    def _cost_scale(self, points: Sequence[LayerPoint]) -> Floats:
        """Return a rough share of each layer in a usual network's latency.

        Half by arithmetic, half by memory traffic, with a little for weights and for being there.
        """
        macs, elements, parameters, layers = self.scales.work
        return np.array(
            [
                0.5 * p.macs / macs
                + 0.5 * p.elements / elements
                + 0.05 * p.parameters / parameters
                + 0.1 / layers
                for p in points
            ]
        )


def _networks(space: SearchSpace, codes: Codes) -> Iterator[Network]:
    return (space.layers(subnet) for subnet in space.decode(codes))
