"""What the exit status of a command on a board means, beyond success and failure.

Owns: these numbers. They are those of sysexits.h where it has one; the shell scripts get them from
here, and ``csrc/board/worker.h`` has its own names for what the board program returns.
"""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit statuses of our scripts and of the board program."""

    DAMAGED = 65
    """What arrived is not what was sent."""
    NO_BATCH = 66
    """The board does not have the batch."""
    BUSY = 75
    """Another owner measures there (``kWorkerBusy``)."""
    NO_ROOT = 77
    """The account may not become root."""


def was_killed(status: int) -> bool:
    """Return whether a signal ended a command; a shell reports a child's by a status above 128."""
    return status < 0 or status > 128
