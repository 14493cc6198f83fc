"""Rows for learning from networks of any kind: model files and subnets in one table.

Owns: reading them with the layers of each network. A row with a ``network`` has its layers in the
file of lists beside the table. A row with a ``model`` names an ONNX or TFLite file, relative to the
table's folder, which is read where there is no list; files without their weights will do. A row
with neither is a subnet, as in ``dataset``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import DatasetError, EdgeprofError
from edgeprof.base.table_files import read_table
from edgeprof.networks import read_network
from edgeprof.networks.layers import Network
from edgeprof.networks.listed import network_of_layers
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet
from edgeprof.records.dataset import Record, RowRange, read_records
from edgeprof.records.network_lists import lists_beside, read_lists
from edgeprof.records.row_values import InvalidRow, parse_error, parse_latency, subnet_of_row

_MODEL_KIND = re.compile(r"[a-z]+-(fp32|int8)-b(\d+)")
_COLUMNS = ("device", "latency_ms")


@dataclass(frozen=True, repr=False)
class NetworkRows:
    """Latencies of networks on one device.

    Attributes:
        device: name of the device.
        networks: one per row.
        latency_ms, latency_se_ms: float64 (n,); a standard error is NaN where it is not known.
        spaces: those that rows of subnets are of.
        source: the file, as given.
        dropped: how many rows were dropped as invalid, by column.
    """

    device: str
    networks: tuple[Network, ...]
    latency_ms: NDArray[np.float64]
    latency_se_ms: NDArray[np.float64]
    spaces: tuple[str, ...]
    source: str
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.networks)

    def take(self, positions: NDArray[np.int64]) -> NetworkRows:
        """Return the rows at these positions."""
        return replace(
            self,
            networks=tuple(self.networks[row] for row in positions),
            latency_ms=self.latency_ms[positions],
            latency_se_ms=self.latency_se_ms[positions],
        )

    def __repr__(self) -> str:
        return f"<NetworkRows {self.source}: {len(self)} networks on {self.device}>"


def names_models(path: Path) -> bool:
    """Tell whether a table has rows of model files.

    Raises:
        DatasetError: if it cannot be read.
    """
    return any(row.get("model") not in (None, "") for _, row in read_table(path, ("device",)))


def read_network_rows(
    path: Path,
    *,
    device: str | None = None,
    rows: RowRange | None = None,
    n: int | None = None,
    seed: int = 0,
    drop_invalid: bool = False,
) -> NetworkRows:
    """Read the rows of one device; the arguments are those of ``dataset.read_dataset``.

    Raises:
        DatasetError: naming file, line and column; a retry will not help.
    """
    records = read_records(path, _COLUMNS, device, rows)
    if n is not None:
        records = _drawn(records, n, seed, path)
    dropped: Counter[str] = Counter()
    source = _Source.of(path)
    good: list[_Checked] = []
    for record in records:
        try:
            good.append(_check(record, source))
        except InvalidRow as error:  # noqa: PERF203 - each row has its own
            if not drop_invalid:
                raise DatasetError(
                    f"{path}, {record.place}, column {error.column}: {error}", column=error.column
                ) from error.__cause__
            dropped[error.column] += 1
    if not good:
        raise DatasetError(f"{path}: no valid rows are left of {len(records)}; dropped {dropped}")
    return _rows_of(str(records[0].values["device"]), good, path, dropped)


def _rows_of(
    device: str, good: Sequence[_Checked], path: Path, dropped: Counter[str]
) -> NetworkRows:
    return NetworkRows(
        device,
        tuple(row.network for row in good),
        np.array([row.latency_ms for row in good]),
        np.array([row.latency_se_ms for row in good]),
        tuple(dict.fromkeys(row.space for row in good if row.space)),
        str(path),
        dropped,
    )


def _drawn(records: Sequence[Record], n: int, seed: int, path: Path) -> list[Record]:
    if n > len(records):
        raise DatasetError(f"{path}: has {len(records)} rows to draw from, want -n {n}")
    order = np.random.default_rng(seed).permutation(len(records))[:n]
    return [records[index] for index in np.sort(order)]


class _Checked(NamedTuple):
    network: Network
    latency_ms: float
    latency_se_ms: float
    space: str


@dataclass(frozen=True)
class _Source:
    """Where the layers of networks come from: lists by id, else files, each of them read once."""

    folder: Path
    lists_file: Path
    lists: Mapping[str, Network]
    files: dict[Path, Network] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Path) -> _Source:
        """Read the lists beside a table."""
        return cls(table.parent, lists_beside(table), read_lists(lists_beside(table)))

    def network(self, model: str, list_id: str) -> Network:
        """Return the network of a row.

        Raises:
            InvalidRow: there is neither its list nor its model.
        """
        if list_id in self.lists:
            return self.lists[list_id]
        path = self.folder / model
        if path not in self.files:
            try:
                self.files[path] = read_network(path)
            except EdgeprofError as error:
                missing = f"no list {list_id} in {self.lists_file}, and " if list_id else ""
                raise InvalidRow("model", f"{missing}{error}") from error
        return self.files[path]


def _check(record: Record, source: _Source) -> _Checked:
    """Return what a row says."""
    values = record.values
    latency_ms = parse_latency(values["latency_ms"])
    error_ms = parse_error(values.get("latency_se"))
    model = values.get("model")
    if model:
        network = source.network(str(model), str(values.get("network") or ""))
        return _Checked(network, latency_ms, error_ms, "")
    if any(values.get(name) in (None, "") for name in ("space", "resolution", "ks", "e", "d")):
        raise InvalidRow("model", "names no file, and the row is no subnet")
    subnet = subnet_of_row(values)
    network = subnet_as_measured(subnet, str(values.get("model_kind")))
    return _Checked(network, latency_ms, error_ms, subnet.space)


def subnet_as_measured(subnet: Subnet, model_kind: str) -> Network:
    """Return a subnet's network at the batch and in the type of ``onnx-int8-b4`` and its like."""
    network = get_space(subnet.space).layers(subnet)
    found = _MODEL_KIND.fullmatch(model_kind)
    if found is None or found.groups() == ("fp32", "1"):
        return network
    element_type = "int8" if found[1] == "int8" else "float32"
    layers = [layer.at(int(found[2]), element_type) for layer in network.work]
    return network_of_layers(network.name, layers, network.input_shape, network.notes)
