"""What a network asks of a device, summed over its layers.

Owns: the terms of the bank's cost model and the likeness of networks. Elements are counted, not
bytes: the precision is a fact of the setting. Does not own: what a term costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.work import PRODUCT_KINDS, Kind, NetworkLayer

Floats = NDArray[np.float64]

TERMS_VERSION = 1
"""Rises when a term changes meaning; stands in the bank's file."""

EXPECTED_COSTS = {
    "stem_macs": 1.5,  # convolutions of the image
    "winograd_macs": 1.0,  # 3x3 of stride 1
    "conv_macs": 1.0,
    "conv_patches": 2.0,  # values of the matrix that a runtime lays out
    "conv_written": 8.0,
    "pointwise_macs": 1.0,
    "pointwise_read": 8.0,
    "pointwise_written": 8.0,
    "depthwise_macs": 3.0,
    "depthwise_moved": 8.0,
    "grouped_macs": 1.5,
    "grouped_moved": 8.0,
    "conv_weights": 4.0,
    "vector_weights": 4.0,  # products with a single row
    "linear_macs": 1.0,
    "matmul_macs": 1.5,
    "added": 8.0,
    "scaled": 8.0,
    "activated": 8.0,
    "smooth_activated": 16.0,
    "pooled": 4.0,
    "reduced": 8.0,
    "moved": 8.0,
    "normalized": 16.0,
    "other": 16.0,
    "products": 2e4,  # number of layers
    "others": 2e4,
    "int8_stem_macs": 1.0,
    "int8_conv_macs": 0.5,
    "int8_pointwise_macs": 0.5,
    "int8_depthwise_macs": 2.0,
    "int8_grouped_macs": 1.0,
    "int8_vector_weights": 2.0,
    "int8_linear_macs": 0.5,
    "int8_conv_moved": 6.0,  # by convolutions but depthwise ones
    "int8_depthwise_moved": 6.0,
    "int8_other": 8.0,  # elements of all other layers
    "int8_products": 2e4,
}
"""Orders of magnitude, in multiply-accumulates of a large convolution; see ``layers.prior``."""

TERMS = tuple(EXPECTED_COSTS)
_COSTS = np.array(list(EXPECTED_COSTS.values()))
_AT = {name: number for number, name in enumerate(TERMS)}

_ELEMENTWISE = {
    Kind.ADD: "added",
    Kind.SCALE: "scaled",
    Kind.ELEMENTWISE: "scaled",
    Kind.ACTIVATION: "activated",
    Kind.SMOOTH_ACTIVATION: "smooth_activated",
    Kind.MOVE: "moved",
    Kind.RESIZE: "moved",
    Kind.GATHER: "moved",
    Kind.QUANTIZE: "moved",
    Kind.SOFTMAX: "normalized",
    Kind.NORMALIZATION: "normalized",
    Kind.REDUCE: "reduced",
}
_IMAGE_CHANNELS = 4
_SIZE_WEIGHT = 0.1
_INT8 = frozenset({"int8", "uint8"})


@dataclass(frozen=True)
class Terms:
    """Networks as the bank sees them.

    Attributes:
        amounts: (n_networks, len(TERMS)), each times its expected cost: in multiply-accumulates.
        likeness: (n_networks, len(TERMS) + 1), points; networks that lie close are alike.
    """

    amounts: Floats
    likeness: Floats

    @classmethod
    def of(cls, networks: Sequence[Sequence[NetworkLayer]]) -> Terms:
        """Sum up the layers of networks."""
        amounts = np.zeros((len(networks), len(TERMS)))
        for row, layers in zip(amounts, networks, strict=True):
            for layer in layers:
                _add(row, layer)
        return cls.from_amounts(amounts * _COSTS)

    @classmethod
    def from_amounts(cls, amounts: Floats) -> Terms:
        """Return the networks of these amounts."""
        total = np.maximum(amounts.sum(axis=1, keepdims=True), 1.0)
        likeness = np.concatenate([np.sqrt(amounts / total), _SIZE_WEIGHT * np.log(total)], axis=1)
        return cls(amounts, likeness)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Terms:
        """Return some of the networks."""
        return Terms(self.amounts[rows], self.likeness[rows])

    def __len__(self) -> int:
        return len(self.amounts)


