"""Shapes of operators that ONNX Runtime adds to the standard (com.microsoft).

Owns: which standard operator has the output shape of a contributed one, and the shapes of those
that resemble none. The package ``onnx`` knows the standard alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import defs, helper

_SAME = ("Identity", (0,))
_AS_OTHERS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "BiasGelu": ("Add", (0, 1)),
    "DynamicQuantizeLSTM": ("LSTM", (0, 1, 2)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "ExpandDims": ("Unsqueeze", (0, 1)),
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "MatMulInteger16": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMul", (0, 1)),
    "QGemm": ("Gemm", (0, 3)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearWhere": ("Where", (0, 1, 4)),
    "TransposeMatMul": ("FusedMatMul", (0, 1)),
    "BiasAdd": _SAME,
    "BiasDropout": _SAME,
    "BiasSoftmax": _SAME,
    "DecoderMaskedMultiHeadAttention": _SAME,
    "FastGelu": _SAME,
    "GatedRMSNorm": _SAME,
    "GemmaRotaryEmbedding": _SAME,
    "GroupNorm": _SAME,
    "GroupQueryAttention": _SAME,
    "MultiHeadAttention": _SAME,
    "QLinearLeakyRelu": _SAME,
    "QLinearSigmoid": _SAME,
    "QLinearSoftmax": _SAME,
    "QOrderedGelu": _SAME,
    "QOrderedLayerNormalization": _SAME,
    "QuickGelu": _SAME,
    "RotaryEmbedding": _SAME,
    "ScaledSiLU": _SAME,
    "SimplifiedLayerNormalization": _SAME,
    "SkipGroupNorm": _SAME,
    "SkipLayerNormalization": _SAME,
    "SkipSimplifiedLayerNormalization": _SAME,
}
"""Contributed operator -> one of the standard with the same output shape, and its inputs."""

_OUTPUTS = {"LSTM": 3}
"""How many outputs of a stand-in have the shapes of the other's; else the first alone."""


def is_contributed(node: Any) -> bool:
    """Tell whether the package onnx does not know the operator, but ONNX Runtime does."""
    return bool(node.domain == "com.microsoft" or node.op_type == "SimplifiedLayerNormalization")


def stand_in(node: Any) -> Any:
    """Return a standard node whose outputs have the shapes of a contributed one."""
    if node.op_type == "QLinearConcat":
        name, positions = "Concat", tuple(range(2, len(node.input), 3))
    else:
        every = tuple(range(len(node.input)))
        name, positions = _AS_OTHERS.get(node.op_type, (node.op_type, every))
    inputs = [node.input[position] for position in positions if position < len(node.input)]
    standard = helper.make_node(name, inputs, node.output[: _OUTPUTS.get(name, 1)])
    try:
        known = defs.get_schema(name).attributes
    except defs.SchemaError:
        return node
    standard.attribute.extend(one for one in node.attribute if one.name in known)
    return standard


def contributed_shape(node: Any, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the shape of the first output of an operator that resembles none of the standard.

    Args:
        node: of com.microsoft.
        shapes: of its inputs.
    """
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if "K" in attributes and "N" in attributes:  # MatMulNBits and its kin
        return (*shapes[0][:-1], attributes["N"])
    if node.op_type in ("FusedMatMul", "TransposeMatMul") and min(map(len, shapes[:2])) > 1:
        rows = shapes[0][-1 if attributes.get("transA") else -2]
        columns = shapes[1][-2 if attributes.get("transB") else -1]
        return (*np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2]), rows, columns)
    if node.op_type in ("Attention", "QAttention") and len(shapes[0]) == 3:
        return (*shapes[0][:2], shapes[1][-1] // 3)
    return None
