"""Who may measure on a board, or change its state: one owner at a time.

Owns: the owner's names, and what the text of a lock file says of its holder. Taking the locks
is the board program's (``csrc/board/worker.h``).
"""

from __future__ import annotations

import getpass
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass

from edgeprof.base.errors import BoardBusy
from edgeprof.base.text import printable
from edgeprof.boards.inventory import BoardSpec


@dataclass(frozen=True)
class Owner:
    """Who measures.

    Attributes:
        name: for people, e.g. ``user@laptop``.
        session: prefix of the names of this run's batches; the same when the run is repeated.
    """

    name: str
    session: str


def owner_name() -> str:
    """Return the name that others see when they ask who measures: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{platform.node()}"


def holder_of(text: str) -> Owner:
    """Parse the line of a lock file; who cannot be read is another owner without a session."""
    try:
        holder = json.loads(text)
        return Owner(printable(str(holder["owner"])), str(holder["session"]))
    except (ValueError, KeyError, TypeError):
        return Owner("another owner", "")


def busy(board: BoardSpec, text: str) -> BoardBusy:
    """Return the error for a board that the owner in a lock file's line measures on."""
    holder = holder_of(text)
    return BoardBusy(
        f"board {board.name}: {holder.name} measures there (lock {board.lock})",
        board=board.name,
        holder=holder.name,
        session=holder.session,
    )


def refuse_others(board: BoardSpec, holders: Sequence[str], session: str) -> None:
    """Check the lines of the lock files that are held now.

    Raises:
        BoardBusy: one of them is not of this session.
    """
    for text in holders:
        if holder_of(text).session != session:
            raise busy(board, text)
