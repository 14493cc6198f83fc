"""Builds lookup tables: exports each distinct block as a model of its own and times it.

Owns: which blocks a space has, the order of the work, and how it resumes. Equal blocks are timed
once, whatever the slots and resolutions they occur in. Does not own how time is taken.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.base.errors import LookupTableError, OutputError
from edgeprof.base.files import make_folder
from edgeprof.measuring.harness import Settings, measure
from edgeprof.measuring.measurement import Measurement
from edgeprof.networks.layers import Block, Network, PlacedBlock
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.predictors.lut.lut_file import Entry, TableSet, write_tables
from edgeprof.predictors.lut.lut_keys import Grammar, keyed_blocks
from edgeprof.predictors.lut.tables import LookupTables, load_tables, representative_codes

BlockTimer = Callable[[Network], Entry]
"""Times one network; raises an EdgeprofError where that fails."""

_LOG = "measured.jsonl"


def blocks_of(
    space: SearchSpace, resolutions: Sequence[int]
) -> dict[int, dict[str, tuple[Block, ...]]]:
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


def build_tables(
    space: SearchSpace,
    folder: Path,
    time_block: BlockTimer,
    *,
    resolutions: Sequence[int] | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[int], object] | None = None,
) -> LookupTables:
    """Time every block and write the tables; goes on where an earlier call was cut off.

    Args:
        space: the space.
        folder: where the tables go; made where it is missing.
        time_block: times the network of one block.
        resolutions: in pixels; those the space samples where not given.
        about: device, runtime, settings: what entries must share. Kept in ``lut.json``.
        progress: called with 1 after each of ``n_blocks`` blocks.

    Raises:
        LookupTableError: if ``folder`` holds entries of another space or other settings.
        OutputError: if a file cannot be written.
    """
    advance = progress or (lambda _steps: None)
    blocks = blocks_of(space, resolutions or space.sampled_resolutions)
    identity = {"space": space.id, **(about or {})}
    with _Log(make_folder(folder) / _LOG, identity) as log:
        for key, members in _work(blocks):
            if key not in log.entries:
                log.add(key, time_block(block_network(key, members)))
            advance(1)
        tables = {
            resolution: {key: log.entries[key] for key in table}
            for resolution, table in blocks.items()
        }
    write_tables(TableSet(str(folder), Grammar.OFA, tables, identity), folder, Grammar.OFA)
    return load_tables(folder)


def n_blocks(space: SearchSpace, resolutions: Sequence[int] | None = None) -> int:
    """Return the number of steps that ``build_tables`` reports."""
    blocks = blocks_of(space, resolutions or space.sampled_resolutions)
    return sum(1 for _ in _work(blocks))


def _work(
    blocks: Mapping[int, Mapping[str, tuple[Block, ...]]],
) -> Iterator[tuple[str, tuple[Block, ...]]]:
    for table in blocks.values():
        yield from table.items()


class HarnessTimer:
    """Times blocks on this machine with the harness.

    Args:
        settings: how; see ``edgeprof.measuring.harness.Settings``.
        model_format: ``"onnx"`` or ``"tflite"``.
    """

    def __init__(self, settings: Settings, model_format: str = "onnx") -> None:
        self._settings, self._format = settings, model_format

    def __call__(self, network: Network) -> Entry:
        """Export the network, measure it, and sum up its undisturbed runs."""
        with tempfile.TemporaryDirectory(prefix="edgeprof-lut-") as folder:
            path = Path(folder) / f"block.{self._format}"
            export_block(network, path, self._format)
            return entry_of(measure(path, self._settings))


def entry_of(measured: Measurement) -> Entry:
    """Sum up the undisturbed runs of a measurement; all, where there are none."""
    kept = measured.latency_ns[measured.disturbed == 0]
    latency_ms = (kept if len(kept) else measured.latency_ns) / 1e6
    return Entry(len(latency_ms), float(np.mean(latency_ms)), float(np.std(latency_ms)))


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


class _Log:
    """Entries measured so far, on disk before the next block is timed.

    The first line says what all entries share; each further one is an entry. A last line that a
    power cut left unfinished is dropped, and its block is timed again.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._path = path
        self.entries: dict[str, Entry] = {}
        self._whole_lines = _whole_lines(path)
        self._identity = json.dumps(dict(identity), separators=(",", ":"))
        if self._whole_lines and self._whole_lines[0] != self._identity:
            raise LookupTableError(
                f"{path}: was begun with {self._whole_lines[0]}, now wanted {self._identity}; "
                "use another folder"
            )
        for number, line in enumerate(self._whole_lines[1:], start=2):
            key, entry = _parse_entry(line, f"{path}:{number}")
            self.entries[key] = entry

    def __enter__(self) -> _Log:
        try:
            self._stream = self._path.open("a", encoding="utf-8")
            whole = "".join(f"{line}\n" for line in self._whole_lines)
            self._stream.truncate(len(whole.encode()))
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error
        if not self._whole_lines:
            self._write(self._identity)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stream.close()

    def add(self, key: str, entry: Entry) -> None:
        """Keep an entry."""
        self.entries[key] = entry
        self._write(json.dumps({"key": key, **asdict(entry)}, separators=(",", ":")))

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error


def _parse_entry(line: str, where: str) -> tuple[str, Entry]:
    try:
        value = json.loads(line)
        key = value.pop("key")
        return key, Entry(**value)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LookupTableError(f"{where}: is no entry of a table") from None


def _whole_lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8").split("\n")[:-1]
