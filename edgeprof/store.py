"""The store: every measurement ever made, in one SQLite file.

Owns: the tables, their version history, and exactly-once appending. Records are kept as the
harness wrote them (JSON, raw samples included); the columns beside them are for looking up.
Nothing is ever changed or deleted: triggers refuse it. Write-ahead logging with full
synchronisation makes a committed record survive a kill or a power cut, and lets others read
while one writes.

Version history of the tables (``PRAGMA user_version``):

1. ``measurements``, ``failures``, ``imported_rows``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeprof.errors import InvalidRecord, StoreError
from edgeprof.subnet import Subnet

Record = Mapping[str, Any]
"""A measurement record as parsed from its JSON line (see ``edgeprof.measurement``)."""

_APPLICATION_ID = 0x45505246  # "EPRF"
_SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 30.0

_SCHEMA = """
CREATE TABLE measurements (
    id INTEGER PRIMARY KEY,
    job_key TEXT NOT NULL UNIQUE,
    created_utc TEXT NOT NULL,
    device TEXT NOT NULL,
    space TEXT,
    subnet TEXT,
    model_kind TEXT,
    model_sha256 TEXT NOT NULL,
    runtime TEXT NOT NULL,
    runtime_version TEXT NOT NULL,
    threads INTEGER NOT NULL,
    latency_median_ns INTEGER NOT NULL,
    ci_low_ns INTEGER NOT NULL,
    ci_high_ns INTEGER NOT NULL,
    n_samples INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX measurements_by_device ON measurements (device, id);
CREATE TABLE failures (
    id INTEGER PRIMARY KEY,
    job_key TEXT NOT NULL,
    created_utc TEXT NOT NULL,
    device TEXT NOT NULL,
    space TEXT,
    subnet TEXT,
    kind TEXT NOT NULL,
    message TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE TABLE imported_rows (
    id INTEGER PRIMARY KEY,
    job_key TEXT NOT NULL UNIQUE,
    created_utc TEXT NOT NULL,
    device TEXT NOT NULL,
    space TEXT NOT NULL,
    subnet TEXT NOT NULL,
    latency_ms REAL NOT NULL,
    source TEXT NOT NULL
) STRICT;
"""
_TABLES = ("measurements", "failures", "imported_rows")


@dataclass(frozen=True)
class StoredMeasurement:
    """One measurement with what it was a measurement of.

    Attributes:
        job_key: the key it was appended under.
        device: name of the board or machine.
        subnet: the subnet, or ``None`` for a model from elsewhere.
        model_kind: format, precision and batch of the export, e.g. ``"onnx-fp32-b1"``, if known.
        record: the harness' record, raw samples included.
    """

    job_key: str
    created_utc: str
    device: str
    subnet: Subnet | None
    model_kind: str | None
    record: Record

    @property
    def latency_median_ns(self) -> int:
        """Median latency over the undisturbed samples."""
        return int(self.record["summary"]["latency_median_ns"])


@dataclass(frozen=True)
class StoredFailure:
    """One attempt that gave no measurement."""

    job_key: str
    created_utc: str
    device: str
    subnet: Subnet | None
    kind: str
    message: str
    record: Record


@dataclass(frozen=True)
class ImportedRow:
    """One latency from elsewhere, without raw samples."""

    device: str
    subnet: Subnet
    latency_ms: float
    source: str


class Store:
    """An open store; use as a context manager.

    Args:
        path: the file; its name ends in ``.db``.
        create: make it where it is missing.

    Raises:
        StoreError: no such file, a foreign or damaged one, a newer version, no permission.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = Path(path)
        if self.path.suffix != ".db":
            raise StoreError(f"{self.path}: a store's name ends in '.db'")
        if not create and not self.path.is_file():
            raise StoreError(f"{self.path}: no such store; `edgeprof profile --store` makes one")
        with self._errors_named():
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None
            )
        try:
            with self._errors_named():
                self._prepare()
        except StoreError:
            self._connection.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything appended is on disk already."""
        self._connection.close()

    def append(
        self,
        record: Record,
        *,
        job_key: str,
        device: str,
        subnet: Subnet | None = None,
        model_kind: str | None = None,
    ) -> bool:
        """Append a measurement, once per ``job_key``.

        Args:
            record: the harness' record of a success.
            job_key: what was to be measured; the same key is stored once.
            device: name of the board or machine.
            subnet: the subnet that the model is of, if any.
            model_kind: format, precision and batch of the export, e.g. ``"onnx-fp32-b1"``.

        Returns:
            Whether it was appended: ``False`` if the key is there already.

        Raises:
            InvalidRecord: if the record has no summary, or is one of a failure.
            StoreError: if it cannot be written.
        """
        what = (job_key, _now_utc(), device, *_subnet_columns(subnet), model_kind)
        values = (*what, *_summary_columns(record), _to_json(record))
        return self._insert("measurements", values) == 1

    def append_failure(
        self,
        record: Record,
        *,
        job_key: str,
        device: str,
        subnet: Subnet | None = None,
    ) -> None:
        """Append the record of an attempt that failed; there may be several per key."""
        try:
            kind, message = str(record["error"]["kind"]), str(record["error"]["message"])
        except (KeyError, TypeError) as error:
            raise InvalidRecord(f"record of a failure has no error field {error}") from error
        row = (job_key, _now_utc(), device, *_subnet_columns(subnet), kind, message)
        self._insert("failures", (*row, _to_json(record)))

    def append_imported(self, rows: Sequence[ImportedRow]) -> int:
        """Append latencies from elsewhere, all or none; returns how many were new."""
        appended = 0
        with self._errors_named(), self._transaction():
            for row in rows:
                key = f"{row.source}|{row.device}|{row.subnet.id}"
                values = (key, _now_utc(), row.device, *_subnet_columns(row.subnet))
                appended += self._execute_insert(
                    "imported_rows", (*values, row.latency_ms, row.source)
                )
        return appended

    def job_keys(self) -> set[str]:
        """Return the keys of all measurements there are."""
        with self._errors_named():
            return {key for (key,) in self._connection.execute("SELECT job_key FROM measurements")}

    def devices(self) -> list[str]:
        """Return the names of all devices with a measurement or an imported row, sorted."""
        query = "SELECT device FROM measurements UNION SELECT device FROM imported_rows ORDER BY 1"
        with self._errors_named():
            return [device for (device,) in self._connection.execute(query)]

    def measurements(self, device: str | None = None) -> Iterator[StoredMeasurement]:
        """Yield measurements in the order they were appended."""
        query = "SELECT job_key, created_utc, device, subnet, model_kind, record FROM measurements"
        for key, created, name, subnet, kind, record in self._rows(query, device):
            yield StoredMeasurement(
                key, created, name, _parse_subnet(subnet), kind, json.loads(record)
            )

    def failures(self, device: str | None = None) -> Iterator[StoredFailure]:
        """Yield failed attempts in the order they were appended."""
        query = "SELECT job_key, created_utc, device, subnet, kind, message, record FROM failures"
        for key, created, name, subnet, kind, message, record in self._rows(query, device):
            yield StoredFailure(
                key, created, name, _parse_subnet(subnet), kind, message, json.loads(record)
            )

    def imported_rows(self, device: str | None = None) -> Iterator[ImportedRow]:
        """Yield imported latencies in the order they were appended."""
        query = "SELECT device, subnet, latency_ms, source FROM imported_rows"
        for name, subnet, latency_ms, source in self._rows(query, device):
            yield ImportedRow(name, Subnet.from_json(subnet), latency_ms, source)

    def _rows(self, query: str, device: str | None) -> Iterator[tuple[Any, ...]]:
        where, values = (" WHERE device = ?", (device,)) if device is not None else ("", ())
        with self._errors_named():
            yield from self._connection.execute(f"{query}{where} ORDER BY id", values)

    def _insert(self, table: str, values: tuple[object, ...]) -> int:
        with self._errors_named():
            return self._execute_insert(table, values)

    def _execute_insert(self, table: str, values: tuple[object, ...]) -> int:
        # The first column is the row id, which SQLite counts up by itself.
        marks = ", ".join("?" for _ in values)
        query = f"INSERT INTO {table} VALUES (NULL, {marks}) ON CONFLICT DO NOTHING"
        return self._connection.execute(query, values).rowcount

    def _prepare(self) -> None:
        connection = self._connection
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != _APPLICATION_ID and (application != 0 or tables != 0):
            raise StoreError(f"{self.path}: is a SQLite file, but no edgeprof store")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._create_tables()
        elif version > _SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: store version {version}, this edgeprof reads up to "
                f"{_SCHEMA_VERSION}; update edgeprof"
            )

    def _create_tables(self) -> None:
        with self._transaction():
            if self._connection.execute("PRAGMA user_version").fetchone()[0] != 0:
                return  # another process made them meanwhile
            for statement in _SCHEMA.split(";\n"):
                self._connection.execute(statement)
            for table in _TABLES:
                for verb in ("UPDATE", "DELETE"):
                    self._connection.execute(
                        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                        "BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END"
                    )
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error


def _now_utc() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _to_json(record: Record) -> str:
    return json.dumps(record, separators=(",", ":"), allow_nan=False)


def _subnet_columns(subnet: Subnet | None) -> tuple[str | None, str | None]:
    return (None, None) if subnet is None else (subnet.space, subnet.to_json())


def _parse_subnet(text: str | None) -> Subnet | None:
    return None if text is None else Subnet.from_json(text)


def _summary_columns(record: Record) -> tuple[object, ...]:
    try:
        summary = record["summary"]
        return (
            str(record["model"]["sha256"]),
            str(record["runtime"]["name"]),
            str(record["runtime"]["version"]),
            int(record["settings"]["threads"]),
            int(summary["latency_median_ns"]),
            int(summary["ci_low_ns"]),
            int(summary["ci_high_ns"]),
            int(summary["n_samples"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRecord(
            f"record lacks {error}: want a measurement with model, runtime, settings and summary"
        ) from error
