"""A device without measurements, predicted from others and their data sheets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_device import SyntheticDevice

from edgeprof.dataset import Dataset
from edgeprof.errors import DatasetError
from edgeprof.predictors.devices import Device, read_devices
from edgeprof.predictors.gp import HostModel
from edgeprof.predictors.hardware import HardwareModel
from edgeprof.predictors.host_file import load_host, save_host
from edgeprof.predictors.metrics import evaluate, interval_coverage
from edgeprof.predictors.train import leave_one_device_out
from edgeprof.spaces import get_space

SPACE = get_space("ofa-mbv3-w1.0")
HEADER = "device,cores,clock_mhz,ram_gb,bandwidth_gb_per_s,batch\n"


def gpu(name: str, cores: float, bandwidth_gb_per_s: float) -> tuple[Device, Dataset]:
    """A GPU that reaches half of its peak arithmetic and 70 % of its bandwidth."""
    device = Device(name, cores, 1500.0, 8.0, bandwidth_gb_per_s)
    real = SyntheticDevice(
        name,
        0.5 * device.macs_per_ms / 1000,
        0.7 * device.elements_per_ms / 1000,
        3.0,
        0.2,
    )
    return device, real.measure(SPACE, 120, seed=len(name))


SMALL, MIDDLE, LARGE = gpu("small", 100, 25), gpu("middle", 200, 40), gpu("large", 400, 100)


def test_a_device_is_predicted_from_the_others() -> None:
    model = HardwareModel.fit([SMALL, LARGE], MIDDLE[0])
    result = evaluate(model, MIDDLE[1])
    assert result.mape < 0.15
    assert result.spearman is not None
    assert result.spearman > 0.97
    assert interval_coverage(model, MIDDLE[1]) > 0.9
    assert "no measurement of middle" in model.notes[0]


def test_its_own_rows_are_never_used() -> None:
    with_own = HardwareModel.fit([SMALL, MIDDLE, LARGE], MIDDLE[0])
    without = HardwareModel.fit([SMALL, LARGE], MIDDLE[0])
    np.testing.assert_array_equal(with_own.factors, without.factors)
    assert with_own.trained_on == ("small", "large")


def test_leave_one_device_out_judges_every_device() -> None:
    errors = leave_one_device_out([SMALL, MIDDLE, LARGE])
    assert list(errors) == ["small", "middle", "large"]
    assert all(metrics.mape < 0.4 for metrics in errors.values())


def test_it_is_a_base_to_adapt_from(tmp_path: Path) -> None:
    base = HardwareModel.fit([SMALL, LARGE], MIDDLE[0])
    save_host(tmp_path / "middle.host.npz", base)
    loaded = load_host(tmp_path / "middle.host.npz")
    model = HostModel.fit(MIDDLE[1].take(range(5)), [loaded])
    assert evaluate(model, MIDDLE[1]).mape < evaluate(base, MIDDLE[1]).mape + 0.02


def test_other_devices_are_needed() -> None:
    with pytest.raises(DatasetError, match="no rows of other devices"):
        HardwareModel.fit([MIDDLE], MIDDLE[0])


def test_batches_scale_the_work_but_not_the_launches() -> None:
    one = HardwareModel.fit([SMALL, LARGE], MIDDLE[0])
    many = HardwareModel.fit([SMALL, LARGE], replace(MIDDLE[0], batch=16))
    ratio = many.predict_codes(MIDDLE[1].codes) / one.predict_codes(MIDDLE[1].codes)
    assert np.all(ratio > 4)
    assert np.all(ratio < 16)


def test_devices_are_read(tmp_path: Path) -> None:
    path = tmp_path / "devices.csv"
    path.write_text(HEADER + "a,100,1500,8,25,64\nb,200,1000,4,30,\n")
    devices = read_devices(path)
    assert devices["a"] == Device("a", 100, 1500, 8, 25, 64)
    assert devices["b"].batch == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("device,cores\n", "column clock_mhz is missing"),
        (HEADER + "a,100,fast,8,25,1\n", "line 2, column clock_mhz: 'fast'"),
        (HEADER + "a,0,1500,8,25,1\n", "line 2, column cores: '0'"),
    ],
)
def test_a_bad_data_sheet_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "devices.csv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_devices(path)
