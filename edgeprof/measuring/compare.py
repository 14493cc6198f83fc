"""Which of two is faster: paired, interleaved, with an interval.

Owns: how two measurements that were interleaved in rounds become one ratio, and what is to be said
against the ratio. Against a measurement the harness speaks (csrc/record/warnings.cpp). Times
nothing itself.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprof import _core
from edgeprof.base.errors import UnsteadyMeasurement
from edgeprof.base.notebook import html_table
from edgeprof.base.units import format_duration_ns
from edgeprof.measuring.harness import Settings, measure_interleaved
from edgeprof.measuring.measurement import DISTURBANCES, Measurement
from edgeprof.measuring.progress import OnProgress

_MIN_ROUNDS = 6  # below it no pair of ranks holds 95 %
_FEW_ROUNDS = (
    "only {} rounds undisturbed for both: the ratio is from {}; calm the machine and repeat"
)
_BIT = {name: bit for bit, name in DISTURBANCES.items()}
_FURTHER_ROUNDS = (
    (~_BIT["slow_machine"], "those on a slow machine, too"),
    (_BIT["after_switch"], "all rounds"),
)
"""Disturbances that are left out where no others leave enough rounds. A slow machine meets both
models alike; of preemptions the model with the longer inferences has more."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two measurements that were taken in turns.

    Attributes:
        a: the first.
        b: the second.
        ratio: latency of b over latency of a: the median over rounds, each of which ran both.
        ratio_low: lower end of its 95 % interval, distribution-free.
        ratio_high: upper end.
        n_rounds: rounds that the ratio is from.
        warnings: what a reader should know before trusting the ratio.
    """

    a: Measurement
    b: Measurement
    ratio: float
    ratio_low: float
    ratio_high: float
    n_rounds: int
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Comparison A {self.a.model}, B {self.b.model}: {self.verdict}>"

    def _repr_html_(self) -> str:
        facts = {
            f"{name}: {measured.model}": format_duration_ns(measured.latency_median_ns)
            for name, measured in (("A", self.a), ("B", self.b))
        }
        facts |= {
            "B / A": f"{self.ratio:.4g} ({self.ratio_low:.4g} to {self.ratio_high:.4g})",
            "warnings": "; ".join(self.warnings) or "none",
        }
        return html_table(self.verdict, facts.items())

    @property
    def is_different(self) -> bool:
        """Whether the interval leaves 1 out."""
        return not self.ratio_low <= 1.0 <= self.ratio_high

    @property
    def drift_rel(self) -> float | None:
        """By what fraction the machine changed meanwhile; ``None`` if there was too little time."""
        drifts = [m.record["drift"]["rel"] for m in (self.a, self.b) if "drift" in m.record]
        return max(drifts, key=abs, default=None)

    @property
    def verdict(self) -> str:
        """The result in plain words."""
        drift = self.drift_rel or 0.0
        if abs(drift) <= _core.NOTABLE_DRIFT_REL:
            return self._difference
        return (
            f"{self._difference}; the machine drifted by {drift:+.1%} meanwhile, which meets both"
            " within each round"
        )

    @property
    def _difference(self) -> str:
        low, high = sorted((self.ratio_low - 1.0, self.ratio_high - 1.0))
        if self.is_different:
            change = self.ratio - 1.0
            word = "less" if change < 0 else "more"
            ends = sorted((abs(low), abs(high)))
            return (
                f"B takes {abs(change):.1%} {word} time than A"
                f" (95 % interval {ends[0]:.1%} to {ends[1]:.1%})"
            )
        return (
            f"no difference shown: B takes between {-low:.1%} less and {high:.1%} more time than A"
        )


def compare(
    model_a: str | os.PathLike[str],
    model_b: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    *,
    a: Mapping[str, Any] | None = None,
    b: Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Comparison:
    """Measure two models, or one under two settings, in turns and compare them.

    >>> import edgeprof
    >>> found = edgeprof.compare("model.onnx", max_secs=2.0, ci_rel=0.5)
    >>> found.ratio_low <= found.ratio <= found.ratio_high
    True

    Args:
        model_a: a model file.
        model_b: another; the same one if ``None``.
        settings: how to measure both; the harness' defaults if ``None``.
        a: fields of ``Settings`` to change for A alone, as in ``a={"threads": 2}``.
        b: fields to change for B alone.
        on_progress: called a few times a second with how it goes.
        **changes: fields to change for both.

    Raises:
        UnsteadyMeasurement: too few rounds for an interval; a longer ``max_secs`` may help. Or the
            machine drifted by more than ``max_drift``.
        EdgeprofError: as ``edgeprof.measure`` does.
    """
    both = replace(settings or Settings(), **changes)
    other = model_a if model_b is None else model_b
    sides = [(model_a, replace(both, **(a or {}))), (other, replace(both, **(b or {})))]
    measured_a, measured_b = measure_interleaved(sides, on_progress)
    return compare_measurements(measured_a, measured_b)


def compare_measurements(a: Measurement, b: Measurement) -> Comparison:
    """Compare two measurements of one interleaved run.

    Where too few rounds went undisturbed for both, further ones count, and a warning says so.

    Raises:
        UnsteadyMeasurement: fewer than 6 rounds.
    """
    warnings: tuple[str, ...] = ()
    ratios = _round_ratios(a, b, ~0)
    n_undisturbed = len(ratios)
    for excluded, which in _FURTHER_ROUNDS:
        if len(ratios) < _MIN_ROUNDS:
            warnings = (_FEW_ROUNDS.format(n_undisturbed, which),)
            ratios = _round_ratios(a, b, excluded)
    interval = _core.median_interval(ratios.tolist())
    if interval is None:
        raise UnsteadyMeasurement(
            f"{a.model} and {b.model}: {len(ratios)} rounds, need {_MIN_ROUNDS}; raise --max-secs",
            n_rounds=len(ratios),
        )
    return Comparison(a, b, float(np.median(ratios)), *interval, len(ratios), warnings)


def _round_ratios(a: Measurement, b: Measurement, excluded: int) -> npt.NDArray[np.float64]:
    """Ratio b/a of each round, over the samples without the excluded disturbances."""
    medians_a, medians_b = _round_medians(a, excluded), _round_medians(b, excluded)
    n = min(len(medians_a), len(medians_b))
    ratios = medians_b[:n] / medians_a[:n]
    return ratios[np.isfinite(ratios)]


def _round_medians(measurement: Measurement, excluded: int) -> npt.NDArray[np.float64]:
    """Median of the samples of each round; NaN where there is none."""
    is_used = (measurement.disturbed & (excluded & 0xFFFF)) == 0
    medians = []
    for start, end in itertools.pairwise(measurement.record["blocks"]["end_sample"]):
        latencies = measurement.latency_ns[start:end][is_used[start:end]]
        medians.append(float(np.median(latencies)) if len(latencies) else np.nan)
    return np.array(medians)
