"""Campaigns out of a store."""

from __future__ import annotations

import pytest
from campaign_records import LATENCY_S, records_of
from simulated_campaign import NEIGHBOURS

from edgeprof.base.errors import InvalidRecord
from edgeprof.records.campaign_samples import (
    LINK_PREFIX,
    REFERENCE_PREFIX,
    campaign_of,
    estimate_device,
    estimate_records,
)

SLOW_ONES = ["slow-model1", "slow-model2"]


def keep(store, records, device="here"):
    for key, record in records.items():
        store.append(record, job_key=key, device=device)


def test_campaign_is_estimated_from_the_store(store):
    keep(store, records_of("first", 0))
    estimated = estimate_device(store, "here")
    assert estimated is not None
    found = estimated.items
    assert sorted(found) == ["first-model0", "first-model1", "first-model2"]
    ratio = found["first-model2"].latency_ns / found["first-model0"].latency_ns
    assert ratio == pytest.approx(4, rel=0.01)


def test_campaigns_of_a_device_stand_on_one_level(store):
    keep(store, records_of("calm", 0))
    slow = records_of("slow", 1, NEIGHBOURS, slower=1.5)
    keep(store, slow)
    keep(store, records_of("elsewhere", 2), device="board")
    found = estimate_device(store, "here")
    assert found is not None
    assert found.whole.n_processes == 6
    assert len(found.items) == 6
    for item in range(3):
        ratio = found.items[f"slow-model{item}"].latency_ns / LATENCY_S[item] / 1e9
        assert ratio == pytest.approx(1, rel=0.03)
    # By itself the slow campaign knows no better.
    alone = estimate_records(slow).items["slow-model0"].latency_ns
    assert alone == pytest.approx(1.5 * LATENCY_S[0] * 1e9, rel=0.1)


def test_campaigns_that_share_an_item_stand_on_one_level(store):
    calm, slow = (records_of(*how) for how in (("calm", 0), ("slow", 1, NEIGHBOURS, 1.5)))
    for records in (calm, slow):  # without what else would link them
        for key in [key for key in records if key.startswith(REFERENCE_PREFIX)]:
            del records[key]
    slow[f"{LINK_PREFIX}calm-model0@slow"] = slow.pop("slow-model0")
    keep(store, calm | slow)
    found = estimate_device(store, "here")
    assert found is not None
    assert sorted(found.items) == [*(f"calm-model{n}" for n in range(3)), *SLOW_ONES]
    for key in SLOW_ONES:
        ratio = found.items[key].latency_ns / found.items[f"calm{key[4:]}"].latency_ns
        assert ratio == pytest.approx(1, rel=0.05)


def test_item_under_other_conditions_links_nothing():
    calm, slow = records_of("calm", 0), records_of("slow", 1, NEIGHBOURS, 1.5)
    link = slow.pop("slow-model0")
    link["runtime"]["options"] = {"spinning": False}
    slow[f"{LINK_PREFIX}calm-model0@slow"] = link
    with_link = estimate_records(calm | slow)
    del slow[f"{LINK_PREFIX}calm-model0@slow"]
    calm_ns = estimate_records(calm | slow).items["calm-model0"].latency_ns
    assert with_link.items["calm-model0"].latency_ns == pytest.approx(calm_ns, rel=0.01)
    assert with_link.items["calm-model0"].n_processes == 3


def test_models_measured_one_by_one_are_no_campaign(store):
    records = records_of("first", 0)
    for key, record in records.items():
        del record["campaign"]
        store.append(record, job_key=key, device="here")
    assert campaign_of(record) is None
    assert estimate_device(store, "here") is None


def test_kernel_that_tells_no_waiting_is_taken_as_none():
    records = records_of("first", 0)
    for record in records.values():
        del record["samples"]["waited_ns"]
    assert len(estimate_records(records).items) == 3


def test_cut_record_is_named():
    records = records_of("first", 0)
    del records["first-model0"]["samples"]["round"]
    with pytest.raises(InvalidRecord, match="'round'; was it cut off"):
        estimate_records(records)
    with pytest.raises(InvalidRecord, match="no record of a campaign"):
        estimate_records({})
