"""The Gaussian process: what it learns, how sure it is, and what it does with odd data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_device import PHONE, SERVER, SyntheticDevice

from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.base import IntervalPredictor
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.load import load_host
from edgeprof.predictors.metrics import evaluate, interval_coverage, trivial_predictors
from edgeprof.predictors.save import save_host
from edgeprof.records.dataset import Dataset


def data_of(device: SyntheticDevice, n: int, seed: int = 0) -> Dataset:
    return device.measure(get_space("ofa-mbv3-w1.0"), n, seed)


@pytest.fixture(scope="module")
def held_out() -> Dataset:
    return data_of(PHONE, 300, seed=99)


def test_more_samples_predict_better_and_beat_the_trivial(held_out: Dataset) -> None:
    errors = {}
    for n in (10, 100):
        train = data_of(PHONE, n)
        errors[n] = evaluate(GaussianProcess().fit(train), held_out).mape
        for trivial in trivial_predictors(train).values():
            assert errors[n] < evaluate(trivial, held_out).mape
    assert errors[100] < errors[10] < 0.06
    assert errors[100] < 0.02


def test_a_base_of_another_device_makes_few_samples_enough(held_out: Dataset) -> None:
    base = GaussianProcess().fit(data_of(SERVER, 100))
    few = data_of(PHONE, 5)
    alone = evaluate(GaussianProcess().fit(few), held_out).mape
    transferred = evaluate(GaussianProcess([base]).fit(few), held_out).mape
    assert transferred < alone
    assert transferred < 0.04


def test_intervals_hold_the_measurements(held_out: Dataset) -> None:
    model = GaussianProcess().fit(data_of(PHONE, 100))
    assert isinstance(model, IntervalPredictor)
    assert 0.85 <= interval_coverage(model, held_out, 0.9) <= 0.95
    narrow, wide = (model.predict_interval(held_out.codes, c) for c in (0.5, 0.95))
    assert np.all(wide.low_ms < narrow.low_ms)
    assert np.all(narrow.high_ms < wide.high_ms)


def test_intervals_shrink_with_samples(held_out: Dataset) -> None:
    widths = []
    for n in (5, 50, 200):
        interval = GaussianProcess().fit(data_of(PHONE, n)).predict_interval(held_out.codes)
        widths.append(float((interval.high_ms - interval.low_ms).mean()))
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_samples_scale_the_work_and_say_so(held_out: Dataset, n: int) -> None:
    model = GaussianProcess().fit(data_of(PHONE, n))
    assert f"only {n} sample" in model.notes[0]
    assert "work" in model.notes[0]
    assert evaluate(model, held_out).spearman > 0.9  # type: ignore[operator]


def test_one_sample_scales_the_base_where_there_is_one(held_out: Dataset) -> None:
    base = GaussianProcess().fit(data_of(SERVER, 100))
    model = GaussianProcess([base]).fit(data_of(PHONE, 1))
    assert SERVER.name in model.notes[0]
    assert evaluate(model, held_out).mape < 0.2


def test_constant_latencies_are_learned_as_they_are() -> None:
    train = data_of(PHONE, 20)
    constant = replace(train, latency_ms=np.full(20, 7.0))
    predicted = GaussianProcess().fit(constant).predict_codes(train.codes)
    np.testing.assert_allclose(predicted, 7.0, rtol=0.1)


def test_repeated_rows_do_no_harm(held_out: Dataset) -> None:
    train = data_of(PHONE, 20)
    repeated = train.take([*range(20), *range(20), 0, 0, 0])
    assert evaluate(GaussianProcess().fit(repeated), held_out).mape < 0.06


def test_one_subnet_many_times_is_enough_to_predict_something(held_out: Dataset) -> None:
    repeated = data_of(PHONE, 1).take([0] * 10)
    predicted = GaussianProcess().fit(repeated).predict_codes(held_out.codes)
    assert np.all(np.isfinite(predicted))
    assert np.all(predicted > 0)


def test_fits_are_reproducible(held_out: Dataset) -> None:
    first, again = (GaussianProcess(seed=1).fit(data_of(PHONE, 30)) for _ in range(2))
    np.testing.assert_array_equal(
        first.predict_codes(held_out.codes), again.predict_codes(held_out.codes)
    )


def test_a_saved_model_predicts_the_same(tmp_path: Path, held_out: Dataset) -> None:
    base = GaussianProcess().fit(data_of(SERVER, 30))
    model = GaussianProcess([base]).fit(data_of(PHONE, 10))
    save_host(tmp_path / "m.host.npz", model)
    loaded = load_host(tmp_path / "m.host.npz")
    assert isinstance(loaded, GaussianProcess)
    assert (loaded.space, loaded.device) == (model.space, model.device)
    ours, theirs = (m.predict_interval(held_out.codes) for m in (model, loaded))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_predicting_codes_subnets_and_networks_is_the_same(held_out: Dataset) -> None:
    model = GaussianProcess().fit(data_of(PHONE, 30))
    space = get_space(model.space)
    subnets = list(held_out.subnets[:20])
    by_codes = model.predict_codes(held_out.codes[:20])
    np.testing.assert_allclose(model.predict(subnets), by_codes, rtol=1e-9)
    networks = [space.layers(subnet) for subnet in subnets]
    np.testing.assert_allclose(model.predict_networks(networks).mean_ms, by_codes, rtol=1e-9)


def test_a_base_at_another_width_of_the_supernet_is_taken() -> None:
    base = GaussianProcess().fit(SERVER.measure(get_space("ofa-mbv3-w1.2"), 50, seed=0))
    model = GaussianProcess([base]).fit(data_of(PHONE, 5))
    assert evaluate(model, data_of(PHONE, 100, seed=5)).mape < 0.06


class _ResnetBase:
    space = "ofa-resnet50"
    device = "elsewhere"


def test_a_base_of_another_space_is_refused() -> None:
    with pytest.raises(PredictorFormatError, match="ofa-resnet50, whose choices differ"):
        GaussianProcess([_ResnetBase()]).fit(data_of(PHONE, 3))  # type: ignore[list-item]


def test_the_constructor_only_stores_and_a_fit_may_be_repeated(held_out: Dataset) -> None:
    model = GaussianProcess(seed=1)
    assert not hasattr(model, "posterior_")
    first = model.fit(data_of(SERVER, 10)).predict_codes(held_out.codes)
    assert model.fit(data_of(PHONE, 10)).device == "phone"
    again = model.fit(data_of(SERVER, 10)).predict_codes(held_out.codes)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no model at all"])
def test_a_file_that_is_no_host_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.host.npz"
    path.write_bytes(content)
    with pytest.raises(PredictorFormatError, match=r"m\.host\.npz"):
        load_host(path)


def test_a_host_model_of_another_version_is_refused(tmp_path: Path) -> None:
    import json

    path = tmp_path / "m.host.npz"
    head = {"format": "edgeprof-host", "version": 99, "kind": "gp", "model": {}}
    np.savez(path, head=np.array(json.dumps(head)))
    with pytest.raises(PredictorFormatError, match="version 99"):
        load_host(path)


def test_a_damaged_host_model_is_refused_or_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.host.npz"
    save_host(path, GaussianProcess().fit(data_of(PHONE, 5)))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(0, len(whole), 30):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load_host(path)  # some bytes of a zip file mean nothing
        except PredictorFormatError as error:
            refused += "m.host.npz" in str(error)
    assert refused > 15
