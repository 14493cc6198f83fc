"""The tables of a report: what was measured, under which conditions, and what went wrong."""

from __future__ import annotations

import functools
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeprof import _core
from edgeprof.base.units import format_count, format_duration_ns, format_significant
from edgeprof.measuring.grade import spread_of
from edgeprof.measuring.machine import Finding, Severity, describe, findings
from edgeprof.report.data import Device, NamedModel, Row, What, short_name
from edgeprof.report.judging import Judged
from edgeprof.report.kinds import TimeByKind
from edgeprof.report.plots import latency_text, pairs_of

_MOST_STATES = 200
"""Machine states judged per device at most, evenly chosen: they are the same for hours on end."""

_WITH_INTERVALS = 3
"""Devices beside each other whose latencies have their intervals."""


_LEAST_SHARE = 0.001
"""Kinds of layers that take less on every device are not listed."""

_KIND_NAMES = {
    "conv": "convolution",
    "pointwise": "pointwise convolution",
    "depthwise": "depthwise convolution",
    "grouped": "grouped convolution",
    "transposed_conv": "transposed convolution",
    "matmul": "product of two maps",
}
"""Kinds of layers for people, where their own names are not words."""


@dataclass(frozen=True)
class Cell:
    """A text, and how it is shown.

    Attributes:
        text: what it says.
        is_number: whether it stands at the right.
        hint: what it says in full.
        bar: length of a bar beside it, 0 to 1.
    """

    text: str
    is_number: bool = False
    hint: str = ""
    bar: float | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        id: name of its element.
        title: what it shows.
        caption: how to read it.
        columns: names.
        rows: as many texts or cells each.
        alarming: rows to mark, by index.
        is_folded: whether it is folded until it is asked for.
    """

    id: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | Cell]]
    alarming: frozenset[int] = field(default_factory=frozenset)
    is_folded: bool = False


def number(text: str, bar: float | None = None) -> Cell:
    """Return a cell with a number."""
    return Cell(text, is_number=True, bar=bar)


def device_table(devices: Sequence[Device]) -> Table:
    """What was measured on each device."""
    return Table(
        "devices",
        "Devices",
        "Error is the median standard error of a latency beside the others; inferences that "
        "something disturbed count little.",
        (
            "device", "grade", "machine", "runtime", "model", "threads", "networks", "imported",
            "failed", "fastest", "slowest", "error", "undisturbed",
        ),
        [_device_row(device) for device in devices],
    )  # fmt: skip


def _device_row(device: Device) -> tuple[str | Cell, ...]:
    records = [measurement.record for measurement in device.measurements]
    latencies_ns = [row.evidence.latency_ns for row in device.rows]
    errors = [row.evidence.se_rel for row in device.rows]
    known = [error for error in errors if not math.isnan(error)]
    shares = [1 - row.evidence.disturbed_share for row in device.rows if row.is_measured]
    runtimes = (f"{r['runtime']['name']} {r['runtime'].get('version') or ''}" for r in records)
    return (
        device.name,
        "-" if device.grade is None else device.grade.grade.value,
        distinct(describe(record["machine"]) for record in records if "machine" in record),
        distinct(runtimes),
        distinct(m.model_kind or "-" for m in device.measurements),
        number(distinct(str(record["settings"]["threads"]) for record in records)),
        number(f"{len(device.rows):,}"),
        number(f"{device.n_imported:,}"),
        number(f"{len(device.failures):,}"),
        number(format_duration_ns(min(latencies_ns)) if latencies_ns else "-"),
        number(format_duration_ns(max(latencies_ns)) if latencies_ns else "-"),
        number(f"{statistics.median(known):.2%}" if known else "-"),
        number(f"{statistics.median(shares):.0%}" if shares else "-"),
    )


def distinct(texts: Iterable[str]) -> str:
    """Return the different texts among some."""
    return ", ".join(sorted(set(texts))) or "-"


def network_table(devices: Sequence[Device]) -> Table:
    """The latency of every network on every device, the fastest first."""
    shown = [device for device in devices if device.rows]
    rows: dict[What, dict[str, Row]] = {}
    for device in shown:
        for row in device.rows:
            rows.setdefault(row.what, {})[device.name] = row
    with_intervals = len(shown) <= _WITH_INTERVALS
    ranked = sorted(rows.items(), key=lambda item: _sort_key(item[1], shown))
    return Table(
        "networks",
        f"All {len(rows):,} networks",
        "Latency in ms" + (" with its 95 % interval." if with_intervals else "."),
        ("network", "MACs", *(device.name for device in shown)),
        [
            (
                _name_cell(what),
                number(_macs_text(list(on.values()))),
                *(number(_ms_text(on.get(d.name), with_intervals)) for d in shown),
            )
            for what, on in ranked
        ],
        is_folded=True,
    )


def _name_cell(what: What) -> Cell:
    if isinstance(what, NamedModel):
        return Cell(short_name(what), hint=what.path)
    return Cell(f"{what.id} {what.r} px")


def _sort_key(on: dict[str, Row], devices: Sequence[Device]) -> tuple[int, float]:
    """Order by the first device that has a network."""
    place = next(index for index, device in enumerate(devices) if device.name in on)
    return place, on[devices[place].name].latency_ms


def _macs_text(rows: Sequence[Row]) -> str:
    found = next((row.layers for row in rows if row.layers is not None), None)
    return "-" if found is None else format_count(found.macs)


def _ms_text(row: Row | None, with_interval: bool) -> str:
    return "-" if row is None else latency_text(row, with_interval=with_interval)


def predictor_table(judged: Sequence[Judged]) -> Table | None:
    """The errors of each predictor."""
    shown = [one for one in judged if one.result is not None]
    if not shown:
        return None
    return Table(
        "predictors",
        "Predictors",
        "On networks that they have not learned from. The noise floor is the mean error that a "
        "perfect predictor would show; MACs is that of multiply-accumulates, scaled.",
        (
            "predictor", "device", "networks", "mean error", "noise floor", "MACs", "verdict",
            "within 5 %", "within 10 %", "in 90 % interval", "MAE", "RMSE", "Spearman",
            "Kendall tau", "learned from",
        ),
        [_predictor_row(one) for one in shown],
    )  # fmt: skip


def _predictor_row(one: Judged) -> tuple[str | Cell, ...]:
    assert one.result is not None
    metrics, verdict = one.result.metrics, one.result.verdict
    coverage = one.result.coverage_90pct
    return (
        one.label,
        one.device,
        number(f"{metrics.n:,}"),
        number(f"{metrics.mape:.2%}"),
        number("-" if verdict.noise_floor is None else f"{verdict.noise_floor:.2%}"),
        number(f"{verdict.macs_mape:.2%}"),
        verdict.against_macs,
        number(f"{metrics.within_5pct:.0%}"),
        number(f"{metrics.within_10pct:.0%}"),
        number("-" if coverage is None else f"{coverage:.0%}"),
        number(format_duration_ns(metrics.mae_ms * 1e6)),
        number(format_duration_ns(metrics.rmse_ms * 1e6)),
        number(_correlation(metrics.spearman)),
        number(_correlation(metrics.kendall_tau)),
        number(f"{one.n_learned:,}" if one.is_known else "unknown"),
    )


def _correlation(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def boards_table(devices: Sequence[Device]) -> Table | None:
    """By what factor devices differ on the networks that they share."""
    pairs = pairs_of(devices)
    if not pairs:
        return None
    return Table(
        "factors",
        "Devices side by side",
        "The factor is the median over the networks that both measured; two thirds of them are "
        "within the spread of it. Where that is small, one number moves latencies between them.",
        ("device", "beside", "networks", "factor", "spread", "Spearman"),
        [_pair_row(first, other) for first, other in pairs],
    )


def _pair_row(first: Device, other: Device) -> tuple[str | Cell, ...]:
    from edgeprof.predictors.metrics import metrics_of

    common = [what for what in first.by_network if what in other.by_network]
    mine = np.array([first.by_network[what].latency_ms for what in common])
    theirs = np.array([other.by_network[what].latency_ms for what in common])
    return (
        other.name,
        first.name,
        number(f"{len(common):,}"),
        number(f"x {format_significant(float(np.median(theirs / mine)))}"),
        number(f"{spread_of(theirs / mine):.1%}"),
        number(_correlation(metrics_of(theirs, mine).spearman)),
    )


def kinds_table(times: Sequence[TimeByKind]) -> Table | None:
    """Where the time goes: kinds of layers down, devices across."""
    if not times:
        return None
    total: Counter[str] = Counter()
    for one in times:
        total.update(one.shares)
    most = max(max(one.shares.values()) for one in times)
    names = [f"{one.device} ({one.n_networks} networks, by {one.source})" for one in times]
    return Table(
        "kinds",
        "Where the time goes",
        "Share of the time of all networks by kind of layer. No layer was timed by itself: this is "
        "the division that fits the latencies of whole networks, an estimate.",
        ("kind of layer", *names),
        [
            (
                _KIND_NAMES.get(kind, kind.replace("_", " ")),
                *(_share_cell(one.shares.get(kind), most) for one in times),
            )
            for kind, _ in total.most_common()
            if max(one.shares.get(kind, 0.0) for one in times) >= _LEAST_SHARE
        ],
    )


def _share_cell(share: float | None, most: float) -> Cell:
    return number("-") if share is None else number(f"{share:.1%}", bar=share / most)


def findings_table(devices: Sequence[Device]) -> Table | None:
    """What would spoil measurements, as found in the machine states that were recorded."""
    rows: list[tuple[bool, tuple[str, ...]]] = []
    for device in devices:
        states = [m.record["machine"] for m in device.measurements if "machine" in m.record]
        chosen = states[:: max(1, -(-len(states) // _MOST_STATES))]
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
        "state",
        "Machine state",
        "Judged from the state recorded with each measurement.",
        ("device", "level", "states", "found", "consequence", "remedy"),
        tuple(text for _, text in rows),
        frozenset(index for index, (misleading, _) in enumerate(rows) if misleading),
        is_folded=True,
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
        "warnings",
        "Warnings and failures",
        "Warnings stand beside numbers that were kept, and are counted whatever their value (...);"
        " failures gave no number.",
        ("device", "kind", "how often", "message"),
        tuple(rows),
        frozenset(range(first_failure, len(rows))),
        is_folded=True,
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
