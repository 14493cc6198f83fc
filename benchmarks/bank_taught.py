"""What a user's own boards teach the bank of the next one, on published measurements.

Prints a Markdown table. The bank is learned without MLPerf's table, as the bank of a user whose lab
no table knows; MLPerf's boards under one runtime are that lab. Each family of them is left out in
turn; ``n`` boards of the other families, drawn ``--draws`` times, teach the bank, and the boards
left out are predicted from k probes, which the taught bank chooses out of random two thirds of the
networks. A figure is the median over settings and draws of a draw's MAPE in percent.
Data below EDGEPROF_DATA (default ../shared/data), see ``bank_tables.py``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product

import numpy as np
from bank import FEWEST_NETWORKS, Found, Learned, judge, measured_of, told
from bank_tables import Tables, read_tables

from edgeprof.predictors.bank.learning import Setting, learn_bank
from edgeprof.predictors.bank.measured import MeasuredDevice
from edgeprof.predictors.bank.model import Bank
from edgeprof.predictors.bank.others import BANK
from edgeprof.predictors.bank.teaching import teach

PROBES = (0, 3, 5, 10)
TAUGHT_BY = (0, 1, 2, 4, 8)


def as_own(tables: Tables, setting: Setting) -> MeasuredDevice:
    """Return a setting as a user's own: its source is none that the bank knows."""
    facts = replace(setting.facts, source="", backend="")
    own = replace(setting, facts=facts)
    return measured_of(tables, own, np.arange(len(setting.networks)))


def taught_by(bank: Bank, lab: list[Setting], tables: Tables, n: int, draw: int) -> Bank:
    """Return the bank after ``n`` boards of a lab, each in all its settings."""
    boards = sorted({setting.board.split()[0] for setting in lab})
    drawn = np.random.default_rng(draw).permutation(boards)[:n]
    own = [as_own(tables, s) for s in lab if s.board.split()[0] in drawn]
    return teach(bank, [replace(one, name=one.name.split()[0]) for one in own])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=4, help="draws of the boards that teach")
    parser.add_argument("--runtime", default="tflite", help="of the lab: tflite or armnn")
    parser.add_argument("--only", nargs="*", default=("phones", "ncnn", "nano"),
                        help="tables that the bank is learned from")  # fmt: skip
    options = parser.parse_args()
    options.random, options.strategies = False, (BANK,)
    tables = read_tables((*options.only, "mlperf"))
    bank = learn_bank([s for s in tables.settings if s.facts.source != "mlperf"], tables.terms)
    lab = [s for s in tables.settings if s.facts.population == f"{options.runtime}@mlperf"]
    lab = [s for s in lab if len(s.networks) >= FEWEST_NETWORKS]
    found = {n: Found() for n in TAUGHT_BY}
    for family in sorted({s.family for s in lab if not s.family.startswith("x86")}):
        rest = [setting for setting in lab if setting.family != family]
        left_out = [as_own(tables, setting) for setting in lab if setting.family == family]
        for n in TAUGHT_BY:
            for draw in range(options.draws if n else 1):
                learned = Learned(taught_by(bank, rest, tables, n, draw) if n else bank, [])
                for k, one in product(PROBES, left_out):
                    [(_, *results)] = judge(learned, one, k, draw, options)
                    found[n].add(k, *results)
    print(f"| boards that teach | {' | '.join(f'k = {k}' for k in PROBES)} | 90 % hold at 0, 5 |")
    print("|---|" + "---|" * (len(PROBES) + 1))
    for n in TAUGHT_BY:
        mape = " | ".join(told(found[n].mape, k, np.median, ".1f") for k in PROBES)
        shares = ", ".join(told(found[n].held, k, np.mean, ".0%") for k in (0, 5))
        print(f"| {n} | {mape} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
