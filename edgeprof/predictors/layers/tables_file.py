"""The ``.edgp`` file of layer costs (format version 2).

Owns: the file, written and read. Its layout stands in docs/predictors.md, "The file, version 2".
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.predictors.compact.edgp_file import (
    LAYER_COSTS_VERSION,
    MAGIC,
    MAX_ID_BYTES,
    MAX_VALUE,
    is_layer_costs,
)
from edgeprof.predictors.layers.quantities import (
    N_POSITION,
    QUANTITIES,
    QUANTITIES_VERSION,
    Floats,
    base_of,
)
from edgeprof.predictors.layers.tables import CostTables, Points

MAX_FILE_BYTES = 128 * 1024

_HEADER = struct.Struct("<4sHHI10H3f")
_CRC = struct.Struct("<I")
_LEAST_LENGTH = 1e-3


@dataclass(frozen=True)
class LayerCostsFile:
    """What the file holds.

    Attributes:
        tables: the costs; every number is one of float32.
        device: name of the device.
        space: id of the space whose subnets it predicts; ``""`` where none is set.
        provenance: JSON values.
    """

    tables: CostTables
    device: str
    space: str = ""
    provenance: Mapping[str, object] = field(default_factory=dict)


def encode_layer_costs(content: LayerCostsFile) -> bytes:
    """Return the bytes of the file.

    Raises:
        PredictorFormatError: if it is beyond a limit of the format.
    """
    tables = content.tables
    functions = (*tables.stretches, tables.alike)
    provenance = json.dumps(dict(content.provenance), separators=(",", ":"), sort_keys=True)
    texts = [text.encode() for text in (content.space, content.device, provenance)]
    names = [name.encode() for name in (*tables.kinds, *tables.bases)]
    body = b"".join([*texts, *(bytes([len(name)]) + name for name in names)])
    body += bytes(-(_HEADER.size + len(body)) % 4)
    numbers = [tables.columns, *(points.kind for points in tables.stretches)]
    body += np.concatenate(numbers).astype("<u2").tobytes()
    body += bytes(-(_HEADER.size + len(body)) % 4)
    parts = [part for points in functions for part in (points.position, points.coefficient)]
    values = np.concatenate([np.ravel(part) for part in (tables.unit, tables.rough, *parts)])
    body += values.astype("<f4").tobytes()
    size = _HEADER.size + len(body) + _CRC.size
    counts = [len(tables.kinds), len(tables.bases), len(tables.columns)]
    counts += [len(points.kind) for points in functions] + [len(text) for text in texts]
    if size > MAX_FILE_BYTES or max(counts) > 0xFFFF:
        raise PredictorFormatError(
            f"layer costs of {content.device}: {size} bytes, want at most {MAX_FILE_BYTES}"
        )
    lengths = [points.length for points in functions]
    head = _HEADER.pack(MAGIC, LAYER_COSTS_VERSION, 4, size, *counts, QUANTITIES_VERSION, *lengths)
    data = head + body + _CRC.pack(zlib.crc32(head + body))
    decode_layer_costs(data)  # whatever is written can be read
    return data


def decode_layer_costs(data: bytes, source: str = "layer costs") -> LayerCostsFile:
    """Read the bytes of a file; ``source`` is for messages.

    Raises:
        PredictorFormatError: what is wrong with it.
    """
    if len(data) < _HEADER.size + _CRC.size or not is_layer_costs(data):
        raise PredictorFormatError(f"{source}: is no .edgp file of layer costs, or truncated")
    _, _, value_bytes, size, *counts, quantities_version, wide, narrow, alike = _HEADER.unpack_from(
        data
    )
    if size != len(data) or size > MAX_FILE_BYTES:
        raise PredictorFormatError(
            f"{source}: has {len(data)} bytes, its header says {size}, at most {MAX_FILE_BYTES}"
        )
    if zlib.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise PredictorFormatError(f"{source}: is corrupted: its CRC does not match")
    if (value_bytes, quantities_version) != (4, QUANTITIES_VERSION):
        raise PredictorFormatError(
            f"{source}: quantities version {quantities_version} in {value_bytes} bytes, want "
            f"{QUANTITIES_VERSION} in 4: ship it anew"
        )
    try:
        return _decode(data, counts, (wide, narrow, alike))
    except (ValueError, IndexError, TypeError, struct.error) as error:
        raise PredictorFormatError(f"{source}: is damaged: {error}") from error


class _Reader:
    """Takes one part after the other; ``ValueError`` where one ends beyond the file."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._end = data, _HEADER.size, len(data) - _CRC.size

    def take(self, size: int) -> bytes:
        if self._at + size > self._end:
            raise ValueError(f"needs {size} bytes at {self._at}")
        self._at += size
        return self._data[self._at - size : self._at]

    def text(self, size: int) -> str:
        found = self.take(size).decode()
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in found):
            raise ValueError("holds control characters in its text")
        return found

    def align(self) -> None:
        self.take(-self._at % 4)

    def array(self, dtype: str, *shape: int) -> np.ndarray[Any, Any]:
        width = np.dtype(dtype).itemsize
        return np.frombuffer(self.take(width * int(np.prod(shape))), dtype).reshape(shape)

    def values(self, *shape: int) -> Floats:
        found: Floats = self.array("<f4", *shape).astype(np.float64)
        if not np.all(np.abs(found) <= MAX_VALUE):
            raise ValueError(f"holds a value that is no number up to {MAX_VALUE:g}")
        return found

    def end(self) -> None:
        if self._at != self._end:
            raise ValueError(f"has {self._end - self._at} bytes after its tables")


