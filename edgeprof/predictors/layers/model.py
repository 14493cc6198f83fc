"""The predictor of any network: subnets, model files and single layers alike.

Owns: ``LayerCosts``, its file, and what an answer rests on. Does not own: the model (``costs``) and
how it is learned (``learning``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.work import NetworkLayer
from edgeprof.predictors.base import (
    Latencies,
    LatencyInterval,
    Networks,
    Origin,
    as_network,
    described,
    each_of,
)
from edgeprof.predictors.gp.contradictions import Contradicted
from edgeprof.predictors.host_file import Arrays, Meta
from edgeprof.predictors.layers.compact import BlockSums, CompactLayerCosts
from edgeprof.predictors.layers.contradictions import find_contradicted
from edgeprof.predictors.layers.costs import Costs
from edgeprof.predictors.layers.learning import Posterior, Predicted, learn, predict
from edgeprof.predictors.layers.prior import EXPECTED, LENGTHS
from edgeprof.predictors.layers.quantities import (
    DOUBTED,
    QUANTITIES_VERSION,
    Floats,
    LayerTable,
    kind_of,
)
from edgeprof.predictors.layers.smooth import OfLayers, OfNetworks
from edgeprof.predictors.layers.tables import CostTables

MOST_NETWORKS = 2000
"""More are not learned from: a random part of them says the same."""

Layers = Network | Sequence[NetworkLayer]


@dataclass(frozen=True)
class LayerCost:
    """One layer of a prediction.

    Attributes:
        layer: what it is.
        latency_ms: its part of the network's latency.
        is_measured: whether layers of its kind were learned from.
    """

    layer: NetworkLayer
    latency_ms: float
    is_measured: bool


@dataclass(frozen=True)
class Basis:
    """What a prediction rests on.

    Attributes:
        n_networks: how many were learned from.
        unmeasured: operator -> share of the latency from kinds of layers never measured.
        doubted: reason -> operator -> share of the latency from layers whose numbers are a guess.
    """

    n_networks: int
    unmeasured: Mapping[str, float]
    doubted: Mapping[str, Mapping[str, float]]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know, one sentence each."""
        found = []
        if self.unmeasured:
            found.append(
                f"{_percent(sum(self.unmeasured.values()))} of the predicted time is from kinds of "
                f"layers never measured here: {', '.join(self.unmeasured)}"
            )
        found += [
            f"{_percent(sum(shares.values()))} of the predicted time is a guess: {reason} "
            f"({', '.join(shares)})"
            for reason, shares in self.doubted.items()
        ]
        return tuple(found)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"


