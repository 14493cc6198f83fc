"""Predictors on held-out networks, those of any network too."""

import numpy as np
import pytest
from made_networks import made_networks
from report_pages import append, append_networks, points_of
from stand_in_models import AdditiveLatency, UncertainLatency

from edgeprof import get_space
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.layers.training import train_networks
from edgeprof.predictors.load import load_predictor
from edgeprof.predictors.train import train
from edgeprof.report import Contents, write_report
from edgeprof.report.answer import answers
from edgeprof.report.data import read_stores
from edgeprof.report.judging import judge_predictors

SPACE = get_space("ofa-mbv3-w1.0")
PI = AdditiveLatency(SPACE, "rpi4")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    append_networks(path, "rpi5", *made_networks(40))
    return path


def trained(lab, n):
    """Return layer costs learned from the first rows of the store."""
    [device] = read_stores([lab])
    return train_networks(device.network_rows().take(np.arange(n))).model


def test_layer_costs_are_judged_on_networks_that_were_held_out(lab, tmp_path):
    model = trained(lab, 30)
    [judged] = judge_predictors([("p.host.npz", model)], read_stores([lab]))
    assert (len(judged.networks), judged.n_learned, judged.is_known) == (10, 30, True)
    assert judged.result.metrics.n == 10
    assert judged.result.verdict.noise_floor == pytest.approx(0.001, rel=3)
    assert judged.result.verdict.beats_macs
    assert judged.result.trivial_fitted_to == "training rows"
    assert judged.result.coverage_90pct is not None
    contents = Contents([lab], [("p.host.npz", model)])
    page = write_report(contents, tmp_path / "r.html").path.read_text("utf-8")
    shown = {name.rpartition("/")[2] for _, name in points_of(page, "predicted")}
    assert shown == {f"n{index}.onnx" for index in range(30, 40)}
    assert "10 held-out networks" in page
    assert "times better than MACs" in page


def test_what_has_learned_from_all_rows_is_in_no_plot_of_accuracy(lab, tmp_path):
    model = trained(lab, 40)
    written = write_report(Contents([lab], [("p", model)]), tmp_path / "r.html")
    assert not {"predicted", "residuals"} & set(written.figure_ids)
    page = written.path.read_text("utf-8")
    assert "Nothing was held out" in page
    assert "learned from all 40 networks here" in page


def test_a_device_of_the_store_has_learned_from_all_of_it(lab):
    stored = load_predictor(f"{lab}:rpi5")
    [judged] = judge_predictors([("lab.db:rpi5", stored)], read_stores([lab]))
    assert judged.result is None
    assert judged.n_learned == 40


@pytest.mark.usefixtures("token_distillation")
def test_subnets_that_were_learned_from_are_left_out(tmp_path):
    append(tmp_path / "s.db", PI, SPACE.sample(30, np.random.default_rng(0)))
    devices = read_stores([tmp_path / "s.db"])
    data = devices[0].dataset(SPACE.id)
    host = train(data.take(np.arange(20)), model="linear").host
    process = GaussianProcess().fit(data.take(np.arange(20)))
    for predictor in (process, host):
        [judged] = judge_predictors([("p", predictor)], devices)
        assert judged.is_known
        assert judged.networks == data.subnets[20:]
    assert judged.cross_validated == host.origin.provenance["cross_validated"]["mape"]


def test_intervals_of_the_predictor_are_drawn(tmp_path):
    append(tmp_path / "s.db", PI, SPACE.sample(12, np.random.default_rng(0)))
    devices = read_stores([tmp_path / "s.db"])
    [judged] = judge_predictors([("p", UncertainLatency(SPACE, "rpi4"))], devices)
    assert judged.result.interval is not None
    from edgeprof.report.prediction_plots import prediction_figures

    [series] = prediction_figures([judged])[0].panels[0].series
    assert (np.array(series.low) < series.y).all()
    assert (np.array(series.high) > series.y).all()


def test_a_predictor_that_does_not_say_what_it_learned_from_is_flagged(tmp_path):
    from edgeprof.predictors.base import Origin

    append(tmp_path / "s.db", PI, SPACE.sample(12, np.random.default_rng(0)))
    predictor = AdditiveLatency(SPACE, "rpi4")
    predictor.origin = Origin(learned=None)
    devices = read_stores([tmp_path / "s.db"])
    judged = judge_predictors([("old", predictor)], devices)
    assert not judged[0].is_known
    [*_, errors] = answers(devices, [], judged, None)
    assert "maybe learned from" in errors.lines[-1][1]