def _add(row: Floats, layer: NetworkLayer) -> None:
    is_int8 = layer.element_type in _INT8
    if layer.kind in PRODUCT_KINDS:
        row[_AT["int8_products" if is_int8 else "products"]] += layer.steps
        for name, amount in (_int8_product if is_int8 else _product)(layer).items():
            row[_AT[name]] += amount
        return
    row[_AT["others"]] += 1
    moved = layer.elements_read + layer.elements_written
    if is_int8:
        row[_AT["int8_other"]] += moved / 2
    elif layer.kind in (Kind.MAX_POOL, Kind.AVG_POOL):
        row[_AT["pooled"]] += layer.operations
    else:
        row[_AT[_ELEMENTWISE.get(layer.kind, "other")]] += moved / 2


def _product(layer: NetworkLayer) -> dict[str, float]:
    """Return the terms of a layer with multiply-accumulates."""
    read, written, macs = layer.elements_read, layer.elements_written, layer.macs
    kind = layer.kind
    if kind is Kind.MATMUL:
        return {"matmul_macs": macs, "scaled": (read + written) / 2}
    if kind is Kind.RECURRENT or (
        kind in (Kind.LINEAR, Kind.CONV, Kind.POINTWISE) and written <= layer.out_channels
    ):
        return {"vector_weights": macs}
    if kind is Kind.LINEAR:
        return {"linear_macs": macs, "pointwise_read": read, "pointwise_written": written,
                "conv_weights": layer.parameters}  # fmt: skip
    if kind is Kind.POINTWISE:
        return {"pointwise_macs": macs, "pointwise_read": read, "pointwise_written": written,
                "conv_weights": layer.parameters}  # fmt: skip
    if kind is Kind.DEPTHWISE:
        return {"depthwise_macs": macs, "depthwise_moved": (read + written) / 2}
    if kind in (Kind.GROUPED, Kind.TRANSPOSED_CONV):
        return {"grouped_macs": macs, "grouped_moved": (read + written) / 2,
                "conv_weights": layer.parameters}  # fmt: skip
    if layer.in_channels <= _IMAGE_CHANNELS:
        return {"stem_macs": macs, "conv_written": written}
    is_winograd = set(layer.kernel) == {3} and max(layer.stride, default=1) == 1
    patches = macs / max(layer.out_channels, 1)
    return {"winograd_macs" if is_winograd else "conv_macs": macs, "conv_patches": patches,
            "conv_written": written, "conv_weights": layer.parameters}  # fmt: skip


def _int8_product(layer: NetworkLayer) -> dict[str, float]:
    """Return the terms of a quantised layer with multiply-accumulates: fewer, less is known."""
    found = _product(layer)
    macs = {name: amount for name, amount in found.items() if name.endswith("_macs")}
    macs["conv_macs"] = macs.get("conv_macs", 0.0) + macs.pop("winograd_macs", 0.0)
    macs["linear_macs"] = macs.get("linear_macs", 0.0) + macs.pop("matmul_macs", 0.0)
    terms = {f"int8_{name}": amount for name, amount in macs.items()}
    terms["int8_vector_weights"] = found.get("vector_weights", 0.0)
    moved = (layer.elements_read + layer.elements_written) / 2
    is_depthwise = layer.kind is Kind.DEPTHWISE
    terms["int8_depthwise_moved" if is_depthwise else "int8_conv_moved"] = moved
    return terms


def correlation(a: Floats, b: Floats, length: float) -> Floats:
    """Return how alike networks are: (n_a, n_b), 1 for equal ones."""
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    alike: Floats = np.exp(-0.5 / length**2 * np.maximum(squares, 0.0))
    return alike
