"""Measurements as a Chrome trace (chrome://tracing, Perfetto).

Owns: the form of the trace. One row per model: each timed inference, those that were disturbed by
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeprof.measuring.measurement import DISTURBANCES, Measurement

_NS_PER_US = 1_000


def chrome_trace(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Return the trace of measurements that were taken with ``Settings(timestamps=True)``."""
    events: list[dict[str, Any]] = []
    for row, measurement in enumerate(measurements):
        events.append(
            {
                "name": "thread_name",
                "ph": "M",
                "pid": 0,
                "tid": row,
                "args": {"name": measurement.model},
            }
        )
        events += _inferences(measurement, row)
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def _inferences(measurement: Measurement, row: int) -> list[dict[str, Any]]:
    starts = measurement.record["samples"]["start_ns"]
    events = []
    for start_ns, latency_ns, mask in zip(
        starts, measurement.latency_ns.tolist(), measurement.disturbed.tolist(), strict=True
    ):
        causes = [name for bit, name in DISTURBANCES.items() if mask & bit]
        events.append(
            {
                "name": ", ".join(causes) or "inference",
                "ph": "X",
                "pid": 0,
                "tid": row,
                "ts": start_ns / _NS_PER_US,
                "dur": latency_ns / _NS_PER_US,
            }
        )
    return events
