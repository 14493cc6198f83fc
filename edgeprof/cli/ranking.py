"""Several measured models as one table: ranked, with ratios to the fastest; for people and files.

Owns: the columns and the forms of the table.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from edgeprof.base.text import printable
from edgeprof.base.units import NS_PER_MS

if TYPE_CHECKING:
    from edgeprof.measuring.measurement import Measurement

_ROOM = 47  # columns of the table, the name's aside


@dataclass(frozen=True)
class RankedModel:
    """One line of the table.

    Attributes:
        rank: 1 is the fastest.
        model: its path, as given.
        latency_ms: median; over launches where there were several.
        ci_low_ms, ci_high_ms: its interval.
        ratio: latency over that of the fastest.
        ratio_low, ratio_high: its 95 % interval, where both ran in turns.
        grade: good, usable or poor.
    """

    rank: int
    model: str
    latency_ms: float
    ci_low_ms: float
    ci_high_ms: float
    ratio: float
    ratio_low: float | None
    ratio_high: float | None
    grade: str


def ranked(runs: Sequence[Sequence[Measurement]], *, in_turns: bool) -> list[RankedModel]:
    """Rank models by latency.

    Args:
        runs: the measurements of each model, one per launch.
        in_turns: whether the models of a launch ran in turns, so that their ratio has an interval.
    """
    from edgeprof.cli.measurement_text import verdict_of
    from edgeprof.measuring.launches import Launches

    studies = [Launches.of(list(run)) if len(run) > 1 else run[0] for run in runs]
    order = sorted(range(len(runs)), key=lambda index: studies[index].latency_median_ns)
    first = order[0]
    rows = []
    for rank, index in enumerate(order, start=1):
        study = studies[index]
        ratio, low, high = _ratio(runs[first], runs[index], in_turns and index != first)
        rows.append(
            RankedModel(
                rank=rank,
                model=runs[index][0].model,
                latency_ms=study.latency_median_ns / NS_PER_MS,
                ci_low_ms=study.ci_low_ns / NS_PER_MS,
                ci_high_ms=study.ci_high_ns / NS_PER_MS,
                ratio=ratio or study.latency_median_ns / studies[first].latency_median_ns,
                ratio_low=low,
                ratio_high=high,
                grade=verdict_of(list(runs[index])).grade.value,
            )
        )
    return rows


def _ratio(
    fastest: Sequence[Measurement], run: Sequence[Measurement], in_turns: bool
) -> tuple[float | None, float | None, float | None]:
    """Return the ratio by rounds and its interval; nothing where there were too few."""
    from edgeprof.base.errors import UnsteadyMeasurement
    from edgeprof.measuring.compare import compare_measurements

    if not in_turns or len(run) > 1:
        return None, None, None
    try:
        found = compare_measurements(fastest[0], run[0])
    except UnsteadyMeasurement:
        return None, None, None
    return found.ratio, found.ratio_low, found.ratio_high


def to_text(rows: Sequence[RankedModel], columns: int = 80) -> str:
    """Return the table for a terminal of so many columns."""
    width = max(8, min(columns - _ROOM, max(len(row.model) for row in rows)))
    lines = [f"{'':>2}  {'model':<{width}}  {'ms':>9}  {'ratio':>7}  {'95 %':<13}  grade"]
    lines += [
        f"{row.rank:>2}  {shortened(row.model, width):<{width}}  {row.latency_ms:>9.4g}"
        f"  {format_ratio(row.ratio):>7}  {_interval(row):<13}  {row.grade}"
        for row in rows
    ]
    return "\n".join(lines)


def shortened(name: str, width: int) -> str:
    """Return a name as it can be shown, or its end where it is longer than ``width``."""
    name = printable(name)
    return name if len(name) <= width else "..." + name[-(width - 3) :]


def _interval(row: RankedModel) -> str:
    if row.ratio_low is None:
        return "-"
    return f"{format_ratio(row.ratio_low)} - {format_ratio(row.ratio_high or row.ratio)}"


def format_ratio(ratio: float) -> str:
    """Write a ratio with four digits, or all before the point."""
    if ratio < 10:
        return f"{ratio:.3f}"
    return f"{ratio:.4g}" if ratio < 1000 else f"{ratio:.0f}"


def to_markdown(rows: Sequence[RankedModel]) -> str:
    """Return a Markdown table."""
    lines = ["| | model | ms | ratio | 95 % | grade |", "|---|---|---|---|---|---|"]
    for row in rows:
        name = printable(row.model).replace("|", "\\|")
        lines.append(
            f"| {row.rank} | {name} | {row.latency_ms:.4g} | {format_ratio(row.ratio)} "
            f"| {_interval(row)} | {row.grade} |"
        )
    return "\n".join(lines) + "\n"


def to_csv(rows: Sequence[RankedModel]) -> str:
    """Return a CSV table, one column per field."""
    stream = io.StringIO()
    names = [field.name for field in fields(RankedModel)]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return stream.getvalue()


def to_json(rows: Sequence[RankedModel]) -> str:
    """Return a JSON list, one object per model."""
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"


FORMS: dict[str, Callable[[Sequence[RankedModel]], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "json": to_json,
}
"""Name of a form -> what writes it."""


def export(rows: Sequence[RankedModel], files: dict[str, Path | None]) -> None:
    """Write the table in each form that a file is given for.

    Raises:
        OutputError: a file cannot be written.
    """
    from edgeprof.base.files import write_whole

    for form, path in files.items():
        if path is not None:
            write_whole(path, FORMS[form](rows))
