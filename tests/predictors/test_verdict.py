"""Honest evaluations: rows that were learned from, the noise floor, and MACs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_cli import run
from synthetic_device import PHONE, write_dataset

from edgeprof.base.errors import DatasetError
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.evaluation import evaluate_predictor, learned_rows, unseen_rows
from edgeprof.predictors.examples import Examples
from edgeprof.predictors.load import load_predictor
from edgeprof.predictors.metrics import trivial_predictors
from edgeprof.predictors.verdict import judge, noise_floor

SPACE = get_space("ofa-mbv3-w1.0")
FILES_OF_BEFORE = Path(__file__).parents[1] / "data" / "version_0.1"

pytestmark = pytest.mark.usefixtures("quick_distillation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty rows, and predictors that learned from the first thirty."""
    path = tmp_path_factory.mktemp("verdict")
    write_dataset(path / "d.csv", PHONE.measure(SPACE, 40, seed=0))
    for model in ("gp", "linear"):
        output = path / f"{model}.edgp"
        result = run("train", path / "d.csv", "--rows", "0:30", "--model", model, "-o", output)
        assert result.exit_code == 0, result.output
    return path


@pytest.mark.parametrize("name", ["gp.edgp", "gp.host.npz", "linear.edgp", "linear.host.npz"])
def test_rows_that_were_learned_from_are_left_out_or_counted(folder: Path, name: str) -> None:
    result = run("evaluate", folder / name, folder / "d.csv")
    first = result.stdout.splitlines()[0]
    assert first.endswith("on 10 measurements of phone; 30 more that it learned from are left out")
    with_them = run("evaluate", folder / name, folder / "d.csv", "--include-trained")
    first = with_them.stdout.splitlines()[0]
    assert "on 40 measurements of phone, 30 of which it learned from" in first
    found = json.loads(run("evaluate", folder / name, folder / "d.csv", "--json").stdout)
    assert (found["n"], found["n_left_out"], found["n_learned_from"]) == (10, 30, 0)


def test_an_evaluation_on_nothing_but_training_rows_is_refused(folder: Path) -> None:
    arguments = ("evaluate", folder / "linear.edgp", folder / "d.csv", "--rows", "10:20")
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, DatasetError)
    assert "has learned from all 10 rows" in str(result.exception)
    assert run(*arguments, "--include-trained").exit_code == 0


def test_a_predictor_without_its_host_model_says_that_it_cannot_tell(
    folder: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.edgp"
    alone.write_bytes((folder / "gp.edgp").read_bytes())
    result = run("evaluate", alone, folder / "d.csv")
    assert "does not say which rows it learned from" in result.stdout.splitlines()[0]
    trained = run("evaluate", alone, folder / "d.csv", "--rows", "0:30")  # known by their hash
    assert "has learned from all 30 rows" in str(trained.exception)


def test_files_of_before_are_asked_too() -> None:
    data = PHONE.measure(SPACE, 12, seed=0)
    for name in ("gp.edgp", "gp.host.npz"):
        learned = learned_rows(load_predictor(FILES_OF_BEFORE / name), data)
        assert learned is not None
        assert learned.all()
    assert learned_rows(load_predictor(FILES_OF_BEFORE / "linear.host.npz"), data) is None
    trivial = trivial_predictors(data)["macs"]
    assert unseen_rows(trivial, data) is data


def test_compare_predictors_leaves_out_what_a_base_learned_from(folder: Path) -> None:
    arguments = ("compare-predictors", folder / "d.csv", "--base", folder / "gp.edgp")
    options = ("--counts", "5", "--models", "linear", "--draws", "1", "--json")
    assert "30 rows that a base learned from are left out" in run(*arguments, *options).stderr
    assert "left out" not in run(*arguments, *options, "--include-trained").stderr


@pytest.mark.usefixtures("token_distillation")
def test_the_verdict_is_printed_by_train_and_evaluate(folder: Path, tmp_path: Path) -> None:
    good = run("evaluate", folder / "gp.edgp", folder / "d.csv").stdout
    assert "times better than MACs (MAPE" in good
    assert "noise floor unknown" in good
    rows = write_dataset(tmp_path / "d.csv", PHONE.measure(SPACE, 12, seed=0))
    poor = run("train", rows, "--model", "linear", "-o", tmp_path / "p.edgp").stdout
    assert "no better than MACs: do not use" in poor


def test_the_noise_floor_comes_from_standard_errors_or_from_repeated_subnets() -> None:
    data = PHONE.measure(SPACE, 400, seed=0)
    rng = np.random.default_rng(1)
    assert noise_floor(Examples.of(data)) is None
    known = replace(data, latency_se_ms=0.03 * data.latency_ms)
    expected = np.abs(0.03 * rng.standard_normal(100_000)).mean()
    assert noise_floor(Examples.of(known)) == pytest.approx(expected, rel=0.02)
    twice = data.take([*range(400), *range(400)])
    noisy = twice.latency_ms * np.exp(0.03 * rng.standard_normal(800))
    found = noise_floor(Examples.of(replace(twice, latency_ms=noisy)))
    assert found == pytest.approx(expected, rel=0.1)


def test_a_difference_that_may_be_chance_is_not_better_than_macs() -> None:
    rows = Examples.of(PHONE.measure(SPACE, 20, seed=0))
    errors = 0.1 * np.random.default_rng(0).standard_normal((2, 20))
    alike = judge(rows.values * (1 + errors[0]), rows.values * (1 + errors[1]), rows)
    assert not alike.beats_macs
    assert "no better than MACs: do not use" in alike.lines[1]
    better = judge(rows.values * (1 + 0.2 * errors[0]), rows.values * (1 + errors[1]), rows)
    assert better.beats_macs
    result = evaluate_predictor(
        trivial_predictors(PHONE.measure(SPACE, 9, seed=3))["macs"], PHONE.measure(SPACE, 9, seed=4)
    )
    assert not result.verdict.beats_macs


@pytest.mark.usefixtures("token_distillation")
def test_the_recipe_of_the_readme_judges_on_rows_that_were_not_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "here.csv", PHONE.measure(SPACE, 100, seed=0))
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    recipe = [line.split("#")[0].split() for line in readme.splitlines() if " here.csv " in line]
    train, evaluate = (
        next(words for words in recipe if words[:2] == ["edgeprof", name])
        for name in ("train", "evaluate")
    )
    assert run(*train[1:]).exit_code == 0
    first = run(*evaluate[1:]).stdout.splitlines()[0]
    assert first == "here.edgp on 20 measurements of phone"