class LayerCosts:
    """Latencies of networks on one device, as sums of learned layer costs.

    Attributes:
        device: name of the device.
        space: id of the space of the subnets that it predicts; ``""`` where none is set.
        notes: what a user should know about the fit.
        n_networks: how many networks it learned from.
        posterior: what it learned.
        origin: where it comes from, and which rows it learned from.
    """

    kind: ClassVar[str] = "layers"
    is_of_any_space: ClassVar[bool] = True
    origin: Origin = Origin(learned=None)

    def __init__(self, device: str = "", space: str = "") -> None:
        self.device = device
        self.space = space
        self.notes: tuple[str, ...] = ()
        self.n_networks = 0
        self.posterior: Posterior | None = None
        self._sums: BlockSums | None = None

    def fit(
        self,
        networks: Sequence[Layers],
        latency_ms: Sequence[float] | Floats,
        latency_se_ms: Sequence[float] | Floats | None = None,
        *,
        seed: int = 0,
    ) -> LayerCosts:
        """Learn from measured networks.

        Args:
            networks: at least one; networks or their layers.
            latency_ms: of each, positive.
            latency_se_ms: their standard errors, NaN where they are not known.
            seed: of the draw where there are more than ``MOST_NETWORKS``.

        Raises:
            DatasetError: without networks, or on latencies that are not positive numbers.
        """
        latency = np.asarray(latency_ms, dtype=np.float64)
        if not len(latency) or len(networks) != len(latency):
            raise DatasetError(
                f"{len(networks)} networks and {len(latency)} latencies: want as "
                "many of both, at least one"
            )
        if not (np.isfinite(latency) & (latency > 0)).all():
            raise DatasetError("a latency is no positive number of milliseconds")
        error = _relative(latency_se_ms, latency)
        rows = np.sort(np.random.default_rng(seed).permutation(len(latency))[:MOST_NETWORKS])
        if len(rows) < len(latency):
            self.notes = (f"learned from {len(rows)} of {len(latency)} networks, drawn at random",)
        table = LayerTable.of([_layers_of(networks[row]) for row in rows])
        self.posterior, self._sums = learn(table, latency[rows], error[rows]), None
        self.n_networks = len(rows)
        return self

    def contradicted(
        self,
        networks: Sequence[Layers],
        latency_ms: Sequence[float] | Floats,
        latency_se_ms: Sequence[float] | Floats | None = None,
    ) -> Contradicted:
        """Return which of these networks the others contradict, by what was learned.

        Args:
            networks: as for ``fit``, which may have left some of them out.
            latency_ms: of each.
            latency_se_ms: their standard errors, NaN where they are not known.
        """
        latency = np.asarray(latency_ms, dtype=np.float64)
        table = LayerTable.of([_layers_of(network) for network in networks])
        return find_contradicted(self._learned, table, latency, _relative(latency_se_ms, latency))

    # --- predicting -----------------------------------------------------------------------------

    def predict(self, subnets: Networks) -> Latencies:
        """Return the latency of each subnet, network or model file in ms.

        Blocks are worked out once.
        """
        if self._sums is None:
            self._sums = BlockSums(CostTables.of(self._learned.costs))
        return self._sums.latencies([as_network(item) for item in each_of(subnets)])

    def __repr__(self) -> str:
        return described(self)

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes of ``space`` in ms."""
        return self.predict(get_space(self.space).decode(codes))

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """Return the latency of each row of codes of ``space``, with an interval."""
        space = get_space(self.space)
        networks = [space.layers(subnet) for subnet in space.decode(codes)]
        return self.predict_networks(networks, confidence)

    def predict_networks(
        self, networks: Sequence[Layers], confidence: float = 0.9
    ) -> LatencyInterval:
        """Return the latency of each network in ms, with the central interval."""
        found = self._predicted(networks)
        reach = np.exp(NormalDist().inv_cdf(0.5 + confidence / 2) * found.deviation)
        latency = found.around.total
        return LatencyInterval(latency, latency / reach, latency * reach)

    def explain(self, network: Layers) -> tuple[LayerCost, ...]:
        """Return what each layer costs; the sum is the network's latency."""
        layers = network.work if isinstance(network, Network) else network
        found = self._predicted([layers])
        numbers = LayerTable.of([[layer] for layer in layers]).layer
        cost = found.around.layer_cost[numbers]
        cost = cost * (found.around.total[0] / cost.sum())
        measured = {kind.rstrip(DOUBTED) for kind in self._learned.costs.kinds}
        return tuple(
            LayerCost(layer, float(part), kind_of(layer).rstrip(DOUBTED) in measured)
            for layer, part in zip(layers, cost, strict=True)
        )

    def basis(self, network: Layers) -> Basis:
        """Return what the prediction of a network rests on."""
        costs = self.explain(network)
        total = sum(cost.latency_ms for cost in costs)
        unmeasured: dict[str, float] = {}
        doubted: dict[str, dict[str, float]] = {}
        for cost in costs:
            share, operator = cost.latency_ms / total, cost.layer.operator
            if cost.layer.doubt:
                of_reason = doubted.setdefault(cost.layer.doubt, {})
                of_reason[operator] = of_reason.get(operator, 0.0) + share
            if not cost.is_measured:
                unmeasured[operator] = unmeasured.get(operator, 0.0) + share
        guesses = {reason: _largest_first(shares) for reason, shares in doubted.items()}
        return Basis(self.n_networks, _largest_first(unmeasured), guesses)

    @property
    def _learned(self) -> Posterior:
        if self.posterior is None:
            raise PredictorFormatError("layer costs: nothing was learned yet; call fit first")
        return self.posterior

    def _predicted(self, networks: Sequence[Layers]) -> Predicted:
        return predict(self._learned, LayerTable.of([_layers_of(item) for item in networks]))

    # --- keeping --------------------------------------------------------------------------------

    def compact(self, provenance: Mapping[str, object]) -> CompactLayerCosts:
        """Return the costs without their intervals, for boards."""
        stated = {**self.origin.provenance, "n": self.n_networks, **provenance}
        return CompactLayerCosts.of(self._learned.costs, self.device, self.space, stated)

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``."""
        costs = self._learned.costs
        meta: Meta = {
            "quantities_version": QUANTITIES_VERSION,
            "device": self.device,
            "space": self.space,
            "notes": list(self.notes),
            "n_networks": self.n_networks,
            "kinds": list(costs.kinds),
            "level": costs.level,
            "variances": dict(self._learned.variances),
            "stretch": self._learned.stretch,
        }
        arrays: Arrays = {
            "weights": costs.weights,
            "reduction": self._learned.reduction.astype(np.float32),
            "alike": costs.alike.points,
        }
        for name, points in costs.shapes.items():
            arrays[f"{name}_kind"] = points.kind
            arrays[f"{name}_position"] = points.position
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> LayerCosts:
        """See ``host_file``."""
        if meta["quantities_version"] != QUANTITIES_VERSION:
            raise PredictorFormatError(
                f"layer costs of {meta['device']}: quantities version "
                f"{meta['quantities_version']}, want {QUANTITIES_VERSION}: train it anew"
            )
        kinds = tuple(meta["kinds"])
        shapes = {
            name: OfLayers(length, kinds, arrays[f"{name}_kind"], arrays[f"{name}_position"])
            for name, length in LENGTHS.items()
        }
        alike = OfNetworks(arrays["alike"])
        costs = Costs(kinds, float(meta["level"]), shapes, alike, arrays["weights"])
        variances = {name: float(meta["variances"].get(name, 0.0)) for name in EXPECTED}
        model = cls(meta["device"], meta["space"])
        model.notes, model.n_networks = tuple(meta["notes"]), int(meta["n_networks"])
        reduction = arrays["reduction"].astype(np.float64)
        model.posterior = Posterior(costs, variances, reduction, float(meta["stretch"]))
        return model


def _relative(latency_se_ms: Sequence[float] | Floats | None, latency_ms: Floats) -> Floats:
    """Return standard errors relative to the latencies; 0 where they are not known."""
    if latency_se_ms is None:
        return np.zeros(len(latency_ms))
    errors: Floats = np.nan_to_num(np.asarray(latency_se_ms, dtype=np.float64)) / latency_ms
    return errors


def _largest_first(shares: dict[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _layers_of(network: Layers) -> Sequence[NetworkLayer]:
    """Return a network's layers; their names are those within their blocks."""
    if isinstance(network, Network):
        return [layer for placed in network.blocks for layer in placed.block.work]
    return network
