"""Chosen samples against random ones, on held-out subnets.

Prints a Markdown table. Data: ofanas_2021.csv.gz below EDGEPROF_DATA (default ../shared/data).
Both choose from the same pool of 1000 training rows (0..6999, another pool per repetition);
errors are on 1000 of rows 8500..9999. Chosen before anything is measured on the device
(``suggest --new-device``), from scratch and with the Note10's host model as base.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from edgeprof.predictors.gp.model import GaussianProcess, prior_covariance
from edgeprof.predictors.gp.suggest import choose
from edgeprof.predictors.metrics import evaluate
from edgeprof.records.dataset import read_dataset

FILE = Path(os.environ.get("EDGEPROF_DATA", "../shared/data")) / "ofanas_2021.csv.gz"
POOL = 1000
BASE = "note10_lut_sum"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=7, help="pools per row, seeds 0 ...")
    n_pools = parser.parse_args().pools
    base = GaussianProcess().fit(read_dataset(FILE, device=BASE, rows=(0, 7000), n=700))
    print(f"MAE in ms, median (largest) over {n_pools} pools of {POOL}, seeds 0..{n_pools - 1}\n")
    print("| device | base | samples | random | chosen |")
    print("|---|---|---|---|---|")
    for device in ("rtx2080ti_b64", "tesla_p40_b64"):
        rows = read_dataset(FILE, device=device, rows=(0, 7000))
        judged = read_dataset(FILE, device=device, rows=(8500, 10_000), n=1000)
        for bases in ([], [base]):
            for n in (5, 10, 20):
                errors = []
                for seed in range(n_pools):
                    pool = rows.draw(POOL, seed)
                    covariance, noise = prior_covariance(pool.space, pool.codes, bases)
                    sets = pool.draw(n, seed), pool.take(choose(covariance, noise, n))
                    errors.append(
                        [evaluate(GaussianProcess(bases).fit(data), judged).mae_ms for data in sets]
                    )
                median, worst = np.median(errors, axis=0), np.max(errors, axis=0)
                print(
                    f"| {device} | {BASE if bases else '-'} | {n} | {median[0]:.3f} "
                    f"({worst[0]:.3f}) | {median[1]:.3f} ({worst[1]:.3f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
