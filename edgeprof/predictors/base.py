"""What every latency predictor can do.

Owns: the interface between predictors and those who use them (command line, search, report).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.subnet import Subnet

Latencies = NDArray[np.float64]
"""Latencies in milliseconds, shape (n_subnets,)."""


@runtime_checkable
class LatencyPredictor(Protocol):
    """Predicts the latency of subnets of one space on one device.

    Attributes:
        space: id of the space.
        device: name of the device, as in the dataset it was trained on.
    """

    @property
    def space(self) -> str:
        """Id of the space."""

    @property
    def device(self) -> str:
        """Name of the device."""

    def predict(self, subnets: Sequence[Subnet]) -> Latencies:
        """Return the latency of each subnet in ms."""

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes (see ``SearchSpace.encode``) in ms."""


class LatencyInterval(NamedTuple):
    """Predictions with a central interval, each of shape (n_subnets,), in ms."""

    mean_ms: Latencies
    low_ms: Latencies
    high_ms: Latencies


@runtime_checkable
class IntervalPredictor(LatencyPredictor, Protocol):
    """A predictor that knows how sure it is."""

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """Return the mean and the central interval that holds a measurement with ``confidence``."""
