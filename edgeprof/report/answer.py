"""The answer card: what was measured where, can it be trusted, the best networks, the errors.

Owns: what a reader learns who reads nothing else, in words and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edgeprof.base.units import format_significant
from edgeprof.measuring.grade import Grade
from edgeprof.measuring.machine import describe
from edgeprof.report.data import Device, Row, short_name
from edgeprof.report.found import FrontPoint
from edgeprof.report.judging import Judged
from edgeprof.report.plots import TO_95PCT, latency_text
from edgeprof.report.tables import Cell, Table, distinct

_MOST_LISTED = 4
_WORST_FIRST = (Grade.POOR, Grade.USABLE, Grade.GOOD)


@dataclass(frozen=True)
class Bar:
    """A length beside others of its block.

    Attributes:
        name: what it is of.
        value: its length.
        text: the value for people.
        is_main: whether it is what the block is about.
    """

    name: str
    value: float
    text: str
    is_main: bool = False


@dataclass(frozen=True)
class Answer:
    """One block of the card.

    Attributes:
        question: what it answers.
        answer: in a few words.
        lines: what the answer rests on: a name, and what is said of it.
        bars: lengths to compare.
        is_alarming: whether the answer should worry.
    """

    question: str
    answer: str
    lines: Sequence[tuple[str, str]] = ()
    bars: Sequence[Bar] = field(default_factory=tuple)
    is_alarming: bool = False


def answers(
    devices: Sequence[Device],
    found: Sequence[FrontPoint],
    judged: Sequence[Judged],
    state: Table | None,
) -> list[Answer]:
    """Return the blocks of the card; ``state``: what was found wrong with the machines."""
    return [
        _measured(devices),
        _trust(devices, state),
        _best_found(found) if found else _fastest(devices),
        *_errors(judged),
    ]


def _measured(devices: Sequence[Device]) -> Answer:
    networks = {row.what for device in devices for row in device.rows}
    names = {device.device for device in devices if device.rows}
    lines = [(device.name, _about(device)) for device in devices]
    return Answer(
        "What was measured",
        f"{_counted(len(networks), 'network')} on {_counted(len(names), 'device')}",
        _shortened(lines),
    )


def _about(device: Device) -> str:
    """Return what a device is, how it ran networks, how many, and when."""
    records = [measurement.record for measurement in device.measurements]
    if not records:
        if not device.rows:
            return f"nothing but {_counted(len(device.failures), 'failed attempt')}"
        return f"{_counted(len(device.rows), 'network')}, rows from elsewhere"
    machine = distinct(
        describe(record["machine"]).partition(";")[0] for record in records if "machine" in record
    )
    runtimes = (f"{r['runtime']['name']} {r['runtime'].get('version') or ''}" for r in records)
    threads = distinct(str(record["settings"]["threads"]) for record in records)
    times = sorted(measurement.created_utc for measurement in device.measurements)
    first, last = times[0][:16].replace("T", " "), times[-1][:16].replace("T", " ")
    until = "" if first == last else f" to {last[11:] if first[:10] == last[:10] else last}"
    parts = [
        _counted(len(device.rows), "network"),
        *[machine] * (machine != "-"),
        f"{distinct(runtimes).strip()}, {threads} thread{'' if threads == '1' else 's'}",
        f"{first}{until} UTC",
    ]
    return "; ".join(parts)


def _trust(devices: Sequence[Device], state: Table | None) -> Answer:
    graded = [(device, device.grade) for device in devices if device.grade is not None]
    if not graded:
        return Answer(
            "Can it be trusted?",
            "Nobody knows",
            [("", "Rows from elsewhere, without their errors.")],
        )
    worst = next(g for g in _WORST_FIRST if any(grade.grade is g for _, grade in graded))
    graded.sort(key=lambda item: _WORST_FIRST.index(item[1].grade))
    lines = [(f"{device.name}: {grade.grade.value}", grade.reason) for device, grade in graded]
    lines = _shortened(lines)
    lines += [
        (
            "",
            f"{name}: the level of milliseconds is known to ±{TO_95PCT * se:.1%}, ratios better",
        )
        for name, se in list(_levels(devices).items())[:_MOST_LISTED]
    ]
    if state is not None and state.alarming:
        more = f", and {len(state.alarming) - 1} more below" if len(state.alarming) > 1 else ""
        device, _, share, found, *_ = map(_text, state.rows[min(state.alarming)])
        lines.append(("", f"{device}: {found} ({share} states){more}"))
    word = {Grade.GOOD: "Yes", Grade.USABLE: "With care", Grade.POOR: "No"}[worst]
    if worst is not Grade.GOOD and len({grade.grade for _, grade in graded}) > 1:
        word = f"Not all: the worst is {worst.value}"
    return Answer("Can it be trusted?", word, lines, is_alarming=worst is Grade.POOR)


def _text(cell: str | Cell) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def _levels(devices: Sequence[Device]) -> dict[str, float]:
    return {device.device: device.level.se for device in devices if device.level is not None}


def _best_found(found: Sequence[FrontPoint]) -> Answer:
    """Name the most accurate, and of the rest the ends and what lies between."""
    ranked = sorted(found, key=lambda point: -point.accuracy)
    step = max(1, (len(ranked) - 1) // (_MOST_LISTED - 1)) if len(ranked) > _MOST_LISTED else 1
    lines = [
        (f"{_took(point)}: {point.score}", f"{short_name(point.subnet)} on {point.source}")
        for point in ranked[::step][:_MOST_LISTED]
    ]
    best = ranked[0]
    n_verified = sum(point.measured_ms is not None for point in found)
    lines.append(("", f"{n_verified} of {len(found)} verified by a measurement"))
    return Answer("The best networks", f"{best.score} in {_took(best)}", lines)


def _took(point: FrontPoint) -> str:
    if point.measured_ms is None:
        return f"{format_significant(point.latency_ms)} ms predicted"
    return f"{format_significant(point.measured_ms)} ms"


def _fastest(devices: Sequence[Device]) -> Answer:
    lines = []
    shown = [device for device in devices if device.rows]
    per_device = _MOST_LISTED if len(shown) == 1 else 1
    for device in shown:
        for row in sorted(device.rows, key=lambda row: row.latency_ms)[:per_device]:
            name = (
                short_name(row.what)
                if len(shown) == 1
                else f"{device.name}: {short_name(row.what)}"
            )
            lines.append((name, f"{latency_text(row)} ms"))
    best = min((row for device in shown for row in device.rows), key=_latency_ms)
    note = "Ranked by latency alone: --search FILE ranks by accuracy."
    return Answer(
        "The fastest networks",
        f"{format_significant(best.latency_ms)} ms",
        [*_shortened(lines), ("", note)],
    )


def _latency_ms(row: Row) -> float:
    return row.latency_ms


def _errors(judged: Sequence[Judged]) -> Iterator[Answer]:
    question = "How good are predictions?"
    if not judged:
        note = "--predictor FILE judges one by the networks that it has not learned from."
        yield Answer(question, "No predictor was given", [("", note)])
    for one in judged[:_MOST_LISTED]:
        title = question if len(judged) == 1 else one.title
        if one.result is None:
            yield _nothing_held_out(title, one)
            continue
        metrics, verdict = one.result.metrics, one.result.verdict
        bars = [
            Bar("noise floor", verdict.noise_floor or 0.0, _percent(verdict.noise_floor)),
            Bar("this predictor", metrics.mape, _percent(metrics.mape), is_main=True),
            Bar("MACs, scaled", verdict.macs_mape, _percent(verdict.macs_mape)),
        ]
        lines = [
            (verdict.against_macs, ""),
            ("", f"{one.title}; {metrics.n} {one.kind_of_rows}"),
        ]
        yield Answer(title, f"{metrics.mape:.1%} mean error", lines, bars, not verdict.beats_macs)
    if len(judged) > _MOST_LISTED:
        yield Answer(
            "More predictors", f"{len(judged) - _MOST_LISTED} more", [("", "See Predictors.")]
        )


def _nothing_held_out(title: str, one: Judged) -> Answer:
    lines = [("", f"{one.title}: learned from all {one.n_learned:,} networks here")]
    if one.cross_validated is not None:
        lines.append((f"{one.cross_validated:.1%} mean error", "in its own cross-validation"))
    return Answer(title, "Nothing was held out", lines)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{format_significant(100 * share, 2)}%"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _shortened(lines: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    if len(lines) <= _MOST_LISTED:
        return list(lines)
    return [*lines[: _MOST_LISTED - 1], ("", f"and {len(lines) - _MOST_LISTED + 1} more below")]
