"""The paper's own models and baselines on its own data, beside the default model.

Prints a Markdown table. Data: ofanas_2021.csv.gz and note10_lut/ below EDGEPROF_DATA (default
../shared/data). Training rows are drawn from 0..6999, errors are on rows 8500..9999. The Note10
rows are sums of the very tables that `lut` reads: its error there is the check of the reader, and
no measure of lookup tables. paper-gpu predicts a GPU it has no row of, from the other one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.hardware.devices import read_devices
from edgeprof.predictors.lut.tables import load_tables
from edgeprof.predictors.metrics import evaluate, trivial_predictors
from edgeprof.predictors.models import fit_model
from edgeprof.predictors.paper.mlp import PaperMlp
from edgeprof.records.dataset import Dataset, read_dataset

DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
FILE = DATA / "ofanas_2021.csv.gz"
NOTE10, TURING, PASCAL = "note10_lut_sum", "rtx2080ti_b64", "tesla_p40_b64"
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=80, help="of each network, at most")
    epochs = parser.parse_args().epochs
    start_s = time.perf_counter()
    names = (NOTE10, TURING, PASCAL)
    pools = {name: read_dataset(FILE, device=name, rows=(0, 7000)) for name in names}
    judged = {name: read_dataset(FILE, device=name, rows=(8500, 10_000)) for name in names}
    print(f"rows 8500..9999 (n = 1500); seed {SEED}; networks of at most {epochs} epochs\n")
    print("| device | model | samples | MAE ms | RMSE ms | MAPE | in 10 % | Spearman | fit s |")
    print("|---|---|---|---|---|---|---|---|---|")

    def row(name: str, model: str, n: int | str, fit: Callable[[], LatencyPredictor]) -> PaperMlp:
        fit_start_s = time.perf_counter()
        fitted = fit()
        took_s = time.perf_counter() - fit_start_s
        m = evaluate(fitted, judged[name])
        print(
            f"| {name} | {model} | {n} | {m.mae_ms:.3f} | {m.rmse_ms:.3f} | {m.mape:.2%} "
            f"| {m.within_10pct:.1%} | {'-' if m.spearman is None else f'{m.spearman:.4f}'} "
            f"| {took_s:.1f} |",
            flush=True,
        )
        return fitted  # type: ignore[return-value]

    networks = {}
    for name in names:
        pool = pools[name]

        def by_name(model: str, n: int, pool: Dataset = pool) -> LatencyPredictor:
            return fit_model(model, pool.draw(n, SEED), seed=SEED)

        for n in (100, 700):
            row(name, "gp", n, lambda n=n: by_name("gp", n))
        for n in (700, 7000):
            row(name, "linear", n, lambda n=n: by_name("linear", n))
        networks[name] = row(
            name,
            "paper-mlp",
            7000,
            lambda pool=pool: PaperMlp.fit(pool, seed=SEED, max_epochs=epochs),
        )
        for trivial, predictor in trivial_predictors(pool).items():
            row(name, f"trivial: {trivial}", 7000, lambda predictor=predictor: predictor)
    row(NOTE10, "lut", "-", lambda: load_tables(DATA / "note10_lut"))
    for name in (TURING, PASCAL):
        few = pools[name].draw(700, SEED)
        base = networks[NOTE10]
        row(name, "paper-finetune of Note10", 700, lambda base=base, few=few: base.fine_tuned(few))
    sheets = read_devices(Path(__file__).parent / "data" / "gpus.csv")
    for name, other in ((TURING, PASCAL), (PASCAL, TURING)):
        measured = [(sheets[other], pools[other].draw(2000, SEED))]
        row(
            name,
            f"paper-gpu of {other}",
            0,
            lambda name=name, measured=measured: PaperMlp.fit_across(
                measured, sheets[name], seed=SEED, max_epochs=epochs
            ),
        )
    print(f"\n{time.perf_counter() - start_s:.0f} s in all")


if __name__ == "__main__":
    main()
