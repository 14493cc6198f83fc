"""The paper's models and baselines, under the names they are chosen by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_device import PHONE, SERVER

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.cli.train import MODEL_NAMES
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.hardware.devices import Device
from edgeprof.predictors.load import load_host
from edgeprof.predictors.metrics import evaluate, interval_coverage, metrics_of, trivial_predictors
from edgeprof.predictors.models import ACROSS_MODELS, MODELS, cross_validated, fit_across, fit_model
from edgeprof.predictors.paper.linear import LinearModel
from edgeprof.predictors.paper.mlp import PaperMlp, _encode
from edgeprof.predictors.residual_interval import relative_errors
from edgeprof.predictors.save import save_host

SPACE = get_space("ofa-mbv3-w1.0")


@pytest.fixture(scope="module")
def mlp() -> PaperMlp:
    return PaperMlp.fit(SERVER.measure(SPACE, 60, seed=0), seed=1)


def test_the_additive_model_learns_an_additive_device() -> None:
    train, held_out = PHONE.measure(SPACE, 700, seed=0), PHONE.measure(SPACE, 200, seed=1)
    error = evaluate(fit_model("linear", train), held_out).mape
    assert error < 0.03
    assert error < evaluate(trivial_predictors(train)["macs"], held_out).mape


def test_the_papers_network_has_the_papers_size(mlp: PaperMlp) -> None:
    assert [weights.shape for weights, _ in mlp.layers] == [
        (128, 400),
        (400, 400),
        (400, 400),
        (400, 1),
    ]
    assert sum(weights.size + bias.size for weights, bias in mlp.layers) == 372_801


def test_fine_tuning_changes_the_last_layer_only(mlp: PaperMlp) -> None:
    data = PHONE.measure(SPACE, 100, seed=3)
    tuned = fit_model("paper-finetune", data, [mlp])
    held_out = PHONE.measure(SPACE, 100, seed=4)
    assert isinstance(tuned, PaperMlp)
    assert tuned.device == "phone"
    for (ours, _), (theirs, _) in zip(tuned.layers[:-1], mlp.layers[:-1], strict=True):
        assert ours is theirs
    mean = trivial_predictors(data)["mean"]
    assert evaluate(tuned, held_out).mape < evaluate(mean, held_out).mape


def test_fine_tuning_needs_a_network_to_tune(mlp: PaperMlp) -> None:
    data = PHONE.measure(SPACE, 10, seed=3)
    for bases in ([], [mlp, mlp], [fit_model("linear", data)]):
        with pytest.raises(PredictorFormatError, match="want one base"):
            fit_model("paper-finetune", data, bases)


def test_the_hardware_network_has_three_more_inputs() -> None:
    measured = [
        (Device("phone", 100, 1000, 4, 20), PHONE.measure(SPACE, 40, seed=0)),
        (Device("server", 400, 1500, 8, 100), SERVER.measure(SPACE, 40, seed=0)),
    ]
    model = fit_across("paper-gpu", measured, Device("new", 200, 1200, 8, 50))
    assert isinstance(model, PaperMlp)
    assert model.layers[0][0].shape == (131, 400)
    assert np.all(np.isfinite(model.predict_codes(SPACE.sample_codes(5, np.random.default_rng(0)))))


@pytest.mark.parametrize("name", ["linear", "paper-mlp"])
def test_models_are_kept_and_reproducible(tmp_path: Path, name: str) -> None:
    data = PHONE.measure(SPACE, 40, seed=0)
    model, again = (fit_model(name, data, seed=5) for _ in range(2))
    save_host(tmp_path / "m.host.npz", model)
    predicted = model.predict_codes(data.codes)
    np.testing.assert_array_equal(again.predict_codes(data.codes), predicted)
    loaded = load_host(tmp_path / "m.host.npz").predict_codes(data.codes)
    np.testing.assert_allclose(loaded, predicted, rtol=1e-5)


def test_cross_validation_never_sees_the_row_it_predicts() -> None:
    data = PHONE.measure(SPACE, 60, seed=0)
    for name in ("gp", "linear"):
        model = fit_model(name, data)
        unseen = cross_validated(name, model, data)
        assert unseen is not None
        seen = evaluate(model, data).mae_ms
        assert metrics_of(unseen, data.latency_ms).mae_ms > seen
    assert cross_validated("gp", model, data.take([0, 1])) is None


def test_every_model_of_the_paper_has_its_name() -> None:
    names = {"lut", "linear", "paper-mlp", "paper-finetune", "paper-gpu", "gp"}
    assert set(MODELS) | set(ACROSS_MODELS) == names == set(MODEL_NAMES)


def test_models_that_learn_from_data_alone_take_no_base(mlp: PaperMlp) -> None:
    data = PHONE.measure(SPACE, 10, seed=3)
    for name in ("linear", "paper-mlp"):
        with pytest.raises(PredictorFormatError, match=f"{name}: learns from DATA alone"):
            fit_model(name, data, [mlp])


def test_a_resolution_between_two_inputs_is_encoded_by_both() -> None:
    space = get_space("ofa-mbv3-w1.2")
    codes = np.repeat(space.sample_codes(1, np.random.default_rng(0)), 3, axis=0)
    codes[:, -1] = [space.resolutions.index(r) for r in (160, 164, 176)]
    inputs = _encode(space.id, codes, ())
    assert inputs[:, 120:].tolist() == [
        [0, 0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0.75, 0.25, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0, 0],
    ]


def test_paper_gpu_refuses_what_its_inputs_do_not_say() -> None:
    one = Device("phone", 100, 1000, 4, 20), PHONE.measure(SPACE, 20, seed=0)
    wide = Device("wide", 100, 1000, 4, 20), PHONE.measure(get_space("ofa-mbv3-w1.2"), 20, seed=0)
    with pytest.raises(DatasetError, match="batches 1, 64"):
        fit_across("paper-gpu", [one], Device("new", 200, 1200, 8, 50, batch=64))
    with pytest.raises(DatasetError, match=r"rows are of ofa-mbv3-w1\.0, ofa-mbv3-w1\.2"):
        fit_across("paper-gpu", [one, wide], Device("new", 200, 1200, 8, 50))
    with pytest.raises(DatasetError, match=r"but ofa-mbv3-w1\.2 is to be predicted"):
        fit_across("paper-gpu", [one], Device("new", 9, 9, 8, 50), space="ofa-mbv3-w1.2")


def test_intervals_of_models_without_one_come_from_unseen_rows(tmp_path: Path) -> None:
    data, held_out = PHONE.measure(SPACE, 150, seed=0), PHONE.measure(SPACE, 300, seed=1)
    model = fit_model("linear", data)
    assert isinstance(model, LinearModel)
    assert interval_coverage(model, held_out) == 1.0  # nothing is known yet: 0 to twice as much
    unseen = cross_validated("linear", model, data)
    assert unseen is not None
    model.relative_errors = relative_errors(unseen, data.latency_ms)
    assert 0.85 <= interval_coverage(model, held_out) <= 0.97
    save_host(tmp_path / "m.host.npz", model)
    kept = load_host(tmp_path / "m.host.npz")
    assert isinstance(kept, LinearModel)
    np.testing.assert_array_equal(
        kept.predict_interval(held_out.codes), model.predict_interval(held_out.codes)
    )


def test_metrics_bear_their_right_names() -> None:
    metrics = metrics_of(np.array([11.0, 18.0, 30.0]), np.array([10.0, 20.0, 30.0]))
    assert metrics.mae_ms == pytest.approx(1.0)
    assert metrics.rmse_ms == pytest.approx(np.sqrt(5 / 3))
    assert metrics.mape == pytest.approx(0.2 / 3)
    assert metrics.within_5pct == pytest.approx(1 / 3)
    assert metrics.within_10pct == pytest.approx(1.0)
    assert metrics.spearman == pytest.approx(1.0)
    assert metrics.kendall_tau == pytest.approx(1.0)


def test_ranks_of_equal_predictions_are_no_number() -> None:
    metrics = metrics_of(np.array([5.0, 5.0]), np.array([4.0, 6.0]))
    assert metrics.spearman is None
    assert metrics.kendall_tau is None
