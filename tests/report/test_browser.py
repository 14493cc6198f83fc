"""The page as a browser shows it: wide and narrow, light and dark, by keyboard."""

import json

import numpy as np
import pytest
from campaign_records import records_of
from report_pages import CHROMIUM, LOOKS, append_networks, looked_at
from stand_in_models import AdditiveLatency, UncertainLatency
from stored_records import fill_store

from edgeprof import get_space
from edgeprof.records.store import Store
from edgeprof.report import Contents, write_report

SPACE = get_space("ofa-mbv3-w1.0")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page with every part there is, and names that are too long for a phone."""
    from made_networks import convolution

    from edgeprof.networks.layers import Shape
    from edgeprof.networks.listed import network_of_layers

    folder = tmp_path_factory.mktemp("page")
    boards = [AdditiveLatency(SPACE, name) for name in ("<!--<script>", f"board-{'x' * 60}")]
    subnets = SPACE.sample(45, np.random.default_rng(0))
    path = fill_store(folder / "rack.db", boards, subnets)
    layers = [convolution(32, 16, 16, kernel=3)]
    network = network_of_layers(f"{'detector_' * 9}.onnx", layers, Shape(3, 32, 32))
    append_networks(path, boards[0].device, [network], [3.0])
    with Store(path) as store:
        for key, record in records_of("c", 0).items():
            kind = "reference" if key.startswith("reference") else "onnx"
            store.append(record, job_key=key, device="pi", model_kind=kind)
        failure = {"error": {"kind": "BoardUnreachable", "message": "no answer " * 20}}
        store.append_failure(failure, job_key="x", device=boards[0].device)
    found = [
        {"latency_ms": 5.0 + i, "accuracy": 0.7 + 0.01 * i, "subnet": subnet.to_dict(),
         "latency_source": boards[0].device}
        for i, subnet in enumerate(subnets[:4])
    ]  # fmt: skip
    (folder / "front.json").write_text(json.dumps(found))
    predictors = [
        ("additive", boards[0]),
        ("uncertain", UncertainLatency(SPACE, boards[0].device)),
    ]
    contents = Contents([path], predictors, results=[folder / "front.json"])
    return write_report(contents, folder / "report.html")


@pytest.fixture(scope="module")
def looks(written, tmp_path_factory):
    return looked_at(written.path, tmp_path_factory.mktemp("look"))


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_page_is_whole_readable_and_silent(written, looks, width, theme):
    found = looks[width, theme]
    assert found["console"] == []
    assert found["width"] == width
    assert found["dark"] == (theme == "dark")
    assert found["drawn"] == found["drawings"] > len(written.figure_ids)
    assert found["overflow"] <= 0
    assert found["wide"] == []
    assert found["faint"] == []


def test_points_are_reached_by_keyboard(looks):
    for found in looks.values():
        assert "px" in found["keyboard"]
        assert " ms" in found["keyboard"]
        assert found["hidden_again"]
        assert found["focusable"] > 20
