"""What devices of a user's own teach the bank."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from made_up_boards import A72, RECIPES, add_networks, latencies, settings_of
from run_cli import run

from edgeprof.base.errors import DatasetError, PredictorFormatError, StoreError
from edgeprof.export.onnx import export_network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.predictors.bank.file import bank_bytes, shipped_bank
from edgeprof.predictors.bank.learning import learn_bank
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.model import DeviceCosts
from edgeprof.predictors.bank.others import Others, learned_costs, read_bank_with
from edgeprof.predictors.bank.stored import load_stored
from edgeprof.predictors.bank.teaching import teach
from edgeprof.predictors.bank.terms import TERMS
from edgeprof.records.store import ImportedRow, Store

LAB = replace(A72, runtime="ort")
"""A runtime that the bank has not seen; its convolutions take twice as long, and all the rest 1.5
times."""


def lab_devices(terms, n, seed):
    rng = np.random.default_rng(seed)
    of_runtime = np.full(len(TERMS), np.log(1.5))
    of_runtime[TERMS.index("pointwise_macs")] += np.log(2)
    found = []
    for number in range(n):
        facts = replace(LAB, cores=(("cortex-a72", rng.uniform(1.0, 2.5), 4),))
        latency = latencies(terms, facts, rng, of_runtime, deviation=0.15)
        found.append(MeasuredDevice(f"lab{number}", facts, terms, latency, np.zeros(len(terms))))
    return found


def errors(bank, terms, k):
    """Return the mean relative error on 10 other devices of the lab, and what intervals hold."""
    missed, held = [], []
    for number, device in enumerate(lab_devices(terms, 10, 99)):
        order = np.random.default_rng(number).permutation(len(terms))
        known = (
            learned_costs(bank, device.take(order[:k])) if k else DeviceCosts(bank, device.facts)
        )
        rest = device.take(order[k:])
        mean, low, high = known.predict(rest.terms)
        missed.append(np.abs(mean / rest.latency_ms - 1))
        held.append((low <= rest.latency_ms) & (rest.latency_ms <= high))
    return np.mean(missed), np.mean(held)


def test_devices_of_ones_own_teach_what_is_expected_of_the_next(bank, terms):
    found = [errors(teach(bank, lab_devices(terms, n, 5)) if n else bank, terms, 0)[0]
             for n in (0, 1, 8)]  # fmt: skip
    assert found[1] < 0.7 * found[0]
    assert found[2] < 0.4 * found[0]


def test_probes_tell_no_less_after_it(bank, terms):
    taught = teach(bank, lab_devices(terms, 8, 5))
    after, before = (sum(errors(one, terms, k)[0] for k in (1, 3, 5)) for one in (taught, bank))
    assert after < before


@pytest.mark.parametrize("k", [0, 3])
def test_intervals_hold_after_it(bank, terms, k):
    assert errors(teach(bank, lab_devices(terms, 8, 5)), terms, k)[1] >= 0.8


def test_other_runtimes_are_expected_as_before(bank, terms):
    taught = teach(bank, lab_devices(terms, 4, 5))
    facts = replace(A72, source="table")
    before, after = (DeviceCosts(one, facts).predict(terms) for one in (bank, taught))
    assert after.mean_ms == pytest.approx(before.mean_ms, rel=0.01)
    assert after.high_ms == pytest.approx(before.high_ms, rel=0.02)


def test_states_of_one_device_are_less_than_as_many_devices(bank, terms):
    several = lab_devices(terms, 4, 5)
    states = [replace(device, name="one") for device in several]
    of_states, of_devices = (
        DeviceCosts(teach(bank, devices), LAB).predict_log(terms)[1].mean()
        for devices in (states, several)
    )
    assert of_devices < of_states


def test_what_teaches_what_is_the_same_again_and_stands_in_the_bank(bank, terms):
    devices = lab_devices(terms, 3, 5)
    once, again = teach(bank, devices), teach(bank, devices)
    assert bank_bytes(once) == bank_bytes(again)
    assert once.provenance["taught_by"] == ["lab0", "lab1", "lab2"]


@pytest.mark.parametrize("like", ["fast", "slow"])
def test_what_is_learned_starts_from_the_table_that_the_lab_is_like(terms, like):
    """Of two tables under one runtime, depthwise layers are slow in one."""
    share = terms.amounts[:, TERMS.index("depthwise_macs")] / terms.amounts.sum(axis=1)

    def boards(source, n, seed):
        factor = 1 + 20 * share if source == "slow" else 1.0
        made = settings_of(terms, n, seed, source=source)
        return [replace(one, latency_ms=one.latency_ms * factor) for one in made]

    bank = learn_bank([*boards("fast", 8, 1), *boards("slow", 8, 2)], terms)
    own = [
        MeasuredDevice(one.board, replace(A72, cores=one.facts.cores), terms, one.latency_ms,
                       np.zeros(len(terms)))
        for one in boards(like, 9, 3)
    ]  # fmt: skip
    taught = teach(bank, own[:3])
    before, after = (
        np.mean([abs(np.log(DeviceCosts(one, device.facts).predict(terms).mean_ms
                            / device.latency_ms)) for device in own[3:]])
        for one in (bank, taught)
    )  # fmt: skip
    assert after < before


# --- stores --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks():
    return [network_of(recipe) for recipe in RECIPES[::3]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory, networks):
    """A store with three devices that are three times as slow as their facts say, and with ``pi``,
    which seems to be a thousand times as slow."""
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    with Store(path) as store:
        for device in ("a", "b", "c"):
            add_networks(store, networks, device, slower=3.0)
        add_networks(store, networks[:1], "pi", slower=1000.0)
    return path


def test_stores_teach_all_but_the_device_in_question(lab, tmp_path, networks):
    taught = read_bank_with([lab], but="pi")
    assert taught.provenance["taught_by"] == ["a", "b", "c"]
    with Store(tmp_path / "without.db") as store:
        for device in ("a", "b", "c"):
            add_networks(store, networks, device, slower=3.0)
    assert bank_bytes(read_bank_with([tmp_path / "without.db"])) == bank_bytes(taught)
    assert read_bank_with([]) is shipped_bank()


def test_a_device_is_known_better_beside_others_of_its_store(lab, tmp_path, networks):
    path = tmp_path / "new.db"
    with Store(path) as store:
        add_networks(store, networks[:1], "d", slower=3.0)
    alone = load_stored(path, "d").predict_networks(networks)
    beside = load_stored(path, "d", others=Others((lab,)))
    assert beside.costs.bank.provenance["taught_by"] == ["a", "b", "c", "pi"]
    with Store(path) as store:
        for device in ("a", "b", "c"):
            add_networks(store, networks, device, slower=3.0)
    taught = load_stored(path, "d", others=Others((path,))).predict_networks(networks)
    assert np.mean(taught.high_ms / taught.low_ms) < 0.9 * np.mean(alone.high_ms / alone.low_ms)


def test_another_bank_is_taken_for_the_shipped_one(bank, lab, tmp_path):
    path = tmp_path / "other.npz"
    path.write_bytes(bank_bytes(bank))
    assert bank_bytes(read_bank_with([path])) == bank_bytes(bank)
    assert len(read_bank_with([lab, path]).names) == len(bank.names) + 2
    with pytest.raises(DatasetError, match=r"a second bank beside .*other\.npz"):
        read_bank_with([path, path])


def test_what_teaches_nothing_is_one_clear_line(tmp_path, networks):
    with pytest.raises(StoreError, match="no such store"):
        read_bank_with([tmp_path / "gone.db"])
    with pytest.raises(StoreError, match=r"rows\.csv: a store's name ends in '\.db'"):
        read_bank_with([tmp_path / "rows.csv"])
    with Store(tmp_path / "rows.db") as store:
        subnet = get_space("ofa-mbv3-w1.0").sample(1, np.random.default_rng(0))[0]
        store.append_imported([ImportedRow("x", subnet, 5.0, "x.csv")])
    with pytest.raises(DatasetError, match=r"no device to learn from; .*devices there: x"):
        read_bank_with([tmp_path / "rows.db"])
    with Store(tmp_path / "own.db") as store:
        add_networks(store, networks[:2], "pi")
    with pytest.raises(DatasetError, match="no device other than pi to learn from"):
        read_bank_with([tmp_path / "own.db"], but="pi")


def test_files_of_other_versions_are_one_clear_line(lab, tmp_path):
    with np.load(_written(tmp_path / "b.npz", bank_bytes(shipped_bank()))) as archive:
        arrays = {key: archive[key] for key in archive.files}
    head = {**json.loads(str(arrays["head"])), "version": 99}
    np.savez(tmp_path / "later.npz", **{**arrays, "head": np.array(json.dumps(head))})
    with pytest.raises(PredictorFormatError, match=r"later\.npz: is edgeprof-bank version 99"):
        read_bank_with([tmp_path / "later.npz"])
    later = _written(tmp_path / "later.db", lab.read_bytes())
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="store version 99, this edgeprof reads up to"):
        read_bank_with([later])


def _written(path, content):
    path.write_bytes(content)
    return path


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory, networks):
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    export_network(networks[4], path)
    return path


def test_predict_takes_stores_for_boards_that_are_known_by_facts(lab, model, tmp_path):
    facts = tmp_path / "new.json"
    cores = [{"type": "Cortex-A72", "ghz": 1.8, "number": 4}]
    facts.write_text(json.dumps({"cores": cores, "threads": 4, "runtime": "onnxruntime"}))
    guess = json.loads(run("predict", "--board-facts", facts, model).stdout)
    result = run("predict", "--board-facts", facts, "--bank", lab, model)
    assert f"from other boards and {lab} and facts of the board alone" in result.stderr
    taught = json.loads(result.stdout)
    assert taught["latency_ms"] > 1.5 * guess["latency_ms"]


def test_predict_and_search_take_stores_for_a_device_of_a_store(lab, model):
    named = ("--device", f"{lab}:a", "--bank", lab)
    result = run("predict", *named, model)
    assert result.exit_code == 0, (result.output, result.exception)
    assert f"from other boards and {lab} and " in result.stderr
    command = ["search", "--latency", f"{lab}:a", "--space", "ofa-mbv3-w1.0", "--bank", lab]
    command += ["--accuracy", "capacity-proxy", "--budget-ms", "1e5", "--max-evaluations", "50"]
    assert run(*command).exit_code == 0


@pytest.mark.parametrize("option", [("--bank", "lab.db"), ("--strategy", "paper-gpu")])
@pytest.mark.parametrize(
    "command",
    [
        ("predict", "pi.edgp", "subnets.jsonl"),
        ("search", "--latency", "pi.edgp", "--accuracy", "capacity-proxy", "--budget-ms", "9"),
    ],
)
def test_stores_that_would_teach_nothing_are_wrong_usage(command, option):
    result = run(*command, *option)
    assert result.exit_code == 2
    assert f"{option[0]} is for a device of a store" in result.stderr
