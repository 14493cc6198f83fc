"""Advice: the ways to run a network that are there, ranked by expectation, the best measured."""

from __future__ import annotations

import json
import math

import pytest
import rack
from run_cli import run
from tree import ROOT

from edgeprof.base.errors import InvalidModel, RuntimeUnavailable
from edgeprof.boards.batch import Batch, Item
from edgeprof.boards.deploy import Payload
from edgeprof.boards.inventory import BoardSpec
from edgeprof.export.recipes import write_recipe
from edgeprof.measuring.machine import machine_state
from edgeprof.networks.suites.mobile import mobilenet_v1
from edgeprof.records.store import Store
from edgeprof.runs.advice import (
    Advice,
    Choice,
    ChoiceWorkload,
    MeasuredChoice,
    There,
    choices_there,
    expect,
    look_at,
    measure_choices,
)
from edgeprof.runs.place import Place
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import Target

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK = ("--max-secs", "0.2", "--ci", "0.5")
SETTINGS = ProfileSettings(max_secs=0.2, ci_rel=0.5, processes=1)


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """One network as ONNX, in int8, and as TFLite."""
    folder = tmp_path_factory.mktemp("forms")
    recipe = mobilenet_v1(0.25, 32)
    for name, model_format, precision in (
        ("m.onnx", "onnx", "fp32"),
        ("q.onnx", "onnx", "int8"),
        ("m.tflite", "tflite", "fp32"),
    ):
        write_recipe(recipe, folder / name, format=model_format, precision=precision)
    return folder


def there_on(board, *runtimes):
    state = machine_state(ROOT / "tests" / "data" / "boards" / board)
    return There(state, {name: Payload(forms_library(name), "0" * 64, False) for name in runtimes})


def forms_library(name):
    return ROOT / f"{name}.so"


def test_choices_are_forms_runtimes_that_read_them_and_numbers_of_threads(forms):
    there = there_on("rock-5b", "onnxruntime", "litert")
    choices = choices_there(there, [forms / "m.onnx", forms / "m.tflite"])
    assert {(c.model.name, c.runtime) for c in choices} == {
        ("m.onnx", "onnxruntime"),
        ("m.tflite", "litert"),
    }
    assert [c.threads for c in choices if c.runtime == "litert"] == [1, 2, 4, 8]
    few = choices_there(there, [forms / "m.onnx"], cpus=(4, 5, 6))
    assert [c.threads for c in few] == [1, 2, 3]
    four = choices_there(there_on("rpi4b", "onnxruntime"), [forms / "m.onnx"])
    assert [c.threads for c in four] == [1, 2, 4]


def test_choices_are_ranked_by_what_is_expected(forms, tmp_path):
    there = there_on("rpi4b", "onnxruntime")
    models = [forms / "m.onnx", forms / "q.onnx"]
    choices = choices_there(there, models)
    with Store(tmp_path / "s.db") as store:
        expected = expect(choices, there, SETTINGS, store, "pi")
    assert [one.mean_ms for one in expected] == sorted(one.mean_ms for one in expected)
    assert {one.choice for one in expected} == set(choices)
    precisions = {one.choice.model.name: one.precision for one in expected}
    assert precisions == {"m.onnx": "fp32", "q.onnx": "int8"}
    assert all(one.low_ms < one.mean_ms < one.high_ms for one in expected)
    assert all(one.n_networks == 0 for one in expected)


def test_forms_are_model_files(tmp_path):
    with pytest.raises(InvalidModel, match=r"m\.txt"):
        look_at(Place(), [tmp_path / "m.txt"])


def test_a_runtime_that_is_nowhere_is_one_clear_line(forms, monkeypatch):
    def nowhere(_):
        raise RuntimeUnavailable("no")

    monkeypatch.setattr("edgeprof.runs.advice.find_runtime", nowhere)
    with pytest.raises(RuntimeUnavailable, match="no runtime for onnx models: pip install"):
        look_at(Place(), [forms / "m.onnx"])


def test_an_item_opens_its_own_library_where_it_lies(tmp_path):
    library = tmp_path / "lib.so"
    library.write_bytes(b"library")
    own = Payload.of(library, executable=False)
    theirs = Payload(library, "1" * 64, executable=False, is_there=True)
    items = [
        Item("a", None, None, {}, library=own),
        Item("b", None, None, {}, library=theirs),
        Item("c", None, None, {}),
    ]
    assert items[0].library_on("/f", in_place=False) == f"/f/objects/{own.sha256}/lib.so"
    assert items[0].library_on("/f", in_place=True) == str(library)
    assert items[1].library_on("/f", in_place=False) == str(library)
    assert items[2].library_on("/f", in_place=False) is None
    assert Batch("n", tuple(items), {}).shared_files == (own,)  # theirs is not sent


def test_keys_differ_by_runtime_threads_and_by_what_is_measured_beside(forms, store):
    model = forms / "m.onnx"
    libraries = {"onnxruntime": Payload.of(model, executable=False)}
    target = Target("pi", SETTINGS, "0", {})
    one, two, four = (Choice(model, "onnxruntime", n) for n in (1, 2, 4))
    pair = ChoiceWorkload([one, two], libraries, store, SETTINGS)
    other = ChoiceWorkload([one, four], libraries, store, SETTINGS)
    assert len(pair.items(target)) == 2
    assert not pair.items(target).keys() & other.items(target).keys()
    assert pair.settings_of(two, SETTINGS).job()["threads"] == 2


