"""What the protocol of a measurement promises about time, memory, drift and odd input."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx_models import save_conv

import edgeprof
from edgeprof.base import errors
from edgeprof.cli import cli
from edgeprof.measuring.harness import Settings, make_job, measure_interleaved, run_jobs
from edgeprof.measuring.measurement import Record, error_of

QUICK = Settings(ci_rel=0.5, min_secs=0.0, max_secs=2.0, min_samples=10)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_conv(tmp_path / "conv.onnx", [1, 3, 16, 16])


def processes_with(mark: str) -> set[str]:
    """All processes that were started with the mark in their environment."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone, or not ours
            if mark.encode() in (folder / "environ").read_bytes():
                found.add(folder.name)
    return found


def test_a_hanging_model_ends_with_a_timeout_and_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = uuid.uuid4().hex
    monkeypatch.setenv("EDGEPROF_TEST_MARK", mark)
    options = {"act": "hang", "at": 60, "latency_us": 1000}
    settings = Settings(runtime="null", max_secs=0.2, runtime_options=options)
    records = []
    for record in run_jobs([make_job("", settings)]):
        assert len(processes_with(mark)) == 1  # the program lives; its child, who hung, does not
        records.append(record)
    assert processes_with(mark) == set()
    error = error_of(records[0])
    assert isinstance(error, errors.HarnessTimeout)
    assert "did not come back while measuring" in str(error)
    assert "raise --max-secs" in str(error)


def test_a_first_inference_that_hangs_is_bounded_as_loading_is() -> None:
    settings = Settings(runtime="null", max_load_secs=0.5, runtime_options={"act": "hang"})
    (record,) = run_jobs([make_job("", settings)])
    error = error_of(record)
    assert isinstance(error, errors.HarnessTimeout)
    assert "raise --max-load-secs" in str(error)


def test_a_bound_of_loading_is_an_option_that_its_message_names(model: Path) -> None:
    arguments = ["measure", str(model), "--max-load-secs", "0.001"]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, errors.HarnessTimeout)
    assert "raise --max-load-secs" in str(result.exception)


def test_a_reference_runs_in_the_same_turns_and_is_not_reported(
    model: Path, tmp_path: Path
) -> None:
    reference = save_conv(tmp_path / "reference.onnx", [1, 3, 8, 8])
    arguments = ["measure", str(model), "--reference", str(reference), "--max-drift", "1000"]
    arguments += ["--ci", "0.5", "--max-secs", "2", "--json"]
    one = json.loads(CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout)
    assert one["model"] == str(model)
    assert one["disturbed"]["after_switch"] > 0
    gone = tmp_path / "gone.onnx"
    with pytest.raises(errors.InvalidModel, match="gone"):
        edgeprof.measure(model, QUICK, reference=gone)
    with pytest.raises(errors.InvalidJob, match="process of its own"):
        edgeprof.measure(model, QUICK, reference=reference, in_process=True)


def test_peak_memory_is_of_the_model_alone_or_absent(model: Path) -> None:
    assert edgeprof.measure(model, QUICK).record["peak_rss_bytes"] > 1 << 20
    settings = Settings(ci_rel=0.5, min_secs=0.0, max_secs=2.0, max_drift=1e3)
    for shared in measure_interleaved([(model, settings), (model, settings)]):
        assert "peak_rss_bytes" not in shared.record


def test_peak_memory_is_read_before_the_profile_by_operator(tmp_path: Path) -> None:
    """Profiling loads the model a second time: 64 MB of weights would count twice."""
    weights = np.ones((4096, 4096), np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4096])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opsets = [onnx.helper.make_opsetid("", 13)]
    path = tmp_path / "large.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    plain = edgeprof.measure(path, QUICK, max_samples=5).record["peak_rss_bytes"]
    profiled = edgeprof.measure(path, QUICK, max_samples=5, per_op_runs=1).record["peak_rss_bytes"]
    assert profiled < plain + weights.nbytes // 2


