"""Rows for learning: latencies of subnets of one space on one device, from CSV or Parquet.

Owns: reading, checking and selecting rows. A row that cannot be learned from is an error that
names file, line and column; nothing is repaired. Does not own: how rows come out of a store.

Columns: ``device,space,resolution,ks,e,d,latency_ms``, lists as JSON (Parquet: lists or JSON),
``latency_se``, ``row`` and ``w`` where there are any; further columns are passed over. Rows that
are not selected (other devices, other ``rows``) are not checked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import DatasetError
from edgeprof.base.notebook import data_frame, html_table
from edgeprof.base.parse import parse_integer
from edgeprof.base.table_files import read_table
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.subnet import Subnet
from edgeprof.records.row_values import InvalidRow, parse_error, parse_latency, subnet_of_row

COLUMNS = ("device", "space", "resolution", "ks", "e", "d", "latency_ms")
"""Columns that must be there."""

CONTRADICTION_RATIO = 1.2
"""Repeated rows of one subnet contradict each other where slowest / fastest exceeds this.

Repetitions on a board whose clocks are pinned agree within a few percent; a fifth is another
machine state, another batch or another runtime, and no single number describes both.
"""

RowRange: TypeAlias = tuple[int, int]
"""Rows A to B - 1."""


@dataclass(frozen=True, repr=False)
class Dataset:
    """Latencies of subnets of one space on one device.

    >>> import edgeprof
    >>> edgeprof.read_dataset("pi4.csv")
    <Dataset pi4.csv: 40 rows of pi4, space ofa-mbv3-w1.0>

    Attributes:
        space: id of the search space.
        device: name of the device.
        subnets: one per row.
        codes: their codes, see ``SearchSpace.encode``.
        latency_ms: float64 (n,), finite and positive.
        rows: int64 (n,), the column ``row``, or the position among the device's rows.
        source: the file, as given.
        dropped: how many rows were dropped as invalid, by reason.
        latency_se_ms: float64 (n,), standard errors, the column ``latency_se``; NaN where one is
            not known, ``None`` where none is.
    """

    space: str
    device: str
    subnets: tuple[Subnet, ...]
    codes: Codes
    latency_ms: NDArray[np.float64]
    rows: NDArray[np.int64]
    source: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    latency_se_ms: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.subnets)

    def __repr__(self) -> str:
        return f"<Dataset {self.source}: {len(self)} rows of {self.device}, space {self.space}>"

    def _repr_html_(self) -> str:
        fastest, slowest = self.latency_ms.min(), self.latency_ms.max()
        facts = {
            "device": self.device,
            "space": self.space,
            "rows": len(self),
            "latency": f"{fastest:.4g} to {slowest:.4g} ms",
            "dropped": sum(self.dropped.values()),
        }
        return html_table(self.source, facts.items())

    def to_pandas(self) -> Any:
        """Return a data frame with the columns of the file.

        Raises:
            MissingDependency: pandas is not installed.
        """
        columns: dict[str, Any] = {
            "device": [self.device] * len(self),
            "space": [self.space] * len(self),
            "resolution": [subnet.r for subnet in self.subnets],
            **{n: [list(getattr(s, n)) for s in self.subnets] for n in ("ks", "e", "d")},
            "latency_ms": self.latency_ms,
            "row": self.rows,
        }
        if self.latency_se_ms is not None:
            columns["latency_se"] = self.latency_se_ms
        return data_frame(columns)

    @property
    def sha256(self) -> str:
        """Hash of what is learned from: device, space, codes and latencies, in their order."""
        digest = hashlib.sha256(f"{self.device}\n{self.space}\n".encode())
        digest.update(np.ascontiguousarray(self.codes).tobytes())
        digest.update(np.ascontiguousarray(self.latency_ms, dtype="<f8").tobytes())
        return digest.hexdigest()

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Dataset:
        """Return the rows at these positions, in this order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Dataset(
            self.space,
            self.device,
            tuple(self.subnets[index] for index in chosen),
            self.codes[chosen],
            self.latency_ms[chosen],
            self.rows[chosen],
            self.source,
            self.dropped,
            None if self.latency_se_ms is None else self.latency_se_ms[chosen],
        )

    def draw(self, n: int, seed: int) -> Dataset:
        """Draw ``n`` rows at random without repetition, in the order of the file.

        Raises:
            DatasetError: if there are fewer.
        """
        if n > len(self):
            raise DatasetError(
                f"{self.source}: device {self.device} has {len(self)} rows to draw from, "
                f"want -n {n}"
            )
        order = np.random.default_rng(seed).permutation(len(self))[:n]
        return self.take(np.sort(order))


