"""Where the time goes: how the latencies of a device divide among kinds of layers.

Owns: the division. Nothing times layers apart: it is what fits the latencies of whole networks
best, by the layer costs that were given, or else by the bank and the device's own measurements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeprof.base.errors import DatasetError
from edgeprof.networks.layers import Block, Network
from edgeprof.networks.work import Kind
from edgeprof.predictors.bank.measured import Measured, facts_of_record
from edgeprof.predictors.bank.stored import device_costs
from edgeprof.predictors.bank.terms import TERMS, Floats, Terms
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.report.data import Device, Row

_MOST_NETWORKS = 200
"""Networks of a device that the division is made from, evenly chosen."""

_UNKNOWN_SE = 0.1

KINDS = tuple(Kind)


@dataclass(frozen=True)
class TimeByKind:
    """How the time of a device's networks, all together, divides among kinds of layers.

    Attributes:
        device: name of the device.
        shares: kind -> share of the time, the largest first.
        n_networks: how many networks these are.
        source: what divides it.
    """

    device: str
    shares: dict[str, float]
    n_networks: int
    source: str


def times_by_kind(
    devices: Sequence[Device], predictors: Iterable[tuple[str, LatencyPredictor]]
) -> list[TimeByKind]:
    """Return the division of each device of which networks with known layers were measured."""
    costs = {p.device: (label, p) for label, p in predictors if isinstance(p, LayerCosts)}
    amounts = _Amounts()
    found = []
    for device in devices:
        rows = [row for row in device.listed if row.is_measured]
        rows = rows[:: max(1, -(-len(rows) // _MOST_NETWORKS))]
        if not rows:
            continue
        if device.device in costs:
            label, model = costs[device.device]
            shares = _by_layer_costs(model, rows)
            found.append(TimeByKind(device.name, shares, len(rows), label))
        else:
            try:
                shares = _by_bank(device, rows, amounts)
            except DatasetError:  # nothing says what the device is
                continue
            found.append(TimeByKind(device.name, shares, len(rows), "the bank of devices"))
    return found


def _by_layer_costs(model: LayerCosts, rows: Sequence[Row]) -> dict[str, float]:
    total: dict[str, float] = {}
    for row in rows:
        assert row.layers is not None
        for cost in model.explain(row.layers):
            kind = cost.layer.kind.value
            total[kind] = total.get(kind, 0.0) + cost.latency_ms
    whole = sum(total.values())
    return _sorted({kind: latency_ms / whole for kind, latency_ms in total.items()})


def _by_bank(device: Device, rows: Sequence[Row], amounts: _Amounts) -> dict[str, float]:
    """Divide by the bank's costs of the device; those are linear in what layers ask for."""
    networks = tuple(row.layers for row in rows if row.layers is not None)
    se = np.array([row.evidence.se_rel for row in rows])
    measured = Measured(
        facts_of_record(device.measurements[-1].record),
        networks,
        np.array([row.latency_ms for row in rows]),
        np.where(np.isnan(se), _UNKNOWN_SE, se),
        tuple(device.spaces),
    )
    assert measured.facts is not None
    costs = device_costs(measured.facts, measured)
    by_kind = np.sum([amounts.of(network) for network in networks], axis=0)
    shares = costs.shares(by_kind)
    return _sorted({kind.value: float(s) for kind, s in zip(KINDS, shares, strict=True) if s})


def _sorted(shares: dict[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


@dataclass
class _Amounts:
    """What the layers of each kind ask for, summed up once per block."""

    found: dict[Block, Floats] = field(default_factory=dict)

    def of(self, network: Network) -> Floats:
        """Return (len(KINDS), len(TERMS)) of a network."""
        total = np.zeros((len(KINDS), len(TERMS)))
        for placed in network.blocks:
            block = placed.block
            if block not in self.found:
                by_kind = [[one for one in block.work if one.kind is kind] for kind in KINDS]
                self.found[block] = Terms.of(by_kind).amounts
            total += self.found[block]
        return total
