"""All models by sample count, and their learning curves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from run_cli import run
from synthetic_device import PHONE, SERVER, synthetic_tables, write_dataset

from edgeprof.base.errors import DatasetError, OutputError, PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.learning_curve import compare_models, plot_learning_curves
from edgeprof.predictors.paper.mlp import PaperMlp
from edgeprof.predictors.save import save_host

SPACE = get_space("ofa-mbv3-w1.0")


def test_every_model_is_judged_at_every_count(tmp_path: Path) -> None:
    base = GaussianProcess().fit(SERVER.measure(SPACE, 30, seed=0))
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
    ranks = found["gp + base", 20]
    assert ranks.spearman is not None
    assert ranks.spearman > 0.9
    assert ranks.rmse_ms >= ranks.mae_ms
    assert 0 <= ranks.within_10pct <= 1
    with pytest.raises(OutputError, match=r"ends in \.png or \.svg"):
        plot_learning_curves(points, "phone", tmp_path / "curves.txt")


def test_what_the_bases_and_tables_allow_is_judged_too() -> None:
    network = PaperMlp.fit(SERVER.measure(SPACE, 40, seed=0))
    data = PHONE.measure(SPACE, 30, seed=0)
    tables = synthetic_tables(SPACE)
    points = compare_models(data, [8], models=[], bases=[network], tables=tables, draws=1)
    assert {p.model for p in points} == {"paper-finetune", "lut", "macs", "mean"}
    with pytest.raises(PredictorFormatError, match="paper-finetune: want one base"):
        compare_models(data, [8], models=["paper-finetune"], draws=1)


def test_the_command_prints_every_model_with_its_errors(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "d.csv", PHONE.measure(SPACE, 40, seed=0))
    save_host(tmp_path / "b.host.npz", GaussianProcess().fit(SERVER.measure(SPACE, 20, seed=0)))
    arguments = ("--counts", "6", "--models", "gp,linear", "--draws", 1)
    base = ("--base", tmp_path / "b.host.npz")
    result = run("compare-predictors", data, *arguments, *base)
    assert result.exit_code == 0, result.output
    for text in ("gp + base", "linear", "RMSE", "in 10 %", "Spearman"):
        assert text in result.stdout
    points = json.loads(run("compare-predictors", data, *arguments, "--json").stdout)
    assert {point["model"] for point in points} == {"gp", "linear", "macs", "mean"}
    assert {"mae_ms", "rmse_ms", "mape", "within_10pct", "spearman"} <= set(points[0])


def test_more_samples_than_rows_are_refused() -> None:
    with pytest.raises(DatasetError, match="8 rows are left to draw 9 from"):
        compare_models(PHONE.measure(SPACE, 10, seed=0), [9], models=["linear"])