def test_weights_in_a_file_of_their_own_are_hashed_too(model: Path, tmp_path: Path) -> None:
    assert "weights_sha256" not in edgeprof.measure(model, QUICK).record["model"]
    facts = []
    for value in (0.1, 0.2):
        loaded = onnx.load(model)
        weights = np.full((4, 3, 3, 3), value, np.float32)
        loaded.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
        folder = tmp_path / str(value)
        folder.mkdir()
        path = folder / "split.onnx"
        onnx.save(loaded, path, save_as_external_data=True, location="split.bin", size_threshold=0)
        facts.append(edgeprof.measure(path, QUICK).record["model"])
    assert facts[0]["sha256"] == facts[1]["sha256"]
    assert facts[0]["weights_sha256"] != facts[1]["weights_sha256"]
    assert facts[0]["weights_bytes"] == (tmp_path / "0.1" / "split.bin").stat().st_size


ODD_PATHS = [
    "new\nline.onnx",
    "tab\there.tflite",
    "\udcff\udcfe.onnx",  # no valid UTF-8
    "x" * 300 + ".onnx",
    "/".join(["y" * 200] * 30),
    "",
    " ",
    "\u2603.onnx",
    "a\x01b",
]


def test_odd_paths_of_models_give_a_record_each(tmp_path: Path) -> None:
    jobs = []
    for name in ODD_PATHS:
        path = tmp_path / name
        with suppress(OSError):  # longer than a file system takes, or a folder
            path.write_bytes(b"no model")
        jobs.append({**make_job("m.onnx", QUICK), "model": os.fspath(path)})
    assert_each_is_told(list(run_jobs(jobs)), len(ODD_PATHS))


def assert_each_is_told(records: list[Record], n: int) -> None:
    assert len(records) == n
    for record in records:
        if "error" not in record:
            continue
        assert type(error_of(record)) not in (errors.StableError, errors.TransientError)
        assert "\n" not in record["error"]["message"]


def mutants(data: bytes, n: int, folder: Path, ending: str) -> list[Path]:
    """Flipped, cut and repeated bytes, at a fixed seed."""
    rng = np.random.default_rng(20261123)
    paths = []
    for i in range(n):
        mutant = bytearray(data)
        for _ in range(rng.integers(1, 6)):
            at = int(rng.integers(len(mutant)))
            match rng.integers(3):
                case 0:
                    mutant[at] = int(rng.integers(256))
                case 1:
                    del mutant[at : at + int(rng.integers(1, 50))]
                case _:
                    mutant[at:at] = mutant[at : at + int(rng.integers(1, 50))]
            mutant = mutant or bytearray(b" ")
        paths.append(folder / f"mutant {i} \u00fc{ending}")
        paths[-1].write_bytes(bytes(mutant))
    return paths


@pytest.mark.parametrize("n", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_no_mutation_of_a_model_goes_without_a_record(n: int, tmp_path: Path) -> None:
    original = save_conv(tmp_path / "model.onnx", [1, 3, 8, 8]).read_bytes()
    limits = {"max_secs": 0.05, "max_load_secs": 20.0, "max_samples": 20}
    jobs = [{**make_job(p, QUICK), **limits} for p in mutants(original, n, tmp_path, ".onnx")]
    records = list(run_jobs(jobs))
    assert_each_is_told(records, n)
    assert sum("error" in record for record in records) > n // 10


def test_no_mutation_of_a_tflite_model_goes_without_a_record(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from edgeprof.export.tflite import export_network
    from edgeprof.networks.layers import Network, PlacedBlock, Shape
    from edgeprof.networks.spaces.blocks import conv_block

    path = tmp_path / "model.tflite"
    stem = PlacedBlock("stem", 0, conv_block("stem", Shape(3, 8, 8), 4, 3, 2))
    export_network(Network("small", (stem,)), path)
    limits = {"max_secs": 0.05, "max_load_secs": 20.0, "max_samples": 20}
    paths = mutants(path.read_bytes(), 20, tmp_path, ".tflite")
    records = list(run_jobs({**make_job(p, QUICK), **limits} for p in paths))
    assert_each_is_told(records, len(paths))
    assert any("error" in record for record in records)
