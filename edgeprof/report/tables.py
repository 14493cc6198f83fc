"""The tables of a report: what was measured, under which conditions, and what went wrong."""

from __future__ import annotations

import functools
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeprof import _core
from edgeprof.base.units import format_duration_ns
from edgeprof.measuring.machine import Finding, Severity, describe, findings
from edgeprof.predictors.metrics import metrics_of
from edgeprof.report.data import Device, Evaluation

_MOST_STATES = 200
"""Machine states judged per device at most, evenly chosen: they are the same for hours on end."""


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        title: what it shows.
        caption: how to read it.
        columns: names.
        rows: as many texts each.
        alarming: rows to mark, by index.
    """

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    alarming: frozenset[int] = frozenset()


def device_table(devices: Sequence[Device]) -> Table:
    """What was measured on each device."""
    return Table(
        "Devices",
        "Half width is half the interval of a median relative to it, the median over all models; "
        "samples that something disturbed do not count for medians.",
        (
            "device", "machine", "runtime", "model", "threads", "measured", "imported", "failed",
            "latency", "half width", "undisturbed",
        ),
        tuple(_device_row(device) for device in devices),
    )  # fmt: skip


def _device_row(device: Device) -> tuple[str, ...]:
    records = [measurement.record for measurement in device.measurements]
    latencies_ms = sorted(device.all_medians_ms.values())
    span = f"{latencies_ms[0]:.4g} .. {latencies_ms[-1]:.4g} ms" if latencies_ms else "-"
    summaries = [record["summary"] for record in records]
    half = [(s["ci_high_ns"] - s["ci_low_ns"]) / 2 / s["latency_median_ns"] for s in summaries]
    undisturbed = [s["n_undisturbed"] / s["n_samples"] for s in summaries]
    return (
        device.name,
        _distinct(describe(record["machine"]) for record in records if "machine" in record),
        _distinct(f"{r['runtime']['name']} {r['runtime'].get('version') or ''}" for r in records),
        _distinct(m.model_kind or "-" for m in device.measurements),
        _distinct(str(record["settings"]["threads"]) for record in records),
        str(len(records)),
        str(device.n_imported),
        str(len(device.failures)),
        span,
        f"{statistics.median(half):.2%}" if half else "-",
        f"{statistics.median(undisturbed):.0%}" if undisturbed else "-",
    )


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(sorted(set(texts))) or "-"


def findings_table(devices: Sequence[Device]) -> Table | None:
    """What would spoil measurements, as found in the machine states that were recorded."""
    rows: list[tuple[bool, tuple[str, ...]]] = []
    for device in devices:
        states = [m.record["machine"] for m in device.measurements if "machine" in m.record]
        step = max(1, -(-len(states) // _MOST_STATES))
        chosen = states[::step]
        found: dict[str, list[Finding]] = {}
        for state in chosen:
            for finding in findings(state):
                found.setdefault(finding.id, []).append(finding)
        for items in found.values():
            last = items[-1]
            share = f"{len(items)} of {len(chosen)}"
            misleading = last.severity is Severity.MISLEADING
            level = "misleading" if misleading else "notice"
            text = (device.name, level, share, last.found, last.consequence, last.remedy)
            rows.append((misleading, text))
    if not rows:
        return None
    rows.sort(key=lambda row: not row[0])
    return Table(
        "Machine state",
        "Judged from the state recorded with each measurement.",
        ("device", "level", "states", "found", "consequence", "remedy"),
        tuple(text for _, text in rows),
        frozenset(index for index, (misleading, _) in enumerate(rows) if misleading),
    )


def warnings_table(devices: Sequence[Device]) -> Table | None:
    """Warnings of measurements and failures, counted."""
    rows: list[tuple[str, ...]] = []
    for device in devices:
        warned = Counter(
            _without_value(warning)
            for measurement in device.measurements
            for warning in measurement.record.get("warnings", ())
        )
        rows += [
            (device.name, "warning", f"{count} of {len(device.measurements)}", text)
            for text, count in warned.most_common()
        ]
    first_failure = len(rows)
    for device in devices:
        kinds = Counter(failure.kind for failure in device.failures)
        messages = {failure.kind: failure.message for failure in device.failures}
        rows += [
            (device.name, kind, str(count), messages[kind]) for kind, count in kinds.most_common()
        ]
    if not rows:
        return None
    return Table(
        "Warnings and failures",
        "Warnings stand beside numbers that were kept, and are counted whatever their value (...);"
        " failures gave no number.",
        ("device", "kind", "how often", "message"),
        tuple(rows),
        frozenset(range(first_failure, len(rows))),
    )


@functools.cache
def _warning_patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """How each warning of the harness reads, and the same without its value."""
    lines = [f"{found}: {meaning}; {remedy}" for _, found, meaning, remedy in _core.warning_texts()]
    place = re.escape("{}")
    return tuple(
        (re.compile(re.escape(line).replace(place, ".+")), line.replace("{}", "..."))
        for line in lines
    )


def _without_value(warning: str) -> str:
    """Return what a warning has in common with others of its kind; others as they are."""
    return next((line for form, line in _warning_patterns() if form.fullmatch(warning)), warning)


def predictor_table(evaluations: Sequence[Evaluation]) -> Table | None:
    """The errors of each predictor."""
    if not evaluations:
        return None
    return Table(
        "Predictors",
        "On the subnets of its device and space in the stores that it has not learned from, as far "
        "as its files say. The noise floor is what a perfect predictor would show.",
        (
            "predictor", "device", "n", "MAE", "RMSE", "MAPE", "within 5 %", "within 10 %",
            "Spearman", "Kendall tau", "noise floor", "against MACs",
        ),
        tuple(_predictor_row(item) for item in evaluations),
    )  # fmt: skip


def _predictor_row(item: Evaluation) -> tuple[str, ...]:
    metrics = metrics_of(item.predicted_ms, item.data.latency_ms)
    return (
        item.label,
        item.data.device,
        str(metrics.n),
        format_duration_ns(metrics.mae_ms * 1e6),
        format_duration_ns(metrics.rmse_ms * 1e6),
        f"{metrics.mape:.2%}",
        f"{metrics.within_5pct:.1%}",
        f"{metrics.within_10pct:.1%}",
        _correlation(metrics.spearman),
        _correlation(metrics.kendall_tau),
        "-" if item.verdict.noise_floor is None else f"{item.verdict.noise_floor:.2%}",
        item.verdict.against_macs,
    )


def _correlation(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def headline(devices: Sequence[Device], evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """Return the handful of numbers to see first: (value, what it is)."""
    n_measured = sum(len(device.measurements) for device in devices)
    subnets = {subnet.id for device in devices for subnet in device.latencies_ms}
    cards = [
        (str(len(devices)), "device" if len(devices) == 1 else "devices"),
        (f"{n_measured:,}", "measurements"),
        (f"{len(subnets):,}", "subnets"),
    ]
    networks = {model.identity for device in devices for model in device.networks_ms}
    if networks:
        cards.append((f"{len(networks):,}", "other networks"))
    n_failed = sum(len(device.failures) for device in devices)
    if n_failed:
        cards.append((f"{n_failed:,}", "failed attempts"))
    samples = _total(devices, "n_samples")
    if samples:
        share = _total(devices, "n_undisturbed") / samples
        cards.append((f"{share:.0%}", "of samples undisturbed"))
    for item in evaluations[:2]:
        metrics = metrics_of(item.predicted_ms, item.data.latency_ms)
        cards.append((f"{metrics.mape:.1%}", f"mean error of {item.label}"))
    return cards


def _total(devices: Sequence[Device], name: str) -> int:
    values: list[Any] = [m.record["summary"][name] for d in devices for m in d.measurements]
    return sum(values)
