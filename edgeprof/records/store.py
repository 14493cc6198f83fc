"""The store: every measurement ever made, in one SQLite file.

Owns: exactly-once appending and reading. Records are kept as the harness wrote them (JSON, raw
samples included); the columns beside them are for looking up. Does not own: the tables and how
the file is opened (``edgeprof.records.store_file``).
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from edgeprof.base.errors import InvalidRecord, StoreError
from edgeprof.measuring.measurement import Record
from edgeprof.networks.layers import Network
from edgeprof.networks.listed import network_from_dict, network_to_dict
from edgeprof.networks.subnet import Subnet
from edgeprof.records.store_file import (
    connect,
    connect_to_read,
    ensure_networks,
    has_networks,
    insert,
    prepare,
    remove_if_empty,
    transaction,
)

_NONE = "none"
REFERENCE_KIND = "reference"
"""``model_kind`` of the reference models, which are in every campaign."""


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
    def model_identity(self) -> str:
        """What was measured, see ``network_key``."""
        return network_key(self.record)

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

    >>> from edgeprof import Store
    >>> with Store("here.db", create=False) as store:
    ...     store.count("here")
    12

    Args:
        path: the file; its name ends in ``.db``.
        create: make it where it is missing, and append. ``False`` only reads what is there, also
            where nothing may be written.

    A store that was made here goes again when the ``with`` block fails before a row was appended.

    Raises:
        StoreError: no such file, a foreign or damaged one, a newer version, no permission.
    """

    def __init__(self, path: str | Path, *, create: bool = True) -> None:
        self.path = Path(path)
        if self.path.suffix != ".db":
            raise StoreError(f"{self.path}: a store's name ends in '.db'")
        if not create and not self.path.is_file():
            raise StoreError(f"{self.path}: no such store; `edgeprof profile --store` makes one")
        self._is_new = create and not self.path.exists()
        with self._errors_named():
            self._connection = connect(self.path) if create else connect_to_read(self.path)
        try:
            with self._errors_named():
                prepare(self._connection, self.path, create=create)
        except StoreError:
            self._discard()
            raise

    def __repr__(self) -> str:
        return f"<Store {self.path}>"

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close() if error is None else self._discard()

    def keep(self) -> None:
        """Let the file stay, whatever happens: boards hold something by its session's name."""
        self._is_new = False

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
        row = {
            **_what(job_key, device, subnet),
            "model_kind": model_kind,
            **_summary_columns(record),
            "record": _to_json(record),
        }
        with self._errors_named():
            return insert(self._connection, "measurements", row)

    def append_failure(
        self, record: Record, *, job_key: str, device: str, subnet: Subnet | None = None
    ) -> None:
        """Append the record of an attempt that failed; there may be several per key."""
        try:
            kind, message = str(record["error"]["kind"]), str(record["error"]["message"])
        except (KeyError, TypeError) as error:
            raise InvalidRecord(f"record of a failure has no error field {error}") from error
        row = {**_what(job_key, device, subnet), "kind": kind, "message": message}
        with self._errors_named():
            insert(self._connection, "failures", {**row, "record": _to_json(record)})

    def append_imported(self, rows: Sequence[ImportedRow]) -> int:
        """Append latencies from elsewhere, all or none; returns how many were new."""
        appended = 0
        with self._errors_named(), transaction(self._connection):
            for row in rows:
                key = f"{row.source}|{row.device}|{row.subnet.id}"
                what = _what(key, row.device, row.subnet)
                further = {"latency_ms": row.latency_ms, "source": row.source}
                appended += insert(self._connection, "imported_rows", {**what, **further})
        return appended

    def append_network(self, key: str, network: Network) -> None:
        """Append the layer list of a model, once per ``network_key``."""
        text = json.dumps(network_to_dict(network), separators=(",", ":"))
        with self._errors_named():
            ensure_networks(self._connection)
            row = {"key": key, "layers": zlib.compress(text.encode())}
            insert(self._connection, "networks", row)

    def network_of(self, record: Record) -> Network | None:
        """Return the layers of the model that a record is of, where the store has them.

        Raises:
            InvalidModel: the list is of a later version.
            StoreError: it is damaged.
        """
        with self._errors_named():
            if not has_networks(self._connection):
                return None
            query = "SELECT layers FROM networks WHERE key = ?"
            row = self._connection.execute(query, (network_key(record),)).fetchone()
        if row is None:
            return None
        try:
            data = json.loads(zlib.decompress(row[0]))
        except (TypeError, ValueError, zlib.error) as error:
            raise StoreError(f"{self.path}: a layer list is damaged: {error}") from error
        return network_from_dict(data)

    def session_id(self) -> str:
        """Return a name of this store that no other has, whatever its file is called.

        By it a run knows what it left on boards. It is made at the first call.
        """
        with self._errors_named(), transaction(self._connection):
            self._connection.execute("CREATE TABLE IF NOT EXISTS session (id TEXT NOT NULL)")
            self._connection.execute(
                "INSERT INTO session SELECT lower(hex(randomblob(6))) "
                "WHERE NOT EXISTS (SELECT * FROM session)"
            )
            row = self._connection.execute("SELECT id FROM session").fetchone()
        return str(row[0])

    def job_keys(self) -> set[str]:
        """Return the keys of all measurements there are."""
        with self._errors_named():
            return {key for (key,) in self._connection.execute("SELECT job_key FROM measurements")}

    def count(self, device: str) -> int:
        """Return how many measurements there are of a device, those of references apart."""
        query = "SELECT count(*) FROM measurements WHERE device = ? AND model_kind IS NOT ?"
        with self._errors_named():
            [(count,)] = self._connection.execute(query, (device, REFERENCE_KIND))
        return int(count)

    def devices(self) -> list[str]:
        """Return the names of all devices with a measurement or an imported row, sorted."""
        query = "SELECT device FROM measurements UNION SELECT device FROM imported_rows ORDER BY 1"
        with self._errors_named():
            return [device for (device,) in self._connection.execute(query)]

    def measurements(
        self, device: str | None = None, *, references: bool = False
    ) -> Iterator[StoredMeasurement]:
        """Yield measurements in the order they were appended.

        Args:
            device: only this one.
            references: those of the reference models of campaigns, too.
        """
        query = "SELECT job_key, created_utc, device, subnet, model_kind, record FROM measurements"
        where = "TRUE" if references else f"model_kind IS NOT '{REFERENCE_KIND}'"
        for key, created, name, subnet, kind, record in self._rows(query, device, where):
            yield StoredMeasurement(
                key, created, name, _parse_subnet(subnet), kind, json.loads(record)
            )

    def record_of(self, job_key: str) -> Record | None:
        """Return the record of a measurement, or of the last attempt where there is none."""
        with self._errors_named():
            for table in ("measurements", "failures"):
                query = f"SELECT record FROM {table} WHERE job_key = ? ORDER BY id DESC"
                row = self._connection.execute(query, (job_key,)).fetchone()
                if row is not None:
                    record: Record = json.loads(row[0])
                    return record
        return None

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

    def _rows(
        self, query: str, device: str | None, where: str = "TRUE"
    ) -> Iterator[tuple[Any, ...]]:
        values: tuple[str, ...] = ()
        if device is not None:
            where, values = f"{where} AND device = ?", (device,)
        with self._errors_named():
            yield from self._connection.execute(f"{query} WHERE {where} ORDER BY id", values)

    def _discard(self) -> None:
        """Close the file; one that was made here and holds nothing goes."""
        if self._is_new:
            remove_if_empty(self._connection, self.path)
        self.close()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error


