"""The paper's two strategies on networks of any kind, selected as the bank is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from made_up_boards import A72, RECIPES, add_networks, latencies, terms_of
from run_cli import run

from edgeprof.base.errors import DatasetError
from edgeprof.cli.predict import PredictArguments
from edgeprof.export.onnx import export_network
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.others import STRATEGIES, Others
from edgeprof.predictors.bank.paper import PaperNetwork, across_devices, fine_tuned, nearest
from edgeprof.records.store import Store

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def terms():
    return terms_of(RECIPES)


def boards(terms, n, deviation):
    """Return boards by rising clock, whose log costs differ by a deviation."""
    rng, found = np.random.default_rng(0), []
    for number, ghz in enumerate(np.linspace(1.0, 2.6, n)):
        facts = replace(A72, cores=(("cortex-a72", float(ghz), 4),))
        latency = latencies(terms, facts, rng, deviation=deviation)
        found.append(MeasuredDevice(f"board{number}", facts, terms, latency, np.zeros(len(terms))))
    return found


@pytest.fixture(scope="module")
def devices(terms):
    return boards(terms, 12, 0.1)


@pytest.fixture(scope="module")
def base(devices):
    return PaperNetwork.train(devices[:1], with_hardware=False)


@pytest.fixture(scope="module")
def across(devices):
    return PaperNetwork.train(devices[::2], with_hardware=True)


def missed(known, rest):
    return float(np.mean(np.abs(known.predict(rest.terms).mean_ms / rest.latency_ms - 1)))


def test_more_probes_move_a_network_nearer(base, terms):
    found = []
    for k in (1, 5, 25):
        each = []
        for number, device in enumerate(boards(terms, 8, 0.6)):
            order = np.random.default_rng(number).permutation(len(device.terms))
            each.append(missed(fine_tuned(base, device.take(order[:k])), device.take(order[25:])))
        found.append(np.mean(each))
    assert found[0] > found[1] > found[2]
    assert found[2] < 0.15


def test_hardware_as_inputs_tells_devices_apart(across, devices):
    assert np.mean([missed(across_devices(across, d.facts), d) for d in devices[1::2]]) < 0.25
    slow, fast = (
        across_devices(across, d.facts).predict(d.terms) for d in (devices[1], devices[9])
    )
    assert np.median(slow.mean_ms / fast.mean_ms) > 1.3


def test_intervals_are_as_wide_as_errors_on_what_was_left_out(base, across, devices):
    device = devices[7]
    order = np.random.default_rng(0).permutation(len(device.terms))
    rest = device.take(order[20:])
    known = fine_tuned(base, device.take(order[:20]))
    mean, low, high = known.predict(rest.terms)
    assert np.mean((low <= rest.latency_ms) & (rest.latency_ms <= high)) > 0.6
    wide = fine_tuned(base, device.take(order[:2])).predict(rest.terms)
    assert wide.high_ms / wide.mean_ms == pytest.approx(2.0)
    guess = across_devices(across, device.facts).predict(rest.terms)
    assert guess.mean_ms / guess.low_ms == pytest.approx(2.0)
    assert (low < mean).all()


def test_the_nearest_device_has_the_same_runtime_and_similar_facts(devices):
    others = [replace(d, facts=replace(d.facts, runtime="ort")) for d in devices[:3]]
    facts = replace(devices[9].facts, runtime="ort")
    assert nearest(facts, [*devices, *others]) is others[2]
    assert nearest(devices[4].facts, devices) is devices[4]
    few = devices[4].take(np.arange(5))
    assert nearest(devices[4].facts, [few, *devices]) is devices[4]


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks():
    return [network_of(recipe) for recipe in RECIPES[::3]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory, networks):
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    with Store(path) as store:
        for device, slower in (("pi", 2.0), ("a", 1.0), ("b", 1.5)):
            add_networks(store, networks, device, slower=slower)
    return path


@pytest.mark.parametrize("strategy", ["paper-finetune", "paper-gpu"])
def test_a_strategy_is_chosen_as_the_bank_is(lab, networks, tmp_path, strategy):
    model = tmp_path / "m.onnx"
    export_network(networks[3], model)
    named = ("--device", f"{lab}:pi", "--bank", lab, "--strategy", strategy)
    result = run("predict", *named, model)
    assert result.exit_code == 0, (result.output, result.exception)
    row = json.loads(result.stdout)
    assert row["latency_low_ms"] < row["latency_ms"] < row["latency_high_ms"]
    assert f"by {strategy} from {lab}" in result.stderr
    facts = tmp_path / "pi.json"
    cores = [{"type": "Cortex-A72", "ghz": 1.8, "number": 4}]
    facts.write_text(json.dumps({"cores": cores, "runtime": "onnxruntime"}))
    table = tmp_path / "probes.csv"
    table.write_text(f"device,model,latency_ms\nb,{model},6.0\n")
    by_facts = ("--board-facts", facts, "--probes", table, "--bank", lab, "--strategy", strategy)
    assert run("predict", *by_facts, model).exit_code == 0


def test_a_strategy_without_what_it_needs_is_one_clear_line(lab, tmp_path):
    for strategy in ("paper-finetune", "paper-gpu"):
        with pytest.raises(DatasetError, match=f"{strategy}: learns from devices in stores alone"):
            Others((), strategy).known("x", A72, None)
        with pytest.raises(DatasetError, match=r"bank\.npz: a bank holds no measurements"):
            Others((tmp_path / "bank.npz",), strategy).known("x", A72, None)
    with pytest.raises(DatasetError, match="paper-finetune: needs measurements of the device"):
        Others((lab,), "paper-finetune").known("x", A72, None)


def test_the_command_knows_all_strategies():
    declared = PredictArguments.__dataclass_fields__["strategy"].metadata["declare"]("strategy")
    (option,) = declared(lambda: None).__click_params__
    assert tuple(option.type.choices) == STRATEGIES
