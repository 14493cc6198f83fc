"""The same measurement in several processes: how much a number depends on its process.

Owns: the statistics between processes. Memory layout, page colouring and the like are drawn anew
in each process and stay for its life: no number of samples in one process averages them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeprof.measurement import Measurement


@dataclass(frozen=True)
class Launches:
    """Measurements of one model under one setting, each in a process of its own.

    Attributes:
        measurements: one per process, in order.
        latency_median_ns: median of their medians.
        between_rel: standard deviation of their medians, as a fraction of the latency.
        within_rel: standard deviation of single undisturbed inferences within a process, as a
            fraction of the latency (root mean square over the processes).
    """

    measurements: tuple[Measurement, ...]
    latency_median_ns: int
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
        return cls(
            tuple(measurements),
            round(latency_ns),
            float(np.std(medians, ddof=1)) / latency_ns,
            float(np.sqrt(np.mean(variances))) / latency_ns if variances else float("nan"),
        )

    def summary(self) -> dict[str, Any]:
        """Return the fields that ``edgeprof measure --launches --json`` adds."""
        return {
            "n_launches": len(self.measurements),
            "launch_medians_ns": [m.latency_median_ns for m in self.measurements],
            "latency_median_ns": self.latency_median_ns,
            "between_launches_rel": self.between_rel,
            "within_launch_rel": self.within_rel,
        }
