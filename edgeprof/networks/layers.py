"""The neutral layer list of a network: operators, shapes, MACs, parameters, bytes moved.

Owns: ``Layer``, ``Block`` and ``Network``, not weights, formats and latency. A search space builds
them; exporters, features and lookup-table keys all read them, so that no two disagree.

Batch normalisation is folded into the convolution before it, as every runtime does. A feature map
has shape ``(channels, height, width)``; the batch is left out and multiplies everything but the
weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import NamedTuple

from edgeprof.base.errors import InvalidModel
from edgeprof.networks.work import Kind, NetworkLayer, convolution_kind

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
_KINDS = {
    Op.LINEAR: Kind.LINEAR,
    Op.ADD: Kind.ADD,
    Op.SCALE: Kind.SCALE,
    Op.GLOBAL_AVG_POOL: Kind.REDUCE,
    Op.AVG_POOL: Kind.AVG_POOL,
    Op.MAX_POOL: Kind.MAX_POOL,
    **dict.fromkeys(ACTIVATIONS, Kind.ACTIVATION),
}
"""Kinds of the operators that are no convolutions."""


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

    >>> Layer("conv", Op.CONV, ("input",), Shape(3, 32, 32), Shape(8, 32, 32), kernel=3).macs
    221184

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
    def work(self) -> NetworkLayer:
        """What the layer asks of the machine, for one image in float32."""
        pixels = (self.out_shape.height, self.out_shape.width)
        is_windowed = self.op in CONVOLUTIONS | POOLS
        kind = _KINDS.get(self.op)
        if kind is None:
            kind = convolution_kind((self.kernel,) * 2, self.groups, self.in_shape.channels)
        is_linear = kind is Kind.LINEAR
        return NetworkLayer(
            name=self.name,
            operator=self.op.value,
            kind=kind,
            inputs=self.inputs,
            macs=self.macs,
            operations=self._operations,
            elements_read=self.elements_read,
            elements_written=self.elements_written,
            parameters=self.parameters,
            bytes_read=4 * self.elements_read,
            bytes_written=4 * self.elements_written,
            weight_bytes=4 * self.parameters,
            weight_type="float32" if self.parameters else "",
            in_channels=self.in_shape.elements if is_linear else self.in_shape.channels,
            out_channels=self.out_shape.channels,
            in_size=(1,) if is_linear else (self.in_shape.height, self.in_shape.width),
            out_size=(1,) if is_linear else pixels,
            kernel=(self.kernel,) * 2 if is_windowed else (),
            stride=(self.stride,) * 2 if is_windowed else (),
            dilation=(1, 1) if is_windowed else (),
            groups=self.groups,
        )

    @property
    def _operations(self) -> int:
        if self.weight_shape:
            return 0
        if self.op in POOLS:
            return self.kernel**2 * self.out_shape.elements
        if self.op is Op.GLOBAL_AVG_POOL:
            return self.in_shape.elements
        return self.out_shape.elements * (len(self.inputs) - 1 if self.op is Op.ADD else 1)

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
    def work(self) -> tuple[NetworkLayer, ...]:
        """What the block asks of the machine: its layers without those that are fused."""
        return _fused(self.layers)

    def placed_work(self, label: str, block_input: str) -> list[NetworkLayer]:
        """Return the work under names that are unique in the network.

        Args:
            label: of the block in the network.
            block_input: name of the layer that the block reads.
        """
        names = {INPUT: block_input, "": ""}
        names.update((layer.name, f"{label}.{layer.name}") for layer in self.work)
        return [
            replace(
                layer,
                name=names[layer.name],
                inputs=tuple(names[name] for name in layer.inputs),
                fusable_into=names[layer.fusable_into],
            )
            for layer in self.work
        ]

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


@dataclass(frozen=True, repr=False)
class Network:
    """The layer list of one network: a chain of blocks.

    >>> import edgeprof
    >>> edgeprof.read_network("model.onnx")
    <Network model: 1 layers, 27,648 MACs>

    Attributes:
        notes: what was chosen where a model file leaves a choice.

    Raises:
        InvalidModel: if a block's input shape is not the output shape of the one before it.
    """

    name: str
    blocks: tuple[PlacedBlock, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for before, after in pairwise(self.blocks):
            if before.block.out_shape != after.block.in_shape:
                raise InvalidModel(
                    f"network {self.name}: {before.label} gives {tuple(before.block.out_shape)}, "
                    f"{after.label} takes {tuple(after.block.in_shape)}"
                )

    def __repr__(self) -> str:
        return f"<Network {self.name}: {len(self.work)} layers, {self.macs:,} MACs>"

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
        """Multiply-accumulates of one inference; of a subnet for one image."""
        return sum(placed.block.macs for placed in self.blocks)

    @property
    def parameters(self) -> int:
        """Weights and biases, batch normalisation folded."""
        return sum(placed.block.parameters for placed in self.blocks)

    @property
    def work(self) -> tuple[NetworkLayer, ...]:
        """What each layer asks of the machine, in order, under names unique in the network."""
        found: list[NetworkLayer] = []
        block_input = INPUT
        for label, _, block in self.blocks:
            found += block.placed_work(label, block_input)
            block_input = found[-1].name
        return tuple(found)

    def layers(self) -> Iterator[Layer]:
        """Yield all layers of a subnet in order, with names that are unique in the network."""
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


def _fused(layers: Sequence[Layer]) -> tuple[NetworkLayer, ...]:
    """Return the work of layers in a row, activations fused into what they alone read."""
    activations = activations_after(layers)
    fused = {activation: name for name, activation in activations.items()}
    sources = Counter(name for layer in layers for name in layer.inputs)
    products = {layer.name for layer in layers if layer.weight_shape}
    by_name = {layer.name: layer for layer in layers}
    found = []
    for layer in layers:
        if layer.name in fused:
            continue
        work = layer.work
        inputs = tuple(fused.get(name, name) for name in layer.inputs)
        if layer.name in activations:
            activation = by_name[activations[layer.name]]
            work = replace(
                work,
                operations=work.operations + activation.out_shape.elements,
                fused=(activation.op.value,),
            )
        alone = [name for name in layer.inputs if name in products and sources[name] == 1]
        is_fusable = layer.op not in CONVOLUTIONS | POOLS | {Op.LINEAR, Op.GLOBAL_AVG_POOL}
        into = alone[-1] if alone and is_fusable else ""
        found.append(replace(work, inputs=inputs, fusable_into=into))
    return tuple(found)


def activations_after(layers: Sequence[Layer]) -> dict[str, str]:
    """Return layer -> the ReLU or ReLU6 that alone reads it and runtimes compute with it."""
    by_name = {layer.name: layer for layer in layers}
    readers: dict[str, list[Layer]] = {}
    for layer in layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    return {
        name: reading[0].name
        for name, reading in readers.items()
        if name in by_name
        and by_name[name].op in _FUSES_ACTIVATION
        and len(reading) == 1
        and reading[0].op in FUSED_ACTIVATIONS
    }