def network_key(record: Record) -> str:
    """Return what names a record's network: its model's identity, and what was asked for of it.

    That is the shapes, and a signature that is not the first.
    """
    shapes, signature = record["model"].get("shapes"), further_signature(record)
    identity = model_identity(record) + (f"#{signature}" if signature is not None else "")
    return f"{identity}@{json.dumps(shapes, sort_keys=True)}" if shapes else identity


def further_signature(record: Record) -> str | None:
    """Return the signature of a TFLite file that was measured, where it is not the first one."""
    options = record.get("runtime", {}).get("options", {})
    signatures = options.get("signatures") or [None]
    chosen = options.get("signature")
    return None if chosen in (None, signatures[0]) or len(signatures) < 2 else str(chosen)


def model_identity(record: Record) -> str:
    """Return the hash of the model's file, ``+`` that of its weights if they stand outside of it.

    A model file that names another file has the same hash whatever that file holds. The null
    runtime has no model.
    """
    model = record["model"]
    hashes = [str(model.get("sha256", _NONE))]
    if "weights_sha256" in model:
        hashes.append(str(model["weights_sha256"]))
    return "+".join(hashes)


def _to_json(record: Record) -> str:
    return json.dumps(record, separators=(",", ":"), allow_nan=False)


def _what(job_key: str, device: str, subnet: Subnet | None) -> dict[str, str | None]:
    """Return the columns that every table has."""
    return {
        "job_key": job_key,
        "created_utc": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "device": device,
        "space": None if subnet is None else subnet.space,
        "subnet": None if subnet is None else subnet.to_json(),
    }


def _parse_subnet(text: str | None) -> Subnet | None:
    return None if text is None else Subnet.from_json(text)


def _summary_columns(record: Record) -> dict[str, object]:
    try:
        summary = record["summary"]
        names = ("latency_median_ns", "ci_low_ns", "ci_high_ns", "n_samples")
        return {
            "model_sha256": model_identity(record),
            "runtime": str(record["runtime"]["name"]),
            "runtime_version": str(record["runtime"].get("version", _NONE)),
            "threads": int(record["settings"]["threads"]),
            **{name: int(summary[name]) for name in names},
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRecord(
            f"record lacks {error}: want a measurement with model, runtime, settings and summary"
        ) from error
