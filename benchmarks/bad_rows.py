"""What bad rows cost: a few of the training rows are made too slow, and are to be found.

    EDGEPROF_DATA=../shared/data python benchmarks/bad_rows.py [--draws 10] [--rows 28] [--bad 3]

Prints for each device the MAPE on held-out rows, mean over draws, of a Gaussian process fitted to

    clean    all rows as they were published
    rest     the clean rows alone, the bad ones left out by hand: what can be reached
    plain    all rows, the bad ones learned from
    robust   all rows, as `edgeprof train` does it

with what robust loses against clean and against rest, and how many bad (and good) rows it left out.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeprof.predictors.examples import Examples
from edgeprof.predictors.gp.contradictions import fit_robustly
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.metrics import evaluate
from edgeprof.records.dataset import Dataset, read_dataset

DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
DEVICES = {
    "rtx2080ti_b64": ("ofanas_2021.csv.gz", 7000),
    "tesla_p40_b64": ("ofanas_2021.csv.gz", 7000),
    "2080ti_1": ("help_ofa_2021.csv.gz", 4000),
    "2080ti_32": ("help_ofa_2021.csv.gz", 4000),
    "titan_rtx_1": ("help_ofa_2021.csv.gz", 4000),
    "titan_rtx_64": ("help_ofa_2021.csv.gz", 4000),
}
N_JUDGED = 500


def one_draw(data: Dataset, judged: Dataset, n_bad: int, factor: float, seed: int) -> list[float]:
    """Return the four MAPEs, and how many bad and good rows were left out."""
    bad = np.random.default_rng(seed).choice(len(data), n_bad, replace=False)
    rest = np.setdiff1d(np.arange(len(data)), bad)
    latency_ms = data.latency_ms.copy()
    latency_ms[bad] *= factor
    spoiled = replace(data, latency_ms=latency_ms)
    robust, left_out = fit_robustly(Examples.of(spoiled))
    models = (
        GaussianProcess().fit(data),
        GaussianProcess().fit(data.take(rest)),
        GaussianProcess().fit(spoiled),
        robust,
    )
    found = len(np.intersect1d(left_out.positions, bad))
    mapes = [evaluate(model, judged).mape for model in models]
    return [*mapes, found, len(left_out) - found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--rows", type=int, default=28, help="rows to learn from")
    parser.add_argument("--bad", type=int, default=3, help="how many of them are spoiled")
    parser.add_argument("--factor", type=float, default=3.3, help="by how much they are too slow")
    parser.add_argument("--devices", nargs="*", default=list(DEVICES))
    options = parser.parse_args()
    print(f"{options.rows} rows, {options.bad} of them {options.factor:g} times too slow")
    print("device            clean    rest   plain  robust  against clean  against rest  left out")
    rows = []
    for name in options.devices:
        file, split = DEVICES[name]
        pool = read_dataset(DATA / file, device=name, rows=(0, split))
        judged = read_dataset(DATA / file, device=name, rows=(split, split + N_JUDGED))
        draws = [
            one_draw(pool.draw(options.rows, seed), judged, options.bad, options.factor, seed)
            for seed in range(options.draws)
        ]
        rows.append(np.mean(draws, axis=0))
        print_row(name, rows[-1])
    print_row("mean", np.mean(rows, axis=0))


def print_row(name: str, values: np.ndarray) -> None:
    clean, rest, plain, robust, found, wrong = values
    print(
        f"{name:<15} {clean:>7.2%} {rest:>7.2%} {plain:>7.2%} {robust:>7.2%} "
        f"{robust / clean - 1:>13.1%} {robust / rest - 1:>13.1%}  {found:.1f} bad, "
        f"{wrong:.1f} good",
        flush=True,
    )


if __name__ == "__main__":
    main()
