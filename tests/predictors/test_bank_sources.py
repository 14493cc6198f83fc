"""Tables of one runtime: what they share, which of them a device is like, and disturbed rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_boards import A72, RECIPES, settings_of, terms_of

from edgeprof.predictors.bank.learning import learn_bank
from edgeprof.predictors.bank.model import DeviceCosts
from edgeprof.predictors.bank.terms import TERMS


@pytest.fixture(scope="module")
def terms():
    return terms_of(RECIPES)


def two_sources(terms, n, *, seed=5):
    """Return settings of two tables under one runtime; depthwise layers are slow in one of them."""
    fast = settings_of(terms, n, seed, source="fast")
    slow = settings_of(terms, n, seed + 1, source="slow")
    extra = terms.amounts[:, TERMS.index("depthwise_macs")] / terms.amounts.sum(axis=1)
    changed = [replace(one, latency_ms=one.latency_ms * (1 + 20 * extra)) for one in slow]
    return fast, [replace(one, board=f"slow {one.board}") for one in changed]


@pytest.fixture(scope="module")
def bank_of_two(terms):
    fast, slow = two_sources(terms, 8)
    return learn_bank([*fast, *slow], terms)


@pytest.mark.parametrize("of", [0, 1])
def test_probes_tell_which_table_a_device_is_like(bank_of_two, terms, of):
    setting = two_sources(terms, 1, seed=50)[of][0]
    facts = replace(setting.facts, source="")
    device = DeviceCosts(bank_of_two, facts)
    assert len(device.members) == 3  # all devices, and those of each table
    probes = device.choose_probes(terms, terms, 5)
    found = device.learn(terms.take(probes), setting.latency_ms[probes])
    assert np.argmax(found.weights[1:]) == of
    wrong = np.abs(found.predict(terms).mean_ms / setting.latency_ms - 1)
    assert np.mean(wrong) < 0.12


def test_what_is_not_known_of_the_table_widens_the_interval(bank_of_two, terms):
    of_it = replace(A72, source="fast")
    told, untold = (DeviceCosts(bank_of_two, facts).predict_log(terms)[1] for facts in (of_it, A72))
    assert np.mean(untold) > np.mean(told)


def test_a_small_table_learns_from_all_devices(terms):
    many = settings_of(terms, 16, 6, source="many")
    few = settings_of(terms, 3, 7, source="few")
    judged = settings_of(terms, 8, 8, source="few")

    def error(settings):
        bank = learn_bank(settings, terms)
        found = []
        for setting in judged:
            mean_ms = DeviceCosts(bank, setting.facts).predict(terms).mean_ms
            found.append(np.abs(mean_ms / setting.latency_ms - 1).mean())
        return np.mean(found)

    assert error([*many, *few]) < error(few)


def test_disturbed_measurements_teach_the_bank_less(terms):
    settings = settings_of(terms, 12, 9, source="table")
    is_off = np.arange(len(terms)) < 8
    slow = [replace(one, latency_ms=one.latency_ms * np.where(is_off, 1.4, 1)) for one in settings]
    told = [replace(one, relative_se=np.where(is_off, 0.5, 0.0)) for one in slow]
    off = []
    for taught in (slow, told):
        bank = learn_bank(taught, terms)
        guessed = [DeviceCosts(bank, one.facts).predict(terms).mean_ms for one in settings]
        ratios = [ms / one.latency_ms for ms, one in zip(guessed, settings, strict=True)]
        off.append(np.median(np.array(ratios)[:, is_off]) / np.median(np.array(ratios)[:, ~is_off]))
    assert 1 < off[1] < off[0]
    assert off[1] - 1 < (off[0] - 1) / 2