class Record(NamedTuple):
    """One row as read: where it stands (``row`` None: unreadable) and its values by column."""

    place: str
    row: int | None
    values: Mapping[str, object]


def parse_rows(text: str) -> RowRange:
    """Parse ``A:B`` (rows A to B - 1).

    Raises:
        DatasetError: if it is anything else.
    """
    first, _, last = text.partition(":")
    try:
        rows = int(first), int(last)
    except ValueError:
        raise DatasetError(f"rows {text!r}: want A:B, e.g. 0:7000 (B is left out)") from None
    if not 0 <= rows[0] < rows[1]:
        raise DatasetError(f"rows {text!r}: want 0 <= A < B (B is left out)")
    return rows


def read_dataset(
    path: str | Path,
    *,
    device: str | None = None,
    rows: RowRange | None = None,
    n: int | None = None,
    seed: int = 0,
    drop_invalid: bool = False,
) -> Dataset:
    """Read the rows of one device from ``.csv``, ``.csv.gz`` or ``.parquet``.

    >>> import edgeprof
    >>> edgeprof.read_dataset("pi4.csv", rows=(0, 10))
    <Dataset pi4.csv: 10 rows of pi4, space ofa-mbv3-w1.0>

    Args:
        path: the file.
        device: which device; may be left out where the file has but one.
        rows: (A, B) keeps the rows A to B - 1 by the column ``row`` where there is one, else by
            position among the device's rows.
        n: draw this many of the selected rows at random.
        seed: of that draw.
        drop_invalid: leave invalid rows out and count them, instead of raising.

    Raises:
        DatasetError: naming file, line and column; a retry will not help.
    """
    path = Path(path)
    records = read_records(path, COLUMNS, device, rows)
    dataset = _checked(records, path, drop_invalid=drop_invalid)
    return dataset if n is None else dataset.draw(n, seed)


def read_records(
    path: Path, columns: Sequence[str], device: str | None, rows: RowRange | None
) -> list[Record]:
    """Read the rows of one device as they stand; see ``read_dataset``."""
    records = _of_device(list(_read_records(path, columns)), device, path)
    return records if rows is None else _in_range(records, rows, path)


def devices_of(path: str | Path) -> list[str]:
    """Return the devices a file has rows of, in the order of their first row."""
    return list(
        dict.fromkeys(str(record.values["device"]) for record in _read_records(Path(path), COLUMNS))
    )


# --- reading ------------------------------------------------------------------------------------


