"""A report about a rack: 1,000 networks on 10 boards."""

import numpy as np
import pytest
from report_pages import CHROMIUM, looked_at, points_of
from stand_in_models import AdditiveLatency
from stored_records import fill_store

from edgeprof import get_space
from edgeprof.report import Contents, write_report

SPACE = get_space("ofa-mbv3-w1.0")
MOST_BYTES = 1_500_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_rack_fits_into_a_megabyte_and_a_half(tmp_path):
    subnets = SPACE.sample(1000, np.random.default_rng(0))
    boards = [
        AdditiveLatency(SPACE, f"board-{n}", 1 + n * np.random.default_rng(n).random())
        for n in range(10)
    ]
    path = fill_store(tmp_path / "rack.db", boards, subnets)
    contents = Contents([path], [(f"{b.device}.edgp", b) for b in boards], learning_curve=False)
    written = write_report(contents, tmp_path / "report.html")
    assert written.path.stat().st_size <= MOST_BYTES
    page = written.path.read_text("utf-8")
    assert len(points_of(page, "macs")) == 10_000
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    found = looked_at(written.path, tmp_path / "look", 400, "dark")
    assert found["console"] == []
    assert found["drawn"] == found["drawings"]
    assert found["overflow"] <= 0
