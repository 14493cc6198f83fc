"""Progress bars on stderr, where it is a terminal; they go when the work is done."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgeprof.base.progress import no_progress

_shown: list[Any] = []
"""The bar on the terminal, where there is one."""


@contextmanager
def without_bar() -> Iterator[None]:
    """Take the bar off the terminal while the block prints."""
    for bar in _shown:
        bar.stop()
    try:
        yield
    finally:
        for bar in _shown:
            bar.start()


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
    has_rich = importlib.util.find_spec("rich") is not None  # not in the base install
    if quiet or not has_rich or not sys.stderr.isatty():
        with no_progress(label, total or 0) as advance:
            yield advance
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description:<12}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with bars.Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as shown:
        task = shown.add_task(label, total=total)
        _shown.append(shown)
        try:
            yield lambda steps=1: shown.advance(task, steps)
        finally:
            _shown.remove(shown)
