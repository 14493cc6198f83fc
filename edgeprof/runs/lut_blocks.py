"""The blocks of a search space as a workload, and the lookup tables that come of it.

Owns: which blocks a space has, each one's model, and how records become tables. Equal blocks are
timed once, whatever the slots and resolutions they occur in. Records with their raw samples lie in
a store in the output folder, by which a repeated call goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.base.errors import LookupTableError
from edgeprof.base.executors import map_through
from edgeprof.base.files import make_folder
from edgeprof.base.units import ns_to_ms
from edgeprof.measuring.estimate import ItemEstimate
from edgeprof.measuring.measurement import Measurement, Record
from edgeprof.measuring.runtimes import NULL
from edgeprof.networks.layers import Block, Network, PlacedBlock
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.predictors.lut.lut_file import Entry, TableSet, read_about, write_tables
from edgeprof.predictors.lut.lut_keys import Grammar, keyed_blocks
from edgeprof.predictors.lut.tables import representative_codes
from edgeprof.records.campaign_samples import estimate_device
from edgeprof.records.store import Store
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import ModelFile, Target, Workload, key_of

STORE = "measured.db"
_OLD_LOG = "measured.jsonl"

BlockTables = Mapping[int, Mapping[str, tuple[Block, ...]]]
"""Blocks by resolution and key."""


def blocks_of(space: SearchSpace, resolutions: Sequence[int]) -> BlockTables:
    """Return the distinct blocks of a space by resolution and key.

    Raises:
        InvalidSubnet: if a resolution is not of the space.
        LookupTableError: if a block has no place in lookup tables.
    """
    found: dict[int, dict[str, tuple[Block, ...]]] = {}
    for index in space.resolution_indices(resolutions):
        table = found.setdefault(space.resolutions[index], {})
        for subnet in space.decode(representative_codes(space, int(index))):
            table.update(keyed_blocks(space.layers(subnet)))
    return found


class BlockWorkload(Workload[str]):
    """The blocks of a space, each timed once as a model of its own.

    Args:
        space: the space.
        folder: tables go to ``folder/DEVICE``, models to ``folder/models``; those that are there
            are used again.
        store: where records go.
        settings: how to export and measure.
        resolutions: in pixels; those the space samples where not given.
        one_device: tables go to ``folder`` itself, which must not hold others.
        retry_failed: whether blocks that failed for good in an earlier run are tried again.
        executor: exports the models; this process by default.

    Attributes:
        resolutions: in pixels.

    Raises:
        InvalidSubnet, LookupTableError: see :func:`blocks_of`.
    """

    def __init__(
        self,
        space: SearchSpace,
        folder: Path,
        store: Store,
        settings: ProfileSettings,
        *,
        resolutions: Sequence[int] | None = None,
        one_device: bool = False,
        retry_failed: bool = False,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(store, settings, retry_failed=retry_failed)
        self._space, self._folder, self._one_device = space, folder, one_device
        self._tables = blocks_of(space, resolutions or space.sampled_resolutions)
        self._blocks = {
            key: block for table in self._tables.values() for key, block in table.items()
        }
        self.executor = executor
        self.resolutions = tuple(self._tables)
        self._keys: dict[str, dict[str, str]] = {}
        self._about: dict[str, dict[str, Any]] = {}

    @property
    def n_blocks(self) -> int:
        """Number of distinct blocks."""
        return len(self._blocks)

    def items(self, target: Target) -> dict[str, str]:
        """Return the blocks' keys in the tables by the items' keys.

        Raises:
            LookupTableError: the folder has tables that were measured otherwise.
        """
        settings = target.settings
        lasting = {
            "device": target.device,
            "runtime": settings.runtime_name,
            "library_sha256": target.software_sha256,
            "format": settings.format,
            "threads": settings.threads,
            "cpus": list(settings.cpus),
        }
        if settings.runtime_options:
            lasting["runtime_options"] = dict(settings.runtime_options)
        # How long it was measured changes no latency.
        effort = {"ci_rel": settings.ci_rel, "max_secs": settings.max_secs}
        about = {"space": self._space.id, **lasting, **effort}
        if self._one_device:
            _refuse_other_tables(self._folder, about)
        self._about[target.device] = about
        keys = {key_of({"block": key, **lasting}): key for key in self._blocks}
        self._keys[target.device] = keys
        return keys

    def make_models(
        self, labels: Sequence[str], settings: ProfileSettings, advance: Callable[..., object]
    ) -> list[ModelFile]:
        """Export each block's network where it is not there yet."""
        models = make_folder(self._folder / "models")
        paths = {key: models / f"{_digest(key)}.{settings.format}" for key in labels}
        missing = {
            path: block_network(key, self._blocks[key])
            for key, path in paths.items()
            if not path.exists()
        }
        formats = [settings.format] * len(missing)
        for _ in map_through(self.executor, export_block, missing.values(), missing, formats):
            advance()
        return [ModelFile(path) for path in paths.values()]

    def write(self) -> dict[str, Path]:
        """Write the tables of each device that has every entry; return their folders."""
        folders = {
            device: self._folder if self._one_device else self._folder / device
            for device in self._keys
        }
        return {device: at for device, at in folders.items() if self._write(device, at)}

    def _write(self, device: str, folder: Path) -> bool:
        keys = self._keys[device]
        # The null runtime takes no time at all, which is no latency.
        is_null = self._about[device]["runtime"] == NULL
        estimated = None if is_null else estimate_device(self.store, device)
        found = {} if estimated is None else estimated.items
        entries = {
            keys[stored.job_key]: entry_of(stored.record, found.get(stored.job_key))
            for stored in self.store.measurements(device)
            if stored.job_key in keys
        }
        if len(entries) < len(keys):
            return False
        tables = {
            resolution: {key: entries[key] for key in table}
            for resolution, table in self._tables.items()
        }
        table_set = TableSet(str(folder), Grammar.OFA, tables, self._about[device])
        write_tables(table_set, make_folder(folder), Grammar.OFA)
        return True


