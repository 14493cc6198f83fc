"""Progress bars on stderr, where it is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgeprof.base.progress import no_progress


@contextmanager
def progress(
    label: str, total: int | None, *, quiet: bool = False
) -> Iterator[Callable[..., object]]:
    """Show a bar with elapsed and remaining time while the block runs.

    Args:
        label: what is being done, e.g. ``"Exporting"``.
        total: number of steps; ``None`` where nobody can tell.
        quiet: show nothing, e.g. with ``--json``.

    Yields:
        ``advance(steps=1)``. It does nothing where stderr is no terminal or rich is missing.
    """
    if quiet or not sys.stderr.isatty():
        with no_progress(label, total or 0) as advance:
            yield advance
        return
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
    except ImportError:  # the base install of a board
        with no_progress(label, total or 0) as advance:
            yield advance
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(label, total=total)
        yield lambda steps=1: bars.advance(task, steps)
