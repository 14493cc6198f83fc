"""What a model learns from: subnets and one value each, whatever the value is.

Owns: the rows of a fit under neutral names, so that latencies and accuracies are learned alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.features import Floats
from edgeprof.records.dataset import Dataset


@dataclass(frozen=True, repr=False)
class Examples:
    """Subnets of one space with their values.

    Attributes:
        space: id of the search space.
        subject: the device whose latencies in ms the values are, or ``accuracy`` for top-1.
        codes: the subnets, see ``SearchSpace.encode``.
        values: float64 (n,), positive.
        standard_errors: of the values, float64 (n,); 0 where unknown.
        rows: int64 (n,), their numbers in the source.
        source: the file, as given.
    """

    space: str
    subject: str
    codes: Codes
    values: Floats
    standard_errors: Floats
    rows: NDArray[np.int64]
    source: str

    @classmethod
    def of(cls, data: Dataset) -> Examples:
        """Take the latencies of a dataset."""
        known = data.latency_se_ms
        errors = np.zeros(len(data)) if known is None else np.nan_to_num(known)
        return cls(
            data.space, data.device, data.codes, data.latency_ms, errors, data.rows, data.source
        )

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<Examples {self.source}: {len(self)} rows of {self.subject}, space {self.space}>"

    @property
    def sha256(self) -> str:
        """Hash of what is learned from: subject, space, codes and values, in their order."""
        digest = hashlib.sha256(f"{self.subject}\n{self.space}\n".encode())
        digest.update(np.ascontiguousarray(self.codes).tobytes())
        digest.update(np.ascontiguousarray(self.values, dtype="<f8").tobytes())
        return digest.hexdigest()

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """One hash per row, of its codes and its value: equal for the same measurement."""
        return row_hashes(self.codes, self.values)

    def take(self, indices: Sequence[int] | NDArray[np.int64]) -> Examples:
        """Return the rows at these positions, in this order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Examples(
            self.space,
            self.subject,
            self.codes[chosen],
            self.values[chosen],
            self.standard_errors[chosen],
            self.rows[chosen],
            self.source,
        )


def row_hashes(codes: Codes, values: Floats) -> NDArray[np.uint64]:
    """Return one hash per row; last digits of a value, which tables may round, are not in it."""
    digests = [
        hashlib.blake2b(row.tobytes() + f"{value:.6g}".encode(), digest_size=8).digest()
        for row, value in zip(codes, values.tolist(), strict=True)
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
