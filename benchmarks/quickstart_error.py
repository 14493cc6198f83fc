"""The error of a predictor trained on subnets measured on this machine, beside its noise floor.

The held-out subnets are measured a second time after all others: two measurements of the same
subnet differ by the noise that no predictor can be better than.

python benchmarks/quickstart_error.py [--train 100] [--held-out 50] [--max-secs 0.5]
    [--store FILE] [--burner]
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from burner import Burner

from edgeprof.networks.spaces import get_space
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.compact.distil import distil
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.metrics import Metrics, metrics_of, trivial_predictors
from edgeprof.records.dataset import Dataset, read_dataset
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.store import Store
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import measure_here
from edgeprof.runs.subnets import SubnetWorkload

SEED = 0


def measure_twice(
    folder: Path, store: Path, n_train: int, n_held_out: int, settings: ProfileSettings
) -> None:
    subnets = get_space("ofa-mbv3-w1.0").sample(n_train + n_held_out, np.random.default_rng(SEED))
    with Store(store) as opened:
        for device, wanted in (("first", subnets), ("second", subnets[n_train:])):
            measure_here(SubnetWorkload(wanted, opened, settings, folder / "models"), device)
        export_dataset(opened, folder / "data.csv", include_poor=True)


def format_row(name: str, metrics: Metrics) -> str:
    spearman = "-" if metrics.spearman is None else f"{metrics.spearman:.4f}"
    return (
        f"| {name} | {metrics.n} | {metrics.mae_ms:.3f} | {metrics.mape:.1%} "
        f"| {metrics.within_5pct:.0%} | {metrics.within_10pct:.0%} | {spearman} |"
    )


def compare(train: Dataset, held_out: Dataset, again: Dataset) -> list[str]:
    host = GaussianProcess(seed=SEED).fit(train)
    space = get_space(train.space)
    predictors: dict[str, LatencyPredictor] = {
        "Gaussian process on the host": host,
        "shipped student": distil(host.predict_codes, space, host.device, seed=SEED),
        **trivial_predictors(train),
    }
    rows = [("measured again (noise floor)", metrics_of(again.latency_ms, held_out.latency_ms))]
    for name, predictor in predictors.items():
        predicted_ms = predictor.predict_codes(held_out.codes)
        rows.append((name, metrics_of(predicted_ms, held_out.latency_ms)))
    return [format_row(*row) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=100, help="subnets to learn from")
    parser.add_argument("--held-out", type=int, default=50, help="subnets to predict")
    parser.add_argument("--max-secs", type=float, default=0.5, help="seconds per subnet and pass")
    parser.add_argument("--store", type=Path, help="keep the measurements, and resume from them")
    parser.add_argument("--burner", action="store_true", help="measure with other work beside")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = options.store or folder / "store.db"
        settings = ProfileSettings(max_secs=options.max_secs)
        with Burner(SEED) if options.burner else nullcontext():
            measure_twice(folder, store, options.train, options.held_out, settings)
        first = read_dataset(folder / "data.csv", device="first")
        again = read_dataset(folder / "data.csv", device="second")
    rows = np.arange(len(first))
    train, held_out = first.take(rows[: options.train]), first.take(rows[options.train :])
    print(
        f"Seed {SEED}; {len(train)} subnets to learn from, {len(held_out)} held out; "
        f"{options.max_secs:g} s per subnet.\n"
    )
    print("| predictor | n | MAE ms | MAPE | within 5 % | within 10 % | Spearman |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(compare(train, held_out, again)))


if __name__ == "__main__":
    main()
