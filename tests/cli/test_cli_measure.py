"""``edgeprof measure`` of several models: each is told when it is done, and failures keep to
themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_cli import run
from unprivileged import run_unprivileged

from edgeprof.base.errors import InvalidModel

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK = ("--ci", "0.5", "--max-secs", "1")


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """A good model, one that is none, and a good one."""
    value = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in "xy"
    ]
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", value[:1], value[1:])
    opset = onnx.helper.make_opsetid("", 13)
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[opset])
    paths = [tmp_path / name for name in ("first.onnx", "bad.onnx", "last.onnx")]
    for path in paths:
        path.write_bytes(model.SerializeToString())
    paths[1].write_text("no model")
    return paths


@pytest.mark.parametrize("turns", [(), ("--no-interleave",), ("--launches", "2")])
def test_a_model_that_fails_keeps_the_results_of_the_others(
    models: list[Path], turns: tuple[str, ...]
) -> None:
    result = run("measure", *models, *QUICK, *turns)
    assert result.exit_code == 1
    told = [line for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert [line.split(":")[0] for line in told] == [str(models[0]), str(models[2])]
    assert "bad.onnx: is no ONNX model" in result.stderr.splitlines()[-1]
    printed = run("measure", *models, *QUICK, *turns, "--json")
    assert printed.exit_code == 1
    first, bad, last = json.loads(printed.stdout)
    assert [item["model"] for item in (first, bad, last)] == [str(model) for model in models]
    assert bad["error"]["kind"] == "InvalidModel"
    assert "is no ONNX model" in bad["error"]["message"]
    for item in (first, last):
        assert "error" not in item
        assert item["grade"] in ("good", "usable", "poor")
        assert item["grade_reason"]


def test_each_result_ends_with_a_grade_and_warnings_are_shown_on_request(
    models: list[Path],
) -> None:
    short = run("measure", models[0], *QUICK).stdout.splitlines()
    assert short[-1].split(":")[0].strip() in ("good", "usable", "poor")
    assert not any(line.strip().startswith("warning:") for line in short)
    *rest, warning, verdict = run("measure", models[0], "--max-secs", "0.01", "-v").stdout.split(
        "\n"
    )[:-1]
    assert warning.startswith("  warning: ")
    assert verdict.split(":")[0].strip() in ("good", "usable", "poor")
    assert "-v shows" not in "\n".join(rest)


def test_a_model_is_told_before_the_next_is_measured(
    models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    measured = run_in_order(events)
    monkeypatch.setattr("edgeprof.measuring.harness.measure", measured)
    monkeypatch.setattr("edgeprof.cli.measure._show", lambda *_: events.append("told") or {})
    run("measure", *models, "--no-interleave")
    assert events == ["measured", "told"] * 3


def run_in_order(events: list[str]):
    def measured(*_: object, **_more: object) -> InvalidModel:
        events.append("measured")
        raise InvalidModel("none")

    return measured


def test_one_model_or_turns_asked_for_end_at_an_error(models: list[Path]) -> None:
    for arguments in ((models[1],), (*models, "--interleave")):
        result = run("measure", *arguments, *QUICK)
        assert isinstance(result.exception, InvalidModel)
        assert result.stdout == ""


def test_a_model_that_cannot_be_read_says_why(models: list[Path], tmp_path: Path) -> None:
    models[0].chmod(0)
    result = run_unprivileged("measure", models[0], cwd=tmp_path)
    assert result.stderr == f"edgeprof: {models[0]}: cannot be read: Permission denied\n"


def test_more_threads_than_cpus_are_named_beside_the_number(models: list[Path]) -> None:
    cpu = max(os.sched_getaffinity(0))
    command = [sys.executable, "-P", "-m", "edgeprof", "measure", str(models[0]), *QUICK]
    result = subprocess.run(
        [*command, "--threads", "3", "--max-drift", "9"],
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"warning: 3 threads on 1 CPU (cpu{cpu})" in result.stdout


def test_models_kept_in_a_store_are_one_campaign_and_measured_once(
    models: list[Path], tmp_path: Path
) -> None:
    command = ("measure", *models, "--store", tmp_path / "s.db", "--max-secs", "0.05", "--json")
    result = run(*command)
    assert result.exit_code == 1
    first, bad, last = json.loads(result.stdout)
    assert [item["model"] for item in (first, bad, last)] == [str(model) for model in models]
    assert bad["error"]["kind"] == "InvalidModel"
    assert first["grade"] in ("good", "usable", "poor")
    # The two good models have equal contents: one item.
    assert first["latency_median_ns"] == last["latency_median_ns"]
    again = run("measure", models[0], *command[4:])
    assert json.loads(again.stdout)["latency_median_ns"] == first["latency_median_ns"]
    assert again.exit_code == 0
    alone = run("measure", models[1], "--store", tmp_path / "s.db")
    assert isinstance(alone.exception, InvalidModel)


@pytest.mark.parametrize("option", [("--per-op",), ("--trace", "t.json"), ("--no-interleave",)])
def test_what_a_run_cannot_do_is_a_usage_error(
    models: list[Path], tmp_path: Path, option: tuple[str, ...]
) -> None:
    result = run("measure", models[0], *option, "--store", tmp_path / "s.db")
    assert result.exit_code == 2
    assert "goes with neither --on nor --store" in result.stderr
