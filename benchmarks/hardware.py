"""Zero samples on a new GPU: leave one GPU out, with all its batches and datasets.

Prints a Markdown table. Data: EDGEPROF_DATA (default ../shared/data): HELP (RTX 2080 Ti, Titan
RTX; batch 32 and 64) and OFANAS (RTX 2080 Ti, Tesla P40; batch 64). Hardware parameters
(data/gpus.csv) are those of the vendor's data sheets: CUDA cores, boost clock, memory, bandwidth.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edgeprof.predictors.hardware.devices import Device, other_hardware, read_devices
from edgeprof.predictors.hardware.model import HardwareModel
from edgeprof.predictors.metrics import evaluate, interval_coverage, trivial_predictors
from edgeprof.records.dataset import Dataset, read_dataset

DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
MEASURED = (
    *("2080ti_32", "2080ti_64", "rtx2080ti_b64"),
    *("titan_rtx_32", "titan_rtx_64"),
    "tesla_p40_b64",
)
SEED = 0


def read_all() -> list[tuple[Device, Dataset]]:
    devices = read_devices(Path(__file__).parent / "data" / "gpus.csv")
    out = []
    for name in MEASURED:
        ofanas = name in ("rtx2080ti_b64", "tesla_p40_b64")
        file = DATA / ("ofanas_2021.csv.gz" if ofanas else "help_ofa_2021.csv.gz")
        out.append((devices[name], read_dataset(file, device=name, n=1000, seed=SEED)))
    return out


def main() -> None:
    measured = read_all()
    print(f"n = 1000 held-out rows each, seed {SEED}; 'macs' is fitted to the held-out rows\n")
    print("| held out | trained on | MAPE | Spearman | 90 % interval holds | MACs, scaled: MAPE |")
    print("|---|---|---|---|---|---|")
    errors = []
    for device, data in measured:
        model = HardwareModel.fit(measured, device, space=data.space, seed=SEED)
        result = evaluate(model, data)
        scaled_macs = trivial_predictors(data)["macs"]
        errors.append(result.mape)
        trained_on = ", ".join(sorted({d.group for d, _ in other_hardware(measured, device)}))
        print(
            f"| {device.group}, {data.space}, batch {device.batch:.0f} | {trained_on} "
            f"| {result.mape:.1%} | {result.spearman:.3f} | {interval_coverage(model, data):.0%} "
            f"| {evaluate(scaled_macs, data).mape:.1%} |"
        )
    print(f"\nmedian MAPE {np.median(errors):.1%}")


if __name__ == "__main__":
    main()
