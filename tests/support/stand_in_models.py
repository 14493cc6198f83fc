"""Stand-ins for latency and accuracy: exact, quick, with known structure."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.networks.spaces.costs import macs_cost, parameters_cost
from edgeprof.predictors.base import LatencyInterval


class AdditiveLatency:
    """1 ms and 25 ns per 1000 MACs: a sum over slots, as a lookup table's."""

    def __init__(self, space: SearchSpace, device: str = "paper-board", scale: float = 1.0) -> None:
        self.space, self.device = space.id, device
        self._space, self._scale = space, scale

    def predict(self, subnets):
        """Return ms, computed from the layer lists."""
        macs = np.array([self._space.layers(subnet).macs for subnet in subnets], dtype=np.float64)
        return self._scale * (1.0 + macs * 25e-9)

    def predict_codes(self, codes):
        """Return ms, computed from tables."""
        return self._scale * (1.0 + macs_cost(self._space)(codes) * 25e-9)


class InteractingLatency(AdditiveLatency):
    """The same, made slower by up to a tenth where neighbouring slots differ: no sum."""

    def predict(self, subnets):
        """Return ms."""
        return self.predict_codes(self._space.encode(subnets))

    def predict_codes(self, codes):
        """Return ms."""
        unequal = (np.diff(codes[:, :-1].astype(int), axis=1) != 0).mean(axis=1)
        return super().predict_codes(codes) * (1.0 + 0.1 * unequal)


class UncertainLatency(AdditiveLatency):
    """The additive one with a standard deviation of a twentieth."""

    def predict_interval(self, codes, confidence=0.9):
        """Return the mean and the central interval."""
        mean_ms = self.predict_codes(codes)
        reach = NormalDist().inv_cdf((1 + confidence) / 2) * mean_ms / 20
        return LatencyInterval(mean_ms, mean_ms - reach, mean_ms + reach)


class CurvedAccuracy:
    """Between 0.6 and 0.9, growing with MACs and parameters, with a bump per slot."""

    name = "stand-in"
    is_proxy = False

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        self.resolutions = space.sampled_resolutions
        self._macs, self._parameters = macs_cost(space), parameters_cost(space)
        shape = (len(space.cardinalities) - 1, max(space.cardinalities[:-1]))
        self._bumps = np.random.default_rng(seed).normal(size=shape)

    def predict_codes(self, codes):
        """Return accuracies."""
        slots = np.arange(codes.shape[1] - 1)
        bump = self._bumps[slots[None], codes[:, :-1]].sum(axis=1)
        size = np.log(self._macs(codes) / 1e8) + 0.5 * np.log(self._parameters(codes) / 1e6)
        return 0.6 + 0.3 / (1 + np.exp(-(0.6 * size + 0.1 * np.tanh(bump / 3))))
