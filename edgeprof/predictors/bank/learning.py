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
    facts_row,
    settle,
)
from edgeprof.predictors.bank.smooth import Smooth, alike
from edgeprof.predictors.bank.terms import Floats, Terms

MOST_POINTS = 160
_ENOUGH = 0.02
_LEVEL_DEVIATION, _COST_DEVIATION, _SMOOTH_DEVIATION = 0.5, 0.5, 0.1
_TRUST = 8.0
"""How many devices the expected covariance counts as."""

_FACT_PRECISION = 0.5
_COMMON_PRECISION, _EXPECTED_LEVEL = 1e-2, 0.0
_PARENT_PRECISION = 1.0
"""Of the effects of facts around those on all devices, in units of the covariance of devices."""

_FIRST_NOISE = 0.05**2
_LEAST_NOISE = 0.01**2
_ROUNDS, _JUDGED_ROUNDS = 8, 5
_FEWEST_FAMILIES = 3
_FOLDS, _FEWEST_JUDGED, _PROBES = 3, 20, 5
_CONFIDENCE = 0.9
_DISTURBED = 0.1
"""Mean relative standard error of a setting that counts half."""

_NOISES = (1.0, 2.0, 4.0, 8.0)
"""Multiples of the learned variance of measurements."""


@dataclass(frozen=True)
class Setting:
    """Measurements of one device as it was set.

    Attributes:
        board: its name.
        family: boards of one family are left out together.
        facts: what was known of it.
        networks: numbers of the measured networks among those of the table.
        latency_ms: of each.
        relative_se: of each, as far as it is known; otherwise 0.
    """

    board: str
    family: str
    facts: Facts
    networks: NDArray[np.int64]
    latency_ms: Floats
    relative_se: Floats | float = 0.0


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
    populations: dict[str, Population] = {}
    for source in ("", *sorted(sources)):
        mine = [setting for setting in settings if source in ("", setting.facts.population)]
        n_families = len({setting.family for setting in mine})
        if source and (len(sources) == 1 or n_families < _FEWEST_FAMILIES):
            continue
        learner = _Learner.of(mine, terms, names, populations.get(""))
        found = learner.judged(learner.learn(mine, _ROUNDS), mine)
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
    parent: Population | None

    @classmethod
    def of(
        cls,
        settings: Sequence[Setting],
        terms: Terms,
        names: tuple[str, ...],
        parent: Population | None = None,
    ) -> _Learner:
        used = np.unique(np.concatenate([setting.networks for setting in settings]))
        smooth = spanning(terms.take(used))
        return cls(names, terms, smooth, smooth.columns(terms), parent)

    def expected(self) -> Population:
        """Return what is expected of the population: what all devices have in common, if known."""
        deviation = np.full(N_COSTS + self.columns.shape[1], _COST_DEVIATION)
        deviation[0] = _LEVEL_DEVIATION
        deviation[N_COSTS:] = _SMOOTH_DEVIATION
        names, factor = self.names, np.diag(deviation)
        precision = np.full(len(names), _FACT_PRECISION)
        precision[len(BASE_COLUMNS) :] = NAMED_PRECISION
        precision[0] = _COMMON_PRECISION
        effects = np.zeros((len(names), len(deviation)))
        effects[0, 0] = _EXPECTED_LEVEL
        if self.parent is not None:
            effects[:, :N_COSTS] = self.parent.effects[:, :N_COSTS]
            factor[:N_COSTS, :N_COSTS] = self.parent.factor[:N_COSTS, :N_COSTS]
            precision[: len(BASE_COLUMNS)] = _PARENT_PRECISION
        doubt = np.diag(1 / precision)
        return Population(self.smooth, effects, doubt, factor, _FIRST_NOISE)

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
            effects = doubt @ (weighted.T @ posteriors + precision @ before.effects)
            left = posteriors - rows @ effects
            scatter = found.factor @ spread @ found.factor.T + (left * weight[:, None]).T @ left
            moved = effects - before.effects
            scatter += moved.T @ precision @ moved + _TRUST * before.factor @ before.factor.T
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
        noise = np.full(len(at), population.noise) + setting.relative_se**2
        columns = self.columns[at]
        found = settle(prior, self.terms.take(at), columns, target, noise, robust=True, start=start)
        unsure = found.around.columns @ prior.factor
        variance = (unsure**2).sum(axis=1) - ((unsure @ found.reduction.T) ** 2).sum(axis=1)
        squares = (target - found.around.log_ms) ** 2 + np.maximum(variance, 0.0)
        return found.costs, found.reduction, squares * population.noise / found.noise

    def judged(self, found: Population, settings: Sequence[Setting]) -> Population:
        """Return a population with the noise and the intervals that fit families left out.

        What a few probes are worth is not seen from devices that are known from all networks: the
        noise is the multiple of the learned one with which left-out devices are predicted best.
        """
        families = sorted({setting.family for setting in settings})
        guessed: list[Floats] = []
        probed: dict[float, list[tuple[Floats, Floats]]] = {factor: [] for factor in _NOISES}
        for fold in range(_FOLDS):
            held = set(families[fold::_FOLDS])
            rest = [setting for setting in settings if setting.family not in held]
            population = self.learn(rest, _JUDGED_ROUNDS)
            for number, setting in enumerate(settings):
                if setting.family not in held or len(setting.networks) < _FEWEST_JUDGED:
                    continue
                errors, deviations = self._errors(population, setting, 0, number)
                guessed.append(errors / deviations)
                for factor, results in probed.items():
                    noisy = replace(population, noise=population.noise * factor)
                    results.append(self._errors(noisy, setting, _PROBES, number))
        if not guessed:
            return found
        missed = {
            factor: np.mean([np.log(np.mean(np.abs(errors))) for errors, _ in results])
            for factor, results in probed.items()
        }
        best = min(missed, key=lambda factor: float(missed[factor]))
        standard = [errors / deviations for errors, deviations in probed[best]]
        stretch = (_reach(guessed), _reach(standard))
        return replace(found, noise=found.noise * best, stretch=stretch)

    def _errors(
        self, population: Population, setting: Setting, k: int, seed: int
    ) -> tuple[Floats, Floats]:
        """Return errors, and deviations, of all networks but ``k`` probes out of a random half."""
        terms, n = self.terms.take(setting.networks), len(setting.networks)
        device = DeviceCosts(Bank(self.names, {"": population}), setting.facts)
        target, rest = np.log(setting.latency_ms), np.arange(n)
        if k:
            half = np.sort(np.random.default_rng(seed).permutation(n)[: n // 2])
            probes = half[device.choose_probes(terms.take(half), terms, k)]
            se = np.broadcast_to(setting.relative_se, n)[probes]
            device = device.learn(terms.take(probes), setting.latency_ms[probes], se)
            rest = np.setdiff1d(rest, probes)
        log_ms, variance = device.predict_log(terms.take(rest))
        return target[rest] - log_ms, np.sqrt(variance)


def _reach(standard: Sequence[Floats]) -> float:
    """Return how many times too narrow intervals are, from errors in deviations."""
    reached = np.quantile(np.abs(np.concatenate(standard)), _CONFIDENCE)
    return float(reached / NormalDist().inv_cdf(0.5 + _CONFIDENCE / 2))


def _weights(settings: Sequence[Setting]) -> Floats:
    """Return how much each setting counts.

    Those of one board and runtime share; one that was disturbed while measured counts less.
    """
    keys = [(setting.family, setting.facts.population) for setting in settings]
    counts = Counter(keys)
    disturbed = [np.mean(setting.relative_se) / _DISTURBED for setting in settings]
    return np.array(
        [counts[key] ** -0.5 / (1 + much**2) for key, much in zip(keys, disturbed, strict=True)]
    )
