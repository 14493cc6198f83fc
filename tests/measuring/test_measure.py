from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from onnx_models import save_conv
from tree import ROOT

import edgeprof
from edgeprof.base import errors
from edgeprof.cli import cli, main
from edgeprof.cli.compare import changes_of
from edgeprof.measuring.compare import compare_measurements
from edgeprof.measuring.harness import Settings, make_job, measure_interleaved, run_jobs
from edgeprof.measuring.launches import Launches
from edgeprof.measuring.machine import findings
from edgeprof.measuring.measurement import DISTURBANCES, Measurement
from edgeprof.measuring.runtimes import find_runtime, runtime_of
from edgeprof.measuring.trace import chrome_trace

QUICK = Settings(ci_rel=0.5, min_secs=0.0, max_secs=2.0, min_samples=10)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_conv(tmp_path / "conv.onnx", [1, 3, 16, 16])


def test_a_measurement_says_what_was_measured_and_how_sure_it_is(model: Path) -> None:
    result = edgeprof.measure(model, QUICK)
    assert result.model == str(model)
    assert result.runtime == "onnxruntime"
    assert result.runtime_version
    assert 0 < result.latency_min_ns <= result.latency_median_ns <= result.latency_p95_ns
    assert result.ci_low_ns <= result.latency_median_ns <= result.ci_high_ns
    assert result.n_samples == len(result.latency_ns) == len(result.disturbed) >= 10
    record = result.record
    assert record["model"]["model_bytes"] == model.stat().st_size
    assert len(record["model"]["sha256"]) == len(record["runtime"]["library_sha256"]) == 64
    assert record["runtime"]["inputs"] == [
        {"name": "x", "type": "float32", "shape": [1, 3, 16, 16]}
    ]
    assert record["load_ns"] > 0
    assert record["first_inference_ns"] > 0
    assert record["machine"]
    assert record["clock"]["frequency_hz"] > 1e6


def test_both_doors_give_the_same_record_fields(model: Path) -> None:
    drifts = {"drift", "canary_drift_rel"}  # of few blocks there are none
    program = edgeprof.measure(model, QUICK).record
    module = edgeprof.measure(model, QUICK, in_process=True).record
    assert program.keys() - drifts == module.keys() - drifts
    assert program["runtime"] == module["runtime"]
    assert program["settings"] == module["settings"]


def test_summary_is_over_undisturbed_samples(model: Path) -> None:
    result = edgeprof.measure(model, QUICK)
    undisturbed = result.latency_ns[result.disturbed == 0]
    assert result.n_undisturbed == len(undisturbed)
    if result.record["summary"]["basis"] == "undisturbed":
        assert result.latency_median_ns == pytest.approx(np.median(undisturbed), abs=1)
        assert result.latency_min_ns == undisturbed.min()


def test_several_models_come_back_in_order(model: Path, tmp_path: Path) -> None:
    other = save_conv(tmp_path / "other.onnx", [1, 3, 8, 8])
    jobs = [make_job(path, QUICK) for path in (model, other, model)]
    assert [record["model"]["path"] for record in run_jobs(jobs)] == [
        str(model),
        str(other),
        str(model),
    ]


