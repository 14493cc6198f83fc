"""Campaigns on a machine whose truth is known: speed states, other processes, luck per process."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgeprof.measuring.estimate import Samples

Floats = npt.NDArray[np.float64]
PREEMPTED = 1
STEP_S = 1e-3  # the machine's speed is drawn on this grid


@dataclass(frozen=True)
class Machine:
    """How a machine wanders.

    Attributes:
        states: speed states last .5 to 10 s, each slower than calm by up to this factor.
        busy_share: share of the states that are slower than calm.
        wander: standard deviation of a slow change (log) on top of the states.
        wander_s: its correlation time.
        noise: standard deviation of one sample's own noise (log).
        preemptions_per_s: how often another process takes the core, in the slow states.
        process_offset: standard deviation (log) of what one item has in one process.
        two_paths: arithmetic and memory have states of their own.
    """

    states: float = 2.0
    busy_share: float = 0.5
    wander: float = 0.01
    wander_s: float = 3.0
    noise: float = 0.005
    preemptions_per_s: float = 10.0
    process_offset: float = 0.0
    two_paths: bool = False


CALM = Machine(states=1.05, busy_share=0.2, wander=0.003, preemptions_per_s=0.5)
NEIGHBOURS = Machine(states=1.3)
BURNER = Machine(states=2.0, two_paths=True, preemptions_per_s=30.0)
WILD = Machine(states=4.0, busy_share=0.7, wander=0.03, noise=0.02, preemptions_per_s=50.0)


@dataclass(frozen=True)
class Plan:
    """What is visited: calm latencies in seconds and how far each item is bound by memory."""

    latency_s: Floats
    memory_share: Floats
    seconds: float
    n_processes: int = 3
    groups: tuple[tuple[int, ...], ...] = ()
    missing: frozenset[tuple[int, int]] = field(default_factory=frozenset)

    def visited(self, process: int) -> list[int]:
        groups = self.groups or (tuple(range(len(self.latency_s))),)
        group = groups[process // self.n_processes]
        return [item for item in group if (item, process) not in self.missing]


def simulate(plan: Plan, machine: Machine, seed: int) -> Samples:
    """Return the samples of one campaign; ``plan.seconds`` are those of all processes together."""
    rng = np.random.default_rng(seed)
    n_processes = plan.n_processes * max(1, len(plan.groups))
    each_s = plan.seconds / n_processes
    columns: list[list[float]] = [[] for _ in range(7)]
    start_s = 0.0
    for process in range(n_processes):
        paths = _paths(machine, 1.5 * each_s + 4 * float(plan.latency_s.max()), rng)
        _run_process(plan, machine, process, each_s, start_s, paths, rng, columns)
        start_s += each_s + 1.0
    item, process_of, round_, begin, latency, waited, disturbed = (np.array(c) for c in columns)
    return Samples(
        item=item.astype(np.int64),
        process=process_of.astype(np.int64),
        round=round_.astype(np.int64),
        begin_ns=(begin * 1e9).astype(np.int64),
        latency_ns=np.maximum(1, latency * 1e9).astype(np.int64),
        waited_ns=(waited * 1e9).astype(np.int64),
        disturbed=disturbed.astype(np.int64),
    )


def _run_process(plan, machine, process, each_s, start_s, paths, rng, columns) -> None:
    items = plan.visited(process)
    offsets = rng.normal(0, machine.process_offset, len(plan.latency_s))
    now_s, round_ = 0.0, 0
    while now_s < each_s and items:
        for item in rng.permutation(items):
            for is_timed in (False, True):
                latency_s = plan.latency_s[item] * np.exp(offsets[item])
                latency_s *= _slowdown(paths, plan.memory_share[item], now_s, latency_s)
                latency_s *= np.exp(machine.noise * rng.normal())
                waited_s = _waiting_s(machine, paths, now_s, latency_s, rng)
                latency_s += waited_s
                if is_timed:
                    bits = PREEMPTED if waited_s > 0.002 * latency_s else 0
                    # The kernel's account of the waiting is a little short of what it costs.
                    told_s = 0.9 * waited_s
                    row = (item, process, round_, start_s + now_s, latency_s, told_s, bits)
                    for column, value in zip(columns, row, strict=True):
                        column.append(value)
                now_s += latency_s
        round_ += 1


def _slowdown(paths: Floats, memory_share: float, now_s: float, latency_s: float) -> float:
    first = min(int(now_s / STEP_S), paths.shape[1] - 1)
    last = max(first + 1, int((now_s + latency_s) / STEP_S))
    arithmetic, memory = paths[:, first:last].mean(axis=1)
    return float(np.exp((1 - memory_share) * arithmetic + memory_share * memory))


def _waiting_s(machine: Machine, paths: Floats, now_s: float, latency_s: float, rng) -> float:
    slow = paths[:, min(int(now_s / STEP_S), paths.shape[1] - 1)].max()
    rate = machine.preemptions_per_s * float(np.clip(slow / 0.2, 0.0, 1.0))
    return float(rng.exponential(2e-3, rng.poisson(rate * latency_s)).sum())


def _paths(machine: Machine, seconds: float, rng: np.random.Generator) -> Floats:
    """Return float64 (2, n_steps): log slowdown of arithmetic and of memory."""
    n = int(seconds / STEP_S) + 1
    both = np.zeros((2, n))
    for path in both:
        at = 0
        while at < n:
            end = at + int(rng.uniform(0.5, 10.0) / STEP_S)
            if rng.random() < machine.busy_share:
                path[at:end] = rng.uniform(0, np.log(machine.states))
            at = end
        path += machine.wander * _slow_noise(n, machine.wander_s / STEP_S, rng)
    if not machine.two_paths:
        both[1] = both[0]
    return both


def _slow_noise(n: int, length: float, rng: np.random.Generator) -> Floats:
    """Return noise of unit variance that is correlated over ``length`` steps."""
    coarse = max(1, int(length / 10))
    decay = float(np.exp(-coarse / length))
    shocks = rng.normal(size=n // coarse + 2) * np.sqrt(1 - decay**2)
    values = np.empty_like(shocks)
    value = rng.normal()
    for index, shock in enumerate(shocks):
        value = decay * value + shock
        values[index] = value
    return np.interp(np.arange(n) / coarse, np.arange(len(values)), values)
