"""Hardware parameters of devices: what a data sheet says.

Owns: the file ``devices.csv`` (columns ``device,cores,clock_mhz,ram_gb,bandwidth_gb_per_s,batch``,
``batch`` may be left out) and the quantities derived from it.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from edgeprof.errors import DatasetError

_NUMBERS = ("cores", "clock_mhz", "ram_gb", "bandwidth_gb_per_s")
_BYTES_PER_ELEMENT = 4


@dataclass(frozen=True)
class Device:
    """A device as its data sheet has it.

    Attributes:
        name: as in the column ``device`` of a dataset.
        cores: arithmetic units that do one multiply-accumulate a cycle (CUDA cores).
        clock_mhz: boost clock.
        ram_gb: memory.
        bandwidth_gb_per_s: of the memory.
        batch: images per inference that its latencies are of.
    """

    name: str
    cores: float
    clock_mhz: float
    ram_gb: float
    bandwidth_gb_per_s: float
    batch: float = 1.0

    @property
    def macs_per_ms(self) -> float:
        """Peak rate of multiply-accumulates."""
        return self.cores * self.clock_mhz * 1e3

    @property
    def elements_per_ms(self) -> float:
        """Peak rate of float32 values to and from memory."""
        return self.bandwidth_gb_per_s * 1e6 / _BYTES_PER_ELEMENT

    def scaled_inputs(self) -> tuple[float, float, float]:
        """Return cores, memory and bandwidth as logarithms around a usual GPU's."""
        return (
            math.log(self.cores / 4000),
            math.log(self.ram_gb / 12),
            math.log(self.bandwidth_gb_per_s / 500),
        )


def read_devices(path: Path) -> dict[str, Device]:
    """Read ``devices.csv``.

    Raises:
        DatasetError: naming file, line and column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            for column in ("device", *_NUMBERS):
                if column not in (reader.fieldnames or []):
                    raise DatasetError(f"{path}: column {column} is missing")
            return {
                row["device"]: _parse_device(row, f"{path}, line {reader.line_num}")
                for row in reader
            }
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error


def _parse_device(row: dict[str, str], place: str) -> Device:
    numbers = {name: _parse_number(row[name], name, place) for name in _NUMBERS}
    batch = _parse_number(row.get("batch") or "1", "batch", place)
    return Device(row["device"], **numbers, batch=batch)


def _parse_number(text: str, column: str, place: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DatasetError(f"{place}, column {column}: {text!r}, want a positive number")
    return value