def test_a_failed_model_does_not_stop_the_next(model: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_text("no model")
    records = list(run_jobs([make_job(path, QUICK) for path in (bad, model)]))
    assert records[0]["error"]["kind"] == "InvalidModel"
    assert Measurement.from_record(records[1]).n_samples > 0


def write_truncated(path: Path) -> None:
    save_conv(path, [1, 3, 16, 16])
    path.write_bytes(path.read_bytes()[:300])


BAD_MODELS: dict[str, tuple[Callable[[Path], object], type[errors.EdgeprofError], str]] = {
    "text": (lambda path: path.write_text("hello\n"), errors.InvalidModel, "no ONNX model"),
    "empty": (lambda path: path.touch(), errors.InvalidModel, "is empty"),
    "truncated": (write_truncated, errors.InvalidModel, "truncated"),
    "missing": (lambda _: None, errors.InvalidModel, "no such model file"),
    "folder": (lambda path: path.mkdir(), errors.InvalidModel, "is not a file"),
    "unknown operator": (
        lambda path: save_conv(path, [1, 3, 8, 8], op="Frobnicate"),
        errors.UnsupportedModel,
        "lacks an operator.*Frobnicate",
    ),
    "foreign operator": (
        lambda path: save_conv(path, [1, 3, 8, 8], op="Frobnicate", domain="com.example"),
        errors.UnsupportedModel,
        "Frobnicate",
    ),
    "dynamic shape": (
        lambda path: save_conv(path, ["batch", 3, "h", 16]),
        errors.InvalidModel,
        r"'x' \[batch, 3, h, 16\].*--shape x=1,3,16,16",
    ),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_model_is_one_clear_line(
    case: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, kind, message = BAD_MODELS[case]
    path = tmp_path / "model.onnx"
    make(path)
    with pytest.raises(kind, match=message):
        edgeprof.measure(path, QUICK)
    monkeypatch.setattr(sys, "argv", ["edgeprof", "measure", str(path)])
    with pytest.raises(SystemExit, match="1"):
        main()
    stdout, stderr = capfd.readouterr()
    assert stdout == ""
    assert stderr.count("\n") == 1
    assert str(path) in stderr


def test_dynamic_shapes_are_accepted_when_fixed(tmp_path: Path) -> None:
    path = save_conv(tmp_path / "dynamic.onnx", ["batch", 3, "h", 16])
    result = edgeprof.measure(path, QUICK, shapes={"x": [2, 3, 8, 16]})
    assert result.record["runtime"]["inputs"][0]["shape"] == [2, 3, 8, 16]
    for shapes in ({"x": [2, 4, 8, 16]}, {"x": [2, 3, 8]}, {"z": [1], "x": [1, 3, 8, 16]}):
        with pytest.raises(errors.InvalidJob, match=r"does not fit|no input 'z'"):
            edgeprof.measure(path, QUICK, shapes=shapes)


def test_missing_runtime_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("edgeprof.measuring.runtimes._SYSTEM_FOLDERS", ())
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.delenv("EDGEPROF_ONNXRUNTIME", raising=False)
    with pytest.raises(errors.RuntimeUnavailable, match=r"pip install 'edgeprof\[onnx\]'"):
        find_runtime("onnxruntime")
    monkeypatch.setenv("EDGEPROF_ONNXRUNTIME", str(tmp_path / "gone.so"))
    with pytest.raises(errors.RuntimeUnavailable, match=r"gone.so.*EDGEPROF_ONNXRUNTIME"):
        find_runtime("onnxruntime")


def test_option_wins_over_environment_over_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours.so", tmp_path / "theirs.so"
    ours.touch()
    theirs.touch()
    assert find_runtime("onnxruntime").found_by == "package onnxruntime"
    monkeypatch.setenv("EDGEPROF_ONNXRUNTIME", str(theirs))
    assert find_runtime("onnxruntime").path == theirs
    assert find_runtime("onnxruntime", ours).path == ours


def test_a_library_that_is_none_is_told(model: Path, tmp_path: Path) -> None:
    fake = tmp_path / "libonnxruntime.so"
    fake.write_text("no library")
    with pytest.raises(errors.RuntimeUnavailable, match="cannot be opened"):
        edgeprof.measure(model, QUICK, library=fake)


def test_runtime_goes_by_the_ending() -> None:
    assert runtime_of("a/b.ONNX") == "onnxruntime"
    assert runtime_of("b.tflite") in ("litert", "tflite_c", "tflite_runtime")
    assert runtime_of("what") == "onnxruntime"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": 0}, "threads"),
        ({"ci_rel": 0.0}, "ci_rel"),
        ({"cpus": [4000]}, "cpu 4000 cannot be used"),
        ({"clock": "sundial"}, "unknown clock 'sundial'"),
        ({"runtime_options": {"turbo": True}}, "'turbo' is unknown to onnxruntime; known: arena"),
        ({"runtime_options": {"graph_optimization": "most"}}, "graph_optimization 'most'"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(
    model: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(errors.InvalidJob, match=message):
        edgeprof.measure(model, QUICK, **change)


def test_settings_reach_the_harness_and_stand_in_the_record(model: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    result = edgeprof.measure(
        model,
        QUICK,
        threads=2,
        cpus=[cpu],
        seed=7,
        clock="clock_monotonic_raw",
        runtime_options={"graph_optimization": "disable", "spinning": False, "arena": False},
    )
    settings = result.record["settings"]
    assert (settings["threads"], settings["cpus"], settings["seed"]) == (2, [cpu], 7)
    assert result.record["clock"]["kind"] == "clock_monotonic_raw"
    options = result.record["runtime"]["options"]
    assert options["graph_optimization"] == "disable"
    assert not options["spinning"]
    assert not options["arena"]


def test_measure_in_process_puts_the_affinity_back(model: Path) -> None:
    before = os.sched_getaffinity(0)
    edgeprof.measure(model, QUICK, in_process=True, cpus=[min(before)])
    assert os.sched_getaffinity(0) == before


def test_the_null_runtime_costs_next_to_nothing() -> None:
    result = edgeprof.measure("", runtime="null", max_samples=5000)
    assert result.stop_reason == "max_samples"
    assert result.latency_median_ns < 10_000


def test_command_prints_one_object_or_a_list(model: Path) -> None:
    arguments = ["measure", str(model), "--ci", "0.5", "--max-secs", "2", "--json"]
    one = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert one.exit_code == 0
    result = json.loads(one.stdout)
    contract = "model runtime runtime_version n_samples latency_median_ns ci_low_ns ci_high_ns"
    contract += " basis ci_level serial_inflation warmup sampling_wall_ns sampling_span_ns"
    for field in (*contract.split(), "latency_min_ns", "latency_p95_ns", "stop_reason", "warnings"):
        assert field in result
    both = CliRunner().invoke(cli, [*arguments, str(model)], catch_exceptions=False)
    assert len(json.loads(both.stdout)) == 2


def test_command_says_what_it_did(model: Path) -> None:
    arguments = ["measure", str(model), "--ci", "0.5", "--max-secs", "2"]
    output = CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout
    for word in ("interval", "p95", "warm up", "onnxruntime", "clock", "load", "ended by"):
        assert word in output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--shape", "x"],
        ["--shape", "x=1,a"],
        ["--cpus", "a-b"],
        ["--threads", "0"],
        ["--option", "x"],
    ],
)
def test_wrong_usage_exits_2(model: Path, arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["measure", str(model), *arguments]).exit_code == 2


def test_errors_of_the_core_have_their_python_class() -> None:
    """Names and transience must agree, or a retry policy would be wrong for one door."""
    header = ROOT / "csrc" / "base" / "error.h"
    names = [line.split('"')[1] for line in header.read_text().splitlines() if 'return "' in line]
    assert len(names) > 8
    for name in names:
        assert issubclass(getattr(errors, name), errors.EdgeprofError)
    transient = {n for n in names if issubclass(getattr(errors, n), errors.TransientError)}
    text = header.read_text().split("bool is_transient")[1].split("}")[0]
    assert transient == {n for n in names if f"ErrorKind::k{n}" in text}


def test_records_of_other_versions_are_refused(model: Path) -> None:
    record = dict(edgeprof.measure(model, QUICK).record)
    with pytest.raises(errors.InvalidRecord, match="version 99"):
        Measurement.from_record({**record, "record_version": 99})
    with pytest.raises(errors.InvalidRecord, match="record_version"):
        Measurement.from_record({})
    del record["summary"]
    with pytest.raises(errors.InvalidRecord, match="summary"):
        Measurement.from_record(record)


def test_a_crash_names_the_signal_and_the_next_model_runs() -> None:
    crash = make_job("", Settings(runtime="null", runtime_options={"act": "illegal_instruction"}))
    good = make_job("", Settings(runtime="null", max_samples=2000))
    records = list(run_jobs([crash, good]))
    with pytest.raises(errors.HarnessCrashed, match=r"signal 4.*needs a newer processor") as caught:
        Measurement.from_record(records[0])
    assert caught.value.evidence["signal"] == "4"
    assert Measurement.from_record(records[1]).n_samples > 0


def test_models_measured_in_turns_share_their_rounds(model: Path, tmp_path: Path) -> None:
    other = save_conv(tmp_path / "other.onnx", [1, 3, 32, 32])
    first, second = measure_interleaved([(model, QUICK), (other, QUICK)])
    assert (first.model, second.model) == (str(model), str(other))
    rounds = [len(m.record["blocks"]["end_sample"]) for m in (first, second)]
    assert rounds[0] == rounds[1]
    # The last round may have come too late for a sample of each.
    n_timed = np.count_nonzero(np.diff(first.record["blocks"]["end_sample"]))
    assert n_timed >= rounds[0] - 2
    assert first.record["summary"]["disturbed"]["after_switch"] == n_timed


def test_one_bad_model_of_a_group_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidModel, match=r"gone\.onnx: no such model"):
        measure_interleaved([(model, QUICK), (tmp_path / "gone.onnx", QUICK)])


def round_of(latencies_ns: list[list[int]]) -> Measurement:
    """A measurement of these rounds, nothing disturbed."""
    samples = [ns for block in latencies_ns for ns in block]
    ends = np.cumsum([0, *[len(block) for block in latencies_ns]]).tolist()
    summary = dict.fromkeys(("ci_low_ns", "ci_high_ns", "latency_min_ns", "latency_mean_ns"), 1)
    summary |= {"latency_p95_ns": 1, "n_samples": len(samples), "n_undisturbed": len(samples)}
    record = {
        "record_version": 1,
        "model": {"path": "m"},
        "runtime": {"name": "null"},
        "settings": {"cpus": [], "threads": 1},
        "samples": {"latency_ns": samples, "disturbed": [0] * len(samples)},
        "summary": {**summary, "latency_median_ns": int(np.median(samples))},
        "blocks": {"end_sample": ends},
        "stop_reason": "interval",
        "warnings": [],
    }
    return Measurement.from_record(record)


def test_comparison_cancels_what_meets_both() -> None:
    """The machine doubles its speed half way; B is 10 % slower in every round."""
    speeds = [200] * 6 + [100] * 6
    a = round_of([[5 * s, 5 * s + 1] for s in speeds])
    b = round_of([[int(5.5 * s), int(5.5 * s) + 1] for s in speeds])
    result = compare_measurements(a, b)
    assert result.ratio == pytest.approx(1.1, rel=0.002)
    assert result.is_different
    assert "B takes 10.0% more time than A" in result.verdict
    same = compare_measurements(a, a)
    assert not same.is_different
    assert "no difference shown" in same.verdict
    assert result.drift_rel is None


def test_comparison_tells_of_drift_that_meets_both() -> None:
    a = round_of([[100, 101]] * 12)
    drifted = replace(a, record={**a.record, "drift": {"rel": -0.08, "by": "reference"}})
    result = compare_measurements(a, drifted)
    assert result.drift_rel == -0.08
    assert "the machine drifted by -8.0% meanwhile, which meets both" in result.verdict


def test_comparison_of_too_few_rounds_is_refused() -> None:
    few = round_of([[100, 101]] * 5)
    with pytest.raises(errors.UnsteadyMeasurement, match=r"5 rounds, need 6"):
        compare_measurements(few, few)


def test_comparison_from_all_rounds_says_so() -> None:
    a = round_of([[100, 101]] * 12)

    def disturbed_in(n_rounds: int) -> Measurement:
        disturbed = np.array([1] * (2 * n_rounds) + [0] * (24 - 2 * n_rounds), np.uint16)
        return replace(a, disturbed=disturbed)

    assert compare_measurements(a, disturbed_in(6)).warnings == ()
    (warning,) = compare_measurements(a, disturbed_in(7)).warnings
    assert warning.startswith("only 5 rounds undisturbed for both: the ratio is from all rounds; ")


def test_preempted_inferences_count_last_in_a_comparison() -> None:
    """On a machine that is slow throughout, the longer model waits in every second inference."""
    preempted, slow = 1 << 0, 1 << 6
    a, b = round_of([[100, 101]] * 12), round_of([[1000, 3000]] * 12)
    a = replace(a, disturbed=np.full(24, slow, np.uint16))
    b = replace(b, disturbed=np.array([slow, slow | preempted] * 12, np.uint16))
    result = compare_measurements(a, b)
    assert result.ratio == pytest.approx(10, rel=0.01)
    (warning,) = result.warnings
    assert "the ratio is from those on a slow machine, too" in warning


def test_compare_command_gives_ratio_and_verdict(tmp_path: Path) -> None:
    small = save_conv(tmp_path / "small.onnx", [1, 3, 16, 16])
    large = save_conv(tmp_path / "large.onnx", [1, 3, 128, 128])
    arguments = ["compare", str(small), str(large), "--max-secs", "20", "--ci", "0.5", "--json"]
    result = json.loads(CliRunner().invoke(cli, arguments, catch_exceptions=False).stdout)
    assert result["ratio"] > 2
    assert result["ratio_low"] <= result["ratio"] <= result["ratio_high"]
    assert result["verdict"].startswith("B takes")


def test_changes_of_one_side_are_settings_or_options_of_the_runtime() -> None:
    base = Settings(threads=1, runtime_options={"arena": True})
    assert changes_of(base, (("threads", 2), ("spinning", False))) == {
        "threads": 2,
        "runtime_options": {"arena": True, "spinning": False},
    }
    assert changes_of(base, (("cpus", 0),))["cpus"] == (0,)
    assert changes_of(base, (("cpus", "0-2,5"), ("runtime", "tflite_c"))) == {
        "cpus": (0, 1, 2, 5),
        "runtime": "tflite_c",
        "runtime_options": {"arena": True},
    }
    with pytest.raises(click.BadParameter, match="no such"):
        changes_of(base, (("cpus", "no such"),))


def test_launches_tell_the_spread_between_processes_from_that_within() -> None:
    steady = [round_of([[1000, 1010, 990] * 4]), round_of([[1100, 1110, 1090] * 4])]
    study = Launches.of(steady)
    assert study.latency_median_ns == 1050
    assert study.between_rel == pytest.approx(70.7 / 1050, rel=0.01)
    assert study.within_rel == pytest.approx(8.5 / 1050, rel=0.02)


def test_launches_are_summed_up_to_one_consistent_object() -> None:
    def launch(median: int, warning: str, stop_reason: str) -> Measurement:
        measured = round_of([[median - 10, median, median + 10] * 4])
        return replace(
            measured,
            latency_min_ns=median - 10,
            latency_p95_ns=median + 9,
            warnings=("busy", warning),
            stop_reason=stop_reason,
        )

    medians = [1000, 1040, 1010, 1030, 1020, 1050]
    launches = [launch(m, f"warning {m}", "interval") for m in medians[:-1]]
    result = Launches.of([*launches, launch(1050, "late", "max_secs")]).summary()
    assert result["latency_median_ns"] == 1025
    assert (result["ci_low_ns"], result["ci_high_ns"]) == (1000, 1050)
    assert result["ci_level"] == 0.95
    assert result["latency_min_ns"] == 990
    assert result["latency_p95_ns"] == 1034
    assert result["n_samples"] == result["n_undisturbed"] == 6 * 12
    assert result["stop_reason"] == "max_secs"
    assert result["warnings"] == ["busy", *(f"warning {m}" for m in medians[:-1]), "late"]
    two = Launches.of(launches[:2])
    assert (two.ci_low_ns, two.ci_high_ns, two.ci_level) == (1000, 1040, 0.5)


def test_operators_are_profiled_beside_the_timing(model: Path) -> None:
    result = edgeprof.measure(model, QUICK, per_op_runs=3)
    (operator,) = [op for op in result.record["per_op"]["operators"] if "Conv" in op["type"]]
    assert operator["mean_ns"] > 0
    assert "per_op" not in edgeprof.measure(model, QUICK).record


def test_trace_shows_every_inference(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    arguments = ["measure", str(model), "--ci", "0.5", "--max-secs", "2", "--trace", str(path)]
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    events = json.loads(path.read_text())["traceEvents"]
    inferences = [event for event in events if event["ph"] == "X"]
    assert len(inferences) >= 30
    starts = [event["ts"] for event in inferences]
    assert starts == sorted(starts)


def test_trace_has_a_row_of_operators_where_they_were_profiled(model: Path) -> None:
    timed = edgeprof.measure(model, QUICK, timestamps=True)
    profiled = edgeprof.measure(model, QUICK, timestamps=True, per_op_runs=3)
    assert {event["tid"] for event in chrome_trace([timed])["traceEvents"]} == {0}
    events = chrome_trace([timed, profiled])["traceEvents"]
    [title, *row] = [event for event in events if event["tid"] == 2]
    assert "operators, means of 3 inferences" in title["args"]["name"]
    operators = profiled.record["per_op"]["operators"]
    assert [event["name"] for event in row] == [one["name"] for one in operators]
    ends = [event["ts"] + event["dur"] for event in row]
    assert ends[-1] == pytest.approx(sum(one["mean_ns"] for one in operators) / 1000)


def test_a_counter_that_is_not_there_is_none_and_says_why(model: Path) -> None:
    result = edgeprof.measure(model, QUICK)
    present = {counter["name"] for counter in result.record["counters"]}
    absent = {counter["name"]: counter["reason"] for counter in result.record["absent_counters"]}
    for name in ("cpu_cycles", "instructions", "cache_misses", "branch_misses"):
        counts = result.counter(name)
        assert (counts is not None) == (name in present)
        assert (counts is None) == bool(absent.get(name))
        assert counts is None or len(counts) == result.n_samples


def test_a_counter_that_did_not_run_during_an_inference_is_nan_not_0(model: Path) -> None:
    record = dict(edgeprof.measure(model, QUICK).record)
    record["samples"] = {**record["samples"], "cpu_cycles": [7, None, 9]}
    counts = Measurement.from_record(record).counter("cpu_cycles")
    assert counts is not None
    assert np.array_equal(counts, [7, np.nan, 9], equal_nan=True)


def test_ticks_are_kept_as_the_clock_was_read(model: Path) -> None:
    record = edgeprof.measure(model, QUICK).record
    samples, clock = record["samples"], record["clock"]
    name = {"x86_tsc": "ref_cycles", "arm_generic_timer": "timer_ticks"}.get(clock["kind"])
    if name is None:
        pytest.skip("this machine has no clock that ticks")
    ticks_ns = np.array(samples[name]) * 1e9 / clock["frequency_hz"] - clock["subtracted_ns"]
    # Rates and costs are rounded in the record.
    assert np.allclose(ticks_ns, samples["latency_ns"], rtol=1e-6, atol=2.0)
    record = edgeprof.measure(model, QUICK, clock="clock_monotonic_raw").record
    assert not {"ref_cycles", "timer_ticks"} & set(record["samples"])


def test_bits_of_disturbances_are_those_of_the_core() -> None:
    header = ROOT / "csrc" / "timing" / "disturbance.h"
    found = dict(re.findall(r"(k\w+) = 1u << (\d)", header.read_text()))
    names = dict(re.findall(r"\{(k\w+), \"(\w+)\"\}", header.read_text()))
    assert {1 << int(bit): names[name] for name, bit in found.items()} == DISTURBANCES


def test_a_measurement_keeps_what_doctor_would_say_of_its_machine(model: Path) -> None:
    result = edgeprof.measure(model, QUICK)
    assert result.machine_findings() == findings(result.record["machine"], [])
    assert [f["id"] for f in result.summary()["machine_findings"]] == [
        f.id for f in result.machine_findings()
    ]
