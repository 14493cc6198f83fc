"""Progress bars on stderr, where it is a terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgeprof.base.progress import no_progress


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
    with bars.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(label, total=total)
        yield lambda steps=1: shown.advance(task, steps)
