"""``edgeprof evaluate`` on rows of networks of any kind."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_networks import made_networks
from report_pages import append_networks
from run_cli import run
from stand_in_models import AdditiveLatency

from edgeprof import get_space
from edgeprof.predictors.examples import NetworkExamples
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.save import save_host
from edgeprof.records.dataset import Dataset
from edgeprof.records.network_rows import read_network_rows
from edgeprof.report.data import read_stores

SPACE = get_space("ofa-mbv3-w1.0")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    append_networks(path, "rpi5", *made_networks(40))
    return path


@pytest.fixture(scope="module")
def rows(lab, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    done = run("dataset", "export", lab, "--include-poor", "-o", path)
    assert done.exit_code == 0, done.output
    return path


def test_evaluate_judges_layer_costs_on_rows_of_networks(rows, tmp_path):
    predictor = tmp_path / "p.host.npz"
    assert run("train", rows, "--rows", "0:30", "-o", predictor).exit_code == 0
    done = run("evaluate", predictor, rows)
    assert done.exit_code == 0, done.output
    first, *lines = done.stdout.splitlines()
    assert first.endswith("on 10 measurements of rpi5; 30 more that it learned from are left out")
    assert any("times better than MACs" in line for line in lines)
    assert any(line.startswith("noise floor 0.") for line in lines)
    found = json.loads(run("evaluate", predictor, rows, "--json").stdout)
    assert (found["n"], found["n_left_out"], found["n_learned_from"]) == (10, 30, 0)
    assert found["trivial_fitted_to"] == "training rows"
    assert found["beats_macs"]
    all_known = run("evaluate", predictor, rows, "--rows", "0:30")
    assert "has learned from all 30 rows" in str(all_known.exception)


def test_the_shipped_form_of_layer_costs_is_judged_too(rows, tmp_path):
    predictor = tmp_path / "p.host.npz"
    assert run("train", rows, "--rows", "0:30", "-o", predictor).exit_code == 0
    assert run("ship", predictor, "--to", "edgp", "-o", tmp_path).exit_code == 0
    found = json.loads(run("evaluate", tmp_path / "p.edgp", rows, "--json").stdout)
    assert (found["n"], found["n_left_out"]) == (10, 30)
    assert found["trivial_fitted_to"] == "training rows"
    assert "coverage_90pct" not in found


def test_a_predictor_of_subnets_says_that_rows_are_of_other_networks(rows, tmp_path):
    codes = SPACE.sample_codes(30, np.random.default_rng(0))
    latency_ms = AdditiveLatency(SPACE).predict_codes(codes)
    subnets = tuple(SPACE.decode(codes))
    data = Dataset(SPACE.id, "rpi5", subnets, codes, latency_ms, np.arange(30), "test")
    save_host(tmp_path / "gp.host.npz", GaussianProcess().fit(data))
    done = run("evaluate", tmp_path / "gp.host.npz", rows)
    assert done.exit_code == 1
    assert "a network that is no subnet" in str(done.exception)


def test_hashes_of_rows_do_not_depend_on_names():
    made, latency_ms = made_networks(40)
    first = NetworkExamples(made, latency_ms, 0 * latency_ms)
    assert len(set(first.hashes.tolist())) == len(made)
    renamed = [replace(network, name="other") for network in made]
    assert (NetworkExamples(renamed, latency_ms, 0 * latency_ms).hashes == first.hashes).all()
    slower = NetworkExamples(made, 1.01 * latency_ms, 0 * latency_ms)
    assert not (slower.hashes == first.hashes).any()


def test_the_layers_in_a_store_are_those_of_the_rows(lab, rows):
    [device] = read_stores([lab])
    listed, exported = device.network_rows(), read_network_rows(rows)
    assert len(listed) == len(exported) == 40
    mine, theirs = (NetworkExamples.of(one).hashes for one in (listed, exported))
    assert set(mine.tolist()) == set(theirs.tolist())
