"""An exported subnet is predicted from its file as from its choices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_device import PHONE

from edgeprof.networks import read_network
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.gp.model import GaussianProcess

pytest.importorskip("onnx")
SPACE = get_space("ofa-mbv3-w1.0")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], np.ndarray]:
    from edgeprof.export import export_subnets

    folder = tmp_path_factory.mktemp("models")
    subnets = SPACE.sample(3, np.random.default_rng(0))
    entries = export_subnets(subnets, folder, format="onnx", precision="fp32", batch=1)
    return [folder / entry.file for entry in entries], SPACE.encode(subnets)


def test_an_exported_subnet_has_the_work_of_its_layer_list(
    exported: tuple[list[Path], np.ndarray],
) -> None:
    paths, codes = exported
    for path, subnet in zip(paths, SPACE.decode(codes), strict=True):
        network = SPACE.layers(subnet)
        read = read_network(path)
        assert read.macs == network.macs
        assert read.parameters == pytest.approx(network.parameters, rel=1e-3)


def test_an_exported_subnet_is_predicted_as_the_subnet(
    exported: tuple[list[Path], np.ndarray],
) -> None:
    paths, codes = exported
    model = GaussianProcess().fit(PHONE.measure(SPACE, 40, seed=0))
    by_model = model.predict_networks([read_network(path) for path in paths]).mean_ms
    np.testing.assert_allclose(by_model, model.predict_codes(codes), rtol=0.03)
