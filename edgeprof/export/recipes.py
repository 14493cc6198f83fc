"""Model files from recipes: the models of the suites.

Owns: the ONNX form of a recipe in float32, and which of the other exporters writes the rest. Opset
17 and IR version 8: the first with layer norms, run by every ONNX Runtime from 1.12 on.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edgeprof.base.errors import UnsupportedModel
from edgeprof.base.extras import optional
from edgeprof.base.files import write_whole
from edgeprof.export.weights import made_values
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.recipe import Recipe, Weight

with optional("ONNX export"):
    import onnx
    from onnx import TensorProto, helper

OPSET = 17
IR_VERSION = 8
_ADDED_STD = 0.05
_GAIN = math.sqrt(2.0)
"""Keeps the size of activations through convolutions with a ReLU behind each."""


# 'format' is what users and options call it.
def write_recipe(recipe: Recipe, path: Path, *, format: str, precision: str) -> None:  # noqa: A002
    """Write a recipe as a model file; it appears whole or not at all.

    Raises:
        UnsupportedModel: the format or precision has no form for one of its operators.
        OutputError: the file cannot be written.
    """
    if (format, precision) == ("onnx", "fp32"):
        write_whole(path, onnx_model(recipe).SerializeToString(deterministic=True))
        return
    network = network_of(recipe)
    if network is None:
        raise UnsupportedModel(f"{recipe.name}: has no {format} form in {precision}")
    if format == "tflite":
        from edgeprof.export import tflite

        tflite.export_network(network, path, precision=precision)
    else:
        from edgeprof.export import onnx_int8

        onnx_int8.export_network(network, path)


def onnx_model(recipe: Recipe, *, with_values: bool = True) -> onnx.ModelProto:
    """Return the ONNX model of a recipe; equal recipes give equal models.

    Args:
        recipe: the operators.
        with_values: store made weights; without, the model can be read, not run.
    """
    nodes = [
        helper.make_node(
            node.operator, list(node.inputs), list(node.outputs), node.outputs[0], **node.attributes
        )
        for node in recipe.nodes
    ]
    graph = helper.make_graph(
        nodes,
        recipe.name,
        [_value(recipe, name) for name in recipe.inputs],
        [_value(recipe, name) for name in recipe.results],
        [_tensor(weight, with_values=with_values) for weight in recipe.weights.values()],
    )
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="edgeprof",
    )


def _value(recipe: Recipe, name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, recipe.shapes[name])


def _tensor(weight: Weight, *, with_values: bool) -> TensorProto:
    kind = np.dtype(weight.element_type)
    tensor = TensorProto(
        name=weight.name,
        dims=weight.shape,
        data_type=helper.np_dtype_to_tensor_dtype(kind),
    )
    if weight.values:
        tensor.raw_data = np.array(weight.values, kind).tobytes()
    elif with_values:
        elements = math.prod(weight.shape)
        std = _GAIN / math.sqrt(weight.fan_in) if weight.fan_in > 0 else _ADDED_STD
        values = made_values(weight.name, elements, std)
        # Scales and variances of norms are near one.
        tensor.raw_data = (abs(values + 1) if weight.fan_in < 0 else values).tobytes()
    return tensor
