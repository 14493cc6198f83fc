"""What a network asks of the hardware: physical quantities of its layers.

Owns: the quantities summed over a block's layers, and the shapes of single layers as points that
a kernel can compare. Everything is read from the work of the layers, so any search space and any
model file has it. Does not own: scaling, kernels, latency.

Activations that every runtime fuses into the layer before them (relu, relu6) cost nothing here;
hard-swish and hard-sigmoid are counted as elementwise work.
"""

from __future__ import annotations

import math
from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.layers import Block
from edgeprof.networks.work import CONVOLUTION_KINDS, Kind, NetworkLayer

FEATURES_VERSION = 1
"""Rises when a quantity or a layer point changes meaning; stands in saved host models."""

Floats = NDArray[np.float64]

QUANTITIES = (
    "pointwise_macs",
    "depthwise_macs",
    "dense_macs",
    "linear_macs",
    "vector_macs",  # convolutions on 1x1 maps: squeeze-and-excitation, heads after the pool
    "conv_elements_read",
    "conv_elements_written",
    "depthwise_elements_read",
    "depthwise_elements_written",
    "elementwise_elements",
    "se_elements",
    "parameters",
    "layers",
    "depthwise_layers",
)
"""Quantities of a block, for one image, in this order."""

N_LEVELS = 7
"""Levels of a network: output map 1/1, 1/2 ... 1/32 of the input or less, and single pixels."""


class LayerKind:
    """Kinds of layers whose costs are learned apart."""

    POINTWISE = 0
    DEPTHWISE = 1
    DENSE = 2
    VECTOR = 3
    LINEAR = 4
    ELEMENTWISE = 5
    SE = 6
    ADD = 7
    POOL = 8


class LayerPoint(NamedTuple):
    """A layer as a point: layers of one kind that lie close cost alike.

    Attributes:
        kind: see ``LayerKind``.
        position: logarithms of in channels, out channels, in height, kernel; and the stride.
        macs, elements, parameters: its work, from which the scale of its cost follows.
    """

    kind: int
    position: tuple[float, float, float, float, float]
    macs: int
    elements: int
    parameters: int


@cache
def layer_points(block: Block) -> tuple[LayerPoint, ...]:
    """Return the layers of a block that cost time, as points."""
    return tuple(_point(layer) for layer in block.work)


def _point(layer: NetworkLayer) -> LayerPoint:
    position = (
        math.log(max(layer.in_channels, 1)),
        math.log(max(layer.out_channels, 1)),
        0.5 * math.log(max(prod(layer.in_size), 1)),
        math.log(max(layer.kernel, default=1)),
        float(max(layer.stride, default=1)),
    )
    elements = layer.elements_read + layer.elements_written
    return LayerPoint(_kind(layer), position, layer.macs, elements, layer.parameters)


_KINDS = {
    Kind.DEPTHWISE: LayerKind.DEPTHWISE,
    Kind.LINEAR: LayerKind.LINEAR,
    Kind.MATMUL: LayerKind.LINEAR,
    Kind.RECURRENT: LayerKind.LINEAR,
    Kind.SCALE: LayerKind.SE,
    Kind.REDUCE: LayerKind.SE,
    Kind.ADD: LayerKind.ADD,
    Kind.AVG_POOL: LayerKind.POOL,
    Kind.MAX_POOL: LayerKind.POOL,
}


def _kind(layer: NetworkLayer) -> int:
    if layer.kind in CONVOLUTION_KINDS and layer.kind is not Kind.DEPTHWISE:
        if layer.out_pixels == 1:
            return LayerKind.VECTOR
        return LayerKind.POINTWISE if prod(layer.kernel) == 1 else LayerKind.DENSE
    return _KINDS.get(layer.kind, LayerKind.ELEMENTWISE)


@cache
def block_features(block: Block) -> Floats:
    """Return the block's quantities for one image: float64 (n_quantities,), in their order."""
    sums = dict.fromkeys(QUANTITIES, 0)
    for layer in block.work:
        _add_layer(sums, layer)
    vector = np.array([sums[name] for name in QUANTITIES], dtype=np.float64)
    vector.setflags(write=False)  # cached: nobody may change it
    return vector


_MACS_OF_KIND = {
    LayerKind.POINTWISE: "pointwise_macs",
    LayerKind.DEPTHWISE: "depthwise_macs",
    LayerKind.DENSE: "dense_macs",
    LayerKind.VECTOR: "vector_macs",
    LayerKind.LINEAR: "linear_macs",
}


def _add_layer(sums: dict[str, int], layer: NetworkLayer) -> None:
    kind = _kind(layer)
    sums["layers"] += 1
    sums["parameters"] += layer.parameters
    if kind in _MACS_OF_KIND:
        sums[_MACS_OF_KIND[kind]] += layer.macs
    if kind in (LayerKind.POINTWISE, LayerKind.DENSE):
        sums["conv_elements_read"] += layer.elements_read
        sums["conv_elements_written"] += layer.elements_written
    elif kind == LayerKind.DEPTHWISE:
        sums["depthwise_layers"] += 1
        sums["depthwise_elements_read"] += layer.elements_read
        sums["depthwise_elements_written"] += layer.elements_written
    elif kind == LayerKind.SE:
        sums["se_elements"] += layer.elements_read + layer.elements_written
    elif kind not in _MACS_OF_KIND:
        sums["elementwise_elements"] += layer.elements_read + layer.elements_written


@cache
def level_features(block: Block, input_height: int) -> Floats:
    """Return the block's quantities by level: float64 (n_levels, n_quantities).

    A layer's level is how often its output has been halved from the network's input; single
    pixels are the last. Unlike the stages of a space, levels mean the same in every network.
    """
    matrix = np.zeros((N_LEVELS, len(QUANTITIES)))
    for layer in block.work:
        sums = dict.fromkeys(QUANTITIES, 0)
        _add_layer(sums, layer)
        matrix[_level(layer, input_height)] += [sums[name] for name in QUANTITIES]
    matrix.setflags(write=False)
    return matrix


def _level(layer: NetworkLayer, input_height: int) -> int:
    if layer.out_pixels <= 1:
        return N_LEVELS - 1
    height = math.sqrt(layer.out_pixels)
    return min(max(round(math.log2(input_height / height)), 0), N_LEVELS - 2)
