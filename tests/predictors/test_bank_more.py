"""One way from no measurement to a thousand, whatever they are of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from made_up_boards import A72, latencies

from edgeprof.networks.spaces import get_space
from edgeprof.networks.suites import suite_models
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.predictors.bank.file import shipped_bank
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.model import DeviceCosts
from edgeprof.predictors.bank.others import learned_costs
from edgeprof.predictors.bank.terms import Terms

COUNTS = (0, 1, 3, 10, 30, 100, 300, 1000)
N_JUDGED = 150
FACTS = replace(A72, runtime="ort")


def work_of(suite):
    """Return the layers of the models of a suite, in float and in int8."""
    found = []
    for model in suite_models(suite):
        network = network_of(model.recipe)
        if network is not None:
            element_type = "int8" if model.precision == "int8" else "float32"
            found.append([layer.at(1, element_type) for layer in network.work])
    return found


@pytest.fixture(scope="module")
def terms():
    """Networks, single layers, and subnets of two spaces, some of them in int8."""
    rng, subnets = np.random.default_rng(0), []
    for name, n in (("ofa-mbv3-w1.0", 700), ("ofa-resnet50", 200)):
        space = get_space(name)
        subnets += [space.layers(subnet).work for subnet in space.sample(n, rng)]
    in_int8 = [[layer.at(1, "int8") for layer in work] for work in subnets[::4]]
    work = [*work_of("networks"), *work_of("layers"), *subnets, *in_int8]
    return Terms.of([work[at] for at in rng.permutation(len(work))])


def errors(terms, k):
    """Return the mean relative error on three boards that no model made up.

    A few networks may be odd ones: there it is the mean over several choices of them.
    """
    found = []
    for seed, draw in product(range(3), range(10 if k < 10 else 1)):
        rng = np.random.default_rng(seed)
        latency = latencies(terms, FACTS, rng)
        device = MeasuredDevice("x", FACTS, terms, latency, np.full(len(terms), 0.01))
        judged, learned = np.arange(N_JUDGED), N_JUDGED + draw * k + np.arange(k)
        bank = shipped_bank()
        known = learned_costs(bank, device.take(learned)) if k else DeviceCosts(bank, FACTS)
        rest = device.take(judged)
        found.append(np.mean(np.abs(known.predict(rest.terms).mean_ms / rest.latency_ms - 1)))
    return float(np.mean(found))


def test_the_error_falls_or_stays_from_none_to_a_thousand_of_mixed_kinds(terms):
    assert len(terms) >= N_JUDGED + COUNTS[-1]
    found = [errors(terms, k) for k in COUNTS]
    for before, after in pairwise(found):
        assert after < 1.05 * before, found
    assert found[-1] < 0.06, found
