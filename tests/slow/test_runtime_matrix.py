"""Exported models run on old and new releases of every runtime, with the same results.

Each release is installed into a folder of its own (``pip install --target``) and measured through
its shared library: the harness is one program for all of them.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeprof
from edgeprof import Subnet, get_space
from edgeprof.base.errors import UnsupportedModel
from edgeprof.export import export_subnets
from edgeprof.measuring.harness import Settings, make_job, run_jobs

pytestmark = pytest.mark.slow

# Few samples, and time enough for them on a machine that does other things as well.
QUICK = Settings(ci_rel=0.5, min_secs=0.0, max_secs=60.0, min_samples=5, max_samples=5)
# The oldest supported, the newest, two between. A release without a wheel for this Python, as the
# oldest ones for the newest Pythons, is skipped.
ONNXRUNTIME = ["1.19.2", "1.22.1", "1.26.0", "newest"]
LITERT = ["2.1.0", "2.1.3", "2.1.6", "newest"]


# The last ones; each came for Pythons of its time only.
TFLITE_RUNTIME = ["2.13.0", "2.14.0"]


def install(package: str, release: str, folder: Path, *beside: str) -> Path:
    """Install one release, without dependencies that are not named; return the folder."""
    target = folder / f"{package}-{release}"
    wanted = package if release == "newest" else f"{package}=={release}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--target", str(target), wanted, *beside]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        reason = result.stderr.strip().splitlines()[-1] if result.stderr.strip() else "no reason"
        pytest.skip(f"{wanted} cannot be installed here: {reason}")
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="module")
def subnets() -> list[Subnet]:
    smallest = Subnet("ofa-mbv3-w1.0", (3,) * 20, (3,) * 20, (2,) * 5, 128)
    resnet = get_space("ofa-resnet50").sample(1, np.random.default_rng(0), [132])
    return [smallest, *resnet]


def measure_all(subnets: list[Subnet], folder: Path, model_format: str, library: Path) -> None:
    runtime = "onnxruntime" if model_format == "onnx" else "litert"
    for precision in ("fp32", "int8"):
        for entry in export_subnets(subnets, folder, format=model_format, precision=precision):
            result = edgeprof.measure(folder / entry.file, QUICK, runtime=runtime, library=library)
            assert result.n_samples >= 5
            assert result.latency_median_ns > 0


@pytest.mark.parametrize("release", ONNXRUNTIME)
def test_onnx_models_run_on_onnxruntime(release: str, folder: Path, subnets: list[Subnet]) -> None:
    target = install("onnxruntime", release, folder)
    (library,) = target.glob("onnxruntime/capi/libonnxruntime.so.1.*")
    measure_all(subnets, folder / "onnx", "onnx", library)


@pytest.mark.parametrize("release", LITERT)
def test_tflite_models_run_on_litert(release: str, folder: Path, subnets: list[Subnet]) -> None:
    target = install("ai-edge-litert", release, folder)
    measure_all(subnets, folder / "tflite", "tflite", target / "ai_edge_litert/libLiteRt.so")


@pytest.mark.parametrize("release", LITERT)
def test_litert_profiles_operators_from_2_1_3_on(
    release: str, folder: Path, subnets: list[Subnet]
) -> None:
    library = install("ai-edge-litert", release, folder) / "ai_edge_litert/libLiteRt.so"
    (entry,) = export_subnets(subnets[:1], folder / "tflite", format="tflite", precision="fp32")
    settings = replace(QUICK, runtime="litert", library=library, per_op_runs=3)
    path = folder / "tflite" / entry.file
    if release == "2.1.0":
        with pytest.raises(UnsupportedModel, match="no profile by operator"):
            edgeprof.measure(path, settings)
        return
    operators = edgeprof.measure(path, settings).record["per_op"]["operators"]
    assert len(operators) > 20
    assert any("Convolution" in operator["type"] for operator in operators)


@pytest.mark.parametrize("release", TFLITE_RUNTIME)
def test_tflite_models_run_on_tflite_runtime_as_on_litert(
    release: str, folder: Path, subnets: list[Subnet]
) -> None:
    # In a folder of its own with the numpy that it was built for.
    target = install("tflite-runtime", release, folder, "numpy<2")
    (library,) = target.glob("tflite_runtime/_pywrap_*.so")
    for entry in export_subnets(subnets, folder / "tflite", format="tflite", precision="fp32"):
        outputs = {}
        for runtime, its_library in (("tflite_runtime", library), ("litert", None)):
            settings = replace(QUICK, runtime=runtime, library=its_library)
            file = folder / f"{runtime}.outputs"
            job = {**make_job(folder / "tflite" / entry.file, settings), "outputs_file": str(file)}
            (record,) = run_jobs([job])
            assert record["runtime"]["name"] == runtime, record.get("error")
            outputs[runtime] = np.fromfile(file, np.float32)
        largest = np.abs(outputs["litert"]).max()
        assert np.abs(outputs["tflite_runtime"] - outputs["litert"]).max() < 1e-4 * largest


@pytest.mark.parametrize("release", LITERT)
def test_every_litert_takes_a_batch_where_it_is_dynamic(release: str, folder: Path) -> None:
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    from edgeprof.export.tflite import export_network
    from edgeprof.networks.layers import Op, Shape
    from edgeprof.networks.spaces.blocks import conv_block

    library = install("ai-edge-litert", release, folder) / "ai_edge_litert/libLiteRt.so"
    fixed, dynamic = folder / "fixed.tflite", folder / "dynamic.tflite"
    export_network(conv_block("stem", Shape(3, 32, 32), 8, 3, 2, activation=Op.H_SWISH), fixed)
    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAs(fixed.read_bytes()))
    for tensor in tree.subgraphs[0].tensors:
        if tensor.buffer == 0:
            tensor.shapeSignature = [-1, *tensor.shape[1:]]
    builder = flatbuffers.Builder()
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    dynamic.write_bytes(bytes(builder.Output()))
    shapes = {"input": [2, 32, 32, 3]}
    result = edgeprof.measure(dynamic, QUICK, runtime="litert", library=library, shapes=shapes)
    assert result.record["runtime"]["outputs"][0]["shape"] == [2, 16, 16, 8]
