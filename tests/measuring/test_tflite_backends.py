"""TFLite models through LiteRT's and TensorFlow Lite's C APIs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from run_cli import run
from tree import SUPPORT

import edgeprof
from edgeprof.base.errors import (
    InvalidJob,
    InvalidModel,
    MissingDependency,
    RuntimeUnavailable,
    UnsupportedModel,
)
from edgeprof.base.files import sha256_of
from edgeprof.measuring.harness import Settings
from edgeprof.networks.layers import Network, Op, PlacedBlock, Shape
from edgeprof.networks.spaces.blocks import classifier_block, conv_block, pool_block

try:
    from ai_edge_litert import schema_py_generated as schema

    from edgeprof.export.tflite import export_network
except (ImportError, MissingDependency):
    pytest.skip("ai-edge-litert is not installed", allow_module_level=True)

QUICK = Settings(ci_rel=0.5, min_secs=0.0, max_secs=2.0, min_samples=10)


def small_network() -> Network:
    stem = conv_block("stem", Shape(3, 32, 32), 8, 3, 2, activation=Op.H_SWISH)
    pool = pool_block(stem.out_shape)
    head = classifier_block(pool.out_shape, 10)
    blocks = (("stem", stem), ("pool", pool), ("head", head))
    return Network("small", tuple(PlacedBlock(name, i, b) for i, (name, b) in enumerate(blocks)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.tflite"
    export_network(small_network(), path)
    return path


def rewritten(path: Path, change: Any) -> Path:
    """The model with its flatbuffer changed."""
    import flatbuffers

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    change(tree)
    builder = flatbuffers.Builder()
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    changed = path.with_name("changed.tflite")
    changed.write_bytes(bytes(builder.Output()))
    return changed


def test_a_tflite_model_is_measured_by_its_ending(model: Path) -> None:
    result = edgeprof.measure(model, QUICK)
    assert result.runtime == "litert"
    assert result.n_samples >= 10
    runtime = result.record["runtime"]
    assert runtime["inputs"] == [{"name": "input", "type": "float32", "shape": [1, 32, 32, 3]}]
    assert runtime["outputs"][0]["shape"] == [1, 10]
    assert runtime["options"] == {"fully_delegated": True, "kernel_mode": "xnnpack"}


def test_the_release_of_litert_stands_in_the_record(model: Path) -> None:
    from importlib.metadata import version

    assert edgeprof.measure(model, QUICK).runtime_version == version("ai-edge-litert")


def test_an_int8_model_has_int8_inputs_and_says_that_xnnpack_leaves_a_part(tmp_path: Path) -> None:
    path = tmp_path / "int8.tflite"
    export_network(small_network(), path, precision="int8")
    runtime = edgeprof.measure(path, QUICK).record["runtime"]
    assert runtime["inputs"][0]["type"] == "int8"
    assert runtime["options"]["fully_delegated"] is False  # it has no int8 hard-swish


def test_operators_are_profiled_where_the_release_can(model: Path) -> None:
    try:
        result = edgeprof.measure(model, QUICK, per_op_runs=5)
    except UnsupportedModel as error:  # before 2.1.3
        assert "litert offers no profile by operator" in str(error)  # noqa: PT017
        return
    types = [operator["type"] for operator in result.record["per_op"]["operators"]]
    assert any("Conv" in name for name in types)
    assert any("Fully Connected" in name for name in types)
    assert len(types) < 8  # one entry per operator, not per inference


def test_kernel_mode_is_an_option(model: Path) -> None:
    result = edgeprof.measure(model, QUICK, runtime_options={"kernel_mode": "builtin"})
    options = result.record["runtime"]["options"]
    assert options == {"fully_delegated": False, "kernel_mode": "builtin"}


@pytest.mark.parametrize(
    "options", [{"kernel_mode": "turbo"}, {"kernel_mode": 1}, {"xnnpack": True}]
)
def test_unknown_options_are_refused(model: Path, options: dict[str, object]) -> None:
    with pytest.raises(InvalidJob, match="kernel_mode"):
        edgeprof.measure(model, QUICK, runtime_options=options)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3", "truncated"])
def test_what_is_no_model_is_refused(model: Path, content: bytes | str) -> None:
    broken = model.with_name("broken.tflite")
    whole = model.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises((InvalidModel, UnsupportedModel), match=r"broken\.tflite"):
        edgeprof.measure(broken, QUICK)


def test_an_unknown_operator_is_refused(model: Path) -> None:
    def add_custom_operator(tree: Any) -> None:
        code = tree.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = "FromTheFuture"
        for operator in tree.subgraphs[0].operators:
            if operator.opcodeIndex == 0:
                operator.builtinOptions, operator.builtinOptionsType = None, 0

    with pytest.raises(UnsupportedModel, match="FromTheFuture") as refused:
        edgeprof.measure(rewritten(model, add_custom_operator), QUICK)
    assert ".cc" not in str(refused.value)


def test_dynamic_dimensions_are_named_and_can_be_given(model: Path) -> None:
    def free_the_batch(tree: Any) -> None:
        for tensor in tree.subgraphs[0].tensors:
            if tensor.buffer == 0:
                tensor.shapeSignature = [-1, *tensor.shape[1:]]

    path = rewritten(model, free_the_batch)
    with pytest.raises(InvalidModel, match=r"\[\?, 32, 32, 3\].*--shape input=1,32,32,3"):
        edgeprof.measure(path, QUICK)
    result = edgeprof.measure(path, QUICK, shapes={"input": [2, 32, 32, 3]})
    assert result.record["runtime"]["inputs"][0]["shape"] == [2, 32, 32, 3]
    assert result.record["runtime"]["outputs"][0]["shape"] == [2, 10]
    with pytest.raises(InvalidJob, match="does not fit"):
        edgeprof.measure(path, QUICK, shapes={"input": [1, 16, 16, 3]})


def free_the_rank(tree: Any) -> None:
    tensor = tree.subgraphs[0].tensors[tree.subgraphs[0].inputs[0]]
    tensor.shape, tensor.hasRank = [], False


def test_an_unknown_rank_is_asked_for_and_an_empty_input_is_refused(tmp_path: Path) -> None:
    path = doubling(tmp_path / "any.tflite", {"main": [1, 8]})
    any_rank = rewritten(path, free_the_rank)
    with pytest.raises(InvalidModel, match=r"'x' of unknown rank.*--shape x=SIZE"):
        edgeprof.measure(any_rank, QUICK)
    measured = edgeprof.measure(any_rank, QUICK, shapes={"x": [2, 3]})
    assert measured.record["runtime"]["outputs"][0]["shape"] == [2, 3]
    with pytest.raises(UnsupportedModel, match="no dimensions of 0"):
        edgeprof.measure(any_rank, QUICK, shapes={"x": [0, 3]})


def doubling(path: Path, signatures: dict[str, list[int]]) -> Path:
    """A model with an entry point per name, which adds its input of that shape to itself."""
    from tflite_models import operator, signature, subgraph, tensor, write_tflite

    graphs, entries = [], []
    for index, (name, shape) in enumerate(signatures.items()):
        both = [tensor("x", shape), tensor("y", shape)]
        add = operator(0, [0, 0], [1], "AddOptions")
        graphs.append(subgraph(both, [add], [0], [1], name))
        entries.append(signature(name, index))
        for names, tensor_index in ((entries[-1].inputs, 0), (entries[-1].outputs, 1)):
            names.append(schema.TensorMapT())
            names[0].name, names[0].tensorIndex = "xy"[tensor_index].encode(), tensor_index
    return write_tflite(path, graphs, ["ADD"], entries)


def test_the_signature_that_is_timed_is_told_and_can_be_chosen(tmp_path: Path) -> None:
    path = doubling(tmp_path / "language.tflite", {"decode": [1, 8], "prefill": [64, 8]})
    for asked, told, rows in (
        ((), "decode", 1),
        (("--option", "signature=prefill"), "prefill", 64),
    ):
        text = run("measure", path, "--max-secs", "0.1", *asked)
        other = {"decode", "prefill"} - {told}
        assert f"signature {told}, not {other.pop()}" in text.stdout
        printed = json.loads(run("measure", path, "--max-secs", "0.1", "--json", *asked).stdout)
        assert printed["runtime_options"]["signature"] == told
        assert printed["runtime_options"]["signatures"] == ["decode", "prefill"]
        measured = edgeprof.measure(path, QUICK, runtime_options={"signature": told})
        assert measured.record["runtime"]["inputs"][0]["shape"] == [rows, 8]
    with pytest.raises(InvalidJob, match="no signature 'train'; its signatures: decode, prefill"):
        edgeprof.measure(path, QUICK, runtime_options={"signature": "train"})
    single = run(
        "measure", doubling(tmp_path / "one.tflite", {"main": [1, 8]}), "--max-secs", "0.1"
    )
    assert "signature main" not in single.stdout


def test_tensorflow_lite_is_asked_by_what_the_file_says(fake_library: Path, tmp_path: Path) -> None:
    """The C API shows a dynamic dimension as 1; the stand-in reads the file's first byte only."""

    def free(tree: Any) -> None:
        tree.subgraphs[0].tensors[0].shapeSignature = [-1, 16]

    settings = fake_settings(fake_library)
    path = doubling(tmp_path / "m.tflite", {"decode": [1, 16], "prefill": [2, 16]})
    for shape in ({}, {"x": [4, 16]}):
        model = rewritten(path, free)
        if not shape:
            with pytest.raises(InvalidModel, match=r"'x' \[\?, 16\].*--shape x=1,16"):
                edgeprof.measure(model, settings)
            continue
        options = edgeprof.measure(model, settings, shapes=shape).record["runtime"]["options"]
        assert options["signature"] == "decode"
        assert options["signatures"] == ["decode", "prefill"]


