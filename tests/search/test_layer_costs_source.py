"""A search by costs of layers that were learned from networks, without any subnet measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_networks import measured

from edgeprof.cli import cli
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.host_file import host_bytes
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.predictors.ship.forms import ship

SPACE = get_space("ofa-mbv3-w1.0")


@pytest.fixture(scope="module")
def model() -> LayerCosts:
    networks, latency_ms = measured(40, seed=0)
    return LayerCosts("machine").fit(networks, latency_ms)


@pytest.fixture(scope="module")
def host_file(model: LayerCosts, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("search") / "machine.host.npz"
    path.write_bytes(host_bytes(model))
    return path


def median_ms(model: LayerCosts) -> float:
    codes = SPACE.sample_codes(50, np.random.default_rng(0), SPACE.resolutions)
    return float(np.median(model.predict(SPACE.decode(codes))))


def search(source: Path, budget_ms: float, *more: str):
    arguments = ["search", "--latency", str(source), "--accuracy", "capacity-proxy", "--json"]
    arguments += ["--budget-ms", str(budget_ms), "--max-evaluations", "600", *more]
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("confidence", [(), ("--confidence", "0.9")])
def test_a_model_of_networks_alone_is_a_latency_source(model, host_file, confidence) -> None:
    budget_ms = median_ms(model)
    done = search(host_file, budget_ms, "--space", SPACE.id, *confidence)
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)
    latency_ms = float(model.predict([Subnet.from_dict(found["subnet"])])[0])
    assert 0.5 * budget_ms < latency_ms <= budget_ms
    if not confidence:
        assert found["latency_ms"] == pytest.approx(latency_ms)


def test_the_file_for_boards_is_one_too(model, host_file, tmp_path) -> None:
    (file,) = ship(host_file, "edgp", tmp_path)
    done = search(file, median_ms(model), "--space", SPACE.id)
    assert done.exit_code == 0, done.output


def test_without_a_space_the_search_says_what_is_missing(host_file) -> None:
    done = search(host_file, 10.0)
    assert done.exit_code == 1
    assert "predicts networks of any space: say which with --space" in str(done.exception)
