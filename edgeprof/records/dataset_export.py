"""From the store to rows for learning, and rows from elsewhere into the store.

Owns: which measurements may be pooled into one dataset, and writing CSV and Parquet. Reading and
checking rows is ``edgeprof.records.dataset``'s.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprof.base.cpu_list import format_cpus
from edgeprof.base.errors import DatasetError, MixedMachineState, OutputError
from edgeprof.base.extras import optional
from edgeprof.base.files import atomic_write, make_folder, sha256_of
from edgeprof.base.units import ns_to_ms
from edgeprof.networks.subnet import Subnet
from edgeprof.records.dataset import COLUMNS, devices_of, read_dataset
from edgeprof.records.store import ImportedRow, Store, StoredMeasurement

STATE_FIELDS = (
    "model_kind",
    "runtime",
    "runtime_version",
    "library_sha256",
    "runtime_options",
    "threads",
    "cpus",
    "governor",
    "max_freq_khz",
    "weights_sha256",
)
"""What the measurements of one device must have in common to be pooled.

Whatever ``jobs.job_key`` tells apart, the clocks, which may change between two runs, and the
weights that models keep in a file of their own, which another edgeprof may make otherwise. Subnets
of one space share these, so they must agree within a space; empty where a model has them all.
"""

EXPORTED_COLUMNS = (
    *COLUMNS,
    "w",
    "ci_low_ms",
    "ci_high_ms",
    "n_samples",
    "n_measurements",
    "source",
    *STATE_FIELDS,
)


@dataclass(frozen=True)
class ExportSummary:
    """What was written: rows per device."""

    path: Path
    rows_by_device: Mapping[str, int]


def export_dataset(
    store: Store,
    path: Path,
    *,
    device: str | None = None,
    where: Mapping[str, str] | None = None,
    subnets: Sequence[Subnet] | None = None,
) -> ExportSummary:
    """Write the store's subnets and their latencies to ``.csv`` or ``.parquet``.

    Several measurements of a subnet become one row, the median of their medians.

    Args:
        store: where to read.
        path: where to write; the ending tells the form.
        device: only this one.
        where: keep measurements whose state (see ``STATE_FIELDS``) has these values.
        subnets: only these, in this order; all in the order they were measured if ``None``.

    Raises:
        DatasetError: nothing to export, or an unknown ending.
        MixedMachineState: measurements of one device under different states; the message names
            the fields to choose by.
        OutputError: if the file cannot be written.
    """
    unknown = [name for name in where or {} if name not in STATE_FIELDS]
    if unknown:
        raise DatasetError(f"--where {unknown[0]}: unknown field, want {', '.join(STATE_FIELDS)}")
    if path.suffix not in (".csv", ".parquet"):
        raise DatasetError(f"{path}: want a name that ends in .csv or .parquet")
    names = store.devices() if device is None else [device]
    order = None if subnets is None else {s.id: i for i, s in reversed([*enumerate(subnets)])}
    rows_by_device = {name: _device_rows(store, name, where or {}, order) for name in names}
    if not any(rows_by_device.values()):
        there = ", ".join(store.devices()) or "none"
        raise DatasetError(f"{store.path}: no subnets to export; devices there: {there}")
    rows = [row for device_rows in rows_by_device.values() for row in device_rows]
    make_folder(path.parent)
    _write_csv(path, rows) if path.suffix == ".csv" else _write_parquet(path, rows)
    return ExportSummary(path, {name: len(rows) for name, rows in rows_by_device.items() if rows})


def state_of(measurement: StoredMeasurement) -> dict[str, str]:
    """Return what measurements must have in common to be pooled, by ``STATE_FIELDS``."""
    record = measurement.record
    clusters = record.get("machine", {}).get("clusters", [])
    runtime, settings = record["runtime"], record["settings"]
    options = runtime.get("options", {})
    return {
        "model_kind": measurement.model_kind or "",
        "runtime": str(runtime["name"]),
        "runtime_version": str(runtime["version"]),
        "library_sha256": str(runtime.get("library_sha256", "")),
        "runtime_options": json.dumps(options, sort_keys=True, separators=(",", ":")),
        "threads": str(settings["threads"]),
        "cpus": format_cpus(settings.get("cpus", ())) or "any",
        "governor": _joined(clusters, "governor"),
        "max_freq_khz": _joined(clusters, "max_freq_khz"),
        "weights_sha256": str(record["model"].get("weights_sha256", "")),
    }


def pool_by_state(
    measurements: Iterable[StoredMeasurement],
) -> dict[tuple[str, ...], list[StoredMeasurement]]:
    """Return measurements by the values of ``STATE_FIELDS``; those of one entry may be pooled.

    The weights are told (else empty) only where one space was measured with several.
    """
    found = []
    weights: dict[tuple[str, ...], set[str]] = {}
    for measurement in measurements:
        *rest, sha256 = state_of(measurement).values()
        key = (_space_of(measurement), *rest)
        weights.setdefault(key, set()).add(sha256)
        found.append((measurement, key, sha256))
    pools: dict[tuple[str, ...], list[StoredMeasurement]] = {}
    for measurement, key, sha256 in found:
        told = sha256 if len(weights[key]) > 1 else ""
        pools.setdefault((*key[1:], told), []).append(measurement)
    return pools


def _space_of(measurement: StoredMeasurement) -> str:
    return "" if measurement.subnet is None else measurement.subnet.space


def import_dataset(store: Store, path: Path, *, drop_invalid: bool = False) -> int:
    """Append the rows of a dataset file to a store, once; returns how many were new.

    Raises:
        DatasetError: an invalid row, unless ``drop_invalid``; nothing is appended then.
    """
    names = devices_of(path)
    source = f"{path.name}@{sha256_of(path)[:16]}"
    rows = []
    for name in names:
        dataset = read_dataset(path, device=name, drop_invalid=drop_invalid)
        rows += [
            ImportedRow(name, subnet, float(latency_ms), source)
            for subnet, latency_ms in zip(dataset.subnets, dataset.latency_ms, strict=True)
        ]
    return store.append_imported(rows)


def _device_rows(
    store: Store, device: str, where: Mapping[str, str], order: Mapping[str, int] | None
) -> list[dict[str, Any]]:
    pools = pool_by_state(
        measurement
        for measurement in store.measurements(device)
        if measurement.subnet is not None
        and (order is None or measurement.subnet.id in order)
        and where.items() <= state_of(measurement).items()
    )
    if len(pools) > 1:
        raise _mixed(store, device, list(pools))
    rows = [row for measurements in pools.values() for row in _measured_rows(device, measurements)]
    if not where:  # imported rows have no state to choose by
        rows += [(row.subnet.id, _imported_row(row)) for row in store.imported_rows(device)]
    if order is not None:
        rows = sorted((row for row in rows if row[0] in order), key=lambda row: order[row[0]])
    return [row for _, row in rows]


def _joined(clusters: Sequence[Mapping[str, Any]], field: str) -> str:
    return "+".join(str(cluster[field]) for cluster in clusters if field in cluster)


def _mixed(store: Store, device: str, states: Sequence[tuple[str, ...]]) -> MixedMachineState:
    columns = zip(STATE_FIELDS, zip(*states, strict=True), strict=True)
    differing = {name: sorted(set(values)) for name, values in columns if len(set(values)) > 1}
    shown = "; ".join(f"{name}: {', '.join(values)}" for name, values in differing.items())
    example = next(iter(differing))
    return MixedMachineState(
        f"{store.path}: device {device} was measured under {len(states)} states that must not be "
        f"pooled ({shown}); choose one, e.g. --where {example}={differing[example][0]}",
        states=states,
    )


def _measured_rows(
    device: str, measurements: Iterable[StoredMeasurement]
) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the id and the row of each subnet."""
    by_subnet: dict[str, list[StoredMeasurement]] = {}
    for measurement in measurements:
        if measurement.subnet is not None:
            by_subnet.setdefault(measurement.subnet.id, []).append(measurement)
    for repeated in by_subnet.values():
        subnet = repeated[0].subnet
        summaries = [measurement.record["summary"] for measurement in repeated]
        if subnet is not None:
            row = {
                **_subnet_row(device, subnet),
                "latency_ms": _median_ms(summaries, "latency_median_ns"),
                "ci_low_ms": _median_ms(summaries, "ci_low_ns"),
                "ci_high_ms": _median_ms(summaries, "ci_high_ns"),
                "n_samples": sum(summary["n_samples"] for summary in summaries),
                "n_measurements": len(repeated),
                "source": "measured",
                **state_of(repeated[0]),
            }
            yield subnet.id, row


def _median_ms(summaries: Sequence[Mapping[str, Any]], field: str) -> float:
    return ns_to_ms(statistics.median(summary[field] for summary in summaries))


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


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with atomic_write(path) as stream:
        writer = csv.DictWriter(stream, EXPORTED_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with optional(f"{path}: writing Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    columns = {name: [row.get(name) for row in rows] for name in EXPORTED_COLUMNS}
    try:
        with atomic_write(path, binary=True) as stream:
            pq.write_table(pa.table(columns), stream)
    except pa.ArrowException as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error