def compile_fake(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stand-in library")
    path = folder / "libtensorflowlite_c.so"
    source = SUPPORT / "fake_tflite_c.c"
    subprocess.run([compiler, "-shared", "-fPIC", *flags, "-o", path, source], check=True)
    return path


@pytest.fixture(scope="session")
def fake_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_fake(tmp_path_factory.mktemp("fake"))


def fake_settings(library: Path, **options: object) -> Settings:
    return Settings(
        runtime="tflite_c",
        library=library,
        max_secs=2.0,
        min_secs=0.0,
        min_samples=10,
        runtime_options=options,
    )


def fake_model(folder: Path, content: bytes = b"T") -> Path:
    path = folder / "fake.tflite"
    path.write_bytes(content)
    return path


def test_tensorflow_lites_c_api_is_driven(fake_library: Path, tmp_path: Path) -> None:
    result = edgeprof.measure(fake_model(tmp_path), fake_settings(fake_library))
    assert (result.runtime, result.runtime_version) == ("tflite_c", "2.99.0-fake")
    assert result.record["runtime"]["inputs"] == [
        {"name": "x", "type": "float32", "shape": [1, 16]}
    ]


def test_a_profile_that_the_runtime_lacks_is_refused(fake_library: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="tflite_c offers no profile by operator"):
        edgeprof.measure(fake_model(tmp_path), fake_settings(fake_library), per_op_runs=3)


def test_a_delegate_is_opened_by_its_path(fake_library: Path, tmp_path: Path) -> None:
    delegate = {"path": str(fake_library), "options": {"device": "usb:0"}}
    result = edgeprof.measure(
        fake_model(tmp_path), fake_settings(fake_library, delegates=[delegate])
    )
    assert result.record["runtime"]["options"] == {
        "delegates": [{**delegate, "sha256": sha256_of(fake_library)}],
        "xnnpack_in_library": False,
    }


def test_the_record_says_whether_the_library_has_xnnpack(tmp_path: Path) -> None:
    library = compile_fake(tmp_path, "-DWITH_XNNPACK")
    result = edgeprof.measure(fake_model(tmp_path), fake_settings(library))
    assert result.record["runtime"]["options"] == {"delegates": [], "xnnpack_in_library": True}


def test_a_delegate_without_its_device_is_an_error(fake_library: Path, tmp_path: Path) -> None:
    for device, reason in (
        ("none", "it gives no reason; is its device there"),
        ("busy", "usb:0 is held by another process"),
    ):
        delegate = {"path": str(fake_library), "options": {"device": device}}
        settings = fake_settings(fake_library, delegates=[delegate])
        with pytest.raises(RuntimeUnavailable, match=f"cannot be made: {reason}"):
            edgeprof.measure(fake_model(tmp_path), settings)


def test_the_reason_of_tensorflow_lite_is_passed_on(fake_library: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="builtin_code out of range: 999"):
        edgeprof.measure(fake_model(tmp_path, b"Tx"), fake_settings(fake_library))
    with pytest.raises(InvalidModel, match="no TFLite model"):
        edgeprof.measure(fake_model(tmp_path, b"?"), fake_settings(fake_library))


def test_inputs_take_the_given_shape(fake_library: Path, tmp_path: Path) -> None:
    settings = fake_settings(fake_library)
    result = edgeprof.measure(fake_model(tmp_path), settings, shapes={"x": [4, 16]})
    assert result.record["runtime"]["outputs"][0]["shape"] == [4, 16]
    with pytest.raises(InvalidJob, match="does not take the given shape"):
        edgeprof.measure(fake_model(tmp_path), settings, shapes={"x": [400, 16]})


def test_litert_is_not_taken_for_tensorflow_lite(fake_library: Path, model: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="LiteRtCreateEnvironment"):
        edgeprof.measure(model, QUICK, runtime="litert", library=fake_library)
