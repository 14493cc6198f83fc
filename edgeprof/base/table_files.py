"""Tables in files: CSV, plain or compressed, and Parquet.

Owns: the formats. Does not own: what the values mean.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from edgeprof.base.errors import DatasetError
from edgeprof.base.extras import optional
from edgeprof.base.parse import ENCODING, first_double
from edgeprof.base.text import reason_of


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield where each row stands (``line 3``, ``record 0``) and its values by column.

    Args:
        path: ``.csv``, ``.csv.gz`` or ``.parquet``.
        columns: that must be there.

    Raises:
        DatasetError: the file cannot be read, lacks a column, or has one twice.
        MissingDependency: Parquet without pyarrow.
    """
    name = path.name.lower()
    try:
        if name.endswith((".csv", ".csv.gz")):
            yield from _read_csv(path, columns)
        elif name.endswith(".parquet"):
            yield from _read_parquet(path, columns)
        else:
            hint = "; run `edgeprof dataset export` on a store first" * name.endswith(".db")
            raise DatasetError(f"{path}: want a .csv, .csv.gz or .parquet file{hint}")
    except (OSError, EOFError) as error:  # gzip raises both
        raise DatasetError(f"{path}: cannot be read: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is no UTF-8 text: {error}") from error


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding=ENCODING, newline="") as stream:
        reader = csv.DictReader(stream, restkey="(beyond the header)")
        _check_columns(reader.fieldnames or [], columns, path)
        try:
            for values in reader:
                yield f"line {reader.line_num}", values
        except csv.Error as error:
            raise DatasetError(f"{path}, line {reader.line_num}: {error}") from error


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    with optional(f"{path}: reading Parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise DatasetError(f"{path}: is no Parquet file: {error}") from error
    _check_columns(table.column_names, columns, path)
    for index, values in enumerate(table.to_pylist()):
        yield f"record {index}", values


def _check_columns(names: Iterable[str], columns: Sequence[str], path: Path) -> None:
    present = list(names)
    if double := first_double(name for name in present if name):
        raise DatasetError(f"{path}: column {double} stands twice")
    missing = [column for column in columns if column not in present]
    if missing:
        raise DatasetError(
            f"{path}: column {missing[0]} is missing; found {', '.join(present) or 'no header'}, "
            f"want {','.join(columns)}"
        )
