"""Stores of made-up measurements, in the form the harness writes."""

from __future__ import annotations

import numpy as np

from edgeprof.records.store import Store


def make_record(latency_ms, rng, *, n_samples=60, governor="performance"):
    """Return a record of a measurement around a latency, one sample in fifteen disturbed."""
    samples_ns = latency_ms * 1e6 * (1 + np.abs(rng.normal(0, 0.004, n_samples)))
    disturbed = (rng.random(n_samples) < 1 / 15).astype(int)
    disturbed[0] = 0
    samples_ns *= 1 + 0.3 * disturbed
    kept = np.sort(samples_ns[disturbed == 0])
    middle, reach = len(kept) // 2, int(np.sqrt(len(kept)))
    return {
        "record_version": 1,
        "model": {"path": "m.onnx", "sha256": "0" * 64, "model_bytes": 1000},
        "runtime": {"name": "onnxruntime", "version": "1.32.0"},
        "settings": {"threads": 1, "cpus": []},
        "samples": {"latency_ns": [int(v) for v in samples_ns], "disturbed": disturbed.tolist()},
        "summary": {
            "n_samples": n_samples,
            "n_undisturbed": len(kept),
            "latency_median_ns": int(kept[middle]),
            "ci_low_ns": int(kept[middle - reach]),
            "ci_high_ns": int(kept[middle + reach]),
            "latency_min_ns": int(kept[0]),
            "latency_mean_ns": int(kept.mean()),
            "latency_p95_ns": int(np.quantile(kept, 0.95)),
        },
        "stop_reason": "ci",
        "warnings": [] if latency_ms < 12 else ["the canary slowed down by 3 %"],
        "machine": {
            "state_version": 1,
            "architecture": "aarch64",
            "online_cpus": [0, 1],
            "clusters": [{"cpus": [0, 1], "governor": governor, "max_freq_khz": 1800000}],
        },
    }


def fill_store(path, latency_models, subnets, seed=0):
    """Append a measurement of each subnet on each device; returns the path."""
    rng = np.random.default_rng(seed)
    with Store(path) as store:
        for model in latency_models:
            for subnet, latency_ms in zip(subnets, model.predict(subnets), strict=True):
                store.append(
                    make_record(latency_ms, rng),
                    job_key=f"{model.device}-{subnet.id}",
                    device=model.device,
                    subnet=subnet,
                    model_kind="onnx-fp32-b1",
                )
    return path
