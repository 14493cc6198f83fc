"""From the store to rows for learning, and rows from elsewhere into the store.

Owns: what is in a row, and writing CSV and Parquet. Which measurements may be pooled is
``pooling``'s, reading and checking rows ``dataset``'s, the layers of networks beside the rows
``network_lists``'.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgeprof.base.errors import DatasetError, OutputError
from edgeprof.base.extras import optional
from edgeprof.base.files import atomic_write, make_folder, sha256_of
from edgeprof.base.units import ns_to_ms
from edgeprof.measuring.grade import (
    Evidence,
    Grade,
    Verdict,
    grade_measurement,
    grade_run,
    spread_of,
    together,
)
from edgeprof.networks.subnet import Subnet
from edgeprof.records.dataset import COLUMNS, devices_of, read_dataset
from edgeprof.records.evidence import DeviceEvidence
from edgeprof.records.network_lists import ListedNetwork, listed_network, lists_beside, write_lists
from edgeprof.records.pooling import (
    STATE_FIELDS,
    check_where,
    mixed_states,
    pool_by_state,
    state_of,
)
from edgeprof.records.store import ImportedRow, Store, StoredMeasurement

EXPORTED_COLUMNS = (
    *COLUMNS,
    "latency_se",
    "grade",
    "w",
    "n_samples",
    "n_measurements",
    "source",
    *STATE_FIELDS,
)
NETWORK_COLUMNS = ("model", "network")
"""Columns of rows of networks that are no subnets: the model's path, and its layer list."""


@dataclass(frozen=True)
class ExportSummary:
    """What was written.

    Attributes:
        path: the file.
        rows_by_device: rows that were written.
        networks_by_device: how many of them are of networks that are no subnets.
        poor_by_device: rows that were left out as poor.
        without_layers: by device, models that were left out: the store lacks their layers, and
            their files are not where they were.
        verdict_by_device: how good the measured rows are together; none for imported rows alone.
        level_se_by_device: relative standard error of the reference speed that the milliseconds of
            campaigns hold at; their ratios do not have it.
    """

    path: Path
    rows_by_device: Mapping[str, int]
    networks_by_device: Mapping[str, int]
    poor_by_device: Mapping[str, int]
    without_layers: Mapping[str, int]
    verdict_by_device: Mapping[str, Verdict]
    level_se_by_device: Mapping[str, float]


class _Sample(NamedTuple):
    """What is kept of one measurement: not its raw samples, which may be many."""

    id: str  # of the subnet or of the network's layer list
    columns: Mapping[str, Any]
    state: Mapping[str, str]
    evidence: Evidence


class _DeviceRows(NamedTuple):
    """The rows of a device, those that are poor, and how good they are together."""

    rows: list[dict[str, Any]]
    networks: dict[str, ListedNetwork]
    n_without_layers: int
    n_poor: int
    verdict: Verdict | None
    level_se_rel: float | None


def export_dataset(
    store: Store,
    path: Path,
    *,
    device: str | None = None,
    where: Mapping[str, str] | None = None,
    subnets: Sequence[Subnet] | None = None,
    include_poor: bool = False,
) -> ExportSummary:
    """Write the store's subnets and networks to ``.csv`` or ``.parquet``, one row each.

    Several measurements of one become one row, the median of their latencies. The layers of
    networks stand in a file beside the rows.

    Args:
        store: where to read.
        path: where to write; the ending chooses the form.
        device: only this one.
        where: keep measurements whose state (see ``STATE_FIELDS``) has these values.
        subnets: only these, in this order; all, and all networks, in the order of measuring if
            ``None``.
        include_poor: write rows that are graded poor, too.

    Raises:
        DatasetError: nothing to export, or an unknown ending.
        MixedMachineState: one device was measured under different states, which are named.
        OutputError: the file cannot be written.
    """
    _check_request(path, where or {})
    names = store.devices() if device is None else [device]
    order = None if subnets is None else {s.id: i for i, s in reversed([*enumerate(subnets)])}
    found = {name: _device_rows(store, name, where or {}, order, include_poor) for name in names}
    _check_any(store, found)
    _write_all(path, list(found.values()))
    return _summary(path, found)


