"""Measurements as a Chrome trace (chrome://tracing, Perfetto).

Owns: the form of the trace. One row per model: each timed inference, those that were disturbed by
name; and where the runtime told them, another row with the operators of a mean inference.
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
        events += [_named_row(measurement.model, row), *_inferences(measurement, row)]
    for measurement in measurements:
        if per_op := measurement.record.get("per_op"):
            row += 1
            name = f"{measurement.model}: operators, means of {per_op['n_runs']} inferences"
            events += [_named_row(name, row), *_operators(per_op["operators"], row)]
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def _named_row(name: str, row: int) -> dict[str, Any]:
    return {"name": "thread_name", "ph": "M", "pid": 0, "tid": row, "args": {"name": name}}


def _operators(operators: Sequence[dict[str, Any]], row: int) -> list[dict[str, Any]]:
    """Return operators one after the other, in the order of execution."""
    events, start_ns = [], 0
    for operator in operators:
        events.append(
            {
                "name": operator["name"],
                "cat": operator["type"],
                "ph": "X",
                "pid": 0,
                "tid": row,
                "ts": start_ns / _NS_PER_US,
                "dur": operator["mean_ns"] / _NS_PER_US,
            }
        )
        start_ns += operator["mean_ns"]
    return events


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
