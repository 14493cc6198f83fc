"""The same measurement in several processes: how much a number depends on its process.

Owns: the statistics between processes. Memory layout, page colouring and the like are drawn anew
in each process and stay for its life: no number of samples in one process averages them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeprof import _core
from edgeprof.measuring.measurement import Measurement

_MEDIANS = ("latency_mean_ns", "latency_p95_ns", "load_ns", "first_inference_ns")


@dataclass(frozen=True)
class Launches:
    """Measurements of one model under one setting, each in a process of its own.

    Attributes:
        measurements: one per process, in order.
        latency_median_ns: median of their medians.
        ci_low_ns: lower end of its interval over the processes, distribution-free.
        ci_high_ns: upper end.
        ci_level: its confidence: 0.95 from 6 processes on, what their range can give below.
        between_rel: standard deviation of their medians, as a fraction of the latency.
        within_rel: standard deviation of single undisturbed inferences within a process, as a
            fraction of the latency (root mean square over the processes).
    """

    measurements: tuple[Measurement, ...]
    latency_median_ns: int
    ci_low_ns: int
    ci_high_ns: int
    ci_level: float
    between_rel: float
    within_rel: float

    @classmethod
    def of(cls, measurements: Sequence[Measurement]) -> Launches:
        """Sum up at least two measurements."""
        medians = np.array([m.latency_median_ns for m in measurements], dtype=float)
        latency_ns = float(np.median(medians))
        variances = [
            float(np.var(undisturbed, ddof=1))
            for m in measurements
            if len(undisturbed := m.latency_ns[m.disturbed == 0]) > 1
        ]
        low, high = _core.median_interval(medians.tolist()) or (medians.min(), medians.max())
        return cls(
            tuple(measurements),
            round(latency_ns),
            round(low),
            round(high),
            min(0.95, 1 - 0.5 ** (len(measurements) - 1)),
            float(np.std(medians, ddof=1)) / latency_ns,
            float(np.sqrt(np.mean(variances))) / latency_ns if variances else float("nan"),
        )

    def summary(self) -> dict[str, Any]:
        """Return what ``edgeprof measure --launches --json`` prints: one object for all launches.

        The latency and its interval are over the processes, numbers of samples are sums, warnings
        all that there were. What has no sum is the first process's.
        """
        summaries = [m.summary() for m in self.measurements]
        stop_reasons = [m.stop_reason for m in self.measurements]
        disturbed = Counter[str]()
        for summary in summaries:
            disturbed.update(summary["disturbed"])
        result = {
            **summaries[0],
            **_medians(summaries),
            **{name: sum(s[name] for s in summaries) for name in ("n_samples", "n_undisturbed")},
            "latency_min_ns": min(m.latency_min_ns for m in self.measurements),
            "stop_reason": next((r for r in stop_reasons if r != "interval"), "interval"),
            "warnings": list(dict.fromkeys(w for m in self.measurements for w in m.warnings)),
            "disturbed": dict(disturbed),
            "n_launches": len(self.measurements),
            "launch_medians_ns": [m.latency_median_ns for m in self.measurements],
            "latency_median_ns": self.latency_median_ns,
            "ci_low_ns": self.ci_low_ns,
            "ci_high_ns": self.ci_high_ns,
            "ci_level": self.ci_level,
            "between_launches_rel": self.between_rel,
            "within_launch_rel": self.within_rel,
        }
        if all("peak_rss_bytes" in summary for summary in summaries):
            result["peak_rss_bytes"] = max(summary["peak_rss_bytes"] for summary in summaries)
        return result


def _medians(summaries: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {
        name: round(float(np.median([summary[name] for summary in summaries])))
        for name in _MEDIANS
        if all(name in summary for summary in summaries)
    }
