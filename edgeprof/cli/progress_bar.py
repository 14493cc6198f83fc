"""Progress bars on stderr, where it is a terminal; they go when the work is done."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgeprof.base.progress import no_progress


class Display:
    """Something that is drawn again and again at the end of the terminal, and goes at the end.

    Args:
        get_renderable: gives what rich is to draw.
        per_second: how often it is drawn, by a thread; ``None``: at ``refresh``.
    """

    def __init__(self, get_renderable: Callable[[], Any], per_second: float | None) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)
        self._get_renderable, self._per_second = get_renderable, per_second
        self._live: Any = None

    def __enter__(self) -> Display:
        self.start()
        _shown.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _shown.remove(self)
        self.stop()

    def start(self) -> None:
        """Draw it. A new object of rich's: a stopped one would draw over what was printed since."""
        from rich.live import Live

        self._live = Live(
            get_renderable=self._get_renderable,
            console=self.console,
            auto_refresh=self._per_second is not None,
            refresh_per_second=self._per_second or 1.0,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Take it off the terminal."""
        self._live.stop()

    def refresh(self) -> None:
        """Draw it anew."""
        self._live.refresh()


_PER_SECOND = 4
"""Each time costs whatever is measured beside it a moment."""
_BAR_COLUMNS = 24

_shown: list[Display] = []
"""What is on the terminal."""


def can_draw() -> bool:
    """Tell whether stderr is a terminal, and rich is there, which is not in the base install."""
    return sys.stderr.isatty() and importlib.util.find_spec("rich") is not None


@contextmanager
def without_bar() -> Iterator[None]:
    """Take the bar off the terminal while the block prints."""
    for display in _shown:
        display.stop()
    try:
        yield
    finally:
        for display in _shown:
            display.start()


@contextmanager
def progress_bar(
    label: str, total: int | None, *, quiet: bool = False
) -> Iterator[Callable[..., object]]:
    """Show a bar with elapsed and remaining time while the block runs.

    Args:
        label: what is being done, e.g. ``"Exporting"``.
        total: number of steps; ``None`` where it is not known.
        quiet: show nothing, e.g. with ``--json``.

    Yields:
        ``advance(steps=1)``. It does nothing where stderr is no terminal or rich is missing.
    """
    if quiet or not can_draw():
        with no_progress(label, total or 0) as advance:
            yield advance
        return
    from rich import progress as bars

    tasks = bars.Progress(
        bars.TextColumn("{task.description:<12}"),
        bars.BarColumn(_BAR_COLUMNS),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
        auto_refresh=False,
    )
    task = tasks.add_task(label, total=total)
    with Display(tasks.get_renderable, _PER_SECOND):
        yield lambda steps=1: tasks.advance(task, steps)


@contextmanager
def time_bar(label: str, seconds: float, *, quiet: bool = False) -> Iterator[None]:
    """Show a bar that moves with the time, for work that takes so long at most or a bit more."""
    if quiet or not can_draw():
        yield
        return
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    start_s = time.monotonic()

    def drawn() -> Table:
        elapsed_s = time.monotonic() - start_s
        bar = Table.grid(padding=(0, 2))
        stand = f"{elapsed_s:.0f} s of at most about {seconds:.0f} s"
        bar.add_row(label, ProgressBar(seconds, min(elapsed_s, seconds), width=_BAR_COLUMNS), stand)
        return bar

    with Display(drawn, _PER_SECOND):
        yield
