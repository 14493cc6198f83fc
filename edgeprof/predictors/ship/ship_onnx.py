"""A compact predictor as an ONNX model.

Owns: the graph. Input ``codes`` uint8 (n, columns), output ``latency_ms`` float32 (n,). A model
cannot refuse its input: a row with a code outside the space gives NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.extras import optional
from edgeprof.predictors.compact.edgp_file import CompactModel
from edgeprof.predictors.compact.predictor import first_rows, padded_rows

with optional("an ONNX predictor"):
    import onnx
    from onnx import TensorProto, helper, numpy_helper


OPSET = 14
IR_VERSION = 7


class _Graph:
    """Collects nodes and constants; every value is named by what makes it."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant; returns its name."""
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        self.nodes.append(helper.make_node(op_type, inputs, [output], **attributes))
        return output

    def split(self, value: str, sizes: list[int], outputs: list[str]) -> None:
        """Add a split of the columns."""
        parts = self.constant(f"{value}_parts", np.array(sizes))
        self.nodes.append(helper.make_node("Split", [value, parts], outputs, axis=1))


def onnx_model(model: CompactModel) -> bytes:
    """Return the model as the bytes of an ``.onnx`` file."""
    graph, n_columns = _Graph(), len(model.cardinalities)
    latency = _latency(graph, model, _terms(graph, model))
    _mark_bad_codes(graph, model, latency)
    proto = helper.make_graph(
        graph.nodes,
        "edgeprof_predictor",
        [helper.make_tensor_value_info("codes", TensorProto.UINT8, ["n", n_columns])],
        [helper.make_tensor_value_info("latency_ms", TensorProto.FLOAT, ["n"])],
        graph.constants,
    )
    made = helper.make_model(
        proto,
        producer_name="edgeprof",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(made, {"space": model.space, "device": model.subject})
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


def _terms(graph: _Graph, model: CompactModel) -> str:
    """Add scale * sum of rows, (n, width), and ``shift``, (n, 1 + hidden)."""
    n_slots, tensors = len(model.cardinalities) - 1, model.tensors
    graph.node("Cast", ["codes"], "indices", to=TensorProto.INT32)
    slots = graph.constant("slot_columns", np.arange(n_slots, dtype=np.int32))
    graph.node("Gather", ["indices", slots], "slot_codes", axis=1)
    starts = graph.constant("first_rows", first_rows(model.cardinalities).astype(np.int32))
    graph.node("Add", ["slot_codes", starts], "row_indices")
    last = graph.constant("resolution_column", np.array(n_slots, dtype=np.int32))
    graph.node("Gather", ["indices", last], "resolution", axis=1)
    # A code out of range must not read beyond a table: it is held back here and marked later.
    rows = padded_rows(tensors.rows, model.cardinalities)
    for name, table in (("row_indices", rows), ("resolution", tensors.scale)):
        limit = graph.constant(f"{name}_limit", np.array(len(table) - 1, dtype=np.int32))
        graph.node("Min", [name, limit], f"{name}_held")
    graph.node("Gather", [graph.constant("rows", rows), "row_indices_held"], "taken")
    graph.node("ReduceSum", ["taken", graph.constant("one", np.array([1]))], "sums", keepdims=0)
    graph.node("Gather", [graph.constant("scales", tensors.scale), "resolution_held"], "scale")
    graph.node("Gather", [graph.constant("shifts", tensors.shift), "resolution_held"], "shift")
    return graph.node("Mul", ["sums", "scale"], "terms")


def _latency(graph: _Graph, model: CompactModel, terms: str) -> str:
    """Add the network on the terms; returns the name of the latency, (n,)."""
    tensors, n_additive, n_hidden = model.tensors, model.n_additive, model.n_hidden
    graph.split(terms, [n_additive, n_hidden], ["additive", "hidden_terms"])
    graph.split("shift", [1, n_hidden], ["constant", "hidden_shift"])
    graph.node("Concat", ["additive", "constant"], "summands", axis=1)
    graph.node("ReduceSum", ["summands", "one"], "additive_sum")
    graph.node("Add", ["hidden_terms", "hidden_shift"], "z")
    graph.node("Softsign", ["z"], "a")
    weights = graph.constant("hidden_weights", tensors.hidden_weights)
    graph.node("MatMul", ["a", weights], "weighted")
    graph.node("Add", ["weighted", graph.constant("hidden_bias", tensors.hidden_bias)], "u")
    graph.node("Softsign", ["u"], "v")
    both = np.concatenate([tensors.hidden_out, tensors.inner_out])[:, np.newaxis]
    graph.node("Concat", ["a", "v"], "a_and_v", axis=1)
    graph.node("MatMul", ["a_and_v", graph.constant("outputs", both)], "net_sum")
    graph.node("Add", ["additive_sum", "net_sum"], "total")
    unit = graph.constant("unit_ms", np.array(model.unit, dtype=np.float32))
    offset = graph.constant("offset_ms", np.array(model.offset, dtype=np.float32))
    graph.node("Mul", ["total", unit], "scaled")
    graph.node("Add", ["scaled", offset], "shifted")
    return graph.node("Squeeze", ["shifted", "one"], "latency")


def _mark_bad_codes(graph: _Graph, model: CompactModel, latency: str) -> None:
    """Add the output: the latency, or NaN where a code is not of the space."""
    limits = graph.constant("cardinalities", np.array(model.cardinalities, dtype=np.int32))
    graph.node("Less", ["indices", limits], "is_good")
    graph.node("Cast", ["is_good"], "good_flags", to=TensorProto.FLOAT)
    graph.node("ReduceMin", ["good_flags"], "all_good", axes=[1], keepdims=0)
    graph.node("Cast", ["all_good"], "row_is_good", to=TensorProto.BOOL)
    nan = graph.constant("nan", np.array(np.nan, dtype=np.float32))
    graph.node("Where", ["row_is_good", latency, nan], "latency_ms")
