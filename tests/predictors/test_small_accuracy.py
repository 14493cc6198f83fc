"""Real data, small samples: errors stay below the floors that the project set itself.

The shipped student is judged. `benchmarks/predictor_accuracy.py` says how far below.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tree import ROOT

from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.hardware.model import HardwareModel
from edgeprof.predictors.metrics import evaluate, interval_coverage
from edgeprof.predictors.train import train
from edgeprof.records.dataset import Dataset, read_dataset

DATA = Path(os.environ.get("EDGEPROF_DATA", "../shared/data"))
FILE = DATA / "ofanas_2021.csv.gz"
NOTE10, PASCAL = "note10_lut_sum", "tesla_p40_b64"

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not here (set EDGEPROF_DATA)")


def rows_of(device: str, first: int, last: int, n: int) -> Dataset:
    return read_dataset(FILE, device=device, rows=(first, last), n=n, seed=0)


def test_a_hundred_samples_of_the_phone_and_ten_of_the_gpu_are_enough() -> None:
    phone = train(rows_of(NOTE10, 0, 7000, 100))
    judged = rows_of(NOTE10, 8500, 10_000, 500)
    assert (
        evaluate(phone.student, judged).mae_ms < 0.15
    )  # from scratch, on the host, the field has .21
    assert phone.distillation_mape < 0.005
    assert isinstance(phone.host, GaussianProcess)
    assert 0.85 <= interval_coverage(phone.host, judged) <= 0.99
    gpu = train(rows_of(PASCAL, 0, 7000, 10), bases=[phone.host])
    judged = rows_of(PASCAL, 8500, 10_000, 500)
    shipped = evaluate(gpu.student, judged)
    assert shipped.mae_ms < 1.0  # floor of the median draw: .82
    assert shipped.spearman is not None
    assert shipped.spearman > 0.99


def test_a_gpu_of_another_generation_is_ranked_and_known_to_be_far_off() -> None:
    from edgeprof.predictors.hardware.devices import read_devices

    sheets = read_devices(ROOT / "benchmarks" / "data" / "gpus.csv")
    file = DATA / "help_ofa_2021.csv.gz"
    measured = [
        (sheets[name], read_dataset(file, device=name, n=300, seed=0))
        for name in ("2080ti_64", "titan_rtx_64")
    ]
    judged = rows_of(PASCAL, 0, 10_000, 300)
    model = HardwareModel.fit(measured, sheets[PASCAL], space=judged.space)
    result = evaluate(model, judged)
    assert result.spearman is not None
    assert result.spearman > 0.95
    assert result.mape > 0.2
    assert interval_coverage(model, judged) > 0.8
