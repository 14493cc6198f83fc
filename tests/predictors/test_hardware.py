"""A device without measurements, predicted from others and their data sheets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_device import SyntheticDevice

from edgeprof.base.errors import DatasetError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import SearchSpace
from edgeprof.predictors.across import leave_one_device_out
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.hardware.devices import Device, read_devices
from edgeprof.predictors.hardware.model import WORK, HardwareModel
from edgeprof.predictors.load import load_host
from edgeprof.predictors.metrics import evaluate, interval_coverage
from edgeprof.predictors.save import save_host
from edgeprof.records.dataset import Dataset

SPACE = get_space("ofa-mbv3-w1.0")
HEADER = "device,cores,clock_mhz,ram_gb,bandwidth_gb_per_s,batch\n"


def gpu(
    name: str, cores: float, bandwidth_gb_per_s: float, space: SearchSpace = SPACE
) -> tuple[Device, Dataset]:
    """A GPU that reaches half of its peak arithmetic and 70 % of its bandwidth."""
    device = Device(name, cores, 1500.0, 8.0, bandwidth_gb_per_s)
    real = SyntheticDevice(
        name,
        0.5 * device.macs_per_ms / 1000,
        0.7 * device.elements_per_ms / 1000,
        3.0,
        0.2,
    )
    return device, real.measure(space, 120, seed=len(name))


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


def test_the_same_hardware_under_another_name_is_left_out() -> None:
    twin = replace(MIDDLE[0], name="middle at batch 1", hardware="middle"), MIDDLE[1]
    with_twin = HardwareModel.fit([SMALL, twin, LARGE], MIDDLE[0])
    without = HardwareModel.fit([SMALL, LARGE], MIDDLE[0])
    np.testing.assert_array_equal(with_twin.factors, without.factors)
    with pytest.raises(DatasetError, match="no rows of other hardware than middle"):
        HardwareModel.fit([twin], MIDDLE[0])
    assert leave_one_device_out([twin, MIDDLE]) == {}


def test_each_device_is_judged_in_its_own_space() -> None:
    wide = gpu("wide", 300, 60, get_space("ofa-mbv3-w1.2"))
    errors = leave_one_device_out([wide, SMALL, LARGE])
    assert all(metrics.mape < 0.15 for metrics in errors.values()), errors
    assert HardwareModel.fit([SMALL, wide], LARGE[0], space="ofa-mbv3-w1.2").space == wide[1].space
    with pytest.raises(DatasetError, match="say with --space"):
        HardwareModel.fit([SMALL, wide], LARGE[0])


def test_a_slow_device_does_not_spoil_what_the_others_have_in_common() -> None:
    device, data = gpu("slow", 200, 40)
    slow = device, replace(data, latency_ms=3 * data.latency_ms)
    fifth = gpu("fifth", 300, 60)
    model = HardwareModel.fit([SMALL, slow, LARGE, fifth], MIDDLE[0])
    assert evaluate(model, MIDDLE[1]).mape < 0.1
    alike = HardwareModel.fit([SMALL, LARGE, fifth], MIDDLE[0])
    assert model.log_deviation > 1.2 * alike.log_deviation


def test_many_devices_that_agree_narrow_the_interval() -> None:
    agreeing = [gpu(f"g{i}", 100 + 40 * i, 20 + 9 * i) for i in range(8)]
    two, many = (HardwareModel.fit(agreeing[:n], MIDDLE[0]) for n in (2, 8))
    assert many.log_deviation < 0.8 * two.log_deviation
    assert interval_coverage(many, MIDDLE[1]) > 0.9


def test_launches_cost_what_the_device_says() -> None:
    usual = HardwareModel.fit([SMALL, LARGE], MIDDLE[0])
    slow = HardwareModel.fit([SMALL, LARGE], replace(MIDDLE[0], launch_us=500.0))
    added_ms = slow.predict_codes(MIDDLE[1].codes) - usual.predict_codes(MIDDLE[1].codes)
    layers = np.array([len(list(SPACE.layers(s).layers())) for s in MIDDLE[1].subnets])
    assert usual.factors[WORK.index("launch_ms")] > 0
    assert np.corrcoef(added_ms, layers)[0, 1] > 0.95


def test_subnets_that_do_not_fit_the_memory_are_counted() -> None:
    tight = HardwareModel.fit([SMALL, LARGE], replace(MIDDLE[0], ram_gb=0.02))
    assert "of random subnets need more than the 0.02 GB of middle" in tight.notes[2]
    assert len(HardwareModel.fit([SMALL, LARGE], MIDDLE[0]).notes) == 2


def test_it_is_a_base_to_adapt_from(tmp_path: Path) -> None:
    base = HardwareModel.fit([SMALL, LARGE], MIDDLE[0])
    save_host(tmp_path / "middle.host.npz", base)
    loaded = load_host(tmp_path / "middle.host.npz")
    model = GaussianProcess([loaded]).fit(MIDDLE[1].take(range(5)))
    assert evaluate(model, MIDDLE[1]).mape < 0.5 * evaluate(base, MIDDLE[1]).mape


def test_other_devices_are_needed() -> None:
    with pytest.raises(DatasetError, match="no rows of other hardware"):
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
    path.write_text("launch_us,hardware," + HEADER + "20,chip,a,100,1500,8,25,64\n")
    device = read_devices(path)["a"]
    assert (device.launch_us, device.hardware, device.group) == (20, "chip", "chip")
    assert devices["a"].group == "a"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("device,cores\n", "column clock_mhz is missing"),
        (HEADER + "a,100,fast,8,25,1\n", "line 2, column clock_mhz: 'fast'"),
        (HEADER + "a,0,1500,8,25,1\n", "line 2, column cores: '0'"),
        (HEADER + 2 * "a,9,1500,8,25,1\n", "line 3, column device: 'a' a second time"),
    ],
)
def test_a_bad_data_sheet_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "devices.csv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_devices(path)
