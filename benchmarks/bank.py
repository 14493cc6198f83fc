"""How well boards are predicted that no measurement was seen of, from k probes and from none.

Prints a Markdown table. Each family of boards is left out with every board that has the same or a
nearly related chip, in all tables; the bank of the others is learned anew (some families are left
out together: never two of one table with few). Of each setting (a board with its runtime and
threads) the probes are chosen by that bank out of random two thirds of the networks, ``--draws``
times; all networks but the probes are judged. A figure is the median over settings and draws of a
draw's MAPE. ``--random``: probes at random instead. ``--untold``: the bank is not told which table
a setting is of, as it is not told of a user's board.

``--strategies`` judges the paper's two strategies beside the bank, on the same boards, networks,
probes and draws: ``paper-finetune`` moves a network that was trained on one other setting (of the
same runtime, with the nearest facts), and needs probes; ``paper-gpu`` learns from all others with
their hardware as inputs, and takes none. Their training takes a minute or two a fold.

Families in DEVELOPED were looked at while the model was made; ``--unseen`` judges the others only.
Data below EDGEPROF_DATA (default ../shared/data), see ``bank_tables.py``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from bank_tables import INT8, Tables, read_tables

from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.learning import Setting, learn_bank
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.model import Bank, DeviceCosts
from edgeprof.predictors.bank.others import (
    BANK,
    FINE_TUNED,
    STRATEGIES,
    KnownDevice,
    learned_costs,
)
from edgeprof.predictors.bank.paper import PaperNetwork, across_devices, fine_tuned, nearest
from edgeprof.predictors.metrics import metrics_of

PROBES = (0, 3, 5, 10, 20)
FEWEST_NETWORKS = 20
DEVELOPED = frozenset(
    {"s10", "a12", "xavier", "amlogic-a73", "rk3588", "rk356x", "bcm2711", "sd810", "sd660", "zynq"}
)
FOLDS = 10
NOT_ARM = frozenset({"x86-c5", "x86-t2", "x86-zen4", "x86-zen5", "x86-emr", "sunway", "ingenic",
                     "jh7110", "th1520"})  # fmt: skip


@dataclass
class Found:
    """Results of one line of the table: by k, of each setting and draw."""

    mape: dict[int, list[float]] = field(default_factory=dict)
    held: dict[int, list[float]] = field(default_factory=dict)
    spearman: dict[int, list[float]] = field(default_factory=dict)
    settings: int = 0

    def add(self, k: int, mape: float, held: float, spearman: float) -> None:
        """Add one draw."""
        self.mape.setdefault(k, []).append(mape)
        self.held.setdefault(k, []).append(held)
        self.spearman.setdefault(k, []).append(spearman)


def lines_of(setting: Setting, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the lines of the table that a setting belongs to, and which of its networks."""
    is_int8 = np.array([names[at].endswith(INT8) for at in setting.networks])
    every = np.ones(len(is_int8), dtype=bool)
    facts = setting.facts
    if facts.source == "phones":
        used = setting.board.split()[1]
        if used == "1large":
            yield "phones, one large core, float", ~is_int8
            yield "phones, one large core, int8", is_int8
        elif used == "1small":
            yield "phones, one small core, float", ~is_int8
            yield "phones, one small core, int8", is_int8
        else:
            yield "phones, other cores, float and int8", every
    elif facts.source == "mlperf":
        for precision, which in (("float", ~is_int8), ("uint8", is_int8)):
            yield f"MLPerf, {facts.runtime}, {precision}", which
            yield f"MLPerf, {facts.runtime}, float and uint8", which
        is_old = [("/mobilenet-v1" in names[at]) or ("/mobilenet-v2" in names[at])
                  for at in setting.networks]  # fmt: skip
        yield f"MLPerf, {facts.runtime}, MobileNet v1 and v2, float", ~is_int8 & is_old
        yield f"MLPerf, {facts.runtime}, MobileNet v1 and v2, uint8", is_int8 & is_old
    elif facts.source == "ncnn":
        yield "ncnn, float and int8", every
    else:
        yield "Jetson Nano, ONNX Runtime", every


def measured_of(tables: Tables, setting: Setting, rows: np.ndarray) -> MeasuredDevice:
    """Return some of the measurements of a setting."""
    terms, latency = tables.terms.take(setting.networks[rows]), setting.latency_ms[rows]
    return MeasuredDevice(setting.board, setting.facts, terms, latency, setting.relative_se[rows])


@dataclass
class Learned:
    """What was learned from all boards but those that are left out."""

    bank: Bank
    others: list[MeasuredDevice]
    trained: dict[int, PaperNetwork] = field(default_factory=dict)

    @cached_property
    def across(self) -> PaperNetwork:
        """The network that is trained on all others with their hardware."""
        return PaperNetwork.train(self.others, with_hardware=True)

    def base(self, facts: Facts) -> PaperNetwork:
        """Return a network trained on the setting to start from."""
        device = nearest(facts, self.others)
        if id(device) not in self.trained:
            self.trained[id(device)] = PaperNetwork.train([device], with_hardware=False)
        return self.trained[id(device)]

    def known(self, strategy: str, probes: MeasuredDevice) -> KnownDevice | None:
        """Return what is known of a board by its probes; ``None`` where a strategy has no say."""
        facts, k = probes.facts, len(probes.terms)
        if strategy == BANK:
            return learned_costs(self.bank, probes) if k else DeviceCosts(self.bank, facts)
        if strategy == FINE_TUNED:
            return fine_tuned(self.base(facts), probes) if k else None
        return None if k else across_devices(self.across, facts)


