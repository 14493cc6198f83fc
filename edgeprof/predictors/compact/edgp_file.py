"""The ``.edgp`` file: a compact predictor as bytes.

Owns: the tensors of a compact predictor, their limits, and the format (version 1), written and
read. The C++ reader (``csrc/predictor/``) is the second implementation of the same format; a
golden test holds the two together. What the tensors mean stands in ``predictor.py``.

The layout, byte by byte, is the table of docs/predictors.md, "The file, version 1".
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import PredictorFormatError

MAGIC = b"EDGP"
VERSION = 1
LAYER_COSTS_VERSION = 2
"""Of files that hold layer costs (``predictors/layers/tables_file.py``)."""

MAX_FILE_BYTES = 32 * 1024
"""Twice what is promised for the spaces there are; a larger file is no predictor of this kind."""

MAX_COLUMNS = 64
MAX_WIDTH = 16
MAX_INNER = 8
MAX_ID_BYTES = 255
MAX_VALUE = 65504.0
"""Largest tensor value (float16's): no sum of such values overflows, so a prediction is finite."""

MAX_UNIT_MS = 1e9

MAX_TABLE_BYTES = 60 * 1024
"""What the C++ reader's tables may take; with the rest it stays below 64 KiB."""

_HEADER = struct.Struct("<4sHHIHBBBBHHHff")
_CRC = struct.Struct("<I")
_VALUE_TYPES: dict[int, np.dtype[Any]] = {2: np.dtype("<f2"), 4: np.dtype("<f4")}

Tensor = NDArray[np.float32]


class CompactTensors(NamedTuple):
    """The parameters of a compact predictor, in the file's order; see ``predictor.py``.

    Attributes:
        rows: (n_choices, n_additive + n_hidden), the choices of all slots one after the other.
        scale: (n_resolutions, n_additive + n_hidden).
        shift: (n_resolutions, 1 + n_hidden).
        hidden_weights: (n_hidden, n_inner).
        hidden_bias: (n_inner,).
        inner_out: (n_inner,).
        hidden_out: (n_hidden,).
    """

    rows: Tensor
    scale: Tensor
    shift: Tensor
    hidden_weights: Tensor
    hidden_bias: Tensor
    inner_out: Tensor
    hidden_out: Tensor


@dataclass(frozen=True)
class CompactModel:
    """What an ``.edgp`` file holds.

    Attributes:
        space: id of the search space.
        subject: name of the device whose latencies in ms it predicts, or ``accuracy`` (top-1).
        cardinalities: values per code column, as ``SearchSpace.cardinalities``.
        unit, offset: value = offset + unit * (what the tensors give).
        tensors: the parameters; float32 whose values the file's type can hold.
        provenance: dataset hash, n, metrics and the like; JSON values.
        value_bytes: 2 or 4, the size of a tensor value in the file.
    """

    space: str
    subject: str
    cardinalities: tuple[int, ...]
    unit: float
    offset: float
    tensors: CompactTensors
    provenance: Mapping[str, object] = field(default_factory=dict)
    value_bytes: int = 2

    @property
    def n_hidden(self) -> int:
        """Number of hidden inputs."""
        return len(self.tensors.hidden_out)

    @property
    def n_additive(self) -> int:
        """Number of additive terms."""
        return int(self.tensors.rows.shape[1]) - self.n_hidden


def rounded_to_file(model: CompactModel) -> CompactModel:
    """Return the model with every number rounded to what its file holds.

    Raises:
        PredictorFormatError: if a value is too large for the file.
    """
    value_type = _VALUE_TYPES[model.value_bytes]
    for tensor in model.tensors:
        if tensor.size and not np.all(np.abs(tensor) <= MAX_VALUE):
            raise PredictorFormatError(
                f"predictor of {model.subject}: a tensor value is {np.abs(tensor).max():g}, "
                f"want at most {MAX_VALUE:g}"
            )
    rounded = (t.astype(value_type).astype(np.float32) for t in model.tensors)
    return replace(
        model,
        tensors=CompactTensors(*rounded),
        unit=float(np.float32(model.unit)),
        offset=float(np.float32(model.offset)),
    )


def encode_edgp(model: CompactModel) -> bytes:
    """Return the model as the bytes of an ``.edgp`` file.

    Raises:
        PredictorFormatError: if it is beyond a limit of the format.
    """
    value_type = _VALUE_TYPES[model.value_bytes]
    space, subject = model.space.encode(), model.subject.encode()
    provenance = json.dumps(dict(model.provenance), separators=(",", ":"), sort_keys=True).encode()
    head = struct.pack(f"<{len(model.cardinalities)}H", *model.cardinalities)
    head += space + subject + provenance
    head += bytes(-(_HEADER.size + len(head)) % 4)
    body = b"".join(tensor.astype(value_type).tobytes() for tensor in model.tensors)
    size = _HEADER.size + len(head) + len(body) + _CRC.size
    if size > MAX_FILE_BYTES:
        raise PredictorFormatError(
            f"predictor of {model.subject}: {size} bytes, want at most {MAX_FILE_BYTES}; "
            "shorten the provenance or use float16"
        )
    header = _HEADER.pack(
        MAGIC,
        VERSION,
        model.value_bytes,
        size,
        len(model.cardinalities),
        model.n_additive,
        model.n_hidden,
        len(model.tensors.hidden_bias),
        0,
        len(space),
        len(subject),
        len(provenance),
        model.unit,
        model.offset,
    )
    data = header + head + body
    data += _CRC.pack(zlib.crc32(data))
    decode_edgp(data)  # whatever is written can be read
    return data


def decode_edgp(data: bytes, source: str = "predictor") -> CompactModel:
    """Read the bytes of an ``.edgp`` file.

    Args:
        data: all bytes of the file.
        source: what to call it in messages.

    Raises:
        PredictorFormatError: wrong magic, version or CRC, truncated, oversized, or a field
            beyond the limits of the format.
    """
    try:
        return _decode(data)
    except _Refused as refusal:
        raise PredictorFormatError(f"{source}: {refusal}") from None


def is_layer_costs(data: bytes) -> bool:
    """Tell whether an ``.edgp`` file holds layer costs."""
    return data[:6] == MAGIC + LAYER_COSTS_VERSION.to_bytes(2, "little")


class _Refused(Exception):
    """Why the bytes are no predictor."""


def tensor_shapes(
    cardinalities: Sequence[int], n_additive: int, n_hidden: int, n_inner: int
) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of the tensors, in the order of ``CompactTensors``."""
    width, n_resolutions = n_additive + n_hidden, cardinalities[-1]
    n_choices = sum(cardinalities[:-1]) - (len(cardinalities) - 1)
    return (
        (n_choices, width),
        (n_resolutions, width),
        (n_resolutions, 1 + n_hidden),
        (n_hidden, n_inner),
        (n_inner,),
        (n_inner,),
        (n_hidden,),
    )


def _decode(data: bytes) -> CompactModel:
    _check_envelope(data)
    _, _, value_bytes, _, *counts, unit, offset = _HEADER.unpack_from(data)
    n_columns, n_additive, n_hidden, n_inner, zero, *lengths = counts
    _check_limits(n_columns, n_additive, n_hidden, n_inner, zero, lengths)
    if not (0 < unit <= MAX_UNIT_MS and abs(offset) <= MAX_UNIT_MS):
        raise _Refused(f"unit {unit:g} ms and offset {offset:g} ms are out of range")
    at = _HEADER.size
    cardinalities = struct.unpack_from(f"<{n_columns}H", data, _need(data, at, 2 * n_columns))
    _check_cardinalities(cardinalities)
    at += 2 * n_columns
    texts = []
    for length in lengths:
        texts.append(_text(data[_need(data, at, length) : at + length]))
        at += length
    at += -at % 4
    shapes = tensor_shapes(cardinalities, n_additive, n_hidden, n_inner)
    tensors = _read_tensors(data, at, shapes, _VALUE_TYPES[value_bytes])
    space, subject, provenance = texts
    return CompactModel(
        space,
        subject,
        tuple(cardinalities),
        unit,
        offset,
        CompactTensors(*tensors),
        _provenance(provenance),
        value_bytes,
    )


def _check_envelope(data: bytes) -> None:
    """Check what can be checked before any field is believed."""
    if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
        raise _Refused("is no .edgp file: it does not begin with EDGP")
    if len(data) < _HEADER.size + _CRC.size:
        raise _Refused(f"is truncated: {len(data)} bytes, the header alone has {_HEADER.size}")
    _, version, value_bytes, size, *_ = _HEADER.unpack_from(data)
    if version != VERSION:
        raise _Refused(f"has format version {version}, this reader knows {VERSION}")
    if len(data) > MAX_FILE_BYTES or size > MAX_FILE_BYTES:
        raise _Refused(f"is oversized: {max(len(data), size)} bytes, at most {MAX_FILE_BYTES}")
    if len(data) != size:
        what = "is truncated" if len(data) < size else "has bytes after its end"
        raise _Refused(f"{what}: {len(data)} bytes, its header says {size}")
    if zlib.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise _Refused("is corrupted: its CRC does not match; copy it again")
    if value_bytes not in _VALUE_TYPES:
        raise _Refused(f"has {value_bytes} bytes per value, want 2 or 4")


def _check_limits(
    n_columns: int, n_additive: int, n_hidden: int, n_inner: int, zero: int, lengths: list[int]
) -> None:
    if not 2 <= n_columns <= MAX_COLUMNS:
        raise _Refused(f"has {n_columns} code columns, want 2 to {MAX_COLUMNS}")
    if not 1 <= n_additive <= MAX_WIDTH - n_hidden or n_inner > MAX_INNER:
        raise _Refused(
            f"has {n_additive} additive terms, {n_hidden} hidden inputs and {n_inner} inner "
            f"units, want 1 or more, at most {MAX_WIDTH} together, and at most {MAX_INNER}"
        )
    if zero or not all(1 <= length <= MAX_ID_BYTES for length in lengths[:2]):
        raise _Refused(f"has a malformed header; ids need 1 to {MAX_ID_BYTES} bytes")


def _check_cardinalities(cardinalities: tuple[int, ...]) -> None:
    for column, values in enumerate(cardinalities):
        if not 1 <= values <= 256:
            raise _Refused(f"has {values} values in code column {column}, want 1 to 256")
    # The reader pads every row to the largest width: 64 bytes a choice, 128 a resolution.
    table_bytes = 64 * sum(cardinalities[:-1]) + 128 * cardinalities[-1]
    if table_bytes > MAX_TABLE_BYTES:
        raise _Refused(f"needs {table_bytes} bytes for its tables, at most {MAX_TABLE_BYTES}")


def _need(data: bytes, at: int, length: int) -> int:
    """Return ``at`` if ``length`` bytes lie there before the CRC."""
    if at + length > len(data) - _CRC.size:
        raise _Refused(f"is truncated: needs {length} bytes at offset {at}")
    return at


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _Refused("holds text that is no UTF-8") from None
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise _Refused("holds control characters in its text")
    return text


def _provenance(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _Refused("has a provenance that is no JSON object")
    return value


def _read_tensors(
    data: bytes, at: int, shapes: tuple[tuple[int, ...], ...], value_type: np.dtype[Any]
) -> list[Tensor]:
    counts = [int(np.prod(shape)) for shape in shapes]
    wanted = at + sum(counts) * value_type.itemsize + _CRC.size
    if wanted != len(data):
        raise _Refused(f"has {len(data)} bytes, its tensors need {wanted}")
    tensors = []
    for count, shape in zip(counts, shapes, strict=True):
        values = np.frombuffer(data, value_type, count, at).astype(np.float32).reshape(shape)
        if not np.all(np.abs(values) <= MAX_VALUE):
            raise _Refused(f"holds a value that is no number up to {MAX_VALUE:g}")
        tensors.append(values)
        at += count * value_type.itemsize
    return tensors
