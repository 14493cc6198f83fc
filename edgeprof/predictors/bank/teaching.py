"""What devices of a user's own teach the bank.

Owns: the update of the populations. What a population expects (effects of facts, covariance) is the
prior; each device of one's own is one more example, as those of the tables were (``learning``).
They become a population of their own by runtime: what the shipped bank expects of their runtime,
moved as far as they show, with the doubt that is left. Does not own: where devices are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgeprof.predictors.bank.facts import log_peak
from edgeprof.predictors.bank.file import bank_bytes, read_bank
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.model import (
    NAMED_PRECISION,
    Bank,
    Population,
    Settled,
    facts_row,
    settle,
)
from edgeprof.predictors.bank.terms import Floats

_TRUST = 30.0
"""How many devices the covariance that is there counts as; those of one's own are fewer, mostly."""

_ROUNDS = 5
_MOST_ROWS = 200
"""More measurements of one device are not learned from: a random part of them says the same."""


def teach(bank: Bank, devices: Sequence[MeasuredDevice]) -> Bank:
    """Return the bank after devices of one's own.

    Args:
        bank: what was known.
        devices: states of devices; those of one name count together as some more than one.
    """
    named = {name for device in devices for name in device.facts.names}
    wider = _with_names(bank, sorted(named - set(bank.names)))
    groups: dict[str, list[MeasuredDevice]] = {}
    for device in devices:
        groups.setdefault(device.facts.population, []).append(_thinned(device))
    populations = {}
    for name, mine in groups.items():
        start = _start(wider, name, mine)
        populations[name] = _taught(start, wider.names, mine)
    provenance = {
        **bank.provenance,
        "taught_by": sorted({device.name for device in devices}),
    }
    taught = replace(wider, populations={**wider.populations, **populations}, provenance=provenance)
    return read_bank(bank_bytes(taught), "taught bank")  # rounded, as it is when it is kept


def _thinned(device: MeasuredDevice) -> MeasuredDevice:
    if len(device.terms) <= _MOST_ROWS:
        return device
    drawn = np.random.default_rng(0).permutation(len(device.terms))[:_MOST_ROWS]
    return device.take(np.sort(drawn))


def _start(bank: Bank, name: str, devices: Sequence[MeasuredDevice]) -> Population:
    """Return the population to start from: the one that makes the measurements most probable.

    Those of the same runtime, and that of all devices, as for a device of an unknown source. What
    is known of that source is expected of the user's own, ``name``.
    """
    runtime, found = devices[0].facts.runtime, []
    for source, population in bank.populations.items():
        if source.partition("@")[0] not in ("", runtime):
            continue
        if source in bank.names:
            effects = population.effects.copy()
            effects[bank.names.index(name)] = effects[bank.names.index(source)]
            population = replace(population, effects=effects)
        evidence = sum(_settled(device, bank.names, population).evidence for device in devices)
        found.append((evidence, population))
    return max(found, key=lambda pair: pair[0])[1]


def _with_names(bank: Bank, new: Sequence[str]) -> Bank:
    """Return the bank with further names of facts, of whose effects nothing is known."""
    if not new:
        return bank
    populations = {}
    for name, population in bank.populations.items():
        n_old, n_costs = population.effects.shape
        doubt = np.eye(n_old + len(new)) / NAMED_PRECISION
        doubt[:n_old, :n_old] = population.doubt
        effects = np.concatenate([population.effects, np.zeros((len(new), n_costs))])
        populations[name] = replace(population, effects=effects, doubt=doubt)
    return replace(bank, names=(*bank.names, *new), populations=populations)


def _taught(
    before: Population, names: tuple[str, ...], devices: Sequence[MeasuredDevice]
) -> Population:
    """Return a population after further devices: expectation and maximisation, a few rounds."""
    rows = np.array([facts_row(device.facts, names)[0] for device in devices])
    states = Counter(device.name for device in devices)
    weight = np.array([states[device.name] ** -0.5 for device in devices])
    weighted = rows * weight[:, None]
    precision = np.linalg.inv(before.doubt)
    doubt = np.linalg.inv(weighted.T @ rows + precision)
    found = replace(before, doubt=np.zeros_like(doubt))
    starts: list[Floats | None] = [None] * len(devices)
    for _ in range(_ROUNDS):
        spread = np.eye(len(before.factor)) * weight.sum()
        for at, device in enumerate(devices):
            settled = _settled(device, names, found, starts[at])
            starts[at] = settled.costs
            spread -= weight[at] * settled.reduction.T @ settled.reduction
        costs = np.array(starts)
        effects = doubt @ (weighted.T @ costs + precision @ before.effects)
        left, moved = costs - rows @ effects, effects - before.effects
        scatter = found.factor @ spread @ found.factor.T + (left * weight[:, None]).T @ left
        scatter += moved.T @ precision @ moved + _TRUST * before.factor @ before.factor.T
        factor = np.linalg.cholesky(scatter / (_TRUST + weight.sum()))
        found = replace(found, effects=effects, factor=factor)
    return replace(found, doubt=doubt)


def _settled(
    device: MeasuredDevice,
    names: tuple[str, ...],
    population: Population,
    start: Floats | None = None,
) -> Settled:
    """Return the posterior of a device's costs, relative to its peak."""
    target = np.log(device.latency_ms) + log_peak(device.facts)
    smooth = population.smooth.columns(device.terms)
    noise = population.noise_of(device.terms) + device.relative_se**2
    prior = population.prior(*facts_row(device.facts, names))
    return settle(prior, device.terms, smooth, target, noise, robust=True, start=start)
