"""The bank's model of devices: what is expected of a device, and what measurements make of it.

A network takes ``exp(level) * sum over terms of amount * exp(cost)`` times ``exp`` of a smooth
function of what it consists of. The logarithms of all costs of a device, and the weights of the
smooth function, are one Gaussian vector: its mean follows from the facts of the device, its
covariance says how devices differ. Measurements turn it into a posterior, one or a thousand alike
(Gauss-Newton and Laplace's approximation: the logarithm of a sum is not linear).

Owns: ``Bank``, ``DeviceCosts`` and this update. Does not own: where the bank is learned
(``learning``) and kept (``file``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from edgeprof.predictors.bank.facts import BASE_COLUMNS, Facts, base_row, log_peak
from edgeprof.predictors.bank.smooth import Smooth
from edgeprof.predictors.bank.terms import TERMS, Floats, Terms
from edgeprof.predictors.base import LatencyInterval

N_COSTS = 1 + len(TERMS)
"""Level and costs, which stand before the weights of the smooth function."""

_STEPS, _HALVINGS, _SMALL_GAIN = 20, 6, 0.02
STUDENT = 4.0
"""Degrees of freedom of measurement errors while the bank is learned."""


@dataclass(frozen=True)
class Around:
    """Networks around given costs: logarithms of latencies, and their derivatives."""

    log_ms: Floats
    columns: Floats


def linearise(costs: Floats, terms: Terms, smooth: Floats) -> Around:
    """Return what networks cost; ``smooth``: their columns."""
    parts = terms.amounts * np.exp(costs[0] + costs[1:N_COSTS])
    total = parts.sum(axis=1)
    log_ms = np.log(total) + smooth @ costs[N_COSTS:]
    ones = np.ones((len(total), 1))
    return Around(log_ms, np.concatenate([ones, parts / total[:, None], smooth], axis=1))


@dataclass(frozen=True)
class Prior:
    """What is expected of a device: mean of its costs and a factor of their covariance."""

    mean: Floats
    factor: Floats


@dataclass(frozen=True)
class Settled:
    """A posterior of a device's costs.

    Attributes:
        costs: the most probable ones.
        reduction: (n, n_costs), in the coordinates of the prior's factor: its square is what the
            measurements take off the unit covariance.
        around: the measured networks.
        noise: (n,), the variances that the measurements were given.
        evidence: logarithm of how probable the prior makes the measurements, but for a constant.
    """

    costs: Floats
    reduction: Floats
    around: Around
    noise: Floats
    evidence: float


def settle(
    prior: Prior, terms: Terms, smooth: Floats, log_ms: Floats, noise: Floats,
    *, robust: bool = False, start: Floats | None = None,
) -> Settled:  # fmt: skip
    """Return the posterior of a device's costs.

    Args:
        prior: before the measurements.
        terms: of the measured networks.
        smooth: columns of these.
        log_ms: logarithms of their latencies.
        noise: (n,), their variances.
        robust: whether measurements far off weigh less.
        start: costs to start from, near the most probable ones.
    """
    at: Floats = np.zeros(len(prior.mean))  # costs = mean + factor @ at
    if start is not None:
        at = np.asarray(np.linalg.solve(prior.factor, start - prior.mean), dtype=np.float64)
    around = linearise(prior.mean + prior.factor @ at, terms, smooth)
    for _ in range(_STEPS):
        missed = log_ms - around.log_ms
        given = (STUDENT * noise + missed**2) / (STUDENT + 1) if robust else noise
        columns = around.columns @ prior.factor
        gram = columns @ columns.T + np.diag(given)
        step = columns.T @ np.linalg.solve(gram, missed + columns @ at) - at
        before = float((missed**2 / given).sum() + at @ at)
        for part in 0.5 ** np.arange(_HALVINGS):
            tried = at + part * step
            there = linearise(prior.mean + prior.factor @ tried, terms, smooth)
            gain = before - float(((log_ms - there.log_ms) ** 2 / given).sum() + tried @ tried)
            if gain > 0:
                break
        if gain < _SMALL_GAIN:
            break
        at, around = tried, there
    lower = np.linalg.cholesky(gram)
    reduction: Floats = np.asarray(np.linalg.solve(lower, columns))
    evidence = -0.5 * before - float(np.log(np.diag(lower)).sum())
    return Settled(prior.mean + prior.factor @ at, reduction, around, given, evidence)


@dataclass(frozen=True)
class Population:
    """Devices of one kind: how their costs follow from facts, and how they differ.

    Attributes:
        smooth: the networks measured on them that span the others.
        effects: (n_names, n_costs), what each fact does to the mean.
        doubt: (n_names, n_names), how little that is known, in units of the covariance.
        factor: (n_costs, n_costs), of the covariance of devices that have the same facts.
        noise: variance of the logarithm of a measurement.
        stretch: factors of deviations without and with measurements, from families of boards that
            were left out.
    """

    smooth: Smooth
    effects: Floats
    doubt: Floats
    factor: Floats
    noise: float
    stretch: tuple[float, float] = (1.0, 1.0)

    def prior(self, row: Floats, n_unknown: int = 0) -> Prior:
        """Return what is expected of a device with these facts.

        Args:
            row: its facts, see ``facts_row``; the level is relative to its peak.
            n_unknown: number of its names that nothing is known of.
        """
        scale = 1.0 + row @ self.doubt @ row + n_unknown / NAMED_PRECISION
        return Prior(row @ self.effects, np.sqrt(scale) * self.factor)

    @cached_property
    def smooth_variance(self) -> float:
        """The variance of the smooth function of a network that is unlike all others."""
        return float(np.mean((self.factor[N_COSTS:] ** 2).sum(axis=1)))

    def noise_of(self, terms: Terms) -> Floats:
        """Return the variances of measurements, and of what the smooth function cannot express."""
        return self.noise_at(self.smooth.columns(terms))

    def noise_at(self, smooth: Floats) -> Floats:
        """Return the same of networks with these columns."""
        left: Floats = np.maximum(1.0 - (smooth**2).sum(axis=1), 0.0)
        return self.noise + self.smooth_variance * left


@dataclass(frozen=True)
class Bank:
    """What many devices share.

    Attributes:
        names: columns of the facts: ``BASE_COLUMNS``, then runtimes and sources.
        populations: by runtime and source; ``""`` is all devices together.
        provenance: what it was learned from.
    """

    names: tuple[str, ...]
    populations: Mapping[str, Population]
    provenance: Mapping[str, object] = field(default_factory=dict)

    def members(self, facts: Facts) -> tuple[Member, ...]:
        """Return a device as one of the populations that it may belong to.

        That of its source. Where the bank does not know the source, those of its runtime and all
        devices together: measurements tell which of them is it.
        """
        if facts.population in self.populations:
            return (self._member(facts.population, facts),)
        sources = [
            name.partition("@")[2]
            for name in self.populations
            if name.partition("@")[0] == facts.runtime
        ]
        named = [replace(facts, source=source) for source in sources]
        none_of_them = self._member("", facts, _CHANCE_OF_NONE if named else 1.0)
        return (none_of_them, *(self._member(one.population, one) for one in named))

    def _member(self, name: str, facts: Facts, chance: float = 1.0) -> Member:
        population = self.populations[name]
        prior = population.prior(*facts_row(facts, self.names))
        prior.mean[0] -= log_peak(facts)
        return Member(population, prior, chance)


_CHANCE_OF_NONE = 0.1
"""That a device is like none of the sources of its runtime, to that it is of a certain one."""

NAMED_PRECISION = 1.0
"""Of the effect of a runtime or a source, in units of the covariance of devices."""


def facts_row(facts: Facts, names: tuple[str, ...]) -> tuple[Floats, int]:
    """Return facts as a row, and the number of names that the bank does not know."""
    row = np.zeros(len(names))
    row[: len(BASE_COLUMNS)] = base_row(facts)
    for name in facts.names:
        if name in names:
            row[names.index(name)] = 1.0
    return row, sum(name not in names for name in facts.names)


@dataclass(frozen=True)
class Member:
    """A device as one of a population.

    Attributes:
        population: its like.
        prior: what was expected before measurements.
        chance: how probable it is of this population before them, relative to others.
        settled: the posterior; None without measurements.
    """

    population: Population
    prior: Prior
    chance: float = 1.0
    settled: Settled | None = None

    def learn(self, terms: Terms, log_ms: Floats, variance: Floats) -> Member:
        """Return the device after measurements with these variances; they replace earlier ones."""
        smooth = self.population.smooth.columns(terms)
        noise = self.population.noise_of(terms) + variance
        settled = settle(self.prior, terms, smooth, log_ms, noise, robust=True)
        return replace(self, settled=settled)

    @property
    def costs(self) -> Floats:
        """The most probable costs."""
        return self.prior.mean if self.settled is None else self.settled.costs

    @cached_property
    def _reduction(self) -> Floats:
        """That of ``settled``, with as many rows as costs where more was measured."""
        assert self.settled is not None
        reduction = self.settled.reduction
        if len(reduction) <= reduction.shape[1]:
            return reduction
        return np.asarray(np.linalg.qr(reduction, mode="r"), dtype=np.float64)

    def mean_log(self, terms: Terms) -> Floats:
        """Return the mean of the logarithm of each latency."""
        total = terms.amounts @ np.exp(self.costs[0] + self.costs[1:N_COSTS])
        smooth = self.population.smooth.values(terms, self.costs[N_COSTS:])
        log_ms: Floats = np.log(total) + smooth
        return log_ms

    def predict_log(self, terms: Terms) -> tuple[Floats, Floats]:
        """Return mean and variance of the logarithm of each latency."""
        smooth = self.population.smooth.columns(terms)
        around = linearise(self.costs, terms, smooth)
        columns = around.columns @ self.prior.factor
        variance = (columns**2).sum(axis=1)
        if self.settled is not None:
            variance -= ((columns @ self._reduction.T) ** 2).sum(axis=1)
        variance = np.maximum(variance, 0.0) + self.population.noise_at(smooth)
        return around.log_ms, variance * self.population.stretch[self.settled is not None] ** 2

    def deviations(self, terms: Terms) -> Floats:
        """Return how the logarithms deviate from their means, as columns of unit Gaussians."""
        smooth = self.population.smooth.columns(terms)
        found: Floats = linearise(self.prior.mean, terms, smooth).columns @ self.prior.factor
        return found


@dataclass(frozen=True)
class DeviceCosts:
    """What is known of one device.

    Attributes:
        bank: of all devices.
        facts: of this one.
        learned: it as one of each population, after measurements; None without.
    """

    bank: Bank
    facts: Facts
    learned: tuple[Member, ...] | None = None

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """It as one of each population that it may belong to."""
        return self.learned or self.bank.members(self.facts)

    @cached_property
    def weights(self) -> Floats:
        """How probable it is of each of these, by its measurements."""
        evidence = np.array(
            [0.0 if one.settled is None else one.settled.evidence for one in self.members]
        )
        chances = np.array([one.chance for one in self.members])
        likely = chances * np.exp(evidence - evidence.max())
        weights: Floats = likely / likely.sum()
        return weights

    def learn(
        self, terms: Terms, latency_ms: Floats, relative_se: Floats | None = None
    ) -> DeviceCosts:
        """Return the device after measurements; they replace earlier ones.

        Args:
            terms: of the measured networks.
            latency_ms: of each, positive.
            relative_se: standard errors relative to the latencies, where they are known.
        """
        variance = np.zeros(len(terms)) if relative_se is None else relative_se**2
        log_ms = np.log(latency_ms)
        members = self.bank.members(self.facts)
        return DeviceCosts(
            self.bank, self.facts, tuple(one.learn(terms, log_ms, variance) for one in members)
        )

    def predict(self, terms: Terms, confidence: float = 0.9) -> LatencyInterval:
        """Return the latency of each network in ms, with the central interval."""
        log_ms, variance = self.predict_log(terms)
        reach = NormalDist().inv_cdf(0.5 + confidence / 2) * np.sqrt(variance)
        return LatencyInterval(np.exp(log_ms), np.exp(log_ms - reach), np.exp(log_ms + reach))

    def mean_ms(self, terms: Terms) -> Floats:
        """Return the latency of each network in ms; what searches ask for again and again."""
        mean: Floats = self.weights @ np.array([one.mean_log(terms) for one in self.members])
        return np.exp(mean)

    def shares(self, amounts: Floats) -> Floats:
        """Return how the time of a whole is divided among its parts, each of some amounts."""
        each = []
        for member in self.members:
            parts = amounts @ np.exp(member.costs[1:N_COSTS])
            each.append(parts / parts.sum())
        shares: Floats = self.weights @ np.array(each)
        return shares

    def predict_log(self, terms: Terms) -> tuple[Floats, Floats]:
        """Return mean and variance of the logarithm of each latency."""
        each = [member.predict_log(terms) for member in self.members]
        means, variances = (np.array(part) for part in zip(*each, strict=True))
        mean: Floats = self.weights @ means
        return mean, self.weights @ (variances + (means - mean) ** 2)

    def choose_probes(self, candidates: Terms, targets: Terms, k: int) -> list[int]:
        """Choose the networks that tell most about others, one after the other.

        Each takes the most off the mean variance of the targets' logarithms.
        """
        state = []
        for member in self.members:
            mine, theirs = member.deviations(candidates), member.deviations(targets)
            noise = member.population.noise_of(candidates)
            state.append((mine @ mine.T, theirs @ mine.T, noise))
        chosen: list[int] = []
        for _ in range(min(k, len(candidates))):
            gains = [(cross**2).sum(axis=0) / (np.diag(own) + noise) for own, cross, noise in state]
            gain = self.weights @ np.array(gains)
            gain[chosen] = -1.0
            best = int(np.argmax(gain))
            chosen.append(best)
            for own, cross, noise in state:
                row = own[best] / (own[best, best] + noise[best])
                cross -= np.outer(cross[:, best], row)
                own -= np.outer(own[:, best], row)
        return chosen
