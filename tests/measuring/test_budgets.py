"""What the time of a measurement is spent on, shown on the null runtime's stand-ins."""

import pytest

from edgeprof.base.errors import HarnessCrashed
from edgeprof.measuring.harness import Settings, measure


def stand_in(max_secs=0.2, **options):
    """Measure a stand-in for a model that behaves as the options say."""
    settings = Settings(runtime="null", max_secs=max_secs, runtime_options=options, counters="off")
    return measure("stand-in", settings)


def test_a_slow_first_inference_takes_nothing_off_the_samples():
    result = stand_in(first_secs=1.0, latency_us=2000)
    assert result.record["first_inference_ns"] >= 1_000_000_000
    assert result.n_samples >= 10
    assert result.latency_ns.min() >= 2_000_000


def test_a_model_slower_than_the_time_given_gets_as_many_samples_as_a_result_needs():
    result = stand_in(max_secs=0.01, latency_us=30_000)
    assert result.n_samples == 10
    assert result.ci_low_ns < result.ci_high_ns


def test_a_clock_that_rises_is_waited_for():
    result = stand_in(latency_us=1000, ramp_secs=0.5, ramp_factor=5)
    assert result.record["warmup"]["wall_ns"] >= 900_000_000
    assert (result.latency_ns < 4_000_000).sum() > result.n_samples / 2


def test_a_crash_in_the_midst_is_an_error_that_names_the_signal():
    with pytest.raises(HarnessCrashed, match="died of signal 6"):
        stand_in(act="abort", at=15, latency_us=1000)


def test_a_bound_of_samples_does_not_go_below_what_a_result_needs():
    settings = Settings(runtime="null", max_samples=5, min_samples=1, min_secs=0.0, max_drift=1e3)
    assert measure("stand-in", settings).n_samples == 10


def test_references_take_turns_where_there_is_time_for_them():
    long = measure("stand-in", Settings(runtime="null", max_secs=1.1, min_secs=0.5))
    assert set(long.record["references"]) == {"arithmetic", "memory"}
    for facts in long.record["references"].values():
        assert facts["n_samples"] == len(facts["latency_ns"]) == len(facts["begin_ns"])
        assert facts["latency_min_ns"] <= facts["latency_median_ns"]
    assert "latency_ns" not in long.summary()["references"]["memory"]
    assert "references" not in stand_in(latency_us=1000).record