def _decode(data: bytes, counts: Sequence[int], lengths: tuple[float, ...]) -> LayerCostsFile:
    reader = _Reader(data)
    n_kinds, n_bases, n_columns, *n_points = counts[:6]
    space, device, provenance = (reader.text(size) for size in counts[6:])
    names = tuple(reader.text(reader.take(1)[0]) for _ in range(n_kinds + n_bases))
    kinds, bases = names[:n_kinds], names[n_kinds:]
    reader.align()
    columns = reader.array("<u2", n_columns).astype(np.int64)
    numbers = [reader.array("<u2", n).astype(np.int64) for n in n_points[:-1]]
    numbers.append(np.zeros(n_points[-1], dtype=np.int64))
    reader.align()
    unit = reader.values(n_kinds + n_bases, len(QUANTITIES))
    rough = reader.values(n_bases, len(QUANTITIES))
    widths = [N_POSITION, N_POSITION, n_columns + 1 + N_POSITION]
    functions = [
        Points(length, number, reader.values(len(number), width), reader.values(len(number)))
        for length, number, width in zip(lengths, numbers, widths, strict=True)
    ]
    reader.end()
    if not _LEAST_LENGTH <= min(lengths) <= max(lengths) <= MAX_VALUE:
        raise ValueError("has a length of a smooth function that is out of range")
    if (unit < 0).any() or (rough <= 0).any() or not {base_of(kind) for kind in kinds} <= {*bases}:
        raise ValueError("has a negative cost, or a kind without a base")
    for number in numbers[:-1]:
        if len(number) and ((np.diff(number) < 0).any() or number[-1] >= n_kinds):
            raise ValueError("has points out of order, or of no kind")
    if len(set(bases)) != n_bases or (np.diff(columns) <= 0).any() or (columns >= n_bases).any():
        raise ValueError("has a base twice, or a column of none")
    if len(device.encode()) > MAX_ID_BYTES or len(space.encode()) > MAX_ID_BYTES:
        raise ValueError(f"has a name of more than {MAX_ID_BYTES} bytes")
    stated = json.loads(provenance)
    if not isinstance(stated, dict):
        raise ValueError("has a provenance that is no JSON object")
    tables = CostTables(kinds, bases, unit, rough, tuple(functions[:2]), columns, functions[2])
    return LayerCostsFile(tables, device, space, stated)
