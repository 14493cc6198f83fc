"""The same subnet in every format and precision computes the same, as far as its type allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeprof.base.errors import UnsupportedModel
from edgeprof.export import export_subnets
from edgeprof.networks.layers import INPUT, Block, Network, Op, PlacedBlock, Shape
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.blocks import LayerChain
from edgeprof.networks.subnet import Subnet

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

from ai_edge_litert.interpreter import Interpreter  # noqa: E402 - may be missing

from edgeprof.export.onnx import export_network as export_onnx  # noqa: E402
from edgeprof.export.onnx_int8 import export_network as export_onnx_int8  # noqa: E402
from edgeprof.export.quantize import CALIBRATION_SEED  # noqa: E402
from edgeprof.export.tflite import export_network as export_tflite  # noqa: E402

SPACE = "ofa-mbv3-w1.0"


def uniform_subnet(kernel: int, expand: int, depth: int, resolution: int) -> Subnet:
    return Subnet(SPACE, (kernel,) * 20, (expand,) * 20, (depth,) * 5, resolution)


def seeded_images(shape: Shape, n: int = 1, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, *shape), dtype=np.float32)


def run_onnx(path: Path, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0]


def run_tflite(path: Path, x: np.ndarray) -> np.ndarray:
    """Run with NCHW input and output in real numbers, whatever the model's types."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    x = x.transpose(0, 2, 3, 1)
    if source["dtype"] is np.int8:
        scale, zero = source["quantization"]
        x = np.clip(np.rint(x / scale) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(target["index"])
    if target["dtype"] is np.int8:
        scale, zero = target["quantization"]
        y = (y.astype(np.float32) - zero) * scale
    return y.transpose(0, 3, 1, 2) if y.ndim == 4 else y


def relative_difference(y: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(y - wanted).max() / np.abs(wanted).max())


SUBNETS = {
    "largest": uniform_subnet(7, 6, 4, 224),
    "smallest": uniform_subnet(3, 3, 2, 128),
    "odd feature maps": uniform_subnet(5, 4, 3, 132),
    "mixed": Subnet(SPACE, (3, 5, 7, 5) * 5, (6, 4, 3, 6) * 5, (2, 3, 4, 3, 2), 176),
}


@pytest.mark.parametrize("subnet", SUBNETS.values(), ids=SUBNETS)
def test_float_outputs_of_both_formats_agree(tmp_path: Path, subnet: Subnet) -> None:
    network = get_space(SPACE).layers(subnet)
    export_onnx(network, tmp_path / "a.onnx")
    export_tflite(network, tmp_path / "a.tflite")
    x = seeded_images(network.input_shape)
    wanted = run_onnx(tmp_path / "a.onnx", x)
    assert relative_difference(run_tflite(tmp_path / "a.tflite", x), wanted) < 1e-5


@pytest.mark.parametrize("subnet", SUBNETS.values(), ids=SUBNETS)
def test_int8_outputs_correlate_with_float_ones(tmp_path: Path, subnet: Subnet) -> None:
    network = get_space(SPACE).layers(subnet)
    export_onnx(network, tmp_path / "a.onnx")
    export_onnx_int8(network, tmp_path / "q.onnx")
    export_tflite(network, tmp_path / "q.tflite", precision="int8")
    images = seeded_images(network.input_shape, 2)
    wanted = np.concatenate([run_onnx(tmp_path / "a.onnx", x[np.newaxis]) for x in images])
    for name, run in (("q.onnx", run_onnx), ("q.tflite", run_tflite)):
        got = np.concatenate([run(tmp_path / name, x[np.newaxis]) for x in images])
        assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.99, name
        # Also where two images differ: what all have in common is easy to get right.
        differences = np.corrcoef(got[0] - got[1], wanted[0] - wanted[1])[0, 1]
        assert differences > 0.8, name


def one_block(build: Callable[[LayerChain], None], in_shape: Shape) -> Network:
    chain = LayerChain(in_shape)
    build(chain)
    return Network("test", (PlacedBlock("block", 0, Block("test", tuple(chain.layers))),))


OPERATORS: dict[str, Callable[[LayerChain], None]] = {
    "conv stride 1": lambda c: c.conv("a", 16, 3),
    "conv stride 2": lambda c: c.conv("a", 16, 5, 2),
    "conv then relu6": lambda c: c.conv("a", 16, 3, 2, activation=Op.RELU6),
    "depthwise stride 2": lambda c: c.conv("a", 8, 7, 2, depthwise=True),
    "h_sigmoid": lambda c: c.conv("a", 16, activation=Op.H_SIGMOID),
    "no bias": lambda c: c.conv("a", 16, bias=False),
    "relu that stands alone": lambda c: c.elementwise("a", Op.RELU),
    "average pool": lambda c: c.pool("a", Op.AVG_POOL, 2, 2),
    "global average pool": lambda c: c.global_avg_pool("a"),
    "linear after pool": lambda c: (c.global_avg_pool("a"), c.linear("b", 10)),
    "maximum pool after relu": lambda c: (
        c.conv("a", 8, activation=Op.RELU),
        c.pool("b", Op.MAX_POOL, 3, 2, 1),
    ),
    "sum with relu": lambda c: (
        c.conv("a", 8, 3),
        c.add("b", INPUT),
        c.elementwise("c", Op.RELU),
        c.conv("d", 8),
    ),
    "squeeze and excitation": lambda c: (c.conv("a", 8, 3), c.squeeze_excite()),
}


@pytest.mark.parametrize("size", [16, 17])
@pytest.mark.parametrize("build", OPERATORS.values(), ids=OPERATORS)
def test_every_operator_agrees_between_formats(
    tmp_path: Path, build: Callable[[LayerChain], None], size: int
) -> None:
    network = one_block(build, Shape(8, size, size))
    # The image it is calibrated with: of a few values, another one's may be out of their range.
    x = seeded_images(network.input_shape, seed=CALIBRATION_SEED)
    export_onnx(network, tmp_path / "a.onnx")
    export_tflite(network, tmp_path / "a.tflite")
    onnx.checker.check_model(str(tmp_path / "a.onnx"), full_check=True)
    wanted = run_onnx(tmp_path / "a.onnx", x)
    assert relative_difference(run_tflite(tmp_path / "a.tflite", x), wanted) < 1e-5
    export_onnx_int8(network, tmp_path / "q.onnx")
    export_tflite(network, tmp_path / "q.tflite", precision="int8")
    for name, run in (("q.onnx", run_onnx), ("q.tflite", run_tflite)):
        got = run(tmp_path / name, x)
        assert got.shape == wanted.shape
        assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.99, name


def test_all_convolutions_of_an_int8_onnx_model_are_computed_in_integers(tmp_path: Path) -> None:
    network = get_space(SPACE).layers(uniform_subnet(3, 3, 2, 128))
    export_onnx_int8(network, tmp_path / "q.onnx")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(str(tmp_path / "q.onnx"), options, providers=["CPUExecutionProvider"])
    found = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert "QLinearConv" in found
    assert "QGemm" in found
    assert not {"Conv", "Gemm", "Add", "GlobalAveragePool"} & set(found)


def test_weights_of_tflite_models_are_aligned(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    path = tmp_path / "a.tflite"
    export_tflite(get_space(SPACE).layers(uniform_subnet(3, 3, 2, 128)), path)
    content = path.read_bytes()
    model = schema.Model.GetRootAs(content)
    offsets = [
        model.Buffers(i)._tab.Vector(model.Buffers(i)._tab.Offset(4))
        for i in range(model.BuffersLength())
        if model.Buffers(i).DataLength() > 0
    ]
    assert len(offsets) > 60
    assert {offset % 16 for offset in offsets} == {0}


def test_maximum_pool_of_negative_values_is_refused_by_tflite(tmp_path: Path) -> None:
    network = one_block(
        lambda c: (c.conv("a", 8), c.pool("b", Op.MAX_POOL, 3, 2, 1)), Shape(8, 16, 16)
    )
    with pytest.raises(UnsupportedModel, match=r"block\.b"):
        export_tflite(network, tmp_path / "a.tflite")


def test_an_operator_that_nobody_knows_is_no_silent_gap() -> None:
    from edgeprof.export import onnx as onnx_export
    from edgeprof.export import tflite as tflite_export

    for table in (onnx_export._EMIT, tflite_export._EMIT):
        assert set(table) == set(Op)


@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_folder_may_hold_all_formats(tmp_path: Path, model_format: str, precision: str) -> None:
    subnet = uniform_subnet(3, 3, 2, 128)
    for batch in (1, 2):
        entry = export_subnets(
            [subnet], tmp_path, format=model_format, precision=precision, batch=batch
        )[0]
        assert entry.file.endswith(f".{model_format}")
        run = run_onnx if model_format == "onnx" else run_tflite
        y = run(tmp_path / entry.file, seeded_images(Shape(3, 128, 128), batch))
        assert y.shape == (batch, 1000)
        assert np.isfinite(y).all()
    assert (entry.weights_file is not None) == (model_format == "onnx")