def judge(
    learned: Learned, all_measured: MeasuredDevice, k: int, seed: int, options: argparse.Namespace
) -> Iterator[tuple[str, float, float, float]]:
    """Yield strategies, MAPE in percent, how many of the 90 % intervals hold, Spearman's rho."""
    terms, n = all_measured.terms, len(all_measured.terms)
    probes = order = np.random.default_rng([seed, k]).permutation(n)[: k if options.random else n]
    if not options.random:
        offered = np.sort(order[: max(2 * n // 3, k)])
        device = DeviceCosts(learned.bank, all_measured.facts)
        probes = offered[device.choose_probes(terms.take(offered), terms, k)] if k else order[:0]
    rest = np.setdiff1d(np.arange(n), probes)
    true = all_measured.latency_ms[rest]
    for strategy in options.strategies:
        known = learned.known(strategy, all_measured.take(probes))
        if known is not None:
            mean, low, high = known.predict(terms.take(rest))
            metrics = metrics_of(mean, true)
            held = float(np.mean((low <= true) & (true <= high)))
            yield strategy, 100 * metrics.mape, held, metrics.spearman


def folds_of(settings: Sequence[Setting]) -> list[set[str]]:
    """Return families that are left out together; those of tables with few families come apart."""
    sources: dict[str, set[str]] = {}
    for setting in settings:
        if setting.family not in NOT_ARM:
            sources.setdefault(setting.facts.population, set()).add(setting.family)
    fewest: dict[str, int] = {}
    for families in sources.values():
        for family in families:
            fewest[family] = min(len(families), fewest.get(family, len(families)))
    order = sorted(fewest, key=lambda family: (fewest[family], family))
    return [set(order[fold::FOLDS]) for fold in range(FOLDS)]


def run(tables: Tables, options: argparse.Namespace) -> dict[tuple[str, str], Found]:
    found: dict[tuple[str, str], Found] = {}
    for held in folds_of(tables.settings):
        judged = [s for s in tables.settings if s.family in held]
        if options.unseen:
            judged = [s for s in judged if s.family not in DEVELOPED]
        if not judged:
            continue
        kept = [s for s in tables.settings if s.family not in held]
        others = [measured_of(tables, s, np.arange(len(s.networks))) for s in kept]
        learned = Learned(learn_bank(kept, tables.terms), others)
        for setting in judged:
            for line, which in lines_of(setting, tables.names):
                if which.sum() >= FEWEST_NETWORKS and line.startswith(options.lines):
                    measured = measured_of(tables, setting, np.flatnonzero(which))
                    add_setting(found, line, learned, measured, options)
    return found


def add_setting(
    found: dict[tuple[str, str], Found],
    line: str,
    learned: Learned,
    measured: MeasuredDevice,
    options: argparse.Namespace,
) -> None:
    """Judge all draws of one setting, and add them to a line of the table."""
    for strategy in options.strategies:
        found.setdefault((line, strategy), Found()).settings += 1
    if options.untold:
        measured = replace(measured, facts=replace(measured.facts, source=""))
    for k in PROBES:
        for draw in range(options.draws if k else 1):
            for strategy, *results in judge(learned, measured, k, draw, options):
                found[line, strategy].add(k, *results)


def seconds_of_posterior(tables: Tables) -> float:
    """Return the seconds of a posterior from five probes with a prediction, the median of 20."""
    from edgeprof.predictors.bank.file import shipped_bank

    bank, setting, taken = shipped_bank(), tables.settings[0], []
    terms = tables.terms.take(setting.networks[:5])
    for _ in range(20):
        start = time.perf_counter()
        DeviceCosts(bank, setting.facts).learn(terms, setting.latency_ms[:5]).predict(terms)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def told(values: dict[int, list[float]], k: int, of: Callable[..., float], form: str) -> str:
    """Return what the draws with k probes have; a dash where a strategy has no say."""
    return format(of(values[k]), form) if k in values else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=4, help="draws of each setting")
    parser.add_argument("--random", action="store_true", help="probes at random, not chosen")
    parser.add_argument("--untold", action="store_true", help="the source is not told")
    parser.add_argument("--unseen", action="store_true", help="families never looked at only")
    parser.add_argument("--only", nargs="*", default=("phones", "mlperf", "ncnn", "nano"))
    parser.add_argument("--lines", default="", help="only those that begin with this")
    parser.add_argument("--strategies", nargs="*", choices=STRATEGIES, default=(BANK,))
    options = parser.parse_args()
    tables = read_tables(options.only)
    found = run(tables, options)
    heads = " | ".join(f"k = {k}" for k in PROBES)
    print(f"| MAPE %, median | by | settings | {heads} | 90 % hold at 0, 5 | Spearman at 0, 5 |")
    print("|---|---|---|" + "---|" * (len(PROBES) + 2))
    for (line, strategy), results in sorted(found.items()):
        mape = " | ".join(told(results.mape, k, np.median, ".1f") for k in PROBES)
        held = ", ".join(told(results.held, k, np.mean, ".0%") for k in (0, 5))
        rho = ", ".join(told(results.spearman, k, np.median, ".3f") for k in (0, 5))
        cells = (line, strategy, str(results.settings), mape, held, rho)
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\nposterior from 5 probes: {seconds_of_posterior(tables):.3f} s")


if __name__ == "__main__":
    main()
