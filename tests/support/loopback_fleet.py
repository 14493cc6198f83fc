"""Runs over a rack of loopback boards: the items, a store as sink, a controller to be killed.

Run as a program it is the controller: ``loopback_fleet.py BOARDS STORE ITEMS [OPTIONS-JSON]``.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import rack

from edgeprof.boards.batch import Item
from edgeprof.boards.deploy import Payload, Software, SoftwareSource, find_software
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import BoardSpec, read_inventory
from edgeprof.boards.transport.ssh import SshNetwork
from edgeprof.export import export_subnets
from edgeprof.measuring.harness import PROGRAM
from edgeprof.networks.spaces import get_space
from edgeprof.records.store import Store
from edgeprof.runs.context import RunOptions
from edgeprof.runs.queue import RetryPolicy
from edgeprof.runs.run import run
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import only_run, owner_of
from edgeprof.runs.summary import BoardProgress, SilentListener
from edgeprof.runs.view import PlainLog
from edgeprof.runs.workload import Plan, Target, Workload

NULL_JOB = {
    "runtime": "null",
    "min_secs": 0,
    "max_secs": 1,
    "min_samples": 3,
    "max_samples": 3,
}
SLOW_JOB = {
    "min_secs": 0.15,
    "max_secs": 0.2,
    "max_samples": 1000,
    "runtime_options": {"act": "sleep"},
}
LARGE_JOB = {"min_secs": 0.15, "max_secs": 0.2, "max_samples": 1_000_000}
"""Of the null backend: its record takes megabytes."""
FAST = RetryPolicy(
    backoff_s=0.1,
    backoff_limit_s=0.5,
    busy_limit_s=5.0,
)


class Watching(SilentListener):
    """Calls a function when a board begins to do something; keeps the notes."""

    def __init__(
        self,
        activity: str = "never",
        action: Callable[[BoardProgress], object] = lambda _: None,
    ) -> None:
        self._activity = activity
        self._action = action
        self.notes: list[str] = []

    def changed(self, board: BoardProgress) -> None:
        if board.activity.startswith(self._activity):
            self._action(board)

    def note(self, text: str) -> None:
        self.notes.append(text)


def once(action: Callable[[BoardProgress], object]) -> Callable[[BoardProgress], None]:
    """Return the action as it is done the first time only."""
    calls: list[BoardProgress] = []

    def wrapped(board: BoardProgress) -> None:
        calls.append(board)
        if len(calls) == 1:
            action(board)

    return wrapped


def later(delay_s: float, action: Callable[[], object]) -> None:
    """Do it after a while, in a thread."""
    timer = threading.Timer(delay_s, action)
    timer.daemon = True
    timer.start()


def wait_until(condition: Callable[[], object], deadline_s: float = 60.0) -> None:
    """Wait for something that happens by itself."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, "did not happen in time"
        time.sleep(0.02)


def specs(loopback: rack.Rack, **changes: object) -> list[BoardSpec]:
    """The rack's boards, changed."""
    chosen = read_inventory(loopback.inventory()).boards
    return [replace(spec, **changes) for spec in chosen]


def measured(store: Store) -> list[str]:
    """The keys in a store, each as often as it was measured."""
    return sorted(item.job_key for item in store.measurements())


def keys(items: Sequence[Item]) -> list[str]:
    return [item.key for item in items]


def records_on(board: rack.LoopbackBoard) -> int:
    """How many records lie on a board."""
    return sum(
        path.read_bytes().count(b"\n")
        for path in board.home.glob(".edgeprof/queue/*/records.jsonl")
    )


