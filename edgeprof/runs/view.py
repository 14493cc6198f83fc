"""A run as people see it: a live table and a bar on a terminal, lines elsewhere.

Owns: the table, the bar, the log lines and the closing summary. Everything goes to standard error;
standard output belongs to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgeprof.base.text import printable
from edgeprof.runs.summary import Activity, BoardProgress, Listener, RunSummary, SilentListener

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_LOG_INTERVAL_S = 10.0
_NOTABLE_S = 5.0
"""A wait that is shorter is not worth a line in a log."""
_COLUMNS = ("BOARD", "DOING", "DONE", "FAILED", "RETRIED", "PER MIN", "TEMP", "LEFT")
_ONLY_WHERE_TOLD = ("FAILED", "RETRIED", "TEMP")
_WAITS = (
    Activity.WAITING_FOR_OWNER.value,
    Activity.WAITING_TO_RETRY.value,
    Activity.RECONNECTING.value,
)
_BAR_COLUMNS = 24
_ALMOST = 0.95
"""Of a batch, at most, before its records are here."""


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[Listener]:
    """Yield a listener that shows the run, live where standard error is a terminal; or nothing."""
    if quiet:
        yield SilentListener()
    elif sys.stderr.isatty() and _has_rich():
        from rich.console import Console
        from rich.live import Live

        table = LiveTable()
        console = Console(stderr=True)
        with Live(
            get_renderable=table.render, console=console, refresh_per_second=2, transient=True
        ) as live:
            table.print_line = live.console.print
            yield table
    else:
        yield PlainLog(lambda line: print(printable(line), file=sys.stderr, flush=True))


class PlainLog:
    """One line whenever a board has got on, but not more than one in ten seconds for each.

    Args:
        write: takes a line.
        clock: seconds.
    """

    def __init__(
        self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._last: dict[str, tuple[float, int]] = {}
        self._waits: dict[str, str] = {}

    def changed(self, board: BoardProgress) -> None:
        """Write the board's counts, if they have changed, and what it waits for."""
        self._write_wait(board)
        finished = board.measured + board.failed
        last_s, last_finished = self._last.get(board.name, (-_LOG_INTERVAL_S, 0))
        now_s = self._clock()
        if finished > last_finished and now_s - last_s >= _LOG_INTERVAL_S:
            self._last[board.name] = (now_s, finished)
            self._write(_board_line(board))

    def _write_wait(self, board: BoardProgress) -> None:
        is_wait = board.activity.startswith(_WAITS)
        activity = board.activity if is_wait else ""
        is_news = activity != self._waits.get(board.name, "")
        self._waits[board.name] = activity
        if is_wait and is_news and board.since_s is not None and board.until_s is not None:
            lasts_s = board.until_s - board.since_s
            if lasts_s >= _NOTABLE_S:
                self._write(f"{board.name}: {activity}, {format_minutes(lasts_s / 60)} at most")

    def note(self, text: str) -> None:
        """Write a note."""
        self._write(text)


