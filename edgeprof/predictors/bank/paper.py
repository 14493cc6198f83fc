"""The paper's two strategies on networks of any kind, beside the bank: for comparison.

Owns: ``fine_tuned`` (a network trained on one other device, its last layer fitted anew to few
measurements) and ``across_devices`` (a network trained on many devices with what is known of their
hardware as further inputs; no measurement of the new one is used). The network and its training are
the paper's (``predictors.paper.mlp``; arXiv 2101.00732).

Departs from the paper where its own form says nothing about other networks than the subnets of one
space: the inputs are what a network asks for (the terms of the bank, as logarithms) in place of
one-hot choices, what it learns are logarithms of milliseconds, and hardware is what facts say
(clock, width, order and number of cores, runtime): no public table has memory or bandwidth. The
last layer is fitted anew from where it was, not from nothing, which takes hundreds of measurements
(the paper's 700): on phones, with 5 of them, 8 to 25 % error in place of 50 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeprof.base.errors import DatasetError
from edgeprof.predictors.bank.facts import Facts, base_row, log_peak
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.terms import Floats, Terms
from edgeprof.predictors.base import LatencyInterval
from edgeprof.predictors.paper.mlp import (
    MAX_EPOCHS,
    LastLayer,
    Layers,
    fit_last,
    fit_layers,
    hidden_values,
)

_MOST_ROWS = 2000
"""More take longer and predict no better, on phones."""

_FEWEST_SEEN = 60_000
"""So many rows are seen at least in training: the paper's epochs are for 7,000 rows."""

_UNJUDGED = math.log(2)
"""Reach of an interval where nothing was left out: a factor of two either way."""

_FEWEST_JUDGED = 3


@dataclass(frozen=True)
class PaperNetwork:
    """The paper's network, of what networks of any kind ask for.

    Attributes:
        layers: of it, the last without activation.
        centre, scale: of the inputs.
        names: runtimes and sources that are inputs, where hardware is.
        with_hardware: whether facts of the device are inputs.
        offset, unit: the logarithm of ms is ``offset + unit * output``.
    """

    layers: Layers
    centre: Floats
    scale: Floats
    names: tuple[str, ...]
    with_hardware: bool
    offset: float
    unit: float

    @classmethod
    def train(
        cls, devices: Sequence[MeasuredDevice], *, with_hardware: bool, seed: int = 0
    ) -> PaperNetwork:
        """Train on devices; of many measurements on a part of them, drawn at random."""
        named = {name for device in devices for name in device.facts.names}
        names = tuple(sorted(named)) if with_hardware else ()
        rows = [_inputs(device.terms, device.facts, names, with_hardware) for device in devices]
        inputs = np.concatenate(rows)
        log_ms = np.log(np.concatenate([device.latency_ms for device in devices]))
        chosen = np.random.default_rng(seed).permutation(len(inputs))[:_MOST_ROWS]
        inputs, log_ms = inputs[chosen], log_ms[chosen]
        centre, scale = inputs.mean(axis=0), inputs.std(axis=0)
        scale[scale == 0] = np.inf  # what is always the same tells nothing
        epochs = max(MAX_EPOCHS, _FEWEST_SEEN // len(inputs))
        # Single precision takes half the time.
        scaled = ((inputs - centre) / scale).astype(np.float32)
        trained, offset, unit = fit_layers(scaled, log_ms.astype(np.float32), seed, epochs)
        layers = tuple(
            (weights.astype(np.float64), bias.astype(float)) for weights, bias in trained
        )
        return cls(layers, centre, scale, names, with_hardware, offset, unit)

    def hidden(self, terms: Terms, facts: Facts) -> Floats:
        """Return what the last layer sees of networks on a device."""
        inputs = _inputs(terms, facts, self.names, self.with_hardware)
        return hidden_values(self.layers, (inputs - self.centre) / self.scale)

    @property
    def last(self) -> LastLayer:
        """The last layer, as it was trained."""
        return LastLayer(self.layers[-1], self.offset, self.unit, np.zeros(0))


def _inputs(terms: Terms, facts: Facts, names: Sequence[str], with_hardware: bool) -> Floats:
    amounts = np.log1p(terms.amounts)
    if not with_hardware:
        return amounts
    own = [*base_row(facts)[1:], log_peak(facts), *(float(name in facts.names) for name in names)]
    return np.concatenate([amounts, np.tile(own, (len(terms), 1))], axis=1)


@dataclass(frozen=True)
class PaperDevice:
    """A device as a network of the paper predicts it.

    Attributes:
        facts: of the device.
        network: what predicts.
        last: its last layer, with errors of measurements that were left out, if any.
    """

    facts: Facts
    network: PaperNetwork = field(repr=False)
    last: LastLayer = field(repr=False)

    def mean_ms(self, terms: Terms) -> Floats:
        """Return the latency of each network in ms."""
        return self.predict(terms).mean_ms

    def predict(self, terms: Terms, confidence: float = 0.9) -> LatencyInterval:
        """Return the latency of each network in ms; the interval is as wide as known errors."""
        weights, bias = self.last.layer
        output = (self.network.hidden(terms, self.facts) @ weights + bias)[:, 0]
        log_ms, reach = self.last.offset + self.last.unit * output, self._reach(confidence)
        return LatencyInterval(np.exp(log_ms), np.exp(log_ms - reach), np.exp(log_ms + reach))

    def _reach(self, confidence: float) -> float:
        missed = np.sort(np.abs(self.last.left_out))
        if len(missed) < _FEWEST_JUDGED:
            return _UNJUDGED
        at = min(math.ceil(confidence * (len(missed) + 1)), len(missed)) - 1
        return float(missed[at])


def fine_tuned(network: PaperNetwork, measured: MeasuredDevice) -> PaperDevice:
    """Return a network with its last layer moved to measurements of a device.

    What it misses there is fitted (ridge regression) and added to the layer as it was trained.

    Raises:
        DatasetError: nothing was measured.
    """
    if not len(measured.latency_ms):
        raise DatasetError(
            f"{measured.name}: paper-finetune needs measurements of it; `edgeprof probe` makes some"
        )
    hidden = network.hidden(measured.terms, measured.facts)
    (weights, bias), offset, unit, _ = network.last
    missed = np.log(measured.latency_ms) - offset - unit * (hidden @ weights + bias)[:, 0]
    moved = fit_last(hidden, missed)
    layer = unit * weights + moved.unit * moved.layer[0], unit * bias + moved.unit * moved.layer[1]
    last = LastLayer(layer, offset + moved.offset, 1.0, moved.left_out)
    return PaperDevice(measured.facts, network, last)


def across_devices(network: PaperNetwork, facts: Facts) -> PaperDevice:
    """Return what a network that was trained on devices with their hardware says of another."""
    return PaperDevice(facts, network, network.last)


def nearest(facts: Facts, devices: Sequence[MeasuredDevice]) -> MeasuredDevice:
    """Return the device to start from: one of the same runtime where there is one, alike in facts.

    Of several that are as near, the one with most measurements.
    """
    own = base_row(facts)

    def distance(device: MeasuredDevice) -> tuple[bool, float, int]:
        apart = float(np.linalg.norm(base_row(device.facts) - own))
        return device.facts.runtime != facts.runtime, round(apart, 3), -len(device.terms)

    return min(devices, key=distance)
