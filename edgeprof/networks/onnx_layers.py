"""The layer list of an ONNX model from anywhere, so that its latency can be predicted.

Owns: which ONNX operators are known and what they become. What a runtime folds away at load
(batch normalisation after a convolution, identities, reshapes) costs nothing here. An operator
that is not known is an error that names it: a layer passed over would be latency passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidModel, UnsupportedModel
from edgeprof.base.extras import optional
from edgeprof.networks.layers import (
    ACTIVATIONS,
    INPUT,
    Block,
    Layer,
    Network,
    Op,
    PlacedBlock,
    Shape,
)

_PASSED_OVER = frozenset(
    {"Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "BatchNormalization"}
)
_ACTIVATION_OPS = {
    "Relu": Op.RELU,
    "HardSwish": Op.H_SWISH,
    "HardSigmoid": Op.H_SIGMOID,
}
_POOL_OPS = {"AveragePool": Op.AVG_POOL, "MaxPool": Op.MAX_POOL}


def read_onnx_network(path: Path) -> Network:
    """Read the layer list of an ONNX file.

    Layers are grouped into blocks where the graph has but one path. The batch is left out.

    Args:
        path: a model with one image input of static shape (batch, channels, height, width).

    Raises:
        InvalidModel: no ONNX model, or without static shapes.
        UnsupportedModel: an operator, or a form of one, that is not known; the message names it.
        MissingDependency: if the package onnx is not installed.
    """
    with optional(f"{path}: reading an ONNX model"):
        import onnx

    try:
        # Weights are not looked at: files of external data may be elsewhere.
        model = onnx.load(str(path), load_external_data=False)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except OSError as error:
        raise InvalidModel(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf and onnx raise types of their own
        raise InvalidModel(f"{path}: is no valid ONNX model: {error}") from error
    layers = _Reader(path, model.graph).layers()
    return Network(path.stem, _as_blocks(path, layers))


class _Reader:
    """Turns the nodes of one graph into layers; tensors are named by the layer they come from."""

    def __init__(self, path: Path, graph: Any) -> None:
        self._path = path
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._shapes = {
            value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._constant_shapes = {name: list(t.dims) for name, t in self._constants.items()}
        self._layers: list[Layer] = []
        self._source: dict[str, str] = {}  # tensor -> layer

    def layers(self) -> list[Layer]:
        """Return the layers in the order of execution."""
        inputs = [value.name for value in self._graph.input if value.name not in self._constants]
        if len(inputs) != 1:
            raise UnsupportedModel(f"{self._path}: has {len(inputs)} inputs, want one image")
        self._source[inputs[0]] = INPUT
        for node in self._graph.node:
            self._read(node)
        if not self._layers:
            raise UnsupportedModel(f"{self._path}: has no layers")
        return self._layers

    def _read(self, node: Any) -> None:
        if node.op_type == "Constant":
            self._constants[node.output[0]] = node
            value = _attributes(node).get("value")
            self._constant_shapes[node.output[0]] = list(value.dims) if value is not None else []
        elif node.op_type in _PASSED_OVER:
            self._source[node.output[0]] = self._source_of(node, node.input[0])
        elif node.op_type in _ACTIVATION_OPS:
            self._add(node, _ACTIVATION_OPS[node.op_type])
        elif node.op_type in _POOL_OPS:
            self._add(node, _POOL_OPS[node.op_type], **self._window(node))
        elif node.op_type in self._readers:
            self._readers[node.op_type](self, node)
        else:
            raise self._unsupported(node, "the operator is not known to edgeprof")

    def _read_conv(self, node: Any) -> None:
        groups = _attributes(node).get("group", 1)
        in_channels = self._shape(node, node.input[0]).channels
        is_depthwise = groups == in_channels and groups > 1
        self._add(
            node,
            Op.DEPTHWISE_CONV if is_depthwise else Op.CONV,
            groups=groups,
            bias=True,
            **self._window(node),
        )

    def _read_linear(self, node: Any) -> None:
        if not self._is_constant(node.input[1]):
            raise self._unsupported(node, "both factors are computed")
        self._add(node, Op.LINEAR, bias=True)

    def _read_clip(self, node: Any) -> None:
        self._add(node, Op.RELU6)

    def _read_global_pool(self, node: Any) -> None:
        out_shape = self._shape(node, node.output[0])
        if (out_shape.height, out_shape.width) != (1, 1):
            raise self._unsupported(node, "only the mean over a whole map is known")
        self._add(node, Op.GLOBAL_AVG_POOL)

    def _read_add(self, node: Any) -> None:
        computed = [name for name in node.input if not self._is_constant(name)]
        if len(computed) == 1:  # a bias written as a node of its own; runtimes fold it
            self._source[node.output[0]] = self._source_of(node, computed[0])
        else:
            self._add(node, Op.ADD)

    def _read_mul(self, node: Any) -> None:
        if any(self._is_constant(name) for name in node.input):
            raise self._unsupported(node, "a factor is constant")
        sizes = [self._shape(node, name).elements for name in node.input]
        wide, narrow = node.input if sizes[0] >= sizes[1] else reversed(node.input)
        if sizes[0] != sizes[1]:
            self._add(node, Op.SCALE, inputs=(wide, narrow))
            return
        gates = [layer for layer in self._layers if layer.op is Op.H_SIGMOID]
        for gate in gates:
            sources = [self._source_of(node, name) for name in node.input]
            if gate.name in sources and gate.inputs[0] in sources:  # x * h_sigmoid(x)
                self._layers.remove(gate)
                gated = next(n for n in node.input if self._source[n] == gate.inputs[0])
                self._add(node, Op.H_SWISH, inputs=(gated,))
                return
        raise self._unsupported(node, "only scaling by channel and h_swish are known")

    _readers: Mapping[str, Callable[[_Reader, Any], None]] = {
        "Add": _read_add,
        "Clip": _read_clip,
        "Conv": _read_conv,
        "Gemm": _read_linear,
        "GlobalAveragePool": _read_global_pool,
        "MatMul": _read_linear,
        "Mul": _read_mul,
        "ReduceMean": _read_global_pool,
    }

    def _add(
        self,
        node: Any,
        op: Op,
        *,
        inputs: Sequence[str] | None = None,
        **fields: Any,
    ) -> None:
        if inputs is None:
            inputs = list(node.input) if op is Op.ADD else [node.input[0]]
        name = node.output[0]
        self._layers.append(
            Layer(
                name=name,
                op=op,
                inputs=tuple(self._source_of(node, tensor) for tensor in inputs),
                in_shape=self._shape(node, inputs[0]),
                out_shape=self._shape(node, name),
                **fields,
            )
        )
        self._source[name] = name

    def _window(self, node: Any) -> dict[str, Any]:
        attributes = _attributes(node)
        kernel = attributes.get("kernel_shape")
        if kernel is None:  # a convolution may leave it to the weights' shape
            kernel = self._constant_shapes.get(node.input[1], [])[2:]
        strides = attributes.get("strides", [1, 1])
        if len(kernel) != 2 or kernel[0] != kernel[1] or strides[0] != strides[1]:
            raise self._unsupported(node, f"kernel {kernel}, strides {strides}: want square ones")
        if any(step != 1 for step in attributes.get("dilations", [])):
            raise self._unsupported(node, "dilations are not known")
        return {
            "kernel": kernel[0],
            "stride": strides[0],
            "padding": max(attributes.get("pads", [0])),
        }

    def _is_constant(self, tensor: str) -> bool:
        return tensor in self._constants

    def _source_of(self, node: Any, tensor: str) -> str:
        if tensor not in self._source:
            raise self._unsupported(node, f"its input {tensor!r} is no feature map")
        return self._source[tensor]

    def _shape(self, node: Any, tensor: str) -> Shape:
        sizes = self._shapes.get(tensor, [])
        if len(sizes) not in (2, 4) or not all(sizes[1:]):
            raise InvalidModel(
                f"{self._path}: node {node.name or node.output[0]!r}: shape of {tensor!r} is "
                f"{sizes}, want static (batch, channels, height, width); fix the input's shape"
            )
        return Shape(*[*sizes[1:], 1, 1][:3])

    def _unsupported(self, node: Any, problem: str) -> UnsupportedModel:
        return UnsupportedModel(
            f"{self._path}: operator {node.op_type} of node {node.name or node.output[0]!r}: "
            f"{problem}",
            operator=node.op_type,
        )


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _as_blocks(path: Path, layers: Sequence[Layer]) -> tuple[PlacedBlock, ...]:
    """Cut the layers wherever all that follows depends on one of them alone."""
    last_use = {name: i for i, layer in enumerate(layers) for name in layer.inputs}
    placed: list[PlacedBlock] = []
    start, source = 0, INPUT
    for end, layer in enumerate(layers, start=1):
        live = [one.name for one in layers[start:end] if last_use.get(one.name, -1) >= end]
        if last_use.get(source, -1) >= end:
            live.append(source)
        is_followed_by_activation = end < len(layers) and layers[end].op in ACTIVATIONS
        if end < len(layers) and (live != [layer.name] or is_followed_by_activation):
            continue
        renamed = tuple(
            replace(one, inputs=tuple(INPUT if name == source else name for name in one.inputs))
            for one in layers[start:end]
        )
        placed.append(PlacedBlock(f"block{len(placed)}", 0, Block("imported", renamed)))
        start, source = end, layer.name
    if not placed:
        raise UnsupportedModel(f"{path}: has no layers")
    return tuple(placed)
