"""Options of ONNX Runtime: execution providers, copies, session settings; what is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tree import SUPPORT

import edgeprof
from edgeprof.base.errors import EdgeprofError, InvalidJob, RuntimeUnavailable
from edgeprof.base.files import sha256_of
from edgeprof.measuring.harness import Settings, make_job, run_jobs

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK = Settings(ci_rel=0.5, min_secs=0.0, max_secs=2.0, min_samples=10, max_samples=50)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions with an activation between."""
    rng = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(rng.standard_normal((8, n, 3, 3), dtype=np.float32), name)
        for name, n in (("w1", 3), ("w2", 8))
    ]
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w1"], ["a"]),
        onnx.helper.make_node("Relu", ["a"], ["b"]),
        onnx.helper.make_node("Conv", ["b", "w2"], ["y"]),
    ]
    float_type = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "small",
        [onnx.helper.make_tensor_value_info("x", float_type, [1, 3, 16, 16])],
        [onnx.helper.make_tensor_value_info("y", float_type, [1, 8, 12, 12])],
        weights,
    )
    opset = onnx.helper.make_opsetid("", 14)
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=7), path)
    return path


def options_of(model: Path, **given: Any) -> dict[str, Any]:
    record = edgeprof.measure(model, QUICK, runtime_options=given).record
    options: dict[str, Any] = record["runtime"]["options"]
    return options


def outputs_of(model: Path, folder: Path, **given: Any) -> np.ndarray[Any, Any]:
    file = folder / "outputs"
    job = make_job(model, QUICK)
    (record,) = run_jobs([{**job, "runtime_options": given, "outputs_file": str(file)}])
    assert "error" not in record, record["error"]
    return np.fromfile(file, np.float32)


@pytest.mark.parametrize("provider", ["NoSuchExecutionProvider", "SNPE"])
def test_an_unknown_provider_is_refused_by_name(model: Path, provider: str) -> None:
    with pytest.raises(RuntimeUnavailable, match=rf"execution provider '{provider}': ."):
        edgeprof.measure(model, QUICK, runtime_options={"providers": [provider]})


@pytest.mark.parametrize(
    "provider", ["CUDA", "CUDAExecutionProvider", "TensorRT", "TensorrtExecutionProvider", "ACL"]
)
def test_a_provider_that_this_build_lacks_is_told(model: Path, provider: str) -> None:
    import onnxruntime

    if any(provider.lower() in name.lower() for name in onnxruntime.get_available_providers()):
        pytest.skip(f"this build has {provider}")
    with pytest.raises(RuntimeUnavailable, match=rf"execution provider '{provider}': ."):
        edgeprof.measure(model, QUICK, runtime_options={"providers": [provider]})


def test_options_that_cannot_be_passed_on_are_refused_not_recorded(model: Path) -> None:
    provider = {"name": "ACL", "options": {"enable_fast_math": "true"}}
    with pytest.raises(InvalidJob, match="'ACL' takes no options"):
        edgeprof.measure(model, QUICK, runtime_options={"providers": [provider]})


def test_the_cpu_provider_is_always_there_and_stands_in_the_record(model: Path) -> None:
    assert options_of(model, providers=["CPU"])["providers"] == [{"name": "CPU", "options": {}}]


def test_xnnpack_computes_the_same_where_the_build_has_it(model: Path, tmp_path: Path) -> None:
    import onnxruntime

    xnnpack = {"name": "XNNPACK", "options": {"intra_op_num_threads": "1"}}
    if "XnnpackExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(RuntimeUnavailable, match=r"'XNNPACK': ."):
            edgeprof.measure(model, QUICK, runtime_options={"providers": [xnnpack]})
        return
    expected = outputs_of(model, tmp_path)
    found = outputs_of(model, tmp_path, providers=[xnnpack])
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
    assert options_of(model, providers=[xnnpack])["providers"] == [xnnpack]


def test_timing_copies_changes_no_result_on_the_cpu(model: Path, tmp_path: Path) -> None:
    expected = outputs_of(model, tmp_path)
    assert expected.size == 8 * 12 * 12
    assert np.array_equal(outputs_of(model, tmp_path, time_copies=True), expected)
    assert options_of(model, time_copies=True)["time_copies"] is True


def test_settings_of_the_session_are_recorded(model: Path) -> None:
    config = {"session.set_denormal_as_zero": "1"}
    options = options_of(model, session_config=config, arena=False, memory_pattern=False)
    assert options["session_config"] == config
    assert (options["arena"], options["memory_pattern"]) == (False, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"session_config": {"": "1"}}, "session_config ''"),
        ({"session_config": {"session.set_denormal_as_zero": 1}}, "session_config.*a string"),
        ({"providers": "CUDA"}, "providers.*a list"),
        ({"providers": [{"options": {}}]}, "providers.*name, options"),
        ({"time_copies": "yes"}, "time_copies.*true or false"),
        ({"graph_optimization": "most"}, "disable, basic, extended or all"),
        ({"turbo": True}, "'turbo' is unknown to onnxruntime"),
    ],
)
def test_malformed_options_are_refused(model: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidJob, match=message):
        edgeprof.measure(model, QUICK, runtime_options=options)


def test_libraries_of_custom_operators_can_be_named(tmp_path: Path) -> None:
    library = tmp_path / "libcount.so"
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the library of operators")
    source = SUPPORT / "custom_ops.c"
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", library, source], check=True)
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy"
    ]
    node = onnx.helper.make_node("Count", ["x"], ["y"], domain="test")
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("test", 1)]
    model = tmp_path / "counting.onnx"
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=opsets), str(model))
    with pytest.raises(EdgeprofError, match=r"Count.*custom_op_libraries"):
        edgeprof.measure(model, max_secs=0.1)
    for named in (str(library), [str(library)]):
        measured = edgeprof.measure(
            model, max_secs=0.1, runtime_options={"custom_op_libraries": named}
        )
        [recorded] = measured.record["runtime"]["options"]["custom_op_libraries"]
        assert recorded == {"path": str(library), "sha256": sha256_of(library)}
    with pytest.raises(InvalidJob, match="is no library of custom operators"):
        edgeprof.measure(model, runtime_options={"custom_op_libraries": str(model)})
