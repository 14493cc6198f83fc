"""GPU and other execution providers of ONNX Runtime, called as its API wants, on a stand-in."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tree import SUPPORT

import edgeprof
from edgeprof.base.errors import InvalidJob
from edgeprof.measuring.harness import Settings

SOURCE = SUPPORT / "fake_onnxruntime.c"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stand-in library")
    path = tmp_path_factory.mktemp("fake") / "libonnxruntime.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, SOURCE], check=True)
    return path


@pytest.fixture
def calls(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure with these options; return what the runtime was called with, and the record's."""
    model, log = tmp_path / "model.onnx", tmp_path / "log"
    model.write_bytes(b"any")
    monkeypatch.setenv("FAKE_ORT_LOG", str(log))

    def measure(**options: Any) -> tuple[list[str], dict[str, Any]]:
        settings = Settings(
            library=library,
            max_secs=0.5,
            min_secs=0.0,
            min_samples=3,
            max_samples=3,
            max_drift=1000.0,
            runtime_options=options,
        )
        record = edgeprof.measure(model, settings).record
        return log.read_text().splitlines(), record["runtime"]["options"]

    return measure


def before_runs(lines: list[str]) -> list[str]:
    return lines[: lines.index("run")]


def each_run(lines: list[str]) -> set[tuple[str, ...]]:
    """What a run begins and ends with: the lines between one run and the next."""
    runs = [i for i, line in enumerate(lines) if line == "run"]
    return {tuple(lines[a + 1 : b]) for a, b in itertools.pairwise(runs)}


@pytest.mark.parametrize("name", ["CUDA", "CUDAExecutionProvider", "TensorRT"])
def test_a_gpu_is_given_inputs_once_and_waited_for(calls: Any, name: str) -> None:
    lines, options = calls(providers=[name])
    set_up = before_runs(lines)
    assert f"append {'CUDA' if 'CUDA' in name else name}" in set_up
    assert set_up.count("bind x") == 1
    assert set_up.index("bind x") < set_up.index("sync inputs")
    assert set_up[-1] == "memory Cuda 0"  # where outputs stay
    assert each_run(lines) == {("sync outputs",)}
    assert options["providers"] == [{"name": name, "options": {}}]


def test_outputs_stay_on_the_device_that_was_chosen(calls: Any) -> None:
    cuda = {"name": "CUDA", "options": {"device_id": "2"}}
    lines, _ = calls(providers=[{"name": "TensorRT", "options": {"device_id": "1"}}, cuda])
    order = [line for line in lines if line.startswith(("CUDA", "TensorRT", "append"))]
    assert order == ["TensorRT device_id=1", "append TensorRT", "CUDA device_id=2", "append CUDA"]
    assert before_runs(lines)[-1] == "memory Cuda 1"


def test_copies_are_timed_only_when_asked_for(calls: Any) -> None:
    lines, options = calls(providers=["CUDA"], time_copies=True)
    assert each_run(lines) == {("sync outputs", "bind x", "sync inputs")}
    assert not any(line.startswith("memory Cuda") for line in lines)  # outputs come to the host
    assert options["time_copies"] is True


def test_providers_on_the_cpu_are_not_waited_for(calls: Any) -> None:
    threads = {"name": "XNNPACK", "options": {"intra_op_num_threads": "2"}}
    lines, _ = calls(providers=[threads, "ACL"])
    assert each_run(lines) == {()}
    assert [line for line in lines if "XNN" in line or "ACL" in line] == [
        "append XNNPACK",
        "XNNPACK intra_op_num_threads=2",
        "append ACL 0",
    ]


@pytest.mark.parametrize("spinning", [True, False])
def test_spinning_is_what_the_record_says_whatever_a_provider_sets(
    calls: Any, spinning: bool
) -> None:
    lines, options = calls(providers=["XNNPACK"], spinning=spinning)
    config = f"config session.intra_op.allow_spinning={int(spinning)}"
    assert lines.index("append XNNPACK") < lines.index(config)
    assert options["spinning"] is spinning


def test_spinning_is_not_said_twice(calls: Any) -> None:
    with pytest.raises(InvalidJob, match=r"session_config.*spinning in its own option"):
        calls(session_config={"session.intra_op.allow_spinning": "0"})