class LiveTable:
    """A row for each board, and a bar for all of them.

    Args:
        clock: seconds, of the same clock as the boards' times.

    Attributes:
        print_line: prints above the table.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._boards: dict[str, BoardProgress] = {}
        self._clock = clock
        self.print_line: Callable[[str], object] = lambda _: None

    def changed(self, board: BoardProgress) -> None:
        """Remember the board; the table is drawn by the clock."""
        self._boards[board.name] = board

    def note(self, text: str) -> None:
        """Print a note above the table."""
        from rich.markup import escape

        self.print_line(escape(printable(text)))

    def render(self) -> RenderableType:
        """Draw the table, and the bar below it once it is known how much there is to do."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table as Grid

        table, (done, total) = self._table(), self._work()
        if not total:
            return table
        bar = Grid.grid(padding=(0, 2))
        bar.add_row(ProgressBar(total, done, width=_BAR_COLUMNS), f"{int(done)} of {total}")
        return Group(table, bar)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        rows = [self._cells(board) for board in self._boards.values()]
        shown = [
            column
            for column in _COLUMNS
            if column not in _ONLY_WHERE_TOLD or any(row[column] not in ("", "0") for row in rows)
        ]
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in shown:
            is_text = column in _COLUMNS[:2]
            table.add_column(column, justify="left" if is_text else "right", no_wrap=not is_text)
        for board, row in zip(self._boards.values(), rows, strict=True):
            style = "red" if board.error is not None else ""
            # Text, not markup: a name may hold brackets.
            table.add_row(*(Text(row[column]) for column in shown), style=style)
        return table

    def _cells(self, board: BoardProgress) -> dict[str, str]:
        rate = board.per_minute
        cells = (
            board.name,
            f"{board.activity}{self._time_of(board)}",
            str(board.measured),
            str(board.failed),
            str(board.retried),
            "" if rate is None else f"{rate:.1f}",
            "" if board.temp_mdegc is None else f"{board.temp_mdegc / 1000:.0f} C",
            self._left(board.device),
        )
        return dict(zip(_COLUMNS, (printable(cell) for cell in cells), strict=True))

    def _time_of(self, board: BoardProgress) -> str:
        """Return how long a board has been at it, and how long that takes, where it is known."""
        if board.since_s is None:
            return ""
        elapsed_s = self._clock() - board.since_s
        if board.until_s is not None:
            lasts = format_minutes((board.until_s - board.since_s) / 60)
            about = "" if board.activity.startswith(_WAITS) else "about "
            return f", {format_minutes(elapsed_s / 60)} of {about}{lasts}"
        is_over = board.activity in (Activity.DONE.value, Activity.SET_ASIDE.value)
        return "" if is_over or elapsed_s < _NOTABLE_S else f", {format_minutes(elapsed_s / 60)}"

    def _work(self) -> tuple[float, int]:
        """Return how many items are done, those on boards in part, and how many there are."""
        boards = self._boards.values()
        finished = sum(board.measured + board.failed for board in boards)
        left = [self._unfinished(device) for device in {board.device for board in boards}]
        total = finished + sum(count for count in left if count is not None)
        return finished + sum(map(self._in_part, boards)), total

    def _unfinished(self, device: str) -> int | None:
        # Each board told when it changed last; a queue only gets shorter.
        told = [board.left for board in self._boards.values() if board.device == device]
        return min((left for left in told if left is not None), default=None)

    def _in_part(self, board: BoardProgress) -> float:
        """Return how many items of a board's batch are done by its time."""
        if not board.activity.startswith(Activity.MEASURING.value):
            return 0.0
        if board.since_s is None or board.until_s is None or board.until_s <= board.since_s:
            return 0.0
        share = (self._clock() - board.since_s) / (board.until_s - board.since_s)
        return board.under_way * min(share, _ALMOST)

    def _left(self, device: str) -> str:
        """Remaining time of a queue: its boards end together."""
        boards = [board for board in self._boards.values() if board.device == device]
        left = self._unfinished(device)
        rate = sum(_rate_of(board) for board in boards if board.error is None)
        if left is None or rate == 0.0:
            return ""
        return format_minutes((left - sum(map(self._in_part, boards))) / rate)


def _rate_of(board: BoardProgress) -> float:
    """Return items per minute: those so far, or those expected of the first batch."""
    if board.per_minute is not None:
        return board.per_minute
    if board.since_s is None or board.until_s is None or board.until_s <= board.since_s:
        return 0.0
    return 60.0 * board.under_way / (board.until_s - board.since_s)


def format_minutes(minutes: float) -> str:
    """Write a duration for people: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if minutes < 1.0:
        return f"{60 * minutes:.0f} s"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest:02} min" if hours else f"{rest} min"


def summary_lines(summary: RunSummary) -> list[str]:
    """Return the end of a run in lines: boards, then failures by cause, then the sum."""
    lines = [_board_line(board) for board in summary.boards]
    lines += [
        f"failed: {group.count} x {group.kind}: {group.example}" for group in summary.failures
    ]
    lines += [f"{device}: no board of this queue could be used" for device in summary.unreached]
    parts = [f"{summary.measured} measured", f"{summary.failed} failed"]
    if summary.found_done:
        parts.append(f"{summary.found_done} done before")
    if summary.failed_before:
        parts.append(f"{summary.failed_before} failed before (--retry-failed tries them again)")
    if summary.unfinished:
        parts.append(f"{summary.unfinished} left; the same command goes on with them")
    lines.append(f"{', '.join(parts)}; {format_minutes(summary.wall_s / 60)}")
    return lines


def _board_line(board: BoardProgress) -> str:
    rate = "" if board.per_minute is None else f", {board.per_minute:.1f} per minute"
    heat = "" if board.temp_mdegc is None else f", {board.temp_mdegc / 1000:.0f} C"
    state = f"; set aside: {board.error}" if board.error is not None else ""
    return f"{board.name}: {board.measured} measured, {board.failed} failed{rate}{heat}{state}"


def _has_rich() -> bool:
    try:
        import rich  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True
