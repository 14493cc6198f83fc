"""ONNX models from layer lists.

Owns: how each operator of the layer list becomes ONNX nodes, and where their constants stand (in
the model file, or in a shared file beside it). Does not own: the values (``weights.py``), folders
of models (``folder.py``).

Opset 14 and IR version 7: run by every ONNX Runtime from 1.8 on, and the first opset with
HardSwish.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.extras import optional
from edgeprof.base.files import write_whole
from edgeprof.export.weights import Constant, MadeWeights, WeightFile, WeightSource, constants_of
from edgeprof.networks.layers import INPUT, Block, Layer, Network, Op, Shape, as_network

with optional("ONNX export"):
    import onnx
    from onnx import TensorProto, helper


OPSET = 14
IR_VERSION = 7
INPUT_NAME = "input"
OUTPUT_NAME = "output"


def export_network(
    network: Network | Block,
    path: Path,
    *,
    batch: int = 1,
    weights: WeightSource | None = None,
    weight_file: WeightFile | None = None,
) -> None:
    """Write a network, or a single block, as an ONNX model.

    Args:
        network: the layer list.
        path: file to write; it appears whole or not at all.
        batch: images per inference, fixed in the model.
        weights: values of the constants; made for this network where not given.
        weight_file: refer to this file, which must stand beside the model, and store no values.

    Raises:
        OutputError: if the file cannot be written.
    """
    content = serialise(network, batch=batch, weights=weights, weight_file=weight_file)
    write_whole(path, content)


def serialise(
    network: Network | Block,
    *,
    batch: int = 1,
    weights: WeightSource | None = None,
    weight_file: WeightFile | None = None,
    keep_all: bool = False,
) -> bytes:
    """Return the bytes of the model; equal arguments give equal bytes. See ``export_network``.

    With ``keep_all`` the output of every layer is one of the model (to calibrate or to debug it).
    """
    network = as_network(network)
    if weight_file is None:
        values: WeightSource = weights or MadeWeights([network])
        graph = _FloatGraph(network, batch, lambda c: tensor_of(c.name, values.values(c)))
    else:
        graph = _FloatGraph(network, batch, partial(external_tensor, weight_file=weight_file))
    model = graph.model()
    if keep_all:
        inner = (name for node in model.graph.node for name in node.output if name != OUTPUT_NAME)
        model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in inner)
    # protobuf's default order of a message without maps is stable already; this says so.
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def external_tensor(constant: Constant, weight_file: WeightFile) -> TensorProto:
    """Return a tensor whose values stand in a shared file."""
    tensor = TensorProto(
        name=constant.name,
        data_type=helper.np_dtype_to_tensor_dtype(weight_file.dtype),
        dims=constant.shape,
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (
        ("location", weight_file.name),
        ("offset", weight_file.offset_bytes(constant)),
        ("length", weight_file.dtype.itemsize * constant.elements),
    ):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def tensor_of(name: str, values: NDArray[Any]) -> TensorProto:
    """Return a tensor that holds its values."""
    return TensorProto(
        name=name,
        data_type=helper.np_dtype_to_tensor_dtype(values.dtype),
        dims=values.shape,
        raw_data=np.ascontiguousarray(values).tobytes(),
    )


class Graph:
    """Turns the layers of a network into nodes, one after the other.

    Attributes:
        nodes, initializers: of the model so far.
    """

    def __init__(self, network: Network, batch: int) -> None:
        self._network = network
        self._batch = batch
        self._layers = list(network.layers())
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[TensorProto] = []

    def parameters(self, layer: Layer) -> list[str]:
        """Add weights and, if there is one, bias of a layer; return their tensors."""
        raise NotImplementedError

    def output_of(self, layer: Layer) -> str:
        """Return the tensor that a layer's operator writes."""
        return OUTPUT_NAME if layer is self._layers[-1] else layer.name

    def read(self, name: str) -> str:
        """Return the tensor that a reader of a layer (or of ``INPUT``) takes."""
        return INPUT_NAME if name == INPUT else name

    def after(self, layer: Layer) -> None:
        """Add what follows a layer's operator: nothing."""

    def flatten(self, layer: Layer) -> str:
        """Add a flattening of a layer's input and return the tensor it writes."""
        flat = f"{layer.name}.flat"
        self.add_node("Flatten", [self.read(layer.inputs[0])], flat)
        return flat

    def model(self) -> onnx.ModelProto:
        """Return the model of all layers."""
        for layer in self._layers:
            _EMIT[layer.op](self, layer)
            self.after(layer)
        is_flat = self._layers[-1].op is Op.LINEAR
        graph = helper.make_graph(
            self.nodes,
            self._network.name,
            [self._value(INPUT_NAME, self._network.input_shape)],
            [self._value(OUTPUT_NAME, self._network.output_shape, flat=is_flat)],
            self.initializers,
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="edgeprof",
        )

    def _value(self, name: str, shape: Shape, *, flat: bool = False) -> onnx.ValueInfoProto:
        dims = [self._batch, shape.channels] if flat else [self._batch, *shape]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)

    def add_node(self, op_type: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append a node, named by its output."""
        node = helper.make_node(op_type, inputs, [output], name=output, **attributes)
        self.nodes.append(node)

    def _node(self, layer: Layer, op_type: str, *inputs: str, **attributes: Any) -> None:
        """Append the node that computes a layer's output."""
        sources = [*(self.read(name) for name in layer.inputs), *inputs]
        self.add_node(op_type, sources, self.output_of(layer), **attributes)

    def _scalar(self, name: str, value: float) -> str:
        """Return the name of a scalar that all nodes of the model share."""
        if all(tensor.name != name for tensor in self.initializers):
            self.initializers.append(tensor_of(name, np.array(value, dtype=np.float32)))
        return name

    def _conv(self, layer: Layer) -> None:
        self._node(
            layer,
            "Conv",
            *self.parameters(layer),
            kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2,
            pads=[layer.padding] * 4,
            group=layer.groups,
        )

    def _linear(self, layer: Layer) -> None:
        sources = [self.flatten(layer), *self.parameters(layer)]
        self.add_node("Gemm", sources, self.output_of(layer), transB=1)

    def _relu6(self, layer: Layer) -> None:
        self._node(layer, "Clip", self._scalar("zero", 0.0), self._scalar("six", 6.0))

    def _h_sigmoid(self, layer: Layer) -> None:
        self._node(layer, "HardSigmoid", alpha=1 / 6, beta=0.5)

    def _pool(self, layer: Layer) -> None:
        # Pads at the end stand for ceil mode, which older runtimes compute in their own ways.
        end = layer.padding + layer.overhang
        window: dict[str, Any] = {
            "kernel_shape": [layer.kernel] * 2,
            "strides": [layer.stride] * 2,
            "pads": [layer.padding, layer.padding, end, end],
        }
        if layer.op is Op.AVG_POOL:
            self._node(layer, "AveragePool", **window, count_include_pad=int(layer.overhang == 0))
        else:
            self._node(layer, "MaxPool", **window)


class _FloatGraph(Graph):
    """A graph in float32; ``tensor_for`` makes the tensor of a constant."""

    def __init__(
        self, network: Network, batch: int, tensor_for: Callable[[Constant], TensorProto]
    ) -> None:
        super().__init__(network, batch)
        self._tensor_for = tensor_for

    def parameters(self, layer: Layer) -> list[str]:
        """See ``Graph``."""
        tensors = [self._tensor_for(constant) for constant in constants_of(layer)]
        self.initializers += tensors
        return [tensor.name for tensor in tensors]


def _plain(op_type: str) -> Callable[[Graph, Layer], None]:
    """Return the emitter of an operator that ONNX has by itself."""

    def emit(graph: Graph, layer: Layer) -> None:
        graph._node(layer, op_type)

    return emit


_EMIT: dict[Op, Callable[[Graph, Layer], None]] = {
    Op.CONV: Graph._conv,
    Op.DEPTHWISE_CONV: Graph._conv,
    Op.LINEAR: Graph._linear,
    Op.ADD: _plain("Add"),
    Op.SCALE: _plain("Mul"),
    Op.GLOBAL_AVG_POOL: _plain("GlobalAveragePool"),
    Op.AVG_POOL: Graph._pool,
    Op.MAX_POOL: Graph._pool,
    Op.RELU: _plain("Relu"),
    Op.RELU6: Graph._relu6,
    Op.H_SWISH: _plain("HardSwish"),
    Op.H_SIGMOID: Graph._h_sigmoid,
}
