"""What a layer of any network asks of the machine: one form for subnets and for model files.

Owns: ``NetworkLayer`` and its kinds. Does not own: how a layer is made (``layers``, for subnets)
or read (``graphs``, from files), or what it costs in time (predictors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import prod


class Kind(str, Enum):
    """Kinds of layers, by what bounds their time."""

    CONV = "conv"  # every input channel, kernel beyond one pixel
    POINTWISE = "pointwise"  # kernel of one pixel
    DEPTHWISE = "depthwise"
    GROUPED = "grouped"
    TRANSPOSED_CONV = "transposed_conv"
    LINEAR = "linear"  # product with a constant matrix
    MATMUL = "matmul"  # product of two computed matrices
    RECURRENT = "recurrent"
    ADD = "add"  # sum of computed maps of one shape
    SCALE = "scale"  # product of a map and a smaller computed one
    ELEMENTWISE = "elementwise"  # other arithmetic, comparisons
    ACTIVATION = "activation"  # piecewise linear
    SMOOTH_ACTIVATION = "smooth_activation"  # exponentials, gates such as h_swish
    SOFTMAX = "softmax"
    NORMALIZATION = "normalization"
    MAX_POOL = "max_pool"
    AVG_POOL = "avg_pool"
    REDUCE = "reduce"  # global pools, means, sums, arguments of extrema
    RESIZE = "resize"
    MOVE = "move"  # transposition, concatenation, slices, padding
    GATHER = "gather"  # lookups and scattered writes
    QUANTIZE = "quantize"  # conversions of the element type
    SORT = "sort"  # top k, non-maximum suppression, non-zero, unique
    TRANSFORM = "transform"  # Fourier transforms
    UNKNOWN = "unknown"


CONVOLUTION_KINDS = frozenset(
    {Kind.CONV, Kind.POINTWISE, Kind.DEPTHWISE, Kind.GROUPED, Kind.TRANSPOSED_CONV}
)
PRODUCT_KINDS = CONVOLUTION_KINDS | {Kind.LINEAR, Kind.MATMUL, Kind.RECURRENT}
"""Kinds whose work is counted in multiply-accumulates."""

_BITS = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 64),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 16),
    **dict.fromkeys(("int4", "uint4", "float4e2m1"), 4),
    **dict.fromkeys(("int2", "uint2"), 2),
    **dict.fromkeys(("float32", "int32", "uint32", "string"), 32),
    "complex128": 128,
}


def convolution_kind(kernel: Sequence[int], groups: int, in_channels: int) -> Kind:
    """Return the kind of a convolution that is not transposed."""
    if groups > 1:
        return Kind.DEPTHWISE if groups == in_channels else Kind.GROUPED
    return Kind.POINTWISE if prod(kernel) == 1 else Kind.CONV


def bytes_of(elements: int, element_type: str) -> int:
    """Return the bytes of so many values; types of unknown name have one byte each."""
    return -(-elements * _BITS.get(element_type, 8) // 8)


@dataclass(frozen=True)
class NetworkLayer:
    """One layer as a runtime computes it, with what it fuses; all of one inference of a batch.

    Attributes:
        name: unique in its network; in a file the tensor that it computes.
        operator: as the source names it: ``"Conv"``, ``"CONV_2D"``, ``"conv"`` of a subnet.
        kind: what bounds its time.
        inputs: names of the layers and network inputs that it reads.
        macs: multiply-accumulates of ``PRODUCT_KINDS``, else 0.
        operations: operations on elements beside the MACs, those of ``fused`` included.
        elements_read, elements_written: values of activations.
        parameters: constant values read.
        bytes_read, bytes_written, weight_bytes: the same in bytes.
        element_type: of the main input, as in ``"float32"``, ``"int8"``.
        weight_type: of the weights; without any ``""``.
        batch: leading dimension of the output.
        in_channels, out_channels: features; of a product the length of its sums and its columns.
        in_size, out_size: sizes in space, ``(height, width)`` or ``(length,)``; of a linear layer
            or a product the rows of each matrix.
        kernel, stride, dilation: of convolutions and pools, as long as ``in_size``.
        groups: of convolutions; of a product of computed matrices the number of products.
        steps: length of the sequence of a recurrent layer.
        fused: operators of the source that are computed with it.
        fusable_into: the convolution or linear layer that alone feeds it, with which some runtimes
            compute it; else ``""``.
        doubt: why the numbers are a guess; ``""`` where they are none.
    """

    name: str
    operator: str
    kind: Kind
    inputs: tuple[str, ...] = ()
    macs: int = 0
    operations: int = 0
    elements_read: int = 0
    elements_written: int = 0
    parameters: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    weight_bytes: int = 0
    element_type: str = "float32"
    weight_type: str = ""
    batch: int = 1
    in_channels: int = 1
    out_channels: int = 1
    in_size: tuple[int, ...] = ()
    out_size: tuple[int, ...] = ()
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    steps: int = 1
    fused: tuple[str, ...] = ()
    fusable_into: str = ""
    doubt: str = ""

    @property
    def out_pixels(self) -> int:
        """Positions of the output in space, one where it has none."""
        return prod(self.out_size)

    def at(self, batch: int, element_type: str) -> NetworkLayer:
        """Return this layer of a batch of 1 at another batch and another type of all values."""
        return replace(
            self,
            macs=self.macs * batch,
            operations=self.operations * batch,
            elements_read=self.elements_read * batch,
            elements_written=self.elements_written * batch,
            bytes_read=bytes_of(self.elements_read * batch, element_type),
            bytes_written=bytes_of(self.elements_written * batch, element_type),
            weight_bytes=bytes_of(self.parameters, element_type),
            element_type=element_type,
            weight_type=element_type if self.weight_type else "",
            batch=self.batch * batch,
        )
