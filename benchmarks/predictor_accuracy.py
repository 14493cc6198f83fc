"""How accurate predictors are on held-out subnets, the shipped student included.

Prints a Markdown table. Data: ofanas_2021.csv.gz below EDGEPROF_DATA (default ../shared/data).
Training rows are drawn from 0..6999 only; errors are on rows 8500..9999. Up to 100 samples the
median over the draws is printed with the smallest and largest. Bases are host models of 700
samples (seed 0). --rows-of validation judges on 7000..8499 instead, for development.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.metrics import evaluate, interval_coverage
from edgeprof.predictors.train import train
from edgeprof.records.dataset import Dataset, read_dataset

FILE = Path(os.environ.get("EDGEPROF_DATA", "../shared/data")) / "ofanas_2021.csv.gz"
NOTE10, TURING, PASCAL = "note10_lut_sum", "rtx2080ti_b64", "tesla_p40_b64"
JUDGED_ROWS = {"test": (8500, 10_000), "validation": (7000, 8500)}
# (device, samples, bases, floor, aim): MAE in ms
CASES: list[tuple[str, int, tuple[str, ...], float, float]] = [
    (NOTE10, 700, (), 0.08, 0.04),
    (TURING, 700, (), 0.34, 0.30),
    (PASCAL, 700, (), 0.34, 0.25),
    (TURING, 5, (NOTE10,), 0.55, 0.42),
    (PASCAL, 5, (NOTE10,), 1.05, 0.75),
    (TURING, 10, (NOTE10,), 0.49, 0.38),
    (PASCAL, 10, (NOTE10,), 0.82, 0.60),
    (TURING, 100, (NOTE10,), 0.33, 0.29),
    (PASCAL, 100, (NOTE10,), 0.44, 0.35),
]


def training_rows(device: str) -> Dataset:
    return read_dataset(FILE, device=device, rows=(0, 7000))


def n_draws(n: int, most: int) -> int:
    """Return how often to draw: the fewer samples, the more the draw decides."""
    if n > 100:
        return 1
    return most if n <= 10 else min(most, 5)


def judge(
    pool: Dataset,
    judged: Dataset,
    n: int,
    bases: Sequence[LatencyPredictor],
    seed: int,
    *,
    student: bool,
) -> tuple[float, float, float]:
    """Return the MAE of the host model and of the student, and the intervals' coverage."""
    data = pool.draw(n, seed)
    if not student:
        host: LatencyPredictor = GaussianProcess(bases, seed=seed).fit(data)
        shipped = host
    else:
        done = train(data, bases=bases, seed=seed)
        host, shipped = done.host, done.student
    assert isinstance(host, GaussianProcess)
    mae_ms = evaluate(host, judged).mae_ms, evaluate(shipped, judged).mae_ms
    return (*mae_ms, interval_coverage(host, judged))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=15, help="draws of 5 and 10 samples")
    parser.add_argument("--rows-of", choices=sorted(JUDGED_ROWS), default="test")
    parser.add_argument("--no-student", action="store_true", help="host models only: quick")
    options = parser.parse_args()
    rows = JUDGED_ROWS[options.rows_of]
    pools = {device: training_rows(device) for device in (NOTE10, TURING, PASCAL)}
    base = GaussianProcess().fit(pools[NOTE10].draw(700, 0))
    print(
        f"rows {rows[0]}..{rows[1] - 1} (n = {rows[1] - rows[0]}); seeds 0..{options.draws - 1} "
        f"for 5 and 10 samples, 0..{n_draws(100, options.draws) - 1} for 100, 0 for 700\n"
    )
    print("| device | samples | base | host MAE ms | shipped MAE ms | range | floor | aim | 90 % |")
    print("|---|---|---|---|---|---|---|---|---|")
    for device, n, names, floor, aim in CASES:
        judged = read_dataset(FILE, device=device, rows=rows)
        start = time.perf_counter()
        results = np.array(
            [
                judge(
                    pools[device],
                    judged,
                    n,
                    [base] if names else [],
                    seed,
                    student=not options.no_student,
                )
                for seed in range(n_draws(n, options.draws))
            ]
        )
        host, shipped, coverage = np.median(results, axis=0)
        low, high = results[:, 1].min(), results[:, 1].max()
        print(
            f"| {device} | {n} | {', '.join(names) or '-'} | {host:.3f} | {shipped:.3f} "
            f"| {low:.3f}..{high:.3f} | {floor} | {aim} | {coverage:.0%} |",
            flush=True,
        )
        print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