def _summary(path: Path, found: Mapping[str, _DeviceRows]) -> ExportSummary:
    counts = {name: sum("network" in row for row in one.rows) for name, one in found.items()}
    return ExportSummary(
        path,
        {name: len(one.rows) for name, one in found.items() if one.rows},
        {name: count for name, count in counts.items() if count},
        {name: one.n_poor for name, one in found.items() if one.n_poor},
        {name: one.n_without_layers for name, one in found.items() if one.n_without_layers},
        {name: one.verdict for name, one in found.items() if one.verdict is not None},
        {name: one.level_se_rel for name, one in found.items() if one.level_se_rel is not None},
    )


def _write_all(path: Path, found: Sequence[_DeviceRows]) -> None:
    """Write the rows, and beside them the layers of their networks, if there are any."""
    networks = {key: listed for one in found for key, listed in one.networks.items()}
    rows = [row for one in found for row in one.rows]
    used = {row["network"] for row in rows if "network" in row}
    if used:
        write_lists(lists_beside(path), [networks[key] for key in sorted(used)])
    _write(path, rows, (*EXPORTED_COLUMNS, *(NETWORK_COLUMNS if used else ())))


def _check_request(path: Path, where: Mapping[str, str]) -> None:
    check_where(where)
    if path.suffix not in (".csv", ".parquet"):
        raise DatasetError(f"{path}: want a name that ends in .csv or .parquet")


def _check_any(store: Store, found: Mapping[str, _DeviceRows]) -> None:
    """Refuse to write nothing, with the reason."""
    if any(one.rows for one in found.values()):
        return
    for name, one in found.items():
        if one.n_poor:
            raise DatasetError(
                f"{store.path}: all {one.n_poor} rows of {name} are poor ({one.verdict}); "
                "measure again, or write them with --include-poor"
            )
    there = ", ".join(store.devices()) or "none"
    raise DatasetError(f"{store.path}: no subnets to export; devices there: {there}")


def import_dataset(store: Store, path: Path, *, drop_invalid: bool = False) -> int:
    """Append the rows of a dataset file to a store, each once; returns how many were new.

    A row that the store has already, whatever the file was called then, is not appended.

    Raises:
        DatasetError: an invalid row, unless ``drop_invalid``; nothing is appended then.
    """
    devices = devices_of(path)  # before anything else reads the file: it names what is wrong
    source = f"{path.name}@{sha256_of(path)[:16]}"
    known = {(row.device, row.subnet.id, row.latency_ms) for row in store.imported_rows()}
    repeats: Counter[tuple[str, str]] = Counter()
    rows = []
    for name in devices:
        dataset = read_dataset(path, device=name, drop_invalid=drop_invalid)
        for subnet, latency_ms in zip(dataset.subnets, dataset.latency_ms.tolist(), strict=True):
            repeats[name, subnet.id] += 1
            nth = repeats[name, subnet.id]
            if (name, subnet.id, latency_ms) not in known:
                suffix = f"#{nth}" if nth > 1 else ""
                rows.append(ImportedRow(name, subnet, latency_ms, source + suffix))
    return store.append_imported(rows)


def _device_rows(
    store: Store,
    device: str,
    where: Mapping[str, str],
    order: Mapping[str, int] | None,
    include_poor: bool,
) -> _DeviceRows:
    evidence = DeviceEvidence.read(store, device)
    chosen = _Chosen(store, device, where, order, evidence)
    pools = pool_by_state(chosen.measurements(), chosen.sample)
    if len(pools) > 1:
        raise mixed_states(store, device, list(pools))
    measured = _measured_rows([sample for samples in pools.values() for sample in samples])
    verdict = _verdict(measured) if measured else None
    kept = [one for one in measured if include_poor or one[1]["grade"] != Grade.POOR.value]
    rows = list(kept)
    if not where:  # imported rows have no state to choose by
        rows += [(row.subnet.id, _imported_row(row)) for row in store.imported_rows(device)]
    if order is not None:
        rows = sorted((row for row in rows if row[0] in order), key=lambda row: order[row[0]])
    n_poor = len(measured) - len(kept)
    return _DeviceRows(
        [row for _, row in rows],
        {listed.id: listed for listed in chosen.networks.values()},
        len(chosen.without_layers),
        n_poor,
        verdict,
        evidence.level_se_rel,
    )


