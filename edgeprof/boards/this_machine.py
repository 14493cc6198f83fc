"""This machine as a board: no SSH, nothing deployed, its software used where it lies.

Owns: the inventory entry of this machine, its network, and the choice of its software. A runtime
that only Python can open is served by a script in the board program's place.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from pathlib import Path
from types import TracebackType

from edgeprof.base.files import atomic_write, cache_folder, make_folder
from edgeprof.boards.deploy import DEFAULT_RUNTIME, Payload, Software, check_cores
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import DEFAULT_LOCK, BoardSpec
from edgeprof.boards.transport import LocalTransport, Transport
from edgeprof.measuring.harness import PROGRAM
from edgeprof.measuring.python_door import door_command
from edgeprof.measuring.runtimes import PYTHON_RUNTIMES, find_library

LOCAL_HOST = "localhost"
LOCK_VARIABLE = "EDGEPROF_LOCK"
"""Names another lock file than the one that all accounts of this machine share."""

# The worker opens the runtime and so runs in Python; all else is the program's.
_DOOR = """#!/bin/sh
case $1 in
  worker) exec {door} "$@" ;;
  *) exec {program} "$@" ;;
esac
"""


def this_machine(name: str, session: str) -> BoardSpec:
    """Return this machine as an entry of an inventory.

    Args:
        name: of the board, and the device that its measurements are filed under.
        session: of the run: each has a folder of its own, the machine's lock keeps them apart.
    """
    return BoardSpec(
        name=name,
        host=LOCAL_HOST,
        folder=str(_folder() / session),
        lock=os.environ.get(LOCK_VARIABLE, DEFAULT_LOCK),
        prepare=False,
    )


def forget_session(session: str) -> None:
    """Remove a session's folder, unless it holds batches for the next run."""
    queue = _folder() / session / "queue"
    if not (queue.is_dir() and any(queue.iterdir())):
        shutil.rmtree(queue.parent, ignore_errors=True)


def _folder() -> Path:
    return cache_folder().absolute() / "board"


class LocalNetwork:
    """Connects to this machine."""

    async def __aenter__(self) -> LocalNetwork:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    async def connect(self, board: BoardSpec) -> Transport:
        """Return the transport to this machine."""
        return LocalTransport(board.name)


def local_software(board: BoardSpec, facts: BoardFacts) -> Software:
    """Find program and library on this machine.

    Raises:
        RuntimeUnavailable: no library of the runtime.
        BoardSetupError: this machine lacks a core that was asked for.
    """
    check_cores(board, facts)
    runtime = board.runtime or DEFAULT_RUNTIME
    found = find_library(runtime, board.library)
    if found is None:
        return Software(Payload.of(PROGRAM, executable=True), None)
    program = _door_script(found.path) if runtime in PYTHON_RUNTIMES else PROGRAM
    return Software(Payload.of(program, executable=True), Payload.of(found.path, executable=False))


def _door_script(library: Path) -> Path:
    """Write the script that stands in for the board program where only Python opens a runtime."""
    door = shlex.join(door_command(str(library.parent.parent)))
    text = _DOOR.format(door=door, program=shlex.quote(str(PROGRAM)))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = make_folder(_folder() / "doors") / f"{digest}.sh"
    if not path.exists():
        with atomic_write(path) as stream:
            stream.write(text)
        path.chmod(0o700)
    return path
