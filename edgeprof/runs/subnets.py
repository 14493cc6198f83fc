"""Bulk measurement of subnets on boards.

Owns: what the items of a profiling run are, and which of them are done. How they are brought to
boards is ``run.py``'s; the same on this machine is ``edgeprof.runs.profiling``.
"""

from __future__ import annotations

import asyncio
import fcntl
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from edgeprof.base.errors import BoardSetupError, OutputError, StoreError
from edgeprof.boards.batch import Item
from edgeprof.boards.check import Connect
from edgeprof.boards.claim import Owner, owner_name
from edgeprof.boards.deploy import Payload, Software, SoftwareSource, find_software
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport.ssh import SshNetwork
from edgeprof.export import ManifestEntry, export_subnets
from edgeprof.measuring.runtimes import entry_of
from edgeprof.networks.subnet import Subnet
from edgeprof.records.store import Store
from edgeprof.runs.context import FleetOptions
from edgeprof.runs.results import Plan
from edgeprof.runs.run import run_fleet
from edgeprof.runs.settings import ProfileSettings, items_of
from edgeprof.runs.summary import FleetSummary, Listener

_LOAD_TYPICAL_S = 5.0
_LOAD_LIMIT_S = 120.0  # the harness' own, by default
_LOAD_GRACE_S = 10.0


class Network(Protocol):
    """Makes transports, for the time of a run."""

    async def connect(self, board: BoardSpec) -> Any:
        """Connect to a board."""


OpenNetwork = Callable[[], AbstractAsyncContextManager[Network]]


@dataclass
class ProfileRun:
    """A profiling run: the items of each device, and the sink of their records.

    Attributes:
        models: folder of the model files.
        retry_failed: whether items that failed for good in an earlier run are tried again.
        executor: exports the models; this process where there is none.
    """

    subnets: Sequence[Subnet]
    store: Store
    settings: ProfileSettings
    models: Path
    retry_failed: bool = False
    executor: Executor | None = None
    _subnets_by_key: dict[str, Subnet] = field(default_factory=dict)

    async def plan(self, board: BoardSpec, software: Software) -> Plan:
        """Say what is left to do for the device of a board, its models exported."""
        settings = settings_of(board, self.settings)
        version = software.library.sha256 if software.library else software.program.sha256
        items = items_of(board.device, self.subnets, settings, version, board.environment)
        done = self.store.job_keys() | self._failed(board.device)
        todo = {key: subnet for key, subnet in items.items() if key not in done}
        self._subnets_by_key.update(todo)
        distinct = {subnet.id: subnet for subnet in todo.values()}
        # In a thread: connections are kept alive meanwhile.
        exported = await asyncio.to_thread(
            export_subnets,
            list(distinct.values()),
            self.models,
            format=settings.format,
            precision=settings.precision,
            batch=settings.batch,
            executor=self.executor,
        )
        entries = dict(zip(distinct, exported, strict=True))
        return Plan(
            [self._item(key, entries[subnet.id], settings) for key, subnet in todo.items()],
            found_done=len(items) - len(todo),
        )

    def append(self, item: Item, board: BoardSpec, record: Mapping[str, Any]) -> bool:
        """Store a measurement, once."""
        return self.store.append(
            record,
            job_key=item.key,
            device=board.device,
            subnet=self._subnets_by_key[item.key],
            model_kind=self.settings.model_kind,
        )

    def append_failure(self, item: Item, board: BoardSpec, record: Mapping[str, Any]) -> None:
        """Store the record of a failure."""
        self.store.append_failure(
            record,
            job_key=item.key,
            device=board.device,
            subnet=self._subnets_by_key[item.key],
        )

    def _failed(self, device: str) -> set[str]:
        if self.retry_failed:
            return set()
        return {
            failure.job_key
            for failure in self.store.failures(device)
            if not failure.record["error"].get("transient")
        }

    def _item(self, key: str, entry: ManifestEntry, settings: ProfileSettings) -> Item:
        weights = None
        if entry.weights_file is not None and entry.weights_sha256 is not None:
            path = self.models / entry.weights_file
            weights = Payload(path, entry.weights_sha256, executable=False)
        return Item(key, self.models / entry.file, weights, job_of(settings))


