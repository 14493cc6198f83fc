"""All models by sample count, and their learning curves."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_device import PHONE, SERVER

from edgeprof.errors import DatasetError, OutputError
from edgeprof.predictors.compare import compare_models, plot_learning_curves
from edgeprof.predictors.gp import HostModel
from edgeprof.spaces import get_space

SPACE = get_space("ofa-mbv3-w1.0")


def test_every_model_is_judged_at_every_count(tmp_path: Path) -> None:
    base = HostModel.fit(SERVER.measure(SPACE, 30, seed=0))
    data = PHONE.measure(SPACE, 80, seed=0)
    points = compare_models(data, [5, 20], models=["gp", "linear"], bases=[base], draws=2)
    found = {(p.model, p.n): p for p in points}
    names = {"gp", "gp + base", "linear", "macs", "mean"}
    assert set(found) == {(name, n) for name in names for n in (5, 20)}
    for n in (5, 20):
        assert found["gp + base", n].mape < found["mean", n].mape
    assert all(p.low_mape <= p.mape <= p.high_mape for p in points)
    pytest.importorskip("matplotlib")
    for name in ("curves.png", "curves.svg"):
        plot_learning_curves(points, "phone", tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(OutputError, match=r"ends in \.png or \.svg"):
        plot_learning_curves(points, "phone", tmp_path / "curves.txt")


def test_more_samples_than_rows_are_refused() -> None:
    with pytest.raises(DatasetError, match="8 rows are left to draw 9 from"):
        compare_models(PHONE.measure(SPACE, 10, seed=0), [9], models=["linear"])
