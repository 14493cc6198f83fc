"""The store's file: its tables, and how it is opened, to append or to read only.

Owns: the tables and their version history. Nothing is ever changed or deleted: triggers refuse
it. Write-ahead logging with full synchronisation makes a committed record survive a kill or a
power cut, and lets others read while one writes.

Version history of the tables (``PRAGMA user_version``):

1. ``measurements``, ``failures``, ``imported_rows``. Where a model keeps weights in another file,
   ``model_sha256`` is both hashes joined by ``+``; rows from before that have the first alone.
   ``session`` and ``networks`` are made when they are first needed; older versions pass them over.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from edgeprof.base.errors import StoreError

_APPLICATION_ID = 0x45505246  # "EPRF"
_SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 30.0

_WHAT = {  # what a row is of; the same in every table
    "id": "INTEGER PRIMARY KEY",
    "job_key": "TEXT NOT NULL",
    "created_utc": "TEXT NOT NULL",
    "device": "TEXT NOT NULL",
    "space": "TEXT",
    "subnet": "TEXT",
}
TABLES: dict[str, dict[str, str]] = {
    "measurements": {
        **_WHAT,
        "job_key": "TEXT NOT NULL UNIQUE",
        "model_kind": "TEXT",
        "model_sha256": "TEXT NOT NULL",
        "runtime": "TEXT NOT NULL",
        "runtime_version": "TEXT NOT NULL",
        "threads": "INTEGER NOT NULL",
        "latency_median_ns": "INTEGER NOT NULL",
        "ci_low_ns": "INTEGER NOT NULL",
        "ci_high_ns": "INTEGER NOT NULL",
        "n_samples": "INTEGER NOT NULL",
        "record": "TEXT NOT NULL",
    },
    "failures": {
        **_WHAT,
        "kind": "TEXT NOT NULL",
        "message": "TEXT NOT NULL",
        "record": "TEXT NOT NULL",
    },
    "imported_rows": {
        **_WHAT,
        "job_key": "TEXT NOT NULL UNIQUE",
        "space": "TEXT NOT NULL",
        "subnet": "TEXT NOT NULL",
        "latency_ms": "REAL NOT NULL",
        "source": "TEXT NOT NULL",
    },
}
"""The columns of each table, with their types."""
_NETWORKS = {"key": "TEXT NOT NULL UNIQUE", "layers": "BLOB NOT NULL"}
_INDEX = "CREATE INDEX measurements_by_device ON measurements (device, id)"


def connect(path: Path) -> sqlite3.Connection:
    """Open a file to append; it is made where it is missing."""
    return sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a file that is there, also where nothing may be written."""

    def connect_with(option: str) -> sqlite3.Connection:
        name = f"file:{quote(str(path.absolute()))}?{option}"
        return sqlite3.connect(name, timeout=_BUSY_TIMEOUT_S, isolation_level=None, uri=True)

    # A connection that may write, and does not, takes the files of write-ahead logging with it when
    # it is closed; a read-only one leaves them behind.
    connection = connect_with("mode=rw" if os.access(path, os.W_OK) else "mode=ro")
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.OperationalError:
        # Write-ahead logging wants files beside the store, even to read. Where none may be made
        # and no log waits to be read, the file alone is all there is.
        connection.close()
        if not os.access(path, os.R_OK) or path.with_name(f"{path.name}-wal").exists():
            raise
        connection = connect_with("immutable=1")
    return connection


def prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    """Check what file it is, and make the tables of a new one.

    Raises:
        StoreError: a foreign file, or one of a newer version.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != _APPLICATION_ID and (application != 0 or tables != 0 or not create):
        raise StoreError(f"{path}: is a SQLite file, but no edgeprof store")
    if create:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        _create_tables(connection)
    elif version > _SCHEMA_VERSION:
        raise StoreError(
            f"{path}: store version {version}, this edgeprof reads up to "
            f"{_SCHEMA_VERSION}; update edgeprof"
        )


def _create_tables(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] != 0:
            return  # another process made them meanwhile
        for table, columns in TABLES.items():
            _create(connection, table, columns)
        connection.execute(_INDEX)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def ensure_networks(connection: sqlite3.Connection) -> None:
    """Make the table of layer lists where there is none."""
    if not has_networks(connection):
        with transaction(connection):
            if not has_networks(connection):  # nor has another process made it meanwhile
                _create(connection, "networks", _NETWORKS)


def has_networks(connection: sqlite3.Connection) -> bool:
    """Tell whether there is a table of layer lists."""
    query = "SELECT 1 FROM sqlite_master WHERE name = 'networks'"
    return connection.execute(query).fetchone() is not None


def _create(connection: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> None:
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    connection.execute(f"CREATE TABLE {table} ({listed}) STRICT")
    for verb in ("UPDATE", "DELETE"):
        connection.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END"
        )


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, object]) -> bool:
    """Insert a row by the names of its columns; returns ``False`` if its key is there already."""
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    query = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    return connection.execute(query, row).rowcount == 1


def remove_if_empty(connection: sqlite3.Connection, path: Path) -> None:
    """Remove a file that holds no rows and that nobody else has open; otherwise leave it.

    That it has got its name as a session does not count.
    """
    with suppress(sqlite3.Error, OSError):
        # Without a byte not even the begin of write-ahead logging could be written.
        if path.stat().st_size == 0 or _is_empty_and_ours(connection):
            path.unlink()


def _is_empty_and_ours(connection: sqlite3.Connection) -> bool:
    # Leaving write-ahead logging needs the file for itself: another process makes it fail.
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("BEGIN EXCLUSIVE")
    return not any(connection.execute(f"SELECT 1 FROM {name}").fetchone() for name in TABLES)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of a block, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise
