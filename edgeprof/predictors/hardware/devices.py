"""Hardware parameters of devices: what a data sheet says.

Owns: the file ``devices.csv`` (columns ``device,cores,clock_mhz,ram_gb,bandwidth_gb_per_s``, and
where wanted ``batch,launch_us,hardware``), the quantities derived from it, and which measurements
a device may be predicted from: those of other hardware, never its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.errors import DatasetError
from edgeprof.base.table_files import read_table
from edgeprof.networks.layers import Network
from edgeprof.records.dataset import Dataset

_NUMBERS = ("cores", "clock_mhz", "ram_gb", "bandwidth_gb_per_s")
_BYTES_PER_ELEMENT = 4
_USUAL_LAUNCH_US = 5.0
"""A kernel of a GPU, or an operator of a CPU runtime; what it really is, is learned as a factor."""


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
        launch_us: to start one layer, where it is known to differ from the other devices'.
        hardware: what it is, where several devices are the same (other batches or runtimes).
    """

    name: str
    cores: float
    clock_mhz: float
    ram_gb: float
    bandwidth_gb_per_s: float
    batch: float = 1.0
    launch_us: float = _USUAL_LAUNCH_US
    hardware: str = ""

    @property
    def group(self) -> str:
        """What it is: devices of one group are not predicted from one another."""
        return self.hardware or self.name

    @property
    def ram_bytes(self) -> float:
        """Memory."""
        return self.ram_gb * 1e9

    def working_set_bytes(self, network: Network) -> float:
        """Return what a network needs at least: its weights and its largest layer's maps."""
        maps = max(layer.elements_read + layer.elements_written for layer in network.layers())
        return _BYTES_PER_ELEMENT * (network.parameters + self.batch * maps)

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
    devices: dict[str, Device] = {}
    for where, row in read_table(path, ("device", *_NUMBERS)):
        place, name = f"{path}, {where}", str(row["device"])
        if name in devices:
            raise DatasetError(f"{place}, column device: {name!r} a second time")
        devices[name] = _parse_device(name, row, place)
    return devices


def other_hardware(
    measured: Sequence[tuple[Device, Dataset]], target: Device
) -> list[tuple[Device, Dataset]]:
    """Return the measurements that ``target`` may be predicted from: of other hardware, always.

    Raises:
        DatasetError: if there are none.
    """
    others = [(device, data) for device, data in measured if device.group != target.group]
    if not others:
        raise DatasetError(
            f"predicting {target.name} from other devices: no rows of other hardware than "
            f"{target.group} that devices.csv describes; want at least one"
        )
    return others


def space_of(measured: Sequence[tuple[Device, Dataset]], target: Device) -> str:
    """Return the one space that measurements are of.

    Raises:
        DatasetError: if they are of several.
    """
    spaces = sorted({data.space for _, data in measured})
    if len(spaces) > 1:
        raise DatasetError(
            f"predicting {target.name} from other devices: their rows are of {', '.join(spaces)}; "
            "say with --space which to predict in"
        )
    return spaces[0]


def _parse_device(device: str, row: Mapping[str, object], place: str) -> Device:
    numbers = {name: _parse_number(row[name], name, place) for name in _NUMBERS}
    for name in ("batch", "launch_us"):
        if row.get(name):
            numbers[name] = _parse_number(row[name], name, place)
    return Device(device, **numbers, hardware=str(row.get("hardware") or ""))


def _parse_number(text: object, column: str, place: str) -> float:
    try:
        value = float(str(text))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DatasetError(f"{place}, column {column}: {text!r}, want a positive number")
    return value