def _read_records(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    positions: Counter[str] = Counter()
    for place, values in read_table(path, columns):
        name = str(values["device"])
        row = values.get("row")
        if row is None:
            yield Record(place, positions[name], values)
        else:
            yield Record(f"{place} (row {row})", _parse_row(row), values)
        positions[name] += 1


def _parse_row(value: object) -> int | None:
    try:
        return parse_integer(value)
    except ValueError:
        return None  # an error only where the row is wanted


# --- selecting ----------------------------------------------------------------------------------


def _of_device(records: list[Record], device: str | None, path: Path) -> list[Record]:
    if not records:
        raise DatasetError(f"{path}: has no rows")
    devices = list(dict.fromkeys(str(record.values["device"]) for record in records))
    if device is None and len(devices) > 1:
        raise DatasetError(
            f"{path}, column device: rows of {len(devices)} devices ({', '.join(devices)}); "
            f"choose one with --device"
        )
    if device is not None and device not in devices:
        raise DatasetError(
            f"{path}, column device: no rows of {device!r}; found {', '.join(devices)}"
        )
    wanted = devices[0] if device is None else device
    return [record for record in records if str(record.values["device"]) == wanted]


def _in_range(records: list[Record], rows: RowRange, path: Path) -> list[Record]:
    kept = [record for record in records if record.row is None or _between(record.row, rows)]
    if not kept:
        there = [record.row for record in records if record.row is not None]
        raise DatasetError(
            f"{path}: no rows in {rows[0]}:{rows[1]}; found rows {min(there)}..{max(there)}"
        )
    return kept


def _between(row: int, rows: RowRange) -> bool:
    return rows[0] <= row < rows[1]


# --- checking -----------------------------------------------------------------------------------


class _Checked(NamedTuple):
    record: Record
    row: int
    subnet: Subnet
    latency_ms: float
    latency_se_ms: float


def _checked(records: list[Record], path: Path, *, drop_invalid: bool) -> Dataset:
    dropped: Counter[str] = Counter()
    good: list[_Checked] = []
    for record in records:
        try:
            good.append(_check(record, good[0].subnet.space if good else None))
        except InvalidRow as error:  # noqa: PERF203 - each row has its own
            if not drop_invalid:
                raise DatasetError(
                    f"{path}, {record.place}, column {error.column}: {error}",
                    column=error.column,
                ) from error.__cause__
            dropped[error.column] += 1
    if good:
        good, codes = _without_contradictions(good, path, dropped, drop_invalid=drop_invalid)
    if not good:
        raise DatasetError(f"{path}: no valid rows are left of {len(records)}; dropped {dropped}")
    errors_ms = np.array([item.latency_se_ms for item in good])
    return Dataset(
        space=good[0].subnet.space,
        device=str(good[0].record.values["device"]),
        subnets=tuple(item.subnet for item in good),
        codes=codes,
        latency_ms=np.array([item.latency_ms for item in good]),
        rows=np.array([item.row for item in good], dtype=np.int64),
        source=str(path),
        dropped=dict(dropped),
        latency_se_ms=None if np.isnan(errors_ms).all() else errors_ms,
    )


def _check(record: Record, space: str | None) -> _Checked:
    if record.row is None:
        raise InvalidRow("row", f"{record.values['row']!r}, want an integer")
    if record.values.get("model") and not record.values["space"]:
        raise InvalidRow("model", "a network that is no subnet; `edgeprof train` learns from such")
    found = str(record.values["space"])
    if space is not None and found != space:
        raise InvalidRow("space", f"{found!r} among rows of {space!r}; learn from one space")
    latency_ms = parse_latency(record.values["latency_ms"])
    error_ms = parse_error(record.values.get("latency_se"))
    return _Checked(record, record.row, subnet_of_row(record.values), latency_ms, error_ms)


def _without_contradictions(
    good: list[_Checked], path: Path, dropped: Counter[str], *, drop_invalid: bool
) -> tuple[list[_Checked], Codes]:
    """Refuse or drop the rows of subnets whose repeated latencies contradict each other."""
    codes = get_space(good[0].subnet.space).encode(item.subnet for item in good)
    groups: dict[bytes, list[int]] = {}
    for index, code in enumerate(codes):
        groups.setdefault(code.tobytes(), []).append(index)
    bad: set[int] = set()
    for indices in groups.values():
        fast = min(indices, key=lambda index: good[index].latency_ms)
        slow = max(indices, key=lambda index: good[index].latency_ms)
        if good[slow].latency_ms <= CONTRADICTION_RATIO * good[fast].latency_ms:
            continue
        if not drop_invalid:
            raise DatasetError(
                f"{path}, {good[slow].record.place}, column latency_ms: "
                f"{good[slow].latency_ms:g} ms, but {good[fast].record.place} has "
                f"{good[fast].latency_ms:g} ms for the same subnet; "
                f"remove the wrong one, or use --drop-invalid to leave out both",
                column="latency_ms",
            )
        bad.update(indices)
    if bad:
        dropped["contradicting"] += len(bad)
        kept = [index for index in range(len(good)) if index not in bad]
        return [good[index] for index in kept], codes[kept]
    return good, codes
