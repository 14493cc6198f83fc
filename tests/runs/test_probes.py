"""Probes: chosen for a board, measured as a campaign, and worth a prediction."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rack
from run_cli import run
from tree import ROOT

from edgeprof.base.errors import BoardSetupError, DatasetError
from edgeprof.measuring.machine import machine_state
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.predictors.bank.stored import device_costs, load_stored
from edgeprof.predictors.bank.terms import Terms
from edgeprof.records.store import Store
from edgeprof.runs.probes import UNTIMED_SECS, choose_probes, facts_of, memory_of
from edgeprof.runs.settings import ProfileSettings

BOARDS = ROOT / "tests" / "data" / "boards"


def state_of(board):
    return machine_state(BOARDS / board)


def expected(state, settings, models):
    """Return mean and upper end (s) of what a bank expects of models."""
    work = [network_of(model.recipe).work for model in models]
    mean, _, high = device_costs(facts_of(state, settings), None).predict(Terms.of(work))
    return mean / 1e3, high / 1e3


@pytest.mark.parametrize("board", ["rpi4b", "rpi5", "rock-5b", "jetson-nano"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_five_probes_take_a_minute_of_inferences_at_most(board, runtime):
    model_format = "onnx" if runtime == "onnxruntime" else "tflite"
    settings = ProfileSettings(runtime=runtime, format=model_format)  # one thread: the slowest
    probes = choose_probes(state_of(board), settings, 5)
    assert len({model.recipe.name for model in probes}) == 5
    _, high = expected(state_of(board), settings, probes)
    untimed = 2 * 2 * settings.processes * high  # two in each of twice as many processes at most
    timed = np.maximum(settings.max_secs, 10 * high)
    assert (untimed <= UNTIMED_SECS + 1e-9).all()
    assert (untimed + timed).sum() <= 60


def test_a_larger_choice_begins_with_the_smaller_one():
    state, settings = state_of("rpi4b"), ProfileSettings(threads=4)
    ten = choose_probes(state, settings, 10)
    assert choose_probes(state, settings, 5) == ten[:5]
    assert len(choose_probes(state, settings, 1000)) < 60


def test_no_probe_needs_more_memory_than_there_is():
    state = {**state_of("rpi4b"), "memory": {"total_kib": 260_000}}
    roomy = choose_probes(state_of("rpi4b"), ProfileSettings(threads=4), 20)
    tight = choose_probes(state, ProfileSettings(threads=4), 20)
    assert 0 < len(tight) < len(roomy)
    for model in tight:
        assert memory_of(network_of(model.recipe).work) <= 130_000 * 1024
    state["memory"] = {"total_kib": 100_000}
    with pytest.raises(BoardSetupError, match="too few for any probe"):
        choose_probes(state, ProfileSettings(), 5)


def test_a_slow_board_gets_the_fastest_networks():
    state = state_of("rpi-zero-2w")
    for cluster in state["clusters"]:
        cluster["max_freq_khz"] = 200_000
    probes = choose_probes(state, ProfileSettings(), 3)
    everything = choose_probes(state_of("rpi5"), ProfileSettings(), 1000)
    mean, _ = expected(state, ProfileSettings(), everything)
    assert max(expected(state, ProfileSettings(), probes)[0]) <= np.median(mean)
    assert len(probes) == 3


def test_int8_probes_are_networks_that_have_an_int8_form():
    probes = choose_probes(state_of("rpi4b"), ProfileSettings(precision="int8"), 3)
    assert [model.precision for model in probes] == ["int8"] * 3


def test_a_machine_without_cores_is_one_clear_error():
    with pytest.raises(DatasetError, match="facts of a board"):
        choose_probes({"architecture": "aarch64"}, ProfileSettings(), 3)


# --- the command: measured here and on a board ---------------------------------------------------


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """A folder to measure in, where that can be done."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)


def probed(*arguments):
    result = run("probe", *arguments, "--max-secs", "0.1", "--ci", "0.5")
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.mark.usefixtures("quick")
def test_probes_of_this_machine_are_kept_graded_and_say_what_to_type_next(tmp_path):
    result = probed("-k", "2", "--device", "here")
    *probes, graded, worth, following = result.stdout.splitlines()
    assert len([line for line in probes if " ms" in line or " us" in line]) == 2
    assert graded.split(": ")[0] == "here"
    assert graded.split(": ")[1] in ("good", "usable", "poor")
    assert "by 2 measured networks" in worth
    assert following == "next: edgeprof predict --device lab.db:here MODEL.onnx"
    device = load_stored(tmp_path / "lab.db", "here")
    assert device.n_networks == 2
    printed = json.loads(probed("-k", "3", "--device", "here", "--json").stdout)
    assert printed["networks"] == 3
    assert printed["within_90pct"] < printed["within_90pct_by_facts"]
    assert len(printed["probes"]) == 3
    with Store(tmp_path / "lab.db", create=False) as store:
        assert len(list(store.measurements("here"))) == 3  # the first two were there


@pytest.mark.usefixtures("quick")
def test_probes_under_other_threads_say_how_they_are_chosen():
    probed("-k", "1", "--device", "here", "--json")
    printed = json.loads(probed("-k", "1", "--device", "here", "--threads", "2", "--json").stdout)
    assert printed["where"] == {"threads": "2"}
    assert printed["networks"] == 1
    assert printed["next"].endswith("--device lab.db:here --where threads=2 MODEL.onnx")


@pytest.mark.usefixtures("quick")
@pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))
def test_probes_of_a_board_are_filed_under_its_device(board, tmp_path):
    board.inventory(extra="")
    printed = json.loads(probed("--on", board.boards[0].name, "-k", "1", "--json").stdout)
    assert printed["device"] == "loopback"
    assert load_stored(tmp_path / "lab.db", "loopback").n_networks == 1


@pytest.mark.usefixtures("quick")
def test_the_format_is_the_runtimes(tmp_path):
    pytest.importorskip("ai_edge_litert")
    printed = json.loads(probed("-k", "1", "--runtime", "litert", "--device", "x", "--json").stdout)
    assert printed["next"].endswith("MODEL.tflite")
    assert load_stored(tmp_path / "lab.db", "x").costs.facts.runtime == "tflite"


@pytest.mark.usefixtures("quick")
def test_a_runtime_that_is_not_there_is_one_clear_line(tmp_path):
    library = tmp_path / "no.so"
    result = run("probe", "-k", "1", "--library", library)
    assert result.exit_code == 1
    assert "no such library" in str(result.exception)
    assert not (tmp_path / "lab.db").exists()