@dataclass(frozen=True)
class _Chosen:
    """The measurements of a device that become rows.

    Attributes:
        networks: of those that are no subnets, by what was measured.
        without_layers: what is left out, as nothing tells its layers.
    """

    store: Store
    device: str
    where: Mapping[str, str]
    order: Mapping[str, int] | None
    evidence: DeviceEvidence
    networks: dict[str, ListedNetwork] = field(default_factory=dict)
    without_layers: set[str] = field(default_factory=set)

    def measurements(self) -> Iterator[StoredMeasurement]:
        """Yield those of subnets, and of networks whose layers are known."""
        for measurement in self.store.measurements(self.device):
            subnet = measurement.subnet
            if self.order is not None and (subnet is None or subnet.id not in self.order):
                continue
            if not self.where.items() <= state_of(measurement).items():
                continue
            if subnet is not None or self._is_listed(measurement):
                yield measurement

    def _is_listed(self, measurement: StoredMeasurement) -> bool:
        identity = measurement.model_identity
        if identity not in {*self.networks, *self.without_layers}:
            listed = listed_network(self.store, measurement.record)
            if listed is None:
                self.without_layers.add(identity)
            else:
                self.networks[identity] = listed
        return identity in self.networks

    def sample(self, measurement: StoredMeasurement) -> _Sample:
        """Return what is kept of one."""
        if measurement.subnet is not None:
            name = measurement.subnet.id
            columns: Mapping[str, Any] = _subnet_row(self.device, measurement.subnet)
        else:
            listed = self.networks[measurement.model_identity]
            name = listed.id
            columns = {"device": self.device, "model": listed.model, "network": name}
        return _Sample(name, columns, state_of(measurement), self.evidence.of(measurement))


def _verdict(measured: Sequence[tuple[str, Mapping[str, Any]]]) -> Verdict:
    latency_ms = np.array([row["latency_ms"] for _, row in measured])
    se_ms = np.array([row["latency_se"] for _, row in measured], dtype=np.float64)  # None: NaN
    return grade_run(latency_ms, se_ms / latency_ms)


def _measured_rows(samples: Sequence[_Sample]) -> list[tuple[str, dict[str, Any]]]:
    """Return the id and the row of each subnet and network."""
    by_id: dict[str, list[_Sample]] = {}
    for sample in samples:
        by_id.setdefault(sample.id, []).append(sample)
    evidence = {
        name: together([sample.evidence for sample in repeated]) for name, repeated in by_id.items()
    }
    spread = spread_of(np.array([one.latency_ns for one in evidence.values()]))
    rows = []
    for name, repeated in by_id.items():
        whole = evidence[name]
        latency_ms = ns_to_ms(whole.latency_ns)
        row = {
            **repeated[0].columns,
            "latency_ms": latency_ms,
            "latency_se": None if math.isnan(whole.se_rel) else latency_ms * whole.se_rel,
            "grade": grade_measurement(whole, spread).grade.value,
            "n_samples": whole.n_samples,
            "n_measurements": len(repeated),
            "source": "measured",
            **repeated[0].state,
        }
        rows.append((name, row))
    return rows


def _imported_row(row: ImportedRow) -> dict[str, Any]:
    return {
        **_subnet_row(row.device, row.subnet),
        "latency_ms": row.latency_ms,
        "source": row.source,
    }


def _subnet_row(device: str, subnet: Subnet) -> dict[str, Any]:
    choices = {"ks": subnet.ks, "e": subnet.e, "d": subnet.d, "w": subnet.w}
    lists = {k: json.dumps(v, separators=(",", ":")) for k, v in choices.items() if v or k != "w"}
    return {"device": device, "space": subnet.space, "resolution": subnet.r, **lists}


def _write(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    make_folder(path.parent)
    write = _write_csv if path.suffix == ".csv" else _write_parquet
    write(path, rows, columns)


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    with atomic_write(path) as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    with optional(f"{path}: writing Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    values = {name: [row.get(name) for row in rows] for name in columns}
    try:
        with atomic_write(path, binary=True) as stream:
            pq.write_table(pa.table(values), stream)
    except pa.ArrowException as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error
