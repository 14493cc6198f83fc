"""What the layers of networks ask of a machine, as arrays that costs are learned from.

Owns: the quantities whose unit costs are learned, the position of a layer among those of its kind,
and the table of the distinct layers of several networks. Does not own: costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.work import PRODUCT_KINDS, Kind, NetworkLayer

QUANTITIES_VERSION = 1
"""Rises when a quantity, a position or a kind changes meaning; stands in saved models."""

QUANTITIES = ("macs", "operations", "read", "written", "patches", "weights", "layers", "groups")
"""Each has a cost per unit that depends on the kind of layer. ``read``, ``written`` and
``weights`` are in units of four bytes; ``patches`` are the values of the matrix that a runtime
lays out for a convolution; ``groups`` are the separate products of one layer."""

N_POSITION = 6
"""Logarithms of the rows, the length of the sums, the columns, the groups; kernel; stride."""

VECTOR = "vector"
"""Convolutions of single pixels: squeeze-and-excitation, heads after a pool."""

DOUBTED = "?"
"""Ends the name of kinds whose numbers are a guess."""

BASES = (VECTOR, *(kind.value for kind in Kind))

_PATCHED = frozenset({Kind.CONV, Kind.DEPTHWISE, Kind.GROUPED, Kind.TRANSPOSED_CONV})
KERNEL_WEIGHT = 1.5
_FLOAT_TYPES = frozenset({"float32", "float64"})
_FUSED_AT_TIMES = frozenset({Kind.ADD, Kind.ACTIVATION, Kind.ELEMENTWISE, Kind.MOVE})
_SAME_OPERATOR = {"hswish": "hardswish", "hsigmoid": "hardsigmoid", "mean": "reducemean"}

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

Point = tuple[str, tuple[float, ...], tuple[float, ...]]
"""Kind, position and quantities of a layer."""


def kind_of(layer: NetworkLayer) -> str:
    """Return the name under which the costs of a layer are learned.

    ``"conv"``, ``"conv.int8"``, ``"move:transpose"`` (operators differ but for products),
    ``"recurrent:lstm"`` (and so do cells), ``"add:add+"`` (a layer that some runtimes compute with
    the one before it), ``"unknown:foo?"`` (one whose numbers are a guess).
    """
    name = layer.kind.value
    if layer.kind not in PRODUCT_KINDS or layer.kind is Kind.RECURRENT:
        operator = layer.operator.rpartition("::")[2].replace("_", "").lower()
        name += f":{_SAME_OPERATOR.get(operator, operator)}"
        if operator == "transpose" and _inner_size(layer) != _inner_size(layer, of_output=True):
            name += "-inner"  # values that lay together are scattered: far slower
    elif layer.kind in (Kind.CONV, Kind.POINTWISE) and math.prod(layer.out_size) == 1:
        name = VECTOR
    if layer.element_type not in _FLOAT_TYPES:
        name += f".{layer.element_type}"
    if layer.fusable_into and layer.kind in _FUSED_AT_TIMES:
        name += "+"
    return name + DOUBTED if layer.doubt else name


def _inner_size(layer: NetworkLayer, *, of_output: bool = False) -> int:
    """Return the length of the axis that lies together in memory."""
    size = layer.out_size if of_output else layer.in_size
    channels = layer.out_channels if of_output else layer.in_channels
    return size[-1] if len(size) > 1 else channels


def base_of(kind: str) -> str:
    """Return a kind without its operator, element type, ``+`` and ``?``."""
    return kind.rstrip("+?").partition(":")[0].partition(".")[0]


def kind_numbers(names: Sequence[str], among: Sequence[str]) -> Integers:
    """Return where each name stands among others, -1 for those that do not."""
    numbers = {name: number for number, name in enumerate(among)}
    return np.array([numbers.get(name, -1) for name in names], dtype=np.int64)


def point_of(layer: NetworkLayer) -> Point:
    """Return a layer as costs are learned from it."""
    kernel, stride = _mean_of(layer.kernel), _mean_of(layer.stride)
    rows, inner, columns, groups = _product(layer)
    has_patches = layer.kind in _PATCHED or (layer.kind is Kind.POINTWISE and stride > 1)
    has_groups = layer.kind in (Kind.DEPTHWISE, Kind.GROUPED, Kind.MATMUL)
    position = (
        *(math.log(max(size, 1.0)) for size in (rows, inner, columns, groups)),
        KERNEL_WEIGHT * math.log(kernel),
        math.log(stride),
    )
    quantities = (
        float(layer.macs),
        0.0 if layer.kind in PRODUCT_KINDS else float(layer.operations),
        layer.bytes_read / 4,
        layer.bytes_written / 4,
        rows * inner * groups if has_patches else 0.0,
        layer.weight_bytes / 4,
        float(layer.steps),
        float(groups) if has_groups else 0.0,
    )
    return kind_of(layer), position, quantities


def _mean_of(sizes: tuple[int, ...]) -> float:
    return max(math.prod(sizes), 1) ** (1 / len(sizes)) if sizes else 1.0


def _product(layer: NetworkLayer) -> tuple[float, float, float, float]:
    """Return the layer as a product of matrices: rows, length of the sums, columns, groups."""
    written, channels = max(layer.elements_written, 1), max(layer.out_channels, 1)
    if not layer.macs:
        return written / channels, max(layer.elements_read, 1) / written, 1.0, channels
    groups = max(layer.groups, 1)
    columns = channels if layer.kind is Kind.MATMUL else max(channels // groups, 1)
    return written / (columns * groups), layer.macs / written, columns, groups


@dataclass(frozen=True)
class LayerTable:
    """The distinct layers of several networks, and how often each network has each.

    Attributes:
        kinds: names of the kinds, see ``kind_of``.
        kind: int64 (n_layers,), position in ``kinds``.
        position: float64 (n_layers, N_POSITION).
        quantities: float64 (n_layers, len(QUANTITIES)).
        network, layer: int64 (n_uses,): network i uses layer j ...
        uses: float64 (n_uses,): ... so often; sorted by network.
        n_networks: number of networks.
    """

    kinds: tuple[str, ...]
    kind: Integers
    position: Floats
    quantities: Floats
    network: Integers
    layer: Integers
    uses: Floats
    n_networks: int

    @classmethod
    def of(cls, networks: Sequence[Sequence[NetworkLayer]]) -> LayerTable:
        """Collect the layers of networks; they are numbered in the order of their first use."""
        numbers: dict[Point, int] = {}
        uses: dict[tuple[int, int], int] = {}
        for index, layers in enumerate(networks):
            for layer in layers:
                at = index, numbers.setdefault(point_of(layer), len(numbers))
                uses[at] = uses.get(at, 0) + 1
        kinds = tuple(sorted({kind for kind, _, _ in numbers}))
        pairs = np.array(list(uses), dtype=np.int64).reshape(-1, 2)
        return cls(
            kinds,
            kind_numbers([kind for kind, _, _ in numbers], kinds),
            np.array([position for _, position, _ in numbers]).reshape(-1, N_POSITION),
            np.array([asked for _, _, asked in numbers]).reshape(-1, len(QUANTITIES)),
            pairs[:, 0],
            pairs[:, 1],
            np.array(list(uses.values()), dtype=np.float64),
            len(networks),
        )

    @cached_property
    def base_names(self) -> tuple[str, ...]:
        """The kinds, operators and element types aside."""
        return tuple(base_of(kind) for kind in self.kinds)

    @cached_property
    def uses_of(self) -> list[slice]:
        """Where the uses of each network stand."""
        starts = np.searchsorted(self.network, np.arange(self.n_networks + 1))
        return [slice(start, stop) for start, stop in pairwise(starts.tolist())]

    def total(self, columns: Floats) -> Floats:
        """Return the sums over each network's layers: (n_layers, k) -> (n_networks, k)."""
        sums = [self.uses[part] @ columns[self.layer[part]] for part in self.uses_of]
        return np.array(sums).reshape(self.n_networks, columns.shape[1])

    def shares(self, cost: Floats) -> Floats:
        """Return the share of each use in its network, where layers cost ``cost``: (n_uses,)."""
        used = self.uses * cost[self.layer]
        shares: Floats = used / np.bincount(self.network, used, self.n_networks)[self.network]
        return shares
