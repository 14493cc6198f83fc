"""The compact predictor: a few kilobytes that run anywhere, and its reference arithmetic.

Owns: what the tensors of an ``.edgp`` mean, in numpy. The C++ reader, the generated C and the
ONNX model compute the same in float32; golden tests hold them together.

For a subnet with choices c(s) per slot s and resolution index r::

    y[j]     = scale[r, j] * sum over s of rows[s, c(s), j]         a slot left out adds nothing
    additive = shift[r, 0] + sum of y[j] over the additive terms j
    a[k]     = softsign(y[n_additive + k] + shift[r, 1 + k])         the hidden inputs
    v        = softsign(a @ hidden_weights + hidden_bias)            the inner units
    value    = offset + unit * (additive + a @ hidden_out + v @ inner_out)

with softsign(x) = x / (1 + abs(x)). The additive terms hold what each choice costs, with a few
factors per resolution (for one, and for the pixels of each stage); the hidden part holds what is
not additive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidSubnet, PredictorFormatError
from edgeprof.base.files import atomic_write
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import Latencies, PredictsCodes
from edgeprof.predictors.compact.edgp_file import (
    CompactModel,
    Tensor,
    decode_edgp,
    encode_edgp,
    rounded_to_file,
)


class CompactPredictor(PredictsCodes):
    """A latency predictor of a few kilobytes; this class is the reference, not the fast reader.

    Attributes:
        model: all numbers, rounded to what the file holds.
        space: id of the search space.
        device: name of the device.
        provenance: dataset hash, n, metrics and the like.
    """

    def __init__(self, model: CompactModel) -> None:
        self.model = rounded_to_file(model)
        self.space = model.space

    @property
    def device(self) -> str:
        """Name of the device; ``accuracy`` for accuracies."""
        return self.model.subject

    @property
    def provenance(self) -> Mapping[str, object]:
        """Where the predictor comes from."""
        return self.model.provenance

    def with_provenance(self, provenance: Mapping[str, object]) -> CompactPredictor:
        """Return the same predictor with further or other fields of provenance."""
        merged = {**self.model.provenance, **provenance}
        return CompactPredictor(replace(self.model, provenance=merged))

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the value of each row of codes.

        Raises:
            InvalidSubnet: if a code is not of the space.
        """
        codes = check_codes(codes, self.model.cardinalities)
        tensors, n_additive = self.model.tensors, self.model.n_additive
        resolution = codes[:, -1]
        y = _sum_of_rows(codes, tensors.rows, self.model.cardinalities)
        y *= tensors.scale[resolution]
        shift = tensors.shift[resolution]
        a = _softsign(y[:, n_additive:] + shift[:, 1:])
        v = _softsign(a @ tensors.hidden_weights + tensors.hidden_bias)
        total = shift[:, 0] + y[:, :n_additive].sum(axis=1)
        total += a @ tensors.hidden_out + v @ tensors.inner_out
        values = np.float32(self.model.offset) + np.float32(self.model.unit) * total
        return np.asarray(values, dtype=np.float64)

    def to_bytes(self) -> bytes:
        """Return the bytes of the ``.edgp`` file."""
        return encode_edgp(self.model)

    def save(self, path: Path) -> None:
        """Write the ``.edgp`` file; it appears whole or not at all."""
        data = self.to_bytes()
        with atomic_write(Path(path), binary=True) as stream:
            stream.write(data)

    @classmethod
    def load(cls, path: Path) -> CompactPredictor:
        """Read an ``.edgp`` file.

        Raises:
            PredictorFormatError: naming the file and what is wrong with it.
        """
        return cls(decode_edgp(read_predictor_bytes(path), str(path)))


def read_predictor_bytes(path: Path) -> bytes:
    """Return the bytes of a predictor file.

    Raises:
        PredictorFormatError: if it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PredictorFormatError(f"{path}: cannot be read: {error.strerror}") from error


def check_codes(codes: Codes, cardinalities: Sequence[int]) -> Codes:
    """Return the codes as uint8 (n, columns).

    Raises:
        InvalidSubnet: on another shape or type, or a code outside the space.
    """
    values = np.asarray(codes)
    if values.ndim != 2 or values.shape[1] != len(cardinalities) or values.dtype != np.uint8:
        raise InvalidSubnet(
            f"codes are {values.dtype} {values.shape}, want uint8 (n, {len(cardinalities)})"
        )
    outside = values.astype(np.int64) >= np.asarray(cardinalities)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise InvalidSubnet(
            f"codes row {row}, column {column}: {values[row, column]}, "
            f"want less than {cardinalities[column]}"
        )
    return values


def padded_rows(rows: Tensor, cardinalities: Sequence[int]) -> Tensor:
    """Return the rows with one of zeros before each slot's: its code 0, left out."""
    parts, start = [], 0
    for values in cardinalities[:-1]:
        parts += [np.zeros((1, rows.shape[1]), np.float32), rows[start : start + values - 1]]
        start += values - 1
    return np.concatenate(parts)


def first_rows(cardinalities: Sequence[int]) -> NDArray[np.int64]:
    """Return where each slot begins in ``padded_rows``."""
    return np.concatenate([[0], np.cumsum(cardinalities[:-2])]).astype(np.int64)


def _sum_of_rows(codes: Codes, rows: Tensor, cardinalities: Sequence[int]) -> Tensor:
    table = padded_rows(rows, cardinalities)
    total = np.zeros((len(codes), rows.shape[1]), dtype=np.float32)
    for column, first in enumerate(first_rows(cardinalities)):
        total += table[first + codes[:, column]]
    return total


def _softsign(x: NDArray[np.float32]) -> Tensor:
    out: Tensor = x / (1 + np.abs(x))
    return out
