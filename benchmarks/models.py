"""Models of a wanted latency for the benchmarks: plain convolutions, weights seeded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT = "x"


def save_conv_net(path: Path, channels: int, size: int, n_layers: int) -> Path:
    """3x3 convolutions with ReLU on an image of size x size."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    name, n_in = INPUT, 3
    for layer in range(n_layers):
        scale = np.sqrt(2 / (n_in * 9))
        kernel = (rng.standard_normal((channels, n_in, 3, 3)) * scale).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [name, f"w{layer}"], [f"c{layer}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        name, n_in = f"r{layer}", channels
    graph = helper.make_graph(
        nodes,
        "conv_net",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
        weights,
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def save_tiny(folder: Path) -> Path:
    """Well below 50 us on a server core."""
    return save_conv_net(folder / "tiny.onnx", channels=4, size=16, n_layers=2)


def save_medium(folder: Path) -> Path:
    """Some 8 ms on a server core."""
    return save_conv_net(folder / "medium.onnx", channels=32, size=64, n_layers=12)


def python_session(model: Path):
    """ONNX Runtime's Python session with one thread, and its feed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    values = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    return session, {INPUT: values}