@contextmanager
def controller(
    loopback: rack.Rack,
    folder: Path,
    count: int,
    *,
    inventory: Path | None = None,
    **options: object,
) -> Iterator[subprocess.Popen[bytes]]:
    """A controller in a process of its own, with the store ``run.db`` in the folder."""
    command = [sys.executable, __file__, str(inventory or loopback.inventory())]
    command += [str(folder / "run.db"), str(count), json.dumps(options)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wrapping(folder: Path, before: str, names: Sequence[str]) -> SoftwareSource:
    """Return a source of software that gives these boards a script around the program.

    Args:
        folder: where the script is kept.
        before: shell commands; ``"$@"`` are the program's arguments.
        names: of the boards.
    """

    def find(board: BoardSpec, facts: BoardFacts) -> Software:
        software = find_software(board, facts)
        if board.name not in names:
            return software
        script = folder / "wrapped" / PROGRAM.name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\n{before}\nexec {software.program.source} "$@"\n')
        return replace(software, program=Payload.of(script, executable=True))

    return find


# Makes every job of a board's queue crash, whatever was asked for.
CRASHING = """
sed -i 's/"runtime":"null"/"runtime":"null","runtime_options":{"act":"abort"}/' \\
  "$HOME"/.edgeprof/queue/*/jobs.jsonl 2>/dev/null
"""


def null_items(count: int, **job: object) -> list[Item]:
    """Items of the null backend: they measure nothing, quickly."""
    return [Item(f"item-{i:04}", None, None, {**NULL_JOB, **job}) for i in range(count)]


def with_models(items: Sequence[Item], folder: Path, n_models: int) -> list[Item]:
    """Items with the model files of real subnets in turn, which share one file of weights."""
    subnets = get_space("ofa-mbv3-w1.0").sample(n_models, np.random.default_rng(0), [128])
    entries = export_subnets(subnets, folder)
    [entry, *_] = entries
    weights = Payload(folder / entry.weights_file, entry.weights_sha256, executable=False)
    return [
        replace(item, model=folder / entries[i % n_models].file, weights=weights)
        for i, item in enumerate(items)
    ]


class ItemWorkload(Workload[None]):
    """Items that are ready to be measured."""

    def __init__(self, store: Store, items: Sequence[Item]) -> None:
        super().__init__(store, ProfileSettings(max_secs=0.1))
        self._items = items

    def items(self, _target: Target) -> dict[str, None]:
        return dict.fromkeys(keys(self._items))

    def make_models(self, _labels, _settings, _advance):
        raise NotImplementedError

    async def plan(self, _board, _software, _show=lambda _: None) -> Plan:
        done = self.store.job_keys() & set(keys(self._items))
        return Plan([item for item in self._items if item.key not in done], len(done))


def run_items(
    boards,
    store: Store,
    items,
    *,
    listener=None,
    network=SshNetwork,
    find: SoftwareSource = find_software,
    **options,
):
    """Measure what is not in the store; returns the summary."""
    workload = ItemWorkload(store, items)

    async def work():
        async with network() as opened:
            return await run(
                workload,
                boards,
                connect=opened.connect,
                find_software=find,
                owner=owner_of(store),
                options=RunOptions(**{"policy": FAST, **options}),
                listener=listener,
            )

    with only_run(store):
        return asyncio.run(work())


def main(boards: str, store_path: str, count: str, options: str = "{}") -> None:
    chosen: Mapping[str, object] = json.loads(options)
    policy = RetryPolicy(**{**vars(FAST), **chosen.get("policy", {})})
    job = {**NULL_JOB, **chosen.get("job", {})}
    ours = ("policy", "job", "n_models")
    rest = {key: value for key, value in chosen.items() if key not in ours}
    items = null_items(int(count), **job)
    if n_models := chosen.get("n_models"):
        items = with_models(items, Path(store_path).with_name("models"), n_models)
    log = PlainLog(lambda line: print(line, file=sys.stderr, flush=True))
    with Store(Path(store_path)) as store:
        inventory = read_inventory(Path(boards))
        summary = run_items(
            inventory.boards,
            store,
            items,
            listener=log,
            policy=policy,
            **rest,
        )
    peak_rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**summary.as_dict(), "peak_rss_bytes": peak_rss_bytes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
