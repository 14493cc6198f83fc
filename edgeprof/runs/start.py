"""Starting a run: on this machine or on boards.

Owns: that one run at a time writes to a store, and that SIGTERM ends a run as Ctrl-C does.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Protocol

from edgeprof.base.errors import OutputError, StoreError
from edgeprof.boards.claim import Owner, owner_name
from edgeprof.boards.deploy import Software, SoftwareSource, find_software
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.this_machine import (
    LocalNetwork,
    forget_session,
    local_software,
    this_machine,
)
from edgeprof.boards.transport import Transport
from edgeprof.boards.transport.ssh import SshNetwork
from edgeprof.records.store import Store
from edgeprof.runs.context import RunOptions
from edgeprof.runs.run import run
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.summary import Listener, RunSummary
from edgeprof.runs.workload import Workload

_LOCAL_LOOK_S = 1.0


class Network(Protocol):
    """Makes transports, for the time of a run."""

    async def connect(self, board: BoardSpec) -> Transport:
        """Connect to a board."""


OpenNetwork = Callable[[], AbstractAsyncContextManager[Network]]


def measure_here(
    workload: Workload[Any],
    device: str,
    *,
    options: RunOptions | None = None,
    listener: Listener | None = None,
) -> RunSummary:
    """Measure a workload on this machine; the same call goes on where an earlier one stopped.

    While another run measures on this machine it is waited for.

    Args:
        workload: what to measure.
        device: name of this machine in the store.
        options: batch size, retries.
        listener: shows how the run goes.

    Raises:
        RuntimeUnavailable: no library of the runtime on this machine.
        BoardBusy: another run measures here and does not end.
        BoardSetupError: this machine cannot run it, or too many models in a row failed.
        OutputError, StoreError: nothing can be written; what was measured stays.
    """
    options = options or RunOptions()
    session = workload.store.session_id()
    try:
        summary = measure_on(
            workload,
            [this_machine(device, session)],
            options=replace(options, policy=replace(options.policy, busy_look_s=_LOCAL_LOOK_S)),
            listener=listener,
            find=local_software,
            open_network=LocalNetwork,
        )
    finally:
        forget_session(session)
    [board] = summary.boards
    if board.error is not None:
        raise board.error
    return summary


def measure_on(
    workload: Workload[Any],
    boards: Sequence[BoardSpec],
    *,
    options: RunOptions | None = None,
    listener: Listener | None = None,
    find: SoftwareSource = find_software,
    open_network: OpenNetwork = SshNetwork,
) -> RunSummary:
    """Measure a workload on boards; the same call goes on where an earlier one stopped.

    Args:
        workload: what to measure.
        boards: of the inventory; those with the same first tag share the work.
        options: batch size, retries; how long an item takes is the workload's.
        listener: shows how the run goes.
        find: chooses the software for a board.
        open_network: makes the transports; SSH from this machine by default.

    Raises:
        StoreError: records cannot be stored, or another run writes to this store.
        OutputError: models cannot be written.
    """
    settings = workload.settings

    async def work() -> RunSummary:
        _cancel_on_sigterm()
        async with open_network() as network:
            return await run(
                workload,
                [settings.applied_to(board) for board in boards],
                connect=network.connect,
                find_software=_checked(find, settings),
                owner=owner_of(workload.store),
                options=_with_times_of(settings, options or RunOptions()),
                listener=listener,
            )

    with only_run(workload.store), _cancelled_as_interrupt():
        return asyncio.run(work())


@contextmanager
def _cancelled_as_interrupt() -> Iterator[None]:
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None  # SIGTERM: the boards are restored by now


def _checked(find: SoftwareSource, settings: ProfileSettings) -> SoftwareSource:
    def find_checked(board: BoardSpec, facts: BoardFacts) -> Software:
        settings.check_runtime(board)
        return find(board, facts)

    return find_checked


def _with_times_of(settings: ProfileSettings, options: RunOptions) -> RunOptions:
    return replace(
        options,
        campaign=settings.campaign,
        item_typical_s=settings.item_typical_s,
        item_limit_s=settings.item_limit_s,
    )


def owner_of(store: Store) -> Owner:
    """Return who measures; the same store is the same session."""
    return Owner(owner_name(), store.session_id())


@contextmanager
def only_run(store: Store) -> Iterator[None]:
    """Keep a second run off the same store.

    Raises:
        StoreError: if there is one already.
    """
    path = store.path.with_name(f".{store.path.name}.run")
    with _open_lock(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The run before may have removed the file between our opening and locking it.
            is_taken = os.fstat(lock.fileno()).st_ino != path.stat().st_ino
        except OSError:
            is_taken = True
        if is_taken:
            raise StoreError(f"{store.path}: another run is measuring into this store; wait for it")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _open_lock(path: Path) -> IO[str]:
    try:
        return path.open("w")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _cancel_on_sigterm() -> None:
    """Let a polite kill restore the boards, as Ctrl-C does."""
    task = asyncio.current_task()
    with suppress(NotImplementedError, RuntimeError, ValueError):
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
