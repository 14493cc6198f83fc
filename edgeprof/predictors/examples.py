"""What a model learns from: subnets and one value each, whatever the value is.

Owns: the rows of a fit under neutral names, so that latencies and accuracies are learned alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.features import Floats
from edgeprof.records.dataset import Dataset
from edgeprof.records.network_rows import NetworkRows

_WORK = attrgetter(
    "kind.value", "macs", "operations", "bytes_read", "bytes_written", "weight_bytes",
    "element_type",
)  # fmt: skip


class Judged(Protocol):
    """Rows that predictions are compared with.

    Attributes:
        values: float64 (n,), positive.
        standard_errors: of the values, float64 (n,); 0 where unknown.
        keys: one per row, equal for the same network.
        hashes: one per row, equal for the same measurement.
    """

    @property
    def values(self) -> Floats:
        """What was measured."""

    @property
    def standard_errors(self) -> Floats:
        """Of the values."""

    @property
    def keys(self) -> Sequence[bytes]:
        """One per row, equal for the same network."""

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """One per row, equal for the same measurement."""


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
    def keys(self) -> Sequence[bytes]:
        """The codes of each row."""
        return [row.tobytes() for row in self.codes]

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


@dataclass(frozen=True, repr=False)
class NetworkExamples:
    """Networks of any kind with their latencies.

    Attributes:
        networks: one per row.
        values: float64 (n,), their latencies in ms.
        standard_errors: of the latencies, float64 (n,); 0 where unknown.
    """

    networks: Sequence[Network]
    values: Floats
    standard_errors: Floats

    @classmethod
    def of(cls, data: Dataset | NetworkRows) -> NetworkExamples:
        """Take the latencies of networks, or of subnets as networks."""
        known = data.latency_se_ms
        errors = np.zeros(len(data)) if known is None else np.nan_to_num(known)
        if isinstance(data, NetworkRows):
            return cls(data.networks, data.latency_ms, errors)
        space = get_space(data.space)
        return cls([space.layers(subnet) for subnet in data.subnets], data.latency_ms, errors)

    @cached_property
    def macs(self) -> Floats:
        """Multiply-accumulates of each."""
        return np.array([network.macs for network in self.networks], dtype=np.float64)

    @cached_property
    def keys(self) -> Sequence[bytes]:
        """A hash of the layers of each; names do not count."""
        return [_network_key(network) for network in self.networks]

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """One hash per row, of its layers and its latency: equal for the same measurement."""
        return _hashes(self.keys, self.values)


def _network_key(network: Network) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for placed in network.blocks:
        digest.update(repr([_WORK(layer) for layer in placed.block.work]).encode())
    return digest.digest()


def row_hashes(codes: Codes, values: Floats) -> NDArray[np.uint64]:
    """Return one hash per row; last digits of a value, which tables may round, are not in it."""
    return _hashes((row.tobytes() for row in codes), values)


def _hashes(keys: Iterable[bytes], values: Floats) -> NDArray[np.uint64]:
    digests = [
        hashlib.blake2b(key + f"{value:.6g}".encode(), digest_size=8).digest()
        for key, value in zip(keys, values.tolist(), strict=True)
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
