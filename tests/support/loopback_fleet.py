"""Runs over a rack of loopback boards: the items, a store as sink, a controller to be killed.

Run as a program it is the controller: ``loopback_fleet.py BOARDS STORE ITEMS [OPTIONS-JSON]``.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from edgeprof.board.batch import Item
from edgeprof.board.deploy import find_software
from edgeprof.fleet.ledger import Plan
from edgeprof.fleet.member import FleetOptions
from edgeprof.fleet.profile import only_run, owner_of
from edgeprof.fleet.run import run_fleet
from edgeprof.fleet.schedule import RetryPolicy
from edgeprof.fleet.view import PlainLog
from edgeprof.inventory import read_inventory
from edgeprof.store import Store
from edgeprof.transport.ssh import SshNetwork

NULL_JOB = {
    "runtime": "null",
    "min_secs": 0,
    "max_secs": 1,
    "min_samples": 3,
    "max_samples": 3,
}
# Three samples of nothing on a machine that runs tests: whether they were disturbed is chance.
FAST = RetryPolicy(
    backoff_s=0.1,
    backoff_limit_s=0.5,
    cool_down_s=0.0,
    busy_limit_s=5.0,
    min_undisturbed_share=0.0,
)


def null_items(count: int, **job: object) -> list[Item]:
    """Items of the null backend: they measure nothing, quickly."""
    return [Item(f"item-{i:04}", None, None, {**NULL_JOB, **job}) for i in range(count)]


class StoreSink:
    """Puts records of items without subnets into a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def append(self, item, board, record) -> bool:
        # The null backend has no model and no version.
        record["model"].setdefault("sha256", "none")
        record["runtime"].setdefault("version", "none")
        return self.store.append(record, job_key=item.key, device=board.device)

    def append_failure(self, item, board, record) -> None:
        self.store.append_failure(record, job_key=item.key, device=board.device)


def run_items(boards, store: Store, items, *, listener=None, network=SshNetwork, **options):
    """Measure what is not in the store; returns the summary."""
    sink = StoreSink(store)

    async def plan(_board, _software):
        done = store.job_keys()
        return Plan([item for item in items if item.key not in done], len(done))

    async def work():
        async with network() as opened:
            return await run_fleet(
                boards,
                connect=opened.connect,
                find_software=find_software,
                plan=plan,
                sink=sink,
                owner=owner_of(store),
                options=FleetOptions(**{"policy": FAST, **options}),
                listener=listener,
            )

    with only_run(store):
        return asyncio.run(work())


def main(boards: str, store_path: str, count: str, options: str = "{}") -> None:
    chosen: Mapping[str, object] = json.loads(options)
    policy = RetryPolicy(**{**vars(FAST), **chosen.get("policy", {})})
    job = chosen.get("job", {})
    rest = {key: value for key, value in chosen.items() if key not in ("policy", "job")}
    log = PlainLog(lambda line: print(line, file=sys.stderr, flush=True))
    with Store(Path(store_path)) as store:
        inventory = read_inventory(Path(boards))
        summary = run_items(
            inventory.boards,
            store,
            null_items(int(count), **job),
            listener=log,
            policy=policy,
            **rest,
        )
    peak_rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**summary.as_dict(), "peak_rss_bytes": peak_rss_bytes}))


if __name__ == "__main__":
    main(*sys.argv[1:])
