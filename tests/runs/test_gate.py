"""The gate: which ratio it finds, when it fails, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from onnx_models import save_conv
from run_cli import run

from edgeprof.base.errors import InvalidJob, InvalidRecord, MixedMachineState
from edgeprof.runs import gate as gates
from edgeprof.runs.gate import Decision, Level, gate, make_baseline, read_baseline

pytest.importorskip("onnxruntime")

SURE = {"ratio_se": 0.001, "dof": 100.0}


@pytest.fixture
def models(tmp_path):
    """A small model and one with 36 times its work."""
    small = save_conv(tmp_path / "small.onnx", [1, 3, 32, 32])
    return small, save_conv(tmp_path / "large.onnx", [1, 3, 192, 192])


@pytest.fixture
def levels(monkeypatch):
    """Campaigns that find what the test says, in place of measuring."""
    found = {}
    asked = []

    def measured(jobs, seconds, ci_rel):
        asked.append((sorted(jobs), seconds, ci_rel))
        return dict(found)

    monkeypatch.setattr(gates, "_measured", measured)
    return found, asked


def decide(**changes):
    fields = {
        "model": "m.onnx", "ratio": 1.0, "ratio_low": 0.99, "ratio_high": 1.01,
        "fail_above": 0.03, "in_turns": True, "latency_ms": 1.0, "baseline_ms": 1.0,
    }  # fmt: skip
    return Decision(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "is_slower", "is_unclear"),
    [
        ({}, False, False),
        ({"ratio": 1.05, "ratio_low": 1.02, "ratio_high": 1.08}, True, False),
        ({"ratio": 1.02, "ratio_low": 1.01, "ratio_high": 1.03}, False, False),
        ({"ratio": 1.05, "ratio_low": 0.99, "ratio_high": 1.11}, False, True),
        ({"ratio": 0.5, "ratio_low": 0.49, "ratio_high": 0.51}, False, False),
    ],
)
def test_slower_is_what_is_beyond_the_limit_and_no_accident(changes, is_slower, is_unclear):
    decision = decide(**changes)
    assert (decision.is_slower, decision.is_unclear) == (is_slower, is_unclear)
    assert decision.verdict.startswith("slower" if is_slower else "passed")
    assert ("too busy" in decision.verdict) == is_unclear
    assert decision.markdown().count("|") > 10


def test_both_run_in_turns_where_the_baseline_is_there(models, levels, tmp_path):
    found, asked = levels
    small, large = models
    found["baseline"] = Level(1e6, **SURE)
    make_baseline(tmp_path / "b.json", small)
    found["candidate"] = Level(1.1e6, **SURE)
    decision = gate(tmp_path / "b.json", large, fail_above=0.06, seconds=7.0)
    assert asked[-1] == (["baseline", "candidate"], 7.0, pytest.approx(0.01))
    assert decision.in_turns
    assert decision.ratio == pytest.approx(1.1)
    assert decision.ratio_low < 1.1 < decision.ratio_high
    assert decision.is_slower


def test_references_link_them_where_the_baseline_has_gone(models, levels, tmp_path):
    found, asked = levels
    small, _ = models
    found |= {"baseline": Level(2e6, **SURE), "arithmetic": Level(1e6, **SURE)}
    found["memory"] = Level(4e6, **SURE)
    make_baseline(tmp_path / "b.json", small)
    small.write_bytes(save_conv(tmp_path / "other.onnx", [1, 3, 40, 40]).read_bytes())
    # The machine is twice as slow today, and the model besides by a tenth.
    found |= {"candidate": Level(4.4e6, **SURE), "arithmetic": Level(2e6, **SURE)}
    found["memory"] = Level(8e6, **SURE)
    decision = gate(tmp_path / "b.json", small)
    assert asked[-1][0] == ["candidate"]
    assert not decision.in_turns
    assert decision.ratio == pytest.approx(1.1)
    assert decision.is_slower
    # Where the references disagree, the interval is wide.
    found["memory"] = Level(10e6, **SURE)
    assert not gate(tmp_path / "b.json", small).is_slower


def test_another_machine_has_other_references(models, levels, tmp_path, monkeypatch):
    found, _ = levels
    small, large = models
    found["baseline"] = Level(1e6, **SURE)
    make_baseline(tmp_path / "b.json", small)
    small.unlink()
    monkeypatch.setattr(gates, "this_machine", lambda: "another, 4 x Cortex-A76")
    with pytest.raises(MixedMachineState, match=r"b.json: was measured on .*Cortex-A76.*--update"):
        gate(tmp_path / "b.json", large)


def test_a_file_that_is_no_baseline_is_named(tmp_path):
    with pytest.raises(InvalidRecord, match="--update` measures a baseline"):
        read_baseline(tmp_path / "none.json")
    for text in ("[1]", "{}", "no json", '{"format": "edgeprof-baseline", "version": 2}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InvalidRecord, match=r"bad.json: is no edgeprof-baseline version 1"):
            read_baseline(tmp_path / "bad.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"thread": 2}},
        {"settings": {"shapes": 5}},
        {"level": {"latency_ns": "nan", **SURE}},
        {"level": {"latency_ns": -1.0, **SURE}},
        {"level": {"latency_ns": 1.0}},
        {"references": {"memory": {"latency_ns": 0, **SURE}}},
        {"references": [1]},
        {"model": 5},
        {"further": 1},
    ],
)
def test_a_baseline_with_garbage_is_refused(models, levels, tmp_path, changes):
    found, _ = levels
    found["baseline"] = Level(1e6, **SURE)
    file = tmp_path / "b.json"
    make_baseline(file, models[0])
    # A byte order mark, as some editors write it, is no garbage.
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert read_baseline(file).level == Level(1e6, **SURE)
    file.write_text(json.dumps({**json.loads(file.read_text("utf-8-sig")), **changes}))
    with pytest.raises(InvalidRecord, match=r"b.json: is no edgeprof-baseline version 1"):
        read_baseline(file)


def test_a_baseline_keeps_the_values_of_inputs(models, levels, tmp_path):
    found, _ = levels
    found["baseline"] = Level(1e6, **SURE)
    options = ("--update", "--input", "x=0:1", "--input", "float64=3")
    made = run("gate", tmp_path / "b.json", models[0], *options)
    assert made.exit_code == 0, made.output
    kept = read_baseline(tmp_path / "b.json").settings
    assert kept == {"inputs": {"x": {"range": [0, 1]}, "float64": {"values": [3]}}, "threads": 1}
    assert run("gate", tmp_path / "b.json", models[0], "--input", "x=1").exit_code == 2


def test_a_baseline_knows_shapes_by_the_inputs_alone(levels, tmp_path):
    found, _ = levels
    found["baseline"] = Level(1e6, **SURE)
    model = save_conv(tmp_path / "open.onnx", ["n", 3, "h", "w"])
    file = tmp_path / "b.json"
    made = run("gate", file, model, "--update", "--shape", "open.onnx:x=1,3,32,32")
    assert made.exit_code == 0, made.output
    assert read_baseline(file).settings["shapes"] == {"x": [1, 3, 32, 32]}
    with pytest.raises(InvalidJob, match=r"no model is called other\.onnx"):
        make_baseline(str(file), str(model), gates.Settings(shapes={"other.onnx:x": (1,)}))


@pytest.mark.parametrize("options", [(), ("--update",)])
def test_an_interrupted_gate_has_not_found_the_model_slower(
    options, models, levels, tmp_path, monkeypatch
):
    levels[0]["baseline"] = Level(1e6, **SURE)
    file = tmp_path / "b.json"
    make_baseline(file, models[0])
    before = file.read_text()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(gates, "_measured", interrupted)
    result = run("gate", file, models[1], *options)
    assert result.exit_code == 130
    assert "interrupted: nothing is decided" in result.stderr
    assert file.read_text() == before


def test_a_model_much_slower_is_found_and_fails_the_command(models, tmp_path):
    small, large = models
    file, summary = tmp_path / "b.json", tmp_path / "summary.md"
    made = run("gate", file, small, "--update", "--seconds", "1", "--threads", "1")
    assert made.exit_code == 0, made.output
    assert set(json.loads(file.read_text())["references"]) == {"arithmetic", "memory"}
    result = run("gate", file, large, "--seconds", "2", "--summary", summary)
    assert result.exit_code == 1
    assert f"{large}: slower: " in result.stdout
    assert summary.read_text().startswith("### edgeprof gate: slower\n\n| model |")
    as_json = json.loads(run("gate", file, small, "--seconds", "1", "--json").stdout)
    assert as_json["in_turns"] is True
    assert as_json["ratio"] < 3


def test_the_references_alone_find_a_model_much_slower(models, tmp_path):
    small, large = models
    make_baseline(tmp_path / "b.json", small, seconds=1.0)
    small.unlink()
    assert gate(tmp_path / "b.json", large, seconds=1.0).ratio > 3


def test_settings_are_the_baselines(models, tmp_path):
    result = run("gate", tmp_path / "b.json", models[0], "--threads", "2")
    assert result.exit_code == 2
    assert "--update" in result.stderr
    for share in ("3", "0", "x%", "100%"):
        wrong = run("gate", tmp_path / "b.json", models[0], "--fail-above", share)
        assert wrong.exit_code == 2, share


def test_a_baseline_keeps_its_settings(models, levels, tmp_path):
    found, _ = levels
    found["baseline"] = Level(1e6, **SURE)
    settings = replace(gates.Settings(), threads=2, shapes={"x": (1, 3, 8, 8)})
    make_baseline(tmp_path / "b.json", models[0], settings)
    assert read_baseline(tmp_path / "b.json").settings == {
        "threads": 2,
        "shapes": {"x": [1, 3, 8, 8]},
    }
