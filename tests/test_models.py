"""The paper's models and baselines, under the names they are chosen by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_device import PHONE, SERVER

from edgeprof.errors import PredictorFormatError
from edgeprof.predictors.devices import Device
from edgeprof.predictors.host_file import load_host, save_host
from edgeprof.predictors.metrics import evaluate, metrics_of, trivial_predictors
from edgeprof.predictors.mlp import PaperMlp
from edgeprof.predictors.models import MODELS, cross_validated, fit_across, fit_model
from edgeprof.spaces import get_space

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
    assert isinstance(tuned, PaperMlp)
    assert tuned.device == "phone"
    for (ours, _), (theirs, _) in zip(tuned.layers[:-1], mlp.layers[:-1], strict=True):
        assert ours is theirs
    assert evaluate(tuned, data).mape < evaluate(trivial_predictors(data)["mean"], data).mape


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
    assert {"gp", "linear", "paper-mlp", "paper-finetune"} <= set(MODELS)


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
