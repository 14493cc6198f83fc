"""Grades: an error is small or large beside the differences that are to be learned."""

import math

import numpy as np
import pytest

from edgeprof.measuring.grade import (
    Evidence,
    Grade,
    combined_se,
    grade_measurement,
    grade_run,
    se_of_interval,
    spread_of,
)


def evidence(se_rel, n_samples=100, **other):
    return Evidence(latency_ns=5e6, se_rel=se_rel, n_samples=n_samples, **other)


@pytest.mark.parametrize(
    ("se_rel", "spread_rel", "grade"),
    [
        (0.005, 0.0, "good"),
        (0.02, 0.0, "usable"),
        (0.08, 0.0, "poor"),
        (0.02, 0.3, "good"),
        (0.08, 0.3, "usable"),
        (0.15, 0.3, "poor"),
        (0.005, 0.01, "good"),
    ],
)
def test_a_measurement_is_graded_by_its_error_beside_the_spread(se_rel, spread_rel, grade):
    verdict = grade_measurement(evidence(se_rel), spread_rel)
    assert verdict.grade.value == grade
    assert f"{se_rel:.2%}" in verdict.reason
    assert "\n" not in str(verdict)


@pytest.mark.parametrize("n_samples", [1, 9])
def test_few_inferences_are_poor_however_narrow_their_interval(n_samples):
    verdict = grade_measurement(evidence(0.0, n_samples))
    assert str(verdict) == f"poor: only {n_samples} timed inferences, want 10"


def test_three_inferences_do_where_one_takes_longer_than_ten_seconds():
    slow = Evidence(latency_ns=11e9, se_rel=0.002, n_samples=3)
    assert grade_measurement(slow).grade is Grade.GOOD


def test_an_error_that_is_not_known_is_poor():
    assert grade_measurement(evidence(math.nan)).grade is Grade.POOR


@pytest.mark.parametrize("spoilt", [{"spoilt_by": "throttled"}, {"disturbed_share": 0.6}])
def test_what_spoils_a_measurement_keeps_it_from_being_good_and_is_the_reason(spoilt):
    verdict = grade_measurement(evidence(0.001, **spoilt))
    assert verdict.grade is Grade.USABLE
    assert "throttled" in verdict.reason or "60% of the inferences" in verdict.reason
    assert grade_measurement(evidence(0.2, **spoilt)).grade is Grade.POOR


@pytest.mark.parametrize(("noise", "grade"), [(0.005, "good"), (0.04, "usable"), (0.2, "poor")])
def test_a_run_is_graded_by_its_noise_floor_against_the_spread(noise, grade):
    latencies = 10 * np.exp(np.random.default_rng(0).normal(0, 0.2, 200))
    assert grade_run(latencies, np.full(200, noise)).grade.value == grade


def test_a_few_rows_of_unknown_or_absurd_error_do_not_decide_a_run():
    latencies = 10 * np.exp(np.random.default_rng(0).normal(0, 0.2, 50))
    errors = np.full(50, 0.004)
    errors[:3], latencies[3:6] = math.nan, latencies[3:6] * 3.3
    assert grade_run(latencies, errors).grade is Grade.GOOD


def test_a_run_without_errors_is_poor_and_one_model_stands_alone():
    assert grade_run(np.ones(3), np.full(3, math.nan)).grade is Grade.POOR
    assert str(grade_run(np.ones(1), np.array([0.004]))) == "good: noise floor 0.40%"


def test_models_that_hardly_differ_cannot_be_learned():
    verdict = grade_run(np.array([5.0, 5.001, 5.002]), np.full(3, 0.01))
    assert verdict.grade is Grade.POOR
    assert "noise hides" in verdict.reason


def test_the_spread_is_the_deviation_of_the_logarithms():
    latencies = 7 * np.exp(np.random.default_rng(0).normal(0, 0.3, 20_000))
    assert spread_of(latencies) == pytest.approx(0.3, rel=0.03)
    assert spread_of(latencies[:1]) == 0


def test_an_interval_is_turned_back_into_its_standard_error():
    assert se_of_interval(98.04, 101.96, 100.0) == pytest.approx(0.01, rel=1e-3)
    assert se_of_interval(97.424, 102.576, 100.0, 0.99) == pytest.approx(0.01, rel=1e-3)


def test_an_interval_of_no_level_says_nothing():
    assert math.isnan(se_of_interval(90, 110, 100, 0.0))


def test_repeats_without_errors_of_their_own_have_that_of_their_differences():
    assert combined_se([10.0, 10.1, 9.9], [math.nan] * 3) == pytest.approx(0.0073, rel=0.05)


def test_repeats_that_differ_more_than_they_admit_are_believed():
    assert combined_se([10.0], [0.003]) == 0.003
    assert combined_se([10.0, 10.0], [0.003, 0.003]) == pytest.approx(0.003 / math.sqrt(2))
    assert combined_se([10.0, 14.0, 9.0], [0.003] * 3) > 0.1


def test_the_error_of_a_median_of_three_holds_in_simulation():
    rng = np.random.default_rng(1)
    runs = 10 * np.exp(rng.normal(0, 0.02, (4000, 3)))
    medians = np.median(runs, axis=1)
    stated = [combined_se(list(run), [0.0] * 3) for run in runs]
    truth = float(np.std(np.log(medians)))
    assert np.sqrt(np.mean(np.square(stated))) == pytest.approx(truth, rel=0.15)
