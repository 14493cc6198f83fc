"""Learning the weights of costs from latencies of networks.

Owns: the posterior. What is fitted is the logarithm of the latency, so that networks of 1 ms and of
1 s weigh alike. The logarithm of a sum is not linear in the weights: the posterior is found by
linearising again and again (Gauss-Newton with halved steps; Laplace's approximation), the variances
of the groups of weights by the marginal likelihood of the linearised model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from edgeprof.predictors.layers.costs import Costs, Linearised, Prepared
from edgeprof.predictors.layers.prior import DOUBT_VARIANCE, EXPECTED, LEVEL_VARIANCE
from edgeprof.predictors.layers.quantities import DOUBTED, Floats, LayerTable, kind_numbers
from edgeprof.predictors.layers.variances import fit_variances

_ROUNDS = 2
"""How often the variances are fitted, and the weights with them."""

_STEPS = 20
_HALVINGS = 8
_SMALL_GAIN = 0.02
"""Steps end where one takes off less than this from the negative logarithm of the posterior."""

_MOST_FITTED = 500
"""The variances are fitted on this many networks at most."""

_ALIKE = 0.01
"""Networks whose ``alike`` columns correlate more than this are left out together."""

_CONFIDENCE = 0.9
_STRETCHES = 1.0, 2.5
"""Smallest and largest factor of deviations: a few architectures that fit well narrow nothing."""

_FEW = 30
"""So many networks count half in that factor."""


@dataclass(frozen=True)
class Posterior:
    """What is known after learning.

    Attributes:
        costs: the most probable ones.
        variances: of the groups of weights and of the noise.
        reduction: (r, n_weights): its square is what the data take off the prior covariance.
        stretch: factor of deviations, see ``_stretch``.
    """

    costs: Costs
    variances: Mapping[str, float]
    reduction: Floats
    stretch: float = 1.0


@dataclass(frozen=True)
class _Data:
    """Networks with what was measured: logarithms and variances of their errors."""

    networks: Prepared
    target: Floats
    errors: Floats

    def aim(self, costs: Costs, around: Linearised) -> Floats:
        """Return what the columns should give, times the weights that are sought."""
        aim: Floats = self.target - np.log(around.total) + around.columns @ costs.weights
        return aim

    def noise(self, around: Linearised, variances: Mapping[str, float]) -> Floats:
        """Return the variance of each logarithm that no weight explains."""
        own = variances["own"] * _of_own(self.networks.table, around.layer_cost)
        noise: Floats = variances["noise"] + self.errors + own
        return noise


def learn(table: LayerTable, latency_ms: Floats, relative_se: Floats) -> Posterior:
    """Learn costs from latencies.

    Args:
        table: the networks' layers.
        latency_ms: (n_networks,), positive.
        relative_se: (n_networks,), standard errors relative to the latencies; 0 if not known.
    """
    costs = Costs.expected(table, latency_ms)
    data = _Data(costs.prepare(table), np.log(latency_ms), relative_se**2)
    variances = {name: expected.variance for name, expected in EXPECTED.items()}
    costs, reduction = _settle(costs, data, variances)
    for _ in range(_ROUNDS):
        variances = _fit_variances(costs, data)
        costs, reduction = _settle(costs, data, variances)
    if len(reduction) > reduction.shape[1]:
        reduction = np.asarray(np.linalg.qr(reduction, mode="r"), dtype=np.float64)
    return Posterior(costs, variances, reduction, _stretch(costs, data, variances))


def prior_of(posterior: Posterior, table: LayerTable, latency_ms: Floats) -> tuple[Floats, Floats]:
    """Return the covariance of networks' logarithms before learning, and the logarithms.

    Both are linearised around what was learned; the latter are relative to what is expected. The
    variances are the expected ones: those learned may come from the very rows in question.
    """
    costs = posterior.costs
    data = _Data(costs.prepare(table), np.log(latency_ms), np.zeros(len(latency_ms)))
    around = costs.linearise(data.networks)
    prior = costs.prior_variances({name: group.variance for name, group in EXPECTED.items()})
    return (around.columns * prior) @ around.columns.T, data.aim(costs, around)


def _stretch(costs: Costs, data: _Data, variances: Mapping[str, float]) -> float:
    """Return by what to multiply deviations for architectures that were not measured.

    Each network is predicted (as linearised) from those that are unlike it alone, so that twins in
    the data do not flatter the model.
    """
    around = costs.linearise(data.networks)
    covariance = (around.columns * costs.prior_variances(variances)) @ around.columns.T
    covariance += np.diag(data.noise(around, variances))
    inverse = np.linalg.inv(covariance)
    weights = inverse @ data.aim(costs, around)
    alike = data.networks.alike @ data.networks.alike.T > _ALIKE
    missed = np.empty(len(weights))
    for number, together in enumerate(alike):
        left_out = np.flatnonzero(together | (np.arange(len(weights)) == number))
        block = np.linalg.inv(inverse[np.ix_(left_out, left_out)])
        own = left_out == number
        missed[number] = (block[own] @ weights[left_out])[0] / np.sqrt(block[own, own][0])
    reach = float(np.quantile(np.abs(missed), _CONFIDENCE)) / NormalDist().inv_cdf(0.95)
    believed = len(missed) / (len(missed) + _FEW)
    return float(np.clip(reach**believed, *_STRETCHES))


def _settle(costs: Costs, data: _Data, variances: Mapping[str, float]) -> tuple[Costs, Floats]:
    """Return the most probable costs under these variances, and their reduction."""
    prior = costs.prior_variances(variances)
    around = costs.linearise(data.networks)
    noise = data.noise(around, variances)

    def loss(costs: Costs, around: Linearised) -> float:
        missed = data.target - np.log(around.total)
        return float((missed**2 / noise).sum() + (costs.weights**2 / prior).sum()) / 2

    best = loss(costs, around)
    for _ in range(_STEPS):
        scaled = around.columns * prior
        factor = np.linalg.cholesky(scaled @ around.columns.T + np.diag(noise))
        aimed = np.linalg.solve(factor, np.column_stack([data.aim(costs, around), scaled]))
        step = aimed[:, 1:].T @ aimed[:, 0] - costs.weights
        for halving in range(_HALVINGS):
            tried = costs.at(costs.weights + step / 2**halving)
            there = tried.linearise(data.networks)
            if (lost := loss(tried, there)) < best:
                break
        else:
            return costs, aimed[:, 1:]
        gain, best = best - lost, lost
        costs, around = tried, there
        if gain < _SMALL_GAIN:
            break
    return costs, aimed[:, 1:]


def _fit_variances(costs: Costs, data: _Data) -> dict[str, float]:
    around = costs.linearise(data.networks)
    n = len(data.target)
    rows = np.random.default_rng(0).permutation(n)[:_MOST_FITTED]
    columns = around.columns[rows]
    grams = {name: columns[:, at] @ columns[:, at].T for name, at in costs.groups.items()}
    grams["own"] = np.diag(_of_own(data.networks.table, around.layer_cost)[rows])
    grams["noise"] = np.eye(len(rows))
    fixed = LEVEL_VARIANCE + np.diag(data.errors[rows])
    aim = data.aim(costs, around)[rows]
    found = fit_variances([grams[name] for name in EXPECTED], fixed, aim, list(EXPECTED.values()))
    return dict(zip(EXPECTED, found.tolist(), strict=True))


@dataclass(frozen=True)
class Predicted:
    """Networks as they are predicted.

    Attributes:
        around: what they cost.
        deviation: standard deviation of the logarithm of each latency, noise included.
    """

    around: Linearised
    deviation: Floats


def predict(posterior: Posterior, table: LayerTable) -> Predicted:
    """Predict the networks of a table."""
    costs, variances = posterior.costs, posterior.variances
    networks = costs.prepare(table)
    around = costs.linearise(networks)
    variance = around.columns**2 @ costs.prior_variances(variances)
    variance -= ((around.columns @ posterior.reduction.T) ** 2).sum(axis=1)
    variance = np.maximum(variance, 0.0) + variances["noise"]
    variance += variances["own"] * _of_own(table, around.layer_cost)
    variance += variances["alike"] * np.maximum(1.0 - (networks.alike**2).sum(axis=1), 0.0)
    variance += _of_unseen_kinds(costs, variances, networks, around.terms)
    share = table.shares(around.layer_cost)
    for name, points in costs.shapes.items():
        variance += variances[name] * points.unexplained(table, share, networks.shapes[name])
    is_doubted = [kind.endswith(DOUBTED) for kind in table.kinds]
    variance += DOUBT_VARIANCE * around.terms[:, is_doubted].sum(axis=(1, 2)) ** 2
    return Predicted(around, posterior.stretch * np.sqrt(variance))


def _of_own(table: LayerTable, layer_cost: Floats) -> Floats:
    """Return by what to multiply the variance of each layer on its own, for each network.

    What is wrong with one layer's cost and with no other's averages out in a deep network.
    """
    squares = table.shares(layer_cost) ** 2
    return np.bincount(table.network, squares, table.n_networks).astype(np.float64)


def _of_unseen_kinds(
    costs: Costs, variances: Mapping[str, float], networks: Prepared, terms: Floats
) -> Floats:
    unseen = terms[:, networks.known < 0]
    variance: Floats = variances["kinds"] * (unseen.sum(axis=2) ** 2).sum(axis=1)
    variance += variances["terms"] * (unseen**2).sum(axis=(1, 2))
    of_new_base = kind_numbers(networks.table.base_names, costs.bases) < 0
    variance += variances["bases"] * (terms[:, of_new_base] ** 2).sum(axis=(1, 2))
    return variance
