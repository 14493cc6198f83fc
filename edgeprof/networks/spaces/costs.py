"""Costs of subnets that follow from their layers: MACs, parameters, model bytes.

Owns: how they are computed for many codes at once. Most spaces give sums over code columns, which
are tabulated by probing; others are computed from the layer lists one by one and remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.layers import Network
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.spaces.structure import AdditiveTables, CostFunction

FORMATS = ("onnx", "tflite")
PRECISIONS = ("fp32", "int8")


class _Storage(NamedTuple):
    """What a model file takes, in bytes: an upper estimate, tested against exported files."""

    per_weight: int
    per_bias: int
    per_channel: int  # scales and zero points of weights and biases
    per_layer: int  # names, shapes, operators, scales of feature maps
    fixed: int = 8192


_STORAGE = {
    ("onnx", "fp32"): _Storage(4, 4, 0, 320),
    ("tflite", "fp32"): _Storage(4, 4, 0, 320),
    ("onnx", "int8"): _Storage(1, 4, 9, 900),
    ("tflite", "int8"): _Storage(1, 4, 24, 420),
}


class NetworkCost:
    """A number per network, computed from layer lists once per resolution or row.

    Args:
        space: the space of the codes.
        count: layer list to number, e.g. its MACs.
    """

    def __init__(self, space: SearchSpace, count: Callable[[Network], int]) -> None:
        self._space = space
        self._count = count
        self._tables: dict[int, AdditiveTables] = {}
        self._known: dict[bytes, float] = {}

    def __call__(self, codes: Codes) -> NDArray[np.float64]:
        """Return the number of each row."""
        out = np.empty(len(codes))
        for index in np.unique(codes[:, -1]):
            rows = codes[:, -1] == index
            tables = self._tables_of(int(index))
            part = codes[rows]
            out[rows] = np.rint(tables(part)) if tables.exact else self._one_by_one(part)
        return out

    def _tables_of(self, resolution_index: int) -> AdditiveTables:
        if resolution_index not in self._tables:
            self._tables[resolution_index] = AdditiveTables.fit(
                self._space, self._one_by_one, [resolution_index]
            )
        return self._tables[resolution_index]

    def _one_by_one(self, codes: Codes) -> NDArray[np.float64]:
        keys = [row.tobytes() for row in codes]
        missing = [i for i, key in enumerate(keys) if key not in self._known]
        for i, subnet in zip(missing, self._space.decode(codes[missing]), strict=True):
            self._known[keys[i]] = float(self._count(self._space.layers(subnet)))
        return np.array([self._known[key] for key in keys])


@cache
def macs_cost(space: SearchSpace) -> CostFunction:
    """Return the function from codes to multiply-accumulates."""
    return NetworkCost(space, lambda network: network.macs)


@cache
def parameters_cost(space: SearchSpace) -> CostFunction:
    """Return the function from codes to the number of weights and biases."""
    return NetworkCost(space, lambda network: network.parameters)


def model_bytes_of(network: Network, model_format: str, precision: str) -> int:
    """Return an upper estimate of the model file's size, weights included."""
    storage = _STORAGE[model_format, precision]
    layers = [layer for placed in network.blocks for layer in placed.block.layers]
    biases = sum(layer.out_shape.channels for layer in layers if layer.bias)
    channels = sum(layer.out_shape.channels for layer in layers if layer.parameters)
    return (
        storage.per_weight * (network.parameters - biases)
        + storage.per_bias * biases
        + storage.per_channel * channels
        + storage.per_layer * len(layers)
        + storage.fixed
    )


@cache
def model_bytes_cost(space: SearchSpace, model_format: str, precision: str) -> CostFunction:
    """Return the function from codes to ``model_bytes_of``."""
    return NetworkCost(space, lambda network: model_bytes_of(network, model_format, precision))
