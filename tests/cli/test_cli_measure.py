"""``edgeprof measure`` of several models: each is told when it is done, and failures keep to
themselves."""

from __future__ import annotations

import json
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
    told = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert [line.split(":")[0] for line in told] == [str(models[0]), str(models[2])]
    assert "bad.onnx: is no ONNX model" in result.stderr.splitlines()[-1]
    printed = run("measure", *models, *QUICK, *turns, "--json")
    assert printed.exit_code == 1
    found = [summary["model"] for summary in json.loads(printed.stdout)]
    assert found == [str(models[0]), str(models[2])]


def test_a_model_is_told_before_the_next_is_measured(
    models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    measured = run_in_order(events)
    monkeypatch.setattr("edgeprof.measuring.harness.measure", measured)
    monkeypatch.setattr("edgeprof.cli.measure._told", lambda *_: events.append("told") or [])
    run("measure", *models, "--no-interleave")
    assert events == ["measured", "told"] * 3


def run_in_order(events: list[str]):
    def measured(*_: object) -> InvalidModel:
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
