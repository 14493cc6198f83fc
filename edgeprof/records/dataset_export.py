"""From the store to rows for learning, and rows from elsewhere into the store.

Owns: which measurements may be pooled into one dataset, and writing CSV and Parquet. Reading and
checking rows is ``edgeprof.records.dataset``'s.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from edgeprof.base.cpu_list import format_cpus
from edgeprof.base.errors import DatasetError, MixedMachineState, OutputError
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
from edgeprof.records.store import ImportedRow, Store, StoredMeasurement

Kept = TypeVar("Kept")

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

Whatever makes another item of a run, the clocks, which may change between two runs, and the
weights that models keep in a file of their own, which another edgeprof may make otherwise. Subnets
of one space share these, so they must agree within a space; empty where a model has them all.
"""

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


@dataclass(frozen=True)
class ExportSummary:
    """What was written.

    Attributes:
        path: the file.
        rows_by_device: rows that were written.
        poor_by_device: rows that were left out as poor.
        verdict_by_device: how good the measured rows are together; none for imported rows alone.
        level_se_by_device: relative standard error of the reference speed that the milliseconds of
            campaigns hold at; their ratios do not have it.
    """

    path: Path
    rows_by_device: Mapping[str, int]
    poor_by_device: Mapping[str, int]
    verdict_by_device: Mapping[str, Verdict]
    level_se_by_device: Mapping[str, float]


class _Sample(NamedTuple):
    """What is kept of one measurement: not its raw samples, which may be many."""

    subnet: Subnet
    state: Mapping[str, str]
    evidence: Evidence


class _DeviceRows(NamedTuple):
    """The rows of a device, those that are poor, and how good they are together."""

    rows: list[dict[str, Any]]
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
    """Write the store's subnets to ``.csv`` or ``.parquet``, one row each.

    Several measurements of a subnet become one row, the median of their latencies.

    Args:
        store: where to read.
        path: where to write; the ending chooses the form.
        device: only this one.
        where: keep measurements whose state (see ``STATE_FIELDS``) has these values.
        subnets: only these, in this order; all in the order of measuring if ``None``.
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
    _write(path, [row for one in found.values() for row in one.rows])
    return ExportSummary(
        path,
        {name: len(one.rows) for name, one in found.items() if one.rows},
        {name: one.n_poor for name, one in found.items() if one.n_poor},
        {name: one.verdict for name, one in found.items() if one.verdict is not None},
        {name: one.level_se_rel for name, one in found.items() if one.level_se_rel is not None},
    )


def _check_request(path: Path, where: Mapping[str, str]) -> None:
    unknown = [name for name in where if name not in STATE_FIELDS]
    if unknown:
        raise DatasetError(f"--where {unknown[0]}: unknown field, want {', '.join(STATE_FIELDS)}")
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
    keep: Callable[[StoredMeasurement], Kept],
) -> dict[tuple[str, ...], list[Kept]]:
    """Return measurements by the values of ``STATE_FIELDS``; those of one entry may be pooled.

    The weights stand in the key (else "") only where one space was measured with several.

    Args:
        measurements: of one device.
        keep: what is to be kept of each.
    """
    found = []
    weights: dict[tuple[str, ...], set[str]] = {}
    for measurement in measurements:
        *rest, sha256 = state_of(measurement).values()
        key = (_space_of(measurement), *rest)
        weights.setdefault(key, set()).add(sha256)
        found.append((keep(measurement), key, sha256))
    pools: dict[tuple[str, ...], list[Kept]] = {}
    for kept, key, sha256 in found:
        differing = sha256 if len(weights[key]) > 1 else ""
        pools.setdefault((*key[1:], differing), []).append(kept)
    return pools


def _space_of(measurement: StoredMeasurement) -> str:
    return "" if measurement.subnet is None else measurement.subnet.space


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
    wanted = (
        measurement
        for measurement in store.measurements(device)
        if measurement.subnet is not None
        and (order is None or measurement.subnet.id in order)
        and where.items() <= state_of(measurement).items()
    )
    evidence = DeviceEvidence.read(store, device)
    pools = pool_by_state(wanted, partial(_sample, evidence))
    if len(pools) > 1:
        raise _mixed(store, device, list(pools))
    measured = _measured_rows(device, [sample for samples in pools.values() for sample in samples])
    verdict = _verdict(measured) if measured else None
    kept = [one for one in measured if include_poor or one[1]["grade"] != Grade.POOR.value]
    rows = list(kept)
    if not where:  # imported rows have no state to choose by
        rows += [(row.subnet.id, _imported_row(row)) for row in store.imported_rows(device)]
    if order is not None:
        rows = sorted((row for row in rows if row[0] in order), key=lambda row: order[row[0]])
    n_poor = len(measured) - len(kept)
    return _DeviceRows([row for _, row in rows], n_poor, verdict, evidence.level_se_rel)


def _sample(evidence: DeviceEvidence, measurement: StoredMeasurement) -> _Sample:
    assert measurement.subnet is not None  # they are chosen so
    return _Sample(measurement.subnet, state_of(measurement), evidence.of(measurement))


def _verdict(measured: Sequence[tuple[str, Mapping[str, Any]]]) -> Verdict:
    latency_ms = np.array([row["latency_ms"] for _, row in measured])
    se_ms = np.array([row["latency_se"] for _, row in measured], dtype=np.float64)  # None: NaN
    return grade_run(latency_ms, se_ms / latency_ms)


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


def _measured_rows(device: str, samples: Sequence[_Sample]) -> list[tuple[str, dict[str, Any]]]:
    """Return the id and the row of each subnet."""
    by_subnet: dict[str, list[_Sample]] = {}
    for sample in samples:
        by_subnet.setdefault(sample.subnet.id, []).append(sample)
    evidence = {
        name: together([sample.evidence for sample in repeated])
        for name, repeated in by_subnet.items()
    }
    spread = spread_of(np.array([one.latency_ns for one in evidence.values()]))
    rows = []
    for name, repeated in by_subnet.items():
        whole = evidence[name]
        latency_ms = ns_to_ms(whole.latency_ns)
        row = {
            **_subnet_row(device, repeated[0].subnet),
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


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    make_folder(path.parent)
    _write_csv(path, rows) if path.suffix == ".csv" else _write_parquet(path, rows)


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