@contextmanager
def block_workload(
    space: SearchSpace, folder: Path, settings: ProfileSettings, **more: Any
) -> Iterator[BlockWorkload]:
    """Open the store of a folder and yield the workload of its blocks; see ``BlockWorkload``.

    Raises:
        LookupTableError: the folder was begun by an earlier edgeprof.
        StoreError, OutputError: records cannot be written.
    """
    if (folder / _OLD_LOG).exists():
        raise LookupTableError(
            f"{folder / _OLD_LOG}: was begun by an earlier edgeprof, which kept no raw samples; "
            "its tables can be read as before; build new ones in another folder"
        )
    with Store(make_folder(folder) / STORE) as store:
        yield BlockWorkload(space, folder, store, settings, **more)


def entry_of(record: Record, estimate: ItemEstimate | None = None) -> Entry:
    """Sum up a measurement: as its campaign has estimated it, else by the samples that count."""
    if estimate is not None:
        spread_ms = estimate.noise * estimate.latency_ms
        return Entry(estimate.n_samples, estimate.latency_ms, spread_ms)
    measured = Measurement.from_record(record)
    counted_ns = measured.counted_ns
    return Entry(
        len(counted_ns), ns_to_ms(measured.latency_mean_ns), ns_to_ms(float(np.std(counted_ns)))
    )


def export_block(network: Network, path: Path, model_format: str) -> None:
    """Write the network of a block as a model."""
    if model_format == "tflite":
        from edgeprof.export.tflite import export_network as export_tflite

        export_tflite(network, path)
    else:
        from edgeprof.export.onnx import export_network as export_onnx

        export_onnx(network, path)


def block_network(key: str, blocks: tuple[Block, ...]) -> Network:
    """Return the blocks of one entry as a network of their own."""
    placed = (PlacedBlock(f"block{index}", 0, block) for index, block in enumerate(blocks))
    return Network(key, tuple(placed))


def _refuse_other_tables(folder: Path, about: Mapping[str, Any]) -> None:
    before = read_about(folder)
    now = {name: value for name, value in about.items() if name in before}
    if now != before:
        raise LookupTableError(
            f"{folder}: holds tables of {json.dumps(dict(before))}, now wanted "
            f"{json.dumps(now)}; use another folder"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
