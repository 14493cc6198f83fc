"""Ctrl-C: the first one shows what there is, a second one ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from edgeprof.cli.say import say

EXIT_STATUS = 130
"""Of what was interrupted: 128 and the number of the signal, as shells have it."""


class Interrupted:
    """Whether Ctrl-C came; true or false."""

    has_come = False

    def __bool__(self) -> bool:
        return self.has_come


@contextmanager
def noting_interrupts(ending: str | None) -> Iterator[Interrupted]:
    """Note a first Ctrl-C while the block runs, instead of ending it.

    The harness, which gets the signal too, ends what it measures early.

    Args:
        ending: what is said on stderr then, e.g. ``"showing what there is"``; nothing is noted
            where it is ``None``.
    """
    state = Interrupted()

    def note(_signal: int, _frame: FrameType | None) -> None:
        state.has_come = True
        signal.signal(signal.SIGINT, before)
        say(f"\nedgeprof: interrupted: {ending}; Ctrl-C again ends at once", err=True)

    if ending is None or threading.current_thread() is not threading.main_thread():
        yield state  # only the main thread may set handlers
        return
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, note)
    try:
        yield state
    finally:
        signal.signal(signal.SIGINT, before)
