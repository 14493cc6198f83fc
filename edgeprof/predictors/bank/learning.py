"""Learning what devices share from measurements of many of them.

Owns: the steps of expectation and maximisation. Each device's costs are a Gaussian whose mean is
linear in the device's facts; given these, its posterior is ``model.settle``; given all posteriors,
the effects of facts and the covariance of devices follow (a matrix-normal and an inverse-Wishart
prior keep them sane where little was measured). Each source of measurements is a population of its
own, learned apart: devices differ in other ways under other runtimes; all together are the
population of whatever is of none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edgeprof.predictors.bank.facts import BASE_COLUMNS, Facts, log_peak
from edgeprof.predictors.bank.model import (
    N_COSTS,
    NAMED_PRECISION,
    Bank,
    DeviceCosts,
    Population,
    Smooth,
    alike,
    facts_row,
    settle,
)
from edgeprof.predictors.bank.terms import Floats, Terms

MOST_POINTS = 160
_ENOUGH = 0.02
_LEVEL_DEVIATION, _COST_DEVIATION, _SMOOTH_DEVIATION = 0.5, 0.5, 0.1
_TRUST = 15.0
"""How many devices the expected covariance counts as."""

_FACT_PRECISION = 0.5
_FIRST_NOISE = 0.05**2
_LEAST_NOISE = 0.01**2
_ROUNDS, _JUDGED_ROUNDS = 8, 5
_FEWEST_FAMILIES = 3
_FOLDS, _FEWEST_JUDGED, _PROBES = 3, 20, 5
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class Setting:
    """Measurements of one device as it was set.

    Attributes:
        board: its name.
        family: boards of one family are left out together.
        facts: what was known of it.
        networks: numbers of the measured networks among those of the table.
        latency_ms: of each.
    """

    board: str
    family: str
    facts: Facts
    networks: NDArray[np.int64]
    latency_ms: Floats


def spanning(terms: Terms, most: int = MOST_POINTS) -> Smooth:
    """Choose networks that span the others, by pivoted Cholesky."""
    left = np.ones(len(terms))
    factor = np.zeros((len(terms), min(most, len(terms))))
    chosen: list[int] = []
    while len(chosen) < factor.shape[1]:
        pivot = int(np.argmax(left))
        if left[pivot] < _ENOUGH:
            break
        known = len(chosen)
        column = alike(terms.likeness, terms.likeness[pivot : pivot + 1])[:, 0]
        rest = column - factor[:, :known] @ factor[pivot, :known]
        factor[:, known] = rest / np.sqrt(left[pivot])
        left = np.maximum(left - factor[:, known] ** 2, 0.0)
        chosen.append(pivot)
    return Smooth(terms.likeness[chosen].astype(np.float16).astype(np.float64))


def learn_bank(
    settings: Sequence[Setting], terms: Terms, *, say: Callable[[str], None] = lambda _: None
) -> Bank:
    """Learn a bank from measurements.

    Args:
        settings: devices as they were set, with their measurements.
        terms: of all networks of these.
        say: told about progress.
    """
    sources = {setting.facts.population for setting in settings}
    named = {name for setting in settings for name in setting.facts.names}
    names = (*BASE_COLUMNS, *sorted(named))
    populations = {}
    for source in ("", *sorted(sources)):
        mine = [setting for setting in settings if source in ("", setting.facts.population)]
        n_families = len({setting.family for setting in mine})
        if source and (len(sources) == 1 or n_families < _FEWEST_FAMILIES):
            continue
        learner = _Learner.of(mine, terms, names)
        found = replace(learner.learn(mine, _ROUNDS), stretch=learner.stretch(mine))
        populations[source] = found
        say(
            f"{source or 'all'}: {len(mine)} settings, {len(found.smooth.points)} networks that "
            f"span the others, deviation of measurements "
            f"{found.noise**0.5:.3f}, intervals stretched {found.stretch[0]:.2f}, "
            f"{found.stretch[1]:.2f}"
        )
    return Bank(names, populations)


@dataclass(frozen=True)
class _Learner:
    """What the steps of learning share: names of facts, networks, and their columns."""

    names: tuple[str, ...]
    terms: Terms
    smooth: Smooth
    columns: Floats

    @classmethod
    def of(cls, settings: Sequence[Setting], terms: Terms, names: tuple[str, ...]) -> _Learner:
        used = np.unique(np.concatenate([setting.networks for setting in settings]))
        smooth = spanning(terms.take(used))
        return cls(names, terms, smooth, smooth.columns(terms))

    def expected(self) -> Population:
        """Return devices of which nothing is known."""
        deviation = np.full(N_COSTS + self.columns.shape[1], _COST_DEVIATION)
        deviation[0] = _LEVEL_DEVIATION
        deviation[N_COSTS:] = _SMOOTH_DEVIATION
        names = self.names
        precision = np.full(len(names), _FACT_PRECISION)
        precision[len(BASE_COLUMNS) :] = NAMED_PRECISION
        precision[0] = 1e-2
        effects = np.zeros((len(names), len(deviation)))
        doubt = np.diag(1 / precision)
        return Population(self.smooth, effects, doubt, np.diag(deviation), _FIRST_NOISE)

    def learn(self, settings: Sequence[Setting], rounds: int) -> Population:
        """Return the population of these settings."""
        before = self.expected()
        rows = np.array([facts_row(s.facts, self.names)[0] for s in settings])
        weight = _weights(settings)
        precision = np.diag(1 / np.diag(before.doubt))
        weighted = rows * weight[:, None]
        doubt = np.linalg.inv(weighted.T @ rows + precision)
        found = replace(before, doubt=np.zeros_like(doubt))
        starts: list[Floats | None] = [None] * len(settings)
        for _ in range(rounds):
            spread = np.eye(len(before.factor)) * weight.sum()
            errors = []
            for at, setting in enumerate(settings):
                costs, reduction, error = self._posterior(setting, rows[at], found, starts[at])
                starts[at] = costs
                spread -= weight[at] * reduction.T @ reduction
                errors.append(error)
            posteriors = np.array(starts)
            effects = doubt @ weighted.T @ posteriors
            left = posteriors - rows @ effects
            scatter = found.factor @ spread @ found.factor.T + (left * weight[:, None]).T @ left
            scatter += effects.T @ precision @ effects + _TRUST * before.factor @ before.factor.T
            factor = np.linalg.cholesky(scatter / (_TRUST + weight.sum()))
            noise = max(float(np.mean(np.concatenate(errors))), _LEAST_NOISE)
            found = replace(found, effects=effects, factor=factor, noise=noise)
        return replace(found, doubt=doubt)

    def _posterior(
        self, setting: Setting, row: Floats, population: Population, start: Floats | None
    ) -> tuple[Floats, Floats, Floats]:
        """Return costs (relative to the peak), their reduction, and squared errors."""
        prior, at = population.prior(row), setting.networks
        target = np.log(setting.latency_ms) + log_peak(setting.facts)
        noise = np.full(len(at), population.noise)
        columns = self.columns[at]
        found = settle(prior, self.terms.take(at), columns, target, noise, robust=True, start=start)
        unsure = found.around.columns @ prior.factor
        variance = (unsure**2).sum(axis=1) - ((unsure @ found.reduction.T) ** 2).sum(axis=1)
        squares = (target - found.around.log_ms) ** 2 + np.maximum(variance, 0.0)
        return found.costs, found.reduction, squares * population.noise / found.noise

    def stretch(self, settings: Sequence[Setting]) -> tuple[float, float]:
        """Return how far errors of left-out families reach, without and with probes."""
        families = sorted({setting.family for setting in settings})
        reach: tuple[list[Floats], list[Floats]] = ([], [])
        for fold in range(_FOLDS):
            held = set(families[fold::_FOLDS])
            rest = [setting for setting in settings if setting.family not in held]
            population = self.learn(rest, _JUDGED_ROUNDS)
            for number, setting in enumerate(settings):
                if setting.family not in held or len(setting.networks) < _FEWEST_JUDGED:
                    continue
                bank = Bank(self.names, {"": population})
                for k, errors in zip((0, _PROBES), reach, strict=True):
                    errors.append(self._standard_errors(bank, setting, k, number))
        quantiles = [np.quantile(np.abs(np.concatenate(errors)), _CONFIDENCE) for errors in reach]
        one = NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2)
        return float(quantiles[0] / one), float(quantiles[1] / one)

    def _standard_errors(self, bank: Bank, setting: Setting, k: int, seed: int) -> Floats:
        """Return errors in deviations of all networks but ``k`` probes out of a random half."""
        terms, n = self.terms.take(setting.networks), len(setting.networks)
        device = DeviceCosts(bank, setting.facts)
        target, rest = np.log(setting.latency_ms), np.arange(n)
        if k:
            half = np.sort(np.random.default_rng(seed).permutation(n)[: n // 2])
            probes = half[device.choose_probes(terms.take(half), terms, k)]
            device = device.learn(terms.take(probes), setting.latency_ms[probes])
            rest = np.setdiff1d(rest, probes)
        log_ms, variance = device.predict_log(terms.take(rest))
        errors: Floats = (target[rest] - log_ms) / np.sqrt(variance)
        return errors


def _weights(settings: Sequence[Setting]) -> Floats:
    """Return how much each setting counts: those of one board and runtime share."""
    keys = [(setting.family, setting.facts.population) for setting in settings]
    counts = Counter(keys)
    return np.array([counts[key] ** -0.5 for key in keys])
