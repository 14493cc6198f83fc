"""Lookup tables of boards: every distinct block of a space timed there as a model of its own.

Owns: the items of such a run and how records become tables. Raw records lie in a store in the
output folder, by which a repeated command goes on; connections, retries and the boards' state are
``run.py``'s, as for ``profile``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeprof.base.executors import map_through
from edgeprof.base.files import make_folder
from edgeprof.boards.batch import Item
from edgeprof.boards.deploy import Software, SoftwareSource, find_software
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport.ssh import SshNetwork
from edgeprof.measuring.measurement import Measurement
from edgeprof.networks.layers import Block, Network
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.predictors.lut.lut_file import Entry, TableSet, write_tables
from edgeprof.predictors.lut.lut_keys import Grammar
from edgeprof.records.store import Store
from edgeprof.runs.context import FleetOptions
from edgeprof.runs.lut_build import block_network, blocks_of, entry_of, export_block
from edgeprof.runs.results import Plan
from edgeprof.runs.run import run_fleet
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.subnets import OpenNetwork, job_of, only_run, owner_of, settings_of
from edgeprof.runs.summary import FleetSummary, Listener

STORE = "measured.db"
_LOAD_TYPICAL_S = 2.0
_LOAD_LIMIT_S = 130.0  # the harness gives up loading after 120 s


@dataclass
class LutRun:
    """A run over the blocks of a space: the items of each device, and the sink of their records.

    Attributes:
        blocks: by resolution and key.
        executor: exports the models; this process where there is none.
        keys: per device, the key of each item that it has to have.
        about: per device, what its entries share.
    """

    space: SearchSpace
    blocks: Mapping[int, Mapping[str, tuple[Block, ...]]]
    store: Store
    settings: ProfileSettings
    models: Path
    executor: Executor | None = None
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def plan(self, board: BoardSpec, software: Software) -> Plan:
        """Say what is left to do for the device of a board, its models exported."""
        settings = settings_of(board, self.settings)
        library = software.library
        about = {
            "space": self.space.id,
            "device": board.device,
            "runtime": settings.runtime,
            "library_sha256": library.sha256 if library else software.program.sha256,
            "format": settings.format,
            "threads": settings.threads,
            "cpus": list(settings.cpus),
            "ci_rel": settings.ci_rel,
            "max_secs": settings.max_secs,
        }
        distinct = {key: blocks for table in self.blocks.values() for key, blocks in table.items()}
        self.about[board.device] = about
        self.keys[board.device] = {_item_key(key, about): key for key in distinct}
        done = self.store.job_keys()
        todo = {item: key for item, key in self.keys[board.device].items() if item not in done}
        job = job_of(settings)
        paths = {
            item: self.models / f"{_hash(key)}.{settings.format}" for item, key in todo.items()
        }
        missing = {
            paths[item]: block_network(key, distinct[key])
            for item, key in todo.items()
            if not paths[item].exists()
        }
        await asyncio.to_thread(self._export, missing, settings.format)
        items = [Item(item, path, None, job) for item, path in paths.items()]
        return Plan(items, found_done=len(distinct) - len(todo))

    def _export(self, missing: Mapping[Path, Network], model_format: str) -> None:
        formats = [model_format] * len(missing)
        for _ in map_through(self.executor, export_block, missing.values(), missing, formats):
            pass  # it was written; or its error is raised here

    def append(self, item: Item, board: BoardSpec, record: Mapping[str, Any]) -> bool:
        """Store a measurement, once."""
        kind = self.settings.model_kind
        return self.store.append(record, job_key=item.key, device=board.device, model_kind=kind)

    def append_failure(self, item: Item, board: BoardSpec, record: Mapping[str, Any]) -> None:
        """Store the record of a failure."""
        self.store.append_failure(record, job_key=item.key, device=board.device)

    def write(self, folder: Path) -> dict[str, Path]:
        """Write the tables of each device that has every entry; return their folders."""
        written = {}
        for device, keys in self.keys.items():
            entries: dict[str, Entry] = {
                keys[stored.job_key]: entry_of(Measurement.from_record(stored.record))
                for stored in self.store.measurements(device)
                if stored.job_key in keys
            }
            if len(entries) < len(keys):
                continue
            tables = {
                resolution: {key: entries[key] for key in table}
                for resolution, table in self.blocks.items()
            }
            at = make_folder(folder / device)
            write_tables(
                TableSet(str(at), Grammar.OFA, tables, self.about[device]), at, Grammar.OFA
            )
            written[device] = at
        return written


def build_tables_on_boards(
    space: SearchSpace,
    folder: Path,
    boards: Sequence[BoardSpec],
    *,
    settings: ProfileSettings,
    resolutions: Sequence[int] | None = None,
    options: FleetOptions | None = None,
    listener: Listener | None = None,
    find: SoftwareSource = find_software,
    open_network: OpenNetwork = SshNetwork,
    executor: Executor | None = None,
) -> tuple[FleetSummary, dict[str, Path]]:
    """Time every block of a space on boards; the same call goes on where an earlier one stopped.

    Args:
        space: the space.
        folder: tables go to ``folder/DEVICE``, records and models beside them.
        boards: of the inventory; those with the same first tag share the work.
        settings: how to export and measure, where a board's entry does not say otherwise.
        resolutions: in pixels; those the space samples where not given.
        options: batch size, retries.
        listener: shows how the run goes.
        find: chooses the software for a board.
        open_network: makes the transports; SSH from this machine by default.
        executor: exports the models (see ``edgeprof.base.executors``); this process by default.

    Returns:
        How the run ended, and the folder of tables of each device that is complete.

    Raises:
        LookupTableError: a block has no place in lookup tables.
        StoreError, OutputError: records or models cannot be written.
    """
    blocks = blocks_of(space, resolutions or space.sampled_resolutions)
    make_folder(folder)
    options = replace(
        options or FleetOptions(),
        item_typical_s=settings.max_secs + _LOAD_TYPICAL_S,
        item_limit_s=settings.max_secs + _LOAD_LIMIT_S,
    )
    resolved = [_resolved(board, settings) for board in boards]
    with Store(folder / STORE) as store, only_run(store):
        run = LutRun(space, blocks, store, settings, make_folder(folder / "models"), executor)

        async def work() -> FleetSummary:
            async with open_network() as network:
                return await run_fleet(
                    resolved,
                    connect=network.connect,
                    find_software=find,
                    plan=run.plan,
                    sink=run,
                    owner=owner_of(store),
                    options=options,
                    listener=listener,
                )

        summary = asyncio.run(work())
        return summary, run.write(folder)


def _resolved(board: BoardSpec, settings: ProfileSettings) -> BoardSpec:
    chosen = settings_of(board, settings)
    return replace(board, runtime=chosen.runtime, threads=chosen.threads, cores=chosen.cpus)


def _item_key(key: str, about: Mapping[str, Any]) -> str:
    """Name an item by whatever changes its latency: how long it was measured does not."""
    lasting = {name: about[name] for name in about if name not in ("ci_rel", "max_secs", "space")}
    return _hash(json.dumps({"block": key, **lasting}, sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