def settings_of(board: BoardSpec, settings: ProfileSettings) -> ProfileSettings:
    """Return the settings as a board's inventory entry changes them."""
    return replace(
        settings,
        runtime=board.runtime or settings.runtime,
        threads=board.threads or settings.threads,
        cpus=board.cores or settings.cpus,
    )


def job_of(settings: ProfileSettings) -> dict[str, Any]:
    """Return the fields that every job line of these settings has."""
    job: dict[str, Any] = {
        "runtime": settings.runtime,
        "threads": settings.threads,
        "cpus": list(settings.cpus),
        "seed": settings.seed,
        "ci_rel": settings.ci_rel,
        "max_secs": settings.max_secs,
    }
    if settings.max_load_secs is not None:
        job["max_load_secs"] = settings.max_load_secs
    if settings.runtime_options:
        job["runtime_options"] = dict(settings.runtime_options)
    return job


def profile_on_boards(
    subnets: Sequence[Subnet],
    store: Store,
    boards: Sequence[BoardSpec],
    *,
    settings: ProfileSettings,
    models: Path,
    retry_failed: bool = False,
    options: FleetOptions | None = None,
    listener: Listener | None = None,
    find: SoftwareSource = find_software,
    open_network: OpenNetwork = SshNetwork,
    executor: Executor | None = None,
) -> FleetSummary:
    """Measure subnets on boards; the same call goes on where an earlier one stopped.

    Args:
        subnets: what to measure on each kind of board; equal networks are measured once.
        store: where records go, each once.
        boards: of the inventory; those with the same first tag share the work.
        settings: how to export and measure, where a board's entry does not say otherwise.
        models: folder of the model files; those that are there are used again.
        retry_failed: try again what failed for good before.
        options: batch size, retries.
        listener: shows how the run goes.
        find: chooses the software for a board.
        open_network: makes the transports; SSH from this machine by default.
        executor: exports the models (see ``edgeprof.base.executors``); this process by default.

    Raises:
        StoreError: records cannot be stored, or another run writes to this store.
        OutputError: models cannot be written.
    """
    run = ProfileRun(subnets, store, settings, models, retry_failed, executor)
    options = replace(
        options or FleetOptions(),
        item_typical_s=settings.max_secs + _LOAD_TYPICAL_S,
        item_limit_s=settings.max_secs + (settings.max_load_secs or _LOAD_LIMIT_S) + _LOAD_GRACE_S,
    )
    resolved = [replace(board, **_resolved(board, settings)) for board in boards]

    def find_checked(board: BoardSpec, facts: BoardFacts) -> Software:
        _check_format(board, settings)
        return find(board, facts)

    async def work() -> FleetSummary:
        _cancel_on_sigterm()
        async with open_network() as network:
            connect: Connect = network.connect
            return await run_fleet(
                resolved,
                connect=connect,
                find_software=find_checked,
                plan=run.plan,
                sink=run,
                owner=owner_of(store),
                options=options,
                listener=listener,
            )

    with only_run(store):
        try:
            return asyncio.run(work())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None  # SIGTERM: the boards are restored by now


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
    try:
        lock = path.open("w")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"{store.path}: another run is measuring into this store; wait for it"
            ) from error
        yield


def _resolved(board: BoardSpec, settings: ProfileSettings) -> dict[str, Any]:
    chosen = settings_of(board, settings)
    return {"runtime": chosen.runtime, "threads": chosen.threads, "cores": chosen.cpus}


def _check_format(board: BoardSpec, settings: ProfileSettings) -> None:
    """Refuse a runtime that cannot read the models.

    Raises:
        BoardSetupError: with the format that it reads.
    """
    runtime = board.runtime or settings.runtime
    wanted = entry_of(runtime).formats
    if settings.format not in wanted:
        raise BoardSetupError(
            f"board {board.name}: runtime {runtime} does not read {settings.format} models; "
            f"use --format {wanted[0]}, or another 'runtime' of this board",
            board=board.name,
        )


def _cancel_on_sigterm() -> None:
    """Let a polite kill restore the boards, as Ctrl-C does."""
    task = asyncio.current_task()
    with suppress(NotImplementedError, RuntimeError, ValueError):
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