def advice_of(*ratios):
    made = [
        MeasuredChoice(Choice(ROOT / f"{n}.onnx", "onnxruntime", n), float(n), 0.01) for n in (1, 2)
    ]
    return Advice("pi", tuple(made), *ratios)


def test_the_verdict_names_the_winner_and_its_margin():
    clear = advice_of(1.25, 1.2, 1.3)
    assert clear.is_clear
    assert clear.verdict == (
        "1.onnx with onnxruntime, 1 thread; 2.onnx with onnxruntime, 2 threads takes 25.0% more "
        "time (95 % interval 20.0% to 30.0%)"
    )
    unclear = advice_of(1.01, 0.95, 1.07)
    assert not unclear.is_clear
    assert unclear.verdict.startswith("no difference shown: 2.onnx")
    assert "between 5.0% less and 7.0% more" in unclear.verdict
    alone = Advice("pi", clear.measured[:1], math.nan, math.nan, math.nan)
    assert alone.verdict.endswith("the only one that could be measured")


# --- the command ----------------------------------------------------------------------------------


def advised(*arguments, status=0):
    result = run("advise", *arguments, *QUICK)
    assert result.exit_code == status, (result.output, result.exception)
    return result


def test_forms_for_two_runtimes_are_measured_in_one_campaign(forms, tmp_path):
    pytest.importorskip("ai_edge_litert")
    command = [forms / "m.onnx", forms / "m.tflite", "--cpus", "0", "--store", tmp_path / "s.db"]
    printed = json.loads(advised(*command, "--device", "here", "--json").stdout)
    assert {c["runtime"] for c in printed["choices"]} == {"onnxruntime", "litert"}
    assert all(c["latency_ms"] > 0 for c in printed["choices"])
    best = min(printed["choices"], key=lambda choice: choice["latency_ms"])
    assert printed["winner"]["runtime"] == best["runtime"]
    assert printed["ratio_low"] <= printed["ratio"] <= printed["ratio_high"]
    with Store(tmp_path / "s.db", create=False) as store:
        records = [m.record for m in store.measurements("here")]
    assert {r["runtime"]["name"] for r in records} == {"onnxruntime", "litert"}
    assert len({r["campaign"]["id"] for r in records}) == 1
    text = advised(*command, "--device", "here").stdout  # from the store
    assert printed["verdict"] in text
    predicted = run("predict", "--device", f"{tmp_path / 's.db'}:here", forms / "m.onnx")
    assert "choose one, e.g. --where" in str(predicted.exception)


def test_threads_of_one_model_are_compared_and_what_was_measured_counts(forms, tmp_path):
    command = [forms / "m.onnx", "--store", tmp_path / "s.db", "--device", "here", "--json"]
    first = json.loads(advised(*command, "--cpus", "0,1").stdout)
    assert [c["threads"] for c in first["choices"] if c["latency_ms"]] in ([1, 2], [2, 1])
    again = json.loads(advised(*command, "--cpus", "0,1", "-k", "1").stdout)
    assert {c["measured_networks"] for c in again["choices"]} == {1}
    assert again["ratio"] is None


@pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))
def test_a_board_is_advised_with_the_runtimes_that_it_can_have(board, forms, tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    monkeypatch.chdir(tmp_path)
    board.inventory(extra="cores: 0")
    command = [forms / "m.onnx", forms / "m.tflite", "--on", board.boards[0].name, "--json"]
    printed = json.loads(advised(*command).stdout)
    assert printed["device"] == "loopback"
    assert {c["runtime"] for c in printed["choices"] if c["latency_ms"]} == {
        "onnxruntime",
        "litert",
    }
    assert {c["threads"] for c in printed["choices"]} == {1}


def test_an_entry_with_a_library_of_its_own_is_asked_about_its_runtime_only(forms, monkeypatch):
    asked = []

    def look(_, runtimes):
        asked.extend(runtimes)
        return there_on("rpi4b", *runtimes)

    monkeypatch.setattr("edgeprof.runs.advice._look_at_board", look)
    entry = BoardSpec("b", "b", runtime="tflite_c", own_library="find")
    look_at(Place((entry,)), [forms / "m.tflite"])
    assert asked == ["tflite_c"]


def test_what_fails_is_said_and_the_rest_is_told(forms, tmp_path):
    broken = tmp_path / "broken.onnx"
    content = (forms / "m.onnx").read_bytes()
    broken.write_bytes(content.replace(b"Conv", b"Conx"))
    with Store(tmp_path / "s.db") as store:
        there = look_at(Place(), [forms / "m.onnx"])
        choices = [Choice(model, "onnxruntime", 1) for model in (forms / "m.onnx", broken)]
        workload = ChoiceWorkload(choices, there.libraries, store, SETTINGS)
        place = Place(name="here")
        advice = measure_choices(workload, place, lambda at, work: at.measure(work))
    assert [one.choice for one in advice.measured] == choices[:1]
    assert len(advice.failures) == 1
    assert "Conx" in advice.failures[0]
