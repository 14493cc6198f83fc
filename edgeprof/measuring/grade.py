"""Good, usable or poor: one grade for a measurement and for a run, with its reason in one line.

Owns: what the grades mean. Pure: it looks at standard errors, at what spoilt the measuring, and at
the differences between the latencies that are to be learned. An error is small or large beside
those differences: 2 % is nothing where subnets differ by a half, and hides everything where they
differ by 3 %.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgeprof.measuring.machine import findings, would_mislead
from edgeprof.measuring.measurement import Record

Floats = NDArray[np.float64]


class Grade(str, Enum):
    """How far a number can be trusted."""

    GOOD = "good"
    USABLE = "usable"
    POOR = "poor"


@dataclass(frozen=True)
class Verdict:
    """A grade and why.

    Attributes:
        grade: the grade.
        reason: one line.
    """

    grade: Grade
    reason: str

    def __str__(self) -> str:
        return f"{self.grade.value}: {self.reason}"


GOOD_SE, USABLE_SE = 0.01, 0.05
"""Relative standard errors up to which a latency is good, and usable, whatever it is for."""

GOOD_SHARE, USABLE_SHARE = 0.1, 1 / 3
"""The same beside the spread of the latencies to be learned: a third of it as noise is a ninth of
their variance."""

MIN_SAMPLES, MIN_SLOW_SAMPLES = 10, 3
SLOW_NS = 10e9
"""Timed inferences that a result needs, and one whose inference takes longer than ``SLOW_NS``."""

MAX_DISTURBED_SHARE = 0.5


@dataclass(frozen=True)
class Evidence:
    """What a grade of one measurement is made from.

    Attributes:
        latency_ns: the latency.
        se_rel: its relative standard error; NaN where it is not known.
        n_samples: timed inferences.
        disturbed_share: share of them that something disturbed.
        spoilt_by: what else speaks against it; empty where nothing does.
    """

    latency_ns: float
    se_rel: float
    n_samples: int
    disturbed_share: float = 0.0
    spoilt_by: str = ""


def evidence_of(record: Record) -> Evidence:
    """Return what the record of one measurement says of its quality."""
    summary, settings = record["summary"], record["settings"]
    latency_ns, n_samples = float(summary["latency_median_ns"]), int(summary["n_samples"])
    found = findings(record.get("machine", {}), settings.get("cpus", ()), settings.get("threads"))
    return Evidence(
        latency_ns=latency_ns,
        se_rel=se_of_interval(
            summary["ci_low_ns"], summary["ci_high_ns"], latency_ns, summary.get("ci_level", 0.95)
        ),
        n_samples=n_samples,
        disturbed_share=1 - summary.get("n_undisturbed", n_samples) / n_samples,
        spoilt_by=found[0].found if would_mislead(found) else "",
    )


def together(repeats: Sequence[Evidence]) -> Evidence:
    """Return the evidence of repeated measurements of one model as that of their median."""
    latencies_ns = [one.latency_ns for one in repeats]
    return Evidence(
        latency_ns=statistics.median(latencies_ns),
        se_rel=combined_se(latencies_ns, [one.se_rel for one in repeats]),
        n_samples=sum(one.n_samples for one in repeats),
        disturbed_share=statistics.mean(one.disturbed_share for one in repeats),
        spoilt_by=next((one.spoilt_by for one in repeats if one.spoilt_by), ""),
    )


def grade_measurement(evidence: Evidence, spread_rel: float = 0.0) -> Verdict:
    """Grade one latency.

    Args:
        evidence: what is known of it.
        spread_rel: spread (relative) of the latencies that it will be learned with; 0 for one
            that stands alone.
    """
    least = MIN_SLOW_SAMPLES if evidence.latency_ns > SLOW_NS else MIN_SAMPLES
    if evidence.n_samples < least:
        return Verdict(Grade.POOR, f"only {evidence.n_samples} timed inferences, want {least}")
    if math.isnan(evidence.se_rel):
        return Verdict(Grade.POOR, "its standard error is not known")
    reason = f"standard error {evidence.se_rel:.2%}"
    if spread_rel:
        reason += f", latencies differ by {spread_rel:.0%}"
    good = max(GOOD_SE, GOOD_SHARE * spread_rel)
    usable = max(USABLE_SE, USABLE_SHARE * spread_rel)
    verdict = _by_limits(evidence.se_rel, good, usable, reason)
    spoilt_by = evidence.spoilt_by
    if evidence.disturbed_share > MAX_DISTURBED_SHARE:
        spoilt_by = f"{evidence.disturbed_share:.0%} of the inferences were disturbed"
    if verdict.grade is Grade.GOOD and spoilt_by:
        return Verdict(Grade.USABLE, f"{reason}, but {spoilt_by}")
    return verdict


def grade_run(latencies: Floats, se_rel: Floats) -> Verdict:
    """Grade what was measured together: its noise floor against the differences to be learned.

    Args:
        latencies: (n,) of different models, in any unit.
        se_rel: (n,) their relative standard errors; NaN where not known.
    """
    known = se_rel[~np.isnan(se_rel)]
    if not len(known):
        return Verdict(Grade.POOR, "no standard error is known")
    floor = float(np.median(known))
    reason = f"noise floor {floor:.2%}"
    if len(latencies) < 2:
        return _by_limits(floor, GOOD_SE, USABLE_SE, reason)
    spread = spread_of(latencies)
    reason += f", latencies differ by {spread:.1%}"
    return _by_limits(floor, GOOD_SHARE * spread, USABLE_SHARE * spread, reason)


def _by_limits(error: float, good: float, usable: float, reason: str) -> Verdict:
    if error > usable:
        return Verdict(Grade.POOR, f"{reason}: noise hides what is to be learned")
    return Verdict(Grade.GOOD if error <= good else Grade.USABLE, reason)


def spread_of(latencies: Floats) -> float:
    """Return the spread (relative) of latencies: half their range without the outer sixths.

    It is the standard deviation of logarithms that are normal, and a few absurd ones leave it be.
    """
    if len(latencies) < 2:
        return 0.0
    low, high = np.quantile(np.log(latencies), [0.16, 0.84])
    return float(high - low) / 2


def se_of_interval(low: float, high: float, middle: float, level: float = 0.95) -> float:
    """Return the relative standard error that an interval of a latency stands for.

    Args:
        low: the interval's lower end.
        high: its upper end.
        middle: the latency, in the same unit.
        level: of the interval; 0 where samples are too few to give one: then NaN is returned.
    """
    if not 0 < level < 1:
        return math.nan
    return (high - low) / 2 / NormalDist().inv_cdf(0.5 + level / 2) / middle


def combined_se(latencies: Sequence[float], se_rel: Sequence[float]) -> float:
    """Return the relative standard error of the median of repeated measurements of one model.

    The larger of what the repeats say of themselves and what their differences say: an interval
    within one run does not hold between runs.
    """
    n = len(latencies)
    if n < 2:
        return se_rel[0]
    own = math.sqrt(sum(se**2 for se in se_rel) / n)
    between = float(np.std(np.log(latencies), ddof=1))
    of_median = math.sqrt(math.pi / 2) if n > 2 else 1.0
    return float(np.fmax(own, between)) * of_median / math.sqrt(n)
