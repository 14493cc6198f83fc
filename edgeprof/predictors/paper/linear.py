"""The additive model of ProxylessNAS: a cost per choice, whole-network latencies as the data.

Owns: the model ``linear``. Cost per (slot, kernel, expand) with and without the pixels of the
input, (r / largest)^2, by least squares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.predictors.base import Latencies
from edgeprof.predictors.features import Floats
from edgeprof.predictors.host_file import Arrays, Meta
from edgeprof.predictors.residual_interval import ResidualInterval, nothing_known
from edgeprof.records.dataset import Dataset

_RIDGE = 1e-3
"""Of the squared coefficients: makes the answer unique where choices were never seen."""


def additive_columns(space: SearchSpace, codes: Codes) -> Floats:
    """Return one-hot columns per slot and choice, the same times pixels, pixels, and 1."""
    slots = [
        codes[:, [slot]] == np.arange(1, values)
        for slot, values in enumerate(space.cardinalities[:-1])
    ]
    chosen = np.concatenate(slots, axis=1).astype(np.float64)
    sides = np.array(space.resolutions, dtype=np.float64)
    pixels = ((sides / sides.max()) ** 2)[codes[:, -1]][:, np.newaxis]
    return np.concatenate([chosen, chosen * pixels, pixels, np.ones_like(pixels)], axis=1)


@dataclass(repr=False)
class LinearModel(ResidualInterval):
    """Costs in ms per column of ``additive_columns``."""

    kind: ClassVar[str] = "linear"

    space: str
    device: str
    costs_ms: Floats
    relative_errors: Floats = field(default_factory=nothing_known)

    @classmethod
    def fit(cls, data: Dataset) -> LinearModel:
        """Fit the costs by least squares."""
        columns = additive_columns(get_space(data.space), data.codes)
        mean_ms = data.latency_ms.mean()
        gram = columns.T @ columns + _RIDGE * np.eye(columns.shape[1])
        costs_ms = np.linalg.solve(gram, columns.T @ (data.latency_ms - mean_ms))
        costs_ms[-1] += mean_ms
        return cls(data.space, data.device, np.asarray(costs_ms, dtype=np.float64))

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        latency_ms: Latencies = additive_columns(get_space(self.space), codes) @ self.costs_ms
        return latency_ms

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``."""
        return {"space": self.space, "device": self.device}, {
            "costs_ms": self.costs_ms,
            "relative_errors": self.relative_errors,
        }

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> LinearModel:
        """See ``host_file``."""
        return cls(meta["space"], meta["device"], arrays["costs_ms"], arrays["relative_errors"])
