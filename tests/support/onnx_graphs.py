"""Small ONNX models for tests: nodes, inputs and weights in, a file out."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_onnx(path, nodes, inputs, weights=(), outputs=("y",), element=TensorProto.FLOAT):
    """Save a model; inputs and weights are (name, shape), or weights (name, array)."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, element, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, element, None) for name in outputs],
        [_initializer(name, value, element) for name, value in weights],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(path))
    return path


def _initializer(name, value, element):
    if isinstance(value, np.ndarray):
        return numpy_helper.from_array(value, name)
    return numpy_helper.from_array(np.zeros(value, helper.tensor_dtype_to_np_dtype(element)), name)
