"""A run as people see it: a live table on a terminal, lines elsewhere.

Owns: the table, the log lines and the closing summary. Everything goes to standard error; standard
output belongs to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgeprof.base.text import printable
from edgeprof.runs.summary import BoardProgress, Listener, RunSummary, SilentListener

if TYPE_CHECKING:
    from rich.table import Table

_LOG_INTERVAL_S = 10.0
_COLUMNS = ("BOARD", "DOING", "DONE", "FAILED", "RETRIED", "PER MIN", "TEMP", "LEFT")


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
        with Live(get_renderable=table.render, console=console, refresh_per_second=2) as live:
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

    def changed(self, board: BoardProgress) -> None:
        """Write the board's counts, if they have changed."""
        finished = board.measured + board.failed
        last_s, last_finished = self._last.get(board.name, (-_LOG_INTERVAL_S, 0))
        now_s = self._clock()
        if finished > last_finished and now_s - last_s >= _LOG_INTERVAL_S:
            self._last[board.name] = (now_s, finished)
            self._write(_board_line(board))

    def note(self, text: str) -> None:
        """Write a note."""
        self._write(text)


class LiveTable:
    """A row for each board.

    Attributes:
        print_line: prints above the table.
    """

    def __init__(self) -> None:
        self._boards: dict[str, BoardProgress] = {}
        self.print_line: Callable[[str], object] = lambda _: None

    def changed(self, board: BoardProgress) -> None:
        """Remember the board; the table is drawn by the clock."""
        self._boards[board.name] = board

    def note(self, text: str) -> None:
        """Print a note above the table."""
        from rich.markup import escape

        self.print_line(escape(printable(text)))

    def render(self) -> Table:
        """Draw the table."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="bold")
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column in _COLUMNS[:2] else "right")
        for board in self._boards.values():
            style = "red" if board.error is not None else ""
            # Text, not markup: a name may hold brackets.
            table.add_row(*(Text(cell) for cell in self._cells(board)), style=style)
        return table

    def _cells(self, board: BoardProgress) -> Sequence[str]:
        rate = board.per_minute
        return (
            board.name,
            board.activity,
            str(board.measured),
            str(board.failed),
            str(board.retried),
            "" if rate is None else f"{rate:.1f}",
            "" if board.temp_mdegc is None else f"{board.temp_mdegc / 1000:.0f} C",
            self._left(board.device),
        )

    def _left(self, device: str) -> str:
        """Remaining time of a queue: its boards end together."""
        boards = [board for board in self._boards.values() if board.device == device]
        # Each board told when it changed last; a queue only gets shorter.
        left = min((board.left for board in boards if board.left is not None), default=None)
        rate = sum(board.per_minute or 0.0 for board in boards if board.error is None)
        return "" if left is None or rate == 0.0 else format_minutes(left / rate)


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
