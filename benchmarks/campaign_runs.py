"""What the benchmarks of campaigns share: running one, and what would be run instead."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.export import export_subnets
from edgeprof.measuring.harness import PROGRAM, Settings, make_job, run_jobs
from edgeprof.measuring.local_campaign import run_campaign as measure_in_turns
from edgeprof.networks.spaces import get_space
from edgeprof.records.campaign_samples import EstimatedRecords, estimate_records

Models = Mapping[str, Path]
"""Model files by the names they are measured under."""


@dataclass(frozen=True)
class Campaign:
    """One campaign as it came out.

    Attributes:
        records: by name, the references' among them.
        wall_s: how long the program ran.
    """

    records: Mapping[str, Mapping[str, Any]]
    wall_s: float

    def estimate(self) -> EstimatedRecords:
        """Latencies at reference speed."""
        return estimate_records(self.records)

    def log_latency(self, names: Sequence[str]) -> np.ndarray:
        """Log ms at reference speed."""
        items = self.estimate().items
        return np.log([items[name].latency_ms for name in names])


def export_models(folder: Path, count: int, resolution: int | None = None) -> Models:
    """Export subnets of a space; kept in the folder for the next run."""
    resolutions = None if resolution is None else [resolution]
    space = get_space("ofa-mbv3-w1.0")
    subnets = space.sample(count, np.random.default_rng(1), resolutions)
    folder.mkdir(parents=True, exist_ok=True)
    entries = export_subnets(subnets, folder)
    return {f"subnet{n}": folder / entry.file for n, entry in enumerate(entries)}


def run_campaign(
    models: Models, seconds: float, *, seed: int = 0, program: Path = PROGRAM, **fields: Any
) -> Campaign:
    """Run one campaign of the board program; ``seconds`` of inferences over all models."""
    jobs = {name: make_job(model, Settings(threads=1, seed=0)) for name, model in models.items()}
    # An interval that no campaign reaches: each has the whole of its time.
    settings = {"budget_secs": seconds, "ci_rel": 1e-6, "seed": seed, **fields}
    start = time.perf_counter()
    records = measure_in_turns(jobs, settings, program)
    return Campaign(records, time.perf_counter() - start)


def contiguous_passes(models: Models, seconds_each: float, passes: int = 3) -> np.ndarray:
    """Log ms of each model: median of the medians of passes, one model after the other."""
    share = seconds_each / passes
    # No pass is refused: what a wandering machine does to it is what is to be seen.
    settings = Settings(threads=1, min_secs=share, max_secs=share, ci_rel=1e-6, max_drift=100.0)
    medians = [
        [
            record["summary"]["latency_median_ns"]
            for record in run_jobs([make_job(model, settings) for model in models.values()])
        ]
        for _ in range(passes)
    ]
    return np.log(np.median(medians, axis=0) / 1e6)
