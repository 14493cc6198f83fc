"""Any board from a few probes: devices made up from one law are told apart by few measurements."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from made_up_boards import A72, RECIPES, settings_of, terms_of
from tree import ROOT

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.networks.suites.mobile import mobilenet_v1
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.file import bank_bytes, load_bank, read_bank, shipped_bank
from edgeprof.predictors.bank.model import DeviceCosts


def errors(bank, terms, k, *, chosen=True):
    """Return the relative errors of 12 devices that the bank has not seen, and what is held."""
    wrong, held = [], []
    for number, setting in enumerate(settings_of(terms, 12, 1, source="table")):
        device, rest = DeviceCosts(bank, setting.facts), np.arange(len(terms))
        if k:
            probes = np.random.default_rng(number).permutation(len(terms))[:k]
            if chosen:
                probes = np.array(device.choose_probes(terms, terms, k))
            device = device.learn(terms.take(probes), setting.latency_ms[probes])
            rest = np.setdiff1d(rest, probes)
        mean, low, high = device.predict(terms.take(rest))
        true = setting.latency_ms[rest]
        wrong.append(np.abs(mean / true - 1))
        held.append((low <= true) & (true <= high))
    return np.mean(wrong), np.mean(held)


def test_probes_bring_the_error_down_from_what_facts_alone_give(bank, terms):
    found = [errors(bank, terms, k)[0] for k in (0, 3, 10)]
    assert found[0] > 2 * found[1]
    assert found[1] > found[2]
    assert found[2] < 0.04


@pytest.mark.parametrize("k", [0, 5])
def test_intervals_hold_as_often_as_they_say(bank, terms, k):
    assert 0.8 <= errors(bank, terms, k)[1] <= 0.99


def test_chosen_probes_tell_more_than_random_ones(bank, terms):
    assert errors(bank, terms, 3)[0] < errors(bank, terms, 3, chosen=False)[0]


def test_probes_differ_and_come_best_first(bank, terms):
    device = DeviceCosts(bank, A72)
    five = device.choose_probes(terms, terms, 5)
    assert len(set(five)) == 5
    assert device.choose_probes(terms, terms, 3) == five[:3]
    assert len(device.choose_probes(terms, terms, 1000)) == len(terms)


def test_the_order_of_measurements_does_not_matter(bank, terms):
    setting = settings_of(terms, 1, 2)[0]
    device = DeviceCosts(bank, setting.facts)
    order = np.random.default_rng(0).permutation(len(terms))
    once = device.learn(terms, setting.latency_ms).predict(terms)
    again = device.learn(terms.take(order), setting.latency_ms[order]).predict(terms)
    assert again.mean_ms == pytest.approx(once.mean_ms, rel=0.01)


def test_many_measurements_leave_little_doubt(bank, terms):
    setting = settings_of(terms, 1, 3, source="table")[0]
    device = DeviceCosts(bank, setting.facts).learn(terms, setting.latency_ms)
    mean, low, high = device.predict(terms)
    assert np.mean(np.abs(mean / setting.latency_ms - 1)) < 0.03
    assert np.median(high / low) < 1.25


def test_an_uncertain_measurement_says_less(bank, terms):
    device = DeviceCosts(bank, A72)
    one, latency = terms.take([3]), np.array([50.0])
    sure = device.learn(one, latency).predict_log(one)[1]
    unsure = device.learn(one, latency, np.array([0.5])).predict_log(one)[1]
    assert unsure > sure


def test_an_unknown_runtime_widens_the_interval(bank, terms):
    known, unknown = (
        DeviceCosts(bank, replace(A72, runtime=runtime)).predict_log(terms)[1]
        for runtime in ("tflite", "another")
    )
    assert np.all(unknown > known)


def test_a_faster_clock_is_expected_to_be_faster(bank, terms):
    slow, fast = (
        DeviceCosts(bank, replace(A72, cores=(("cortex-a72", ghz, 4),))).predict(terms).mean_ms
        for ghz in (1.0, 2.0)
    )
    assert np.all(fast < slow)


def test_a_bank_survives_its_file(bank, terms, tmp_path):
    content = bank_bytes(bank)
    assert content == bank_bytes(bank)
    path = tmp_path / "bank.npz"
    path.write_bytes(content)
    found = load_bank(path)
    mine, theirs = (DeviceCosts(b, A72).predict(terms) for b in (bank, found))
    assert theirs.mean_ms == pytest.approx(mine.mean_ms, rel=0.01)
    assert theirs.high_ms == pytest.approx(mine.high_ms, rel=0.02)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        assert json.loads(str(archive["head"]))["format"] == "edgeprof-bank"


def test_a_damaged_bank_is_one_clear_error(bank, tmp_path):
    content = bank_bytes(bank)
    for damaged in (b"", content[: len(content) // 2], b"PK" + content[2:100]):
        with pytest.raises(PredictorFormatError, match="no bank of devices"):
            read_bank(damaged, "broken.npz")
    with pytest.raises(PredictorFormatError, match=r"gone\.npz"):
        load_bank(tmp_path / "gone.npz")


def test_facts_come_from_json():
    facts = Facts.from_dict({"cores": [{"type": "cortex-a72", "ghz": 1.8, "number": 4}]})
    assert facts == A72
    for wrong in ({}, {"cores": []}, {"cores": [{"type": "x", "ghz": 0}]}, {"cores": [3]}):
        with pytest.raises(DatasetError, match="facts of a board"):
            Facts.from_dict(wrong)


def test_the_shipped_bank_is_small_and_says_where_it_comes_from():
    bank = shipped_bank()
    assert len(bank_bytes(bank)) <= 200_000
    tables = bank.provenance["tables"]
    assert {"phones_tflite.csv.gz", "mlperf_arm.csv.gz", "ncnn_boards.csv.gz"} <= set(tables)
    for table in tables.values():
        assert table["licence"] in ("MIT", "Apache-2.0", "BSD-3-Clause")
        assert len(table["sha256"]) == 64


def test_the_shipped_bank_expects_an_order_of_magnitude():
    terms = terms_of([mobilenet_v1()])
    mean, low, high = DeviceCosts(shipped_bank(), A72).predict(terms)
    assert 15 < mean[0] < 150  # published figures of a Pi 4 lie between 30 and 90 ms
    assert low[0] < mean[0] < high[0]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif("EDGEPROF_DATA" not in os.environ, reason="EDGEPROF_DATA is not set")
def test_the_same_tables_make_the_same_bank(tmp_path):
    output = tmp_path / "bank.npz"
    script = ROOT / "benchmarks" / "make_bank.py"
    subprocess.run([sys.executable, str(script), str(output)], check=True)
    made, ours = load_bank(output), shipped_bank()
    assert made.provenance == ours.provenance
    terms = terms_of(RECIPES)
    for runtime in ("tflite", "ncnn", "ort"):
        facts = replace(A72, runtime=runtime)
        mine, theirs = (DeviceCosts(b, facts).predict(terms).mean_ms for b in (made, ours))
        assert mine == pytest.approx(theirs, rel=0.01)
