"""A measurement under way, on the terminal: a line for one model, a ranked table for several.

Owns: what is shown, and when. Does not own: what is known (``measuring.progress``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeprof.base.units import NS_PER_MS, format_duration_ns
from edgeprof.cli.progress_bar import Display, can_draw
from edgeprof.cli.ranking import format_ratio, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgeprof.measuring.harness import Settings
    from edgeprof.measuring.measurement import Measurement
    from edgeprof.measuring.progress import ModelProgress, OnProgress, Progress

_WAITS = {"samples": "inferences", "calm": "calm", "nothing": "the others"}
_PHASES = {"opening": "opening the runtime", "warming": "warming up"}
_AFTER = ("profiling", "reporting")
_ROOM = 53  # columns of the table, the name's aside
_ROOM_OF_N = 9
_NARROW = 72
_OTHER_LINES = 4  # of a terminal: the heading, the bar, the prompt, how many are left out


@dataclass
class LiveRow:
    """What is known of one model.

    Attributes:
        latency_ns: ``None`` until something is known.
        half_width: of the interval, relative; ``None`` until there is one.
        waits_for: in a word or two.
    """

    model: str
    latency_ns: float | None = None
    half_width: float | None = None
    n_samples: int = 0
    waits_for: str = "its turn"

    def take(self, found: ModelProgress, ci_rel: float) -> None:
        """Take in how far the model is."""
        self.latency_ns, self.n_samples = found.latency_ns, found.n_samples
        if found.interval_ns is not None:
            low, high = found.interval_ns
            self.half_width = (high - low) / 2 / found.latency_ns
        self.waits_for = _WAITS.get(found.waits_for, f"+-{100 * ci_rel:g}%")

    def finish(self, result: Measurement) -> None:
        """Take in the result."""
        self.latency_ns, self.n_samples = result.latency_median_ns, result.n_samples
        self.half_width = (result.ci_high_ns - result.ci_low_ns) / 2 / result.latency_median_ns
        self.waits_for = "done"


class LiveMeasurement:
    """Shows how models are measured.

    Args:
        models: their paths.
        settings: how each is measured.
        n_launches: how often all of them are.
        draw: shows rows, a share of the work done, and where it stands; ``None``: nobody looks.
        clock: seconds.
    """

    def __init__(
        self,
        models: Sequence[str],
        settings: Settings,
        n_launches: int = 1,
        draw: Callable[[Sequence[LiveRow], float, str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows = [LiveRow(model) for model in models]
        self._settings, self._n_launches = settings, n_launches
        self._draw, self._clock = draw, clock
        self._since_s: float | None = None  # that the models at hand are timed
        self._n_done = 0  # models, of all launches

    def listener(self, index: int | None = None) -> OnProgress | None:
        """Return what is to be told of the model at ``index``, or of all in turns."""
        self._since_s = None
        if self._draw is None:
            return None
        rows = self.rows if index is None else self.rows[index : index + 1]
        return lambda progress: self._take(rows, progress)

    def done(self, index: int, result: Measurement | None) -> None:
        """Note that a model is done, with its result where there is one."""
        self._n_done += 1
        if result is None:
            self.rows[index].waits_for = "failed"
        else:
            self.rows[index].finish(result)

    def clear(self) -> None:
        """Show nothing until more is told: what follows is the result."""
        if self._draw is not None:
            self._draw((), 1.0, "")

    def _take(self, rows: Sequence[LiveRow], progress: Progress) -> None:
        if progress.phase == "measuring" and self._since_s is None:
            self._since_s = self._clock()
        for row, found in zip(rows, progress.models, strict=False):  # a reference comes last
            row.take(found, self._settings.ci_rel or 0.01)
        if progress.models:
            share, stand = self._time_of(rows)
        else:
            share, stand = 0.0, _PHASES.get(progress.phase, progress.phase)
            if progress.phase in _AFTER:
                share = 1.0
            elif len(rows) > 1:
                stand += f" {progress.model + 1} of {len(rows)}"
        if self._draw is not None:
            share = (self._n_done + share * len(rows)) / (len(self.rows) * self._n_launches)
            self._draw(self.rows, share, self._place(rows) + stand)

    def _time_of(self, rows: Sequence[LiveRow]) -> tuple[float, str]:
        """Return the share of the work on these rows that is done at the latest, and its words."""
        settings = self._settings
        elapsed_s = 0.0 if self._since_s is None else self._clock() - self._since_s
        if settings.max_samples is not None:
            fewest = min(row.n_samples for row in rows)
            of_all = f"{fewest} of {settings.max_samples} inferences"
            return min(1.0, fewest / settings.max_samples), of_all
        most_s = (settings.max_secs or 10.0) * len(rows)
        return min(1.0, elapsed_s / most_s), f"{min(elapsed_s, most_s):.0f} of {most_s:g} s"

    def _place(self, rows: Sequence[LiveRow]) -> str:
        launch = self._n_done // len(self.rows) + 1
        place = f"launch {launch} of {self._n_launches}, " if self._n_launches > 1 else ""
        if len(rows) == 1 and len(self.rows) > 1:
            place += f"model {self._n_done % len(self.rows) + 1} of {len(self.rows)}, "
        return place


@contextmanager
def live_measurement(
    models: Sequence[str], settings: Settings, n_launches: int = 1, *, quiet: bool = False
) -> Iterator[LiveMeasurement]:
    """Show how models are measured while the block runs, where stderr is a terminal."""
    if quiet or not can_draw():
        yield LiveMeasurement(models, settings, n_launches)
        return
    shown: list[Any] = [""]

    def draw(rows: Sequence[LiveRow], share: float, stand: str) -> None:
        shown[0] = _rendered(rows, share, stand, display.console.size)
        display.refresh()

    # Drawn when something is told: no thread beside the measurement.
    with Display(lambda: shown[0], per_second=None) as display:
        yield LiveMeasurement(models, settings, n_launches, draw)


def _rendered(
    rows: Sequence[LiveRow], share: float, stand: str, size: tuple[int, int]
) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    columns, height = size
    if not rows:
        return ""
    if len(rows) == 1:
        return Text(live_line(rows[0], stand, columns), no_wrap=True, overflow="ellipsis")
    bar = Table.grid(padding=(0, 2))
    bar.add_row(Text("Measuring"), ProgressBar(1.0, share, width=max(8, columns // 3)), Text(stand))
    heading, *lines = live_table(rows, columns, height - _OTHER_LINES)
    texts = [Text(line, no_wrap=True, overflow="crop") for line in lines]
    return Group(bar, Text(heading, style="bold", no_wrap=True, overflow="crop"), *texts)


def live_line(row: LiveRow, stand: str, columns: int) -> str:
    """Return how one model is measured, in one line.

    Args:
        row: what is known of it.
        stand: where the measuring stands, e.g. ``"3 of 10 s"``.
        columns: of the terminal.
    """
    if row.latency_ns is None:
        words = stand
    else:
        width = "" if row.half_width is None else f" +-{row.half_width:.1%}"
        latency = f"{format_duration_ns(row.latency_ns)}{width}"
        count = f"{row.n_samples} inferences" if columns >= _NARROW else f"n {row.n_samples}"
        words = f"{latency}, {count}, {stand}, waits for {row.waits_for}"
    return f"{shortened(row.model, max(8, columns - len(words) - 3))}: {words}"


def live_table(rows: Sequence[LiveRow], columns: int, height: int) -> list[str]:
    """Return a heading and a line for each model, the fastest first; some where not all fit.

    Args:
        rows: what is known of each model.
        columns: of the terminal.
        height: lines that there are for models.
    """
    has_n = columns >= _NARROW
    room = columns - _ROOM + (0 if has_n else _ROOM_OF_N)
    width = max(8, min(room, max(len(row.model) for row in rows)))
    counted = f"  {'n':>7}" if has_n else ""
    heading = f"{'':>2}  {'model':<{width}}  {'ms':>9}  {'ratio':>7}  {'+-':>6}{counted}  waits for"
    known = sorted((row for row in rows if row.latency_ns), key=lambda row: row.latency_ns or 0.0)
    fastest_ns = (known[0].latency_ns or 1.0) if known else 1.0
    lines = [heading]
    for rank, row in enumerate([*known, *(row for row in rows if not row.latency_ns)], start=1):
        numbers = f"{'':>9}  {'':>7}"
        if row.latency_ns:
            ratio = format_ratio(row.latency_ns / fastest_ns)
            numbers = f"{row.latency_ns / NS_PER_MS:>9.4g}  {ratio:>7}"
        half = "" if row.half_width is None else f"{row.half_width:.1%}"
        n = f"  {row.n_samples or '':>7}" if has_n else ""
        lines.append(
            f"{rank if row.latency_ns else '':>2}  {shortened(row.model, width):<{width}}"
            f"  {numbers}  {half:>6}{n}  {row.waits_for}"
        )
    if len(rows) > max(height, 1):
        n_left_out = len(rows) - max(height - 1, 1)
        lines = [*lines[:-n_left_out], f"    and {n_left_out} more"]
    return lines
