"""The records of simulated campaigns, as a store has them."""

from __future__ import annotations

import numpy as np
from simulated_campaign import CALM, Plan, simulate

LATENCY_S = np.array([0.004, 0.008, 0.016, 0.005, 0.005])
PLAN = Plan(LATENCY_S, np.array([0.0, 0.1, 0.2, 0.0, 1.0]), seconds=6.0)


def records_of(campaign: str, seed: int, machine=CALM, slower: float = 1.0) -> dict[str, dict]:
    """Return the records of a campaign of three models and the two references, by job key."""
    samples = simulate(PLAN, machine, seed)
    keys = [f"{campaign}-model{item}" for item in range(3)]
    keys += [f"reference:arithmetic@{campaign}", f"reference:memory@{campaign}"]
    columns = ("latency_ns", "begin_ns", "disturbed", "process", "round", "waited_ns")
    records = {}
    for item, key in enumerate(keys):
        own = {name: getattr(samples, name)[samples.item == item] for name in columns}
        own["latency_ns"] = (own["latency_ns"] * slower).astype(int)
        latency_ns = int(np.median(own["latency_ns"]))
        records[key] = {
            "model": {"sha256": key},
            "runtime": {"name": "null", "version": "1"},
            "settings": {"threads": 1, "cpus": []},
            "summary": {
                "latency_median_ns": latency_ns,
                "ci_low_ns": latency_ns,
                "ci_high_ns": latency_ns,
                "n_samples": len(own["process"]),
            },
            "samples": {name: column.tolist() for name, column in own.items()},
            "campaign": {"id": campaign, "group": 0 if item < 3 else -1},
        }
    return records
