"""How long-running work reports its progress: the interface between the library and a display."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[..., object]]]
"""Called with a label and a number of steps; gives what is called after steps (default 1)."""


@contextmanager
def no_progress(label: str, total: int) -> Iterator[Callable[..., object]]:  # noqa: ARG001 - shows nothing
    """Show nothing."""
    yield lambda steps=1: None  # noqa: ARG005 - see above
