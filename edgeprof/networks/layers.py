"""The neutral layer list of a network: operators, shapes, MACs, parameters, bytes moved.

Owns: ``Layer``, ``Block`` and ``Network``. A search space builds them; the exporters, the
predictors' features and the lookup-table keys all read them, so that no two disagree.
Does not own: weights, file formats, latency.

Batch normalisation is folded into the convolution before it, as every runtime does. A feature map
has shape ``(channels, height, width)``; the batch is left out and multiplies everything but the
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import NamedTuple

from edgeprof.base.errors import InvalidModel

INPUT = "input"
"""Name by which a layer refers to the input of its block or network."""


class Op(str, Enum):
    """Operators of the layer list."""

    CONV = "conv"  # dense or grouped convolution, 1x1 included
    DEPTHWISE_CONV = "depthwise_conv"
    LINEAR = "linear"
    ADD = "add"  # residual: elementwise sum of two feature maps
    SCALE = "scale"  # squeeze-and-excitation: feature map times a (channels, 1, 1) map
    GLOBAL_AVG_POOL = "global_avg_pool"
    AVG_POOL = "avg_pool"
    MAX_POOL = "max_pool"
    RELU = "relu"
    RELU6 = "relu6"
    H_SWISH = "h_swish"
    H_SIGMOID = "h_sigmoid"


CONVOLUTIONS = frozenset({Op.CONV, Op.DEPTHWISE_CONV})
ACTIVATIONS = frozenset({Op.RELU, Op.RELU6, Op.H_SWISH, Op.H_SIGMOID})
FUSED_ACTIVATIONS = frozenset({Op.RELU, Op.RELU6})
POOLS = frozenset({Op.AVG_POOL, Op.MAX_POOL})


_FUSES_ACTIVATION = CONVOLUTIONS | {Op.LINEAR, Op.ADD}


class Shape(NamedTuple):
    """Shape of one feature map without its batch."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        """Number of values."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Layer:
    """One operator with its shapes.

    Attributes:
        name: unique within its block or network.
        op: the operator.
        inputs: names of the layers it reads (``INPUT`` for the block's input).
        in_shape: shape of the first input.
        out_shape: shape of the output.
        kernel, stride, padding: of convolutions and pools, in pixels, symmetric.
        groups: of convolutions; equal to the channels for a depthwise one.
        bias: whether a vector of ``out_shape.channels`` is added.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    in_shape: Shape
    out_shape: Shape
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = False

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights: OIHW for convolutions, OI for linear, else ``()``."""
        if self.op in CONVOLUTIONS:
            per_group = self.in_shape.channels // self.groups
            return (self.out_shape.channels, per_group, self.kernel, self.kernel)
        if self.op is Op.LINEAR:
            return (self.out_shape.channels, self.in_shape.elements)
        return ()

    @property
    def parameters(self) -> int:
        """Number of weights and biases, batch normalisation folded."""
        weights = prod(self.weight_shape) if self.weight_shape else 0
        return weights + (self.out_shape.channels if self.bias else 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image; else 0."""
        if not self.weight_shape:
            return 0
        return prod(self.weight_shape) * self.out_shape.height * self.out_shape.width

    @property
    def overhang(self) -> int:
        """Pixels by which the last window of a pool reaches beyond its input (ceil mode)."""
        covered = (self.out_shape.height - 1) * self.stride + self.kernel
        return max(covered - self.in_shape.height - 2 * self.padding, 0)

    @property
    def elements_read(self) -> int:
        """Activation values read, each input once (a scale also reads its channel factors)."""
        if self.op is Op.ADD:
            return len(self.inputs) * self.in_shape.elements
        if self.op is Op.SCALE:
            return self.in_shape.elements + self.in_shape.channels
        return self.in_shape.elements

    @property
    def elements_written(self) -> int:
        """Activation values written."""
        return self.out_shape.elements

    def bytes_moved(self, element_bytes: int) -> int:
        """Return the bytes of activations read and written and of weights, each moved once.

        Args:
            element_bytes: size of one value: 4 for float32, 1 for int8.
        """
        return element_bytes * (self.elements_read + self.elements_written + self.parameters)


@dataclass(frozen=True)
class Block:
    """A chain link of a network: a stem, an inverted bottleneck, a head layer ...

    Equal blocks are the same object where the space caches them, so that sums over their layers
    are made once. The last layer is the output.

    Attributes:
        kind: what it is, e.g. ``"inverted_bottleneck"``; lookup tables name their keys by it.
        layers: in the order of execution, names local to the block.
        mid_channels, kernel, stride, residual, se, activation: of the block as a whole, where it
            has them (lookup tables and predictors name a block by these).
    """

    kind: str
    layers: tuple[Layer, ...]
    mid_channels: int = 0
    kernel: int = 1
    stride: int = 1
    residual: bool = False
    se: bool = False
    activation: Op | None = None

    def __hash__(self) -> int:
        # Blocks are used as cache keys by identity's cheap stand-in; equality stays by value.
        return hash((self.kind, self.in_shape, self.out_shape, self.mid_channels, self.kernel))

    @property
    def in_shape(self) -> Shape:
        """Shape of the block's input."""
        return self.layers[0].in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the block's output."""
        return self.layers[-1].out_shape

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def parameters(self) -> int:
        """Weights and biases of all layers."""
        return sum(layer.parameters for layer in self.layers)


class PlacedBlock(NamedTuple):
    """A block and where it stands.

    Attributes:
        label: unique within the network, e.g. ``"stage2.block1"``.
        stage: index of the stage for sums per stage (0 is the stem, the last is the head).
        block: the block.
    """

    label: str
    stage: int
    block: Block


@dataclass(frozen=True)
class Network:
    """The layer list of one network: a chain of blocks.

    Raises:
        InvalidModel: if a block's input shape is not the output shape of the one before it.
    """

    name: str
    blocks: tuple[PlacedBlock, ...]

    def __post_init__(self) -> None:
        for before, after in pairwise(self.blocks):
            if before.block.out_shape != after.block.in_shape:
                raise InvalidModel(
                    f"network {self.name}: {before.label} gives {tuple(before.block.out_shape)}, "
                    f"{after.label} takes {tuple(after.block.in_shape)}"
                )

    @property
    def input_shape(self) -> Shape:
        """Shape of the network's input without the batch."""
        return self.blocks[0].block.in_shape

    @property
    def output_shape(self) -> Shape:
        """Shape of the network's output without the batch."""
        return self.blocks[-1].block.out_shape

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(placed.block.macs for placed in self.blocks)

    @property
    def parameters(self) -> int:
        """Weights and biases, batch normalisation folded."""
        return sum(placed.block.parameters for placed in self.blocks)

    def bytes_moved(self, element_bytes: int) -> int:
        """Return the bytes that all layers move for one image, see ``Layer.bytes_moved``."""
        return sum(
            layer.bytes_moved(element_bytes)
            for placed in self.blocks
            for layer in placed.block.layers
        )

    def layers(self) -> Iterator[Layer]:
        """Yield all layers in order, with names that are unique in the network."""
        block_input = INPUT
        for label, _, block in self.blocks:
            names = {INPUT: block_input}
            for layer in block.layers:
                names[layer.name] = f"{label}.{layer.name}"
                inputs = tuple(names[name] for name in layer.inputs)
                yield replace(layer, name=names[layer.name], inputs=inputs)
            block_input = names[block.layers[-1].name]


def as_network(network: Network | Block) -> Network:
    """Return a network; of a block the network that consists of it alone."""
    if isinstance(network, Network):
        return network
    return Network(network.kind, (PlacedBlock(network.kind, 0, network),))


def fused_activations(network: Network) -> dict[str, str]:
    """Return layer -> the ReLU or ReLU6 that alone reads it and runtimes compute with it."""
    layers = {layer.name: layer for layer in network.layers()}
    readers: dict[str, list[Layer]] = {}
    for layer in layers.values():
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    return {
        name: reading[0].name
        for name, reading in readers.items()
        if name != INPUT
        and layers[name].op in _FUSES_ACTIVATION
        and len(reading) == 1
        and reading[0].op in FUSED_ACTIVATIONS
    }
