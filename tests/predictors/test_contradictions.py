"""Rows that the others contradict: found, named, left out, offered to measure again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_cli import run
from synthetic_device import PHONE, SERVER, write_dataset

from edgeprof.networks.spaces import get_space
from edgeprof.predictors.examples import Examples
from edgeprof.predictors.gp.contradictions import find_contradicted, fit_robustly
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.load import load_predictor
from edgeprof.predictors.metrics import evaluate
from edgeprof.predictors.train import train
from edgeprof.records.dataset import Dataset

SPACE = get_space("ofa-mbv3-w1.0")
BAD = [3, 11, 20]

pytestmark = pytest.mark.usefixtures("token_distillation")


def spoiled(data: Dataset, rows: list[int], factor: float) -> Dataset:
    latency_ms = data.latency_ms.copy()
    latency_ms[rows] *= factor
    return replace(data, latency_ms=latency_ms)


@pytest.mark.parametrize("factor", [0.4, 1.5, 3.3])
def test_several_bad_rows_are_found_and_cost_no_more_than_their_absence(factor: float) -> None:
    data = PHONE.measure(SPACE, 28, seed=0)
    judged = PHONE.measure(SPACE, 60, seed=9)
    model, left_out = fit_robustly(Examples.of(spoiled(data, BAD, factor)))
    assert left_out.positions.tolist() == BAD
    np.testing.assert_allclose(left_out.expected, data.latency_ms[BAD], rtol=0.15)
    rest = GaussianProcess().fit(data.take(left_out.rest(28)))
    assert evaluate(model, judged).mape == pytest.approx(evaluate(rest, judged).mape)
    bare = GaussianProcess().fit(spoiled(data, BAD, factor))
    assert evaluate(bare, judged).mape > 2 * evaluate(model, judged).mape


def test_good_rows_are_all_kept() -> None:
    for device, n in ((PHONE, 28), (SERVER, 10)):
        assert not len(find_contradicted(Examples.of(device.measure(SPACE, n, seed=1))))


def test_a_few_rows_or_too_many_bad_ones_cannot_be_told_apart() -> None:
    few = spoiled(PHONE.measure(SPACE, 5, seed=0), [1], 3.3)
    assert not len(find_contradicted(Examples.of(few)))
    half = spoiled(PHONE.measure(SPACE, 20, seed=0), list(range(8)), 3.3)
    assert not len(find_contradicted(Examples.of(half)))


def test_a_row_that_says_how_unsure_it_is_contradicts_nobody() -> None:
    examples = Examples.of(spoiled(PHONE.measure(SPACE, 28, seed=0), [3], 1.5))
    assert find_contradicted(examples).positions.tolist() == [3]
    errors = np.zeros(28)
    errors[3] = 0.4 * examples.values[3]
    assert not len(find_contradicted(replace(examples, standard_errors=errors)))


def test_noisy_rows_weigh_less_where_their_standard_errors_are_known() -> None:
    data, judged = PHONE.measure(SPACE, 40, seed=0), PHONE.measure(SPACE, 60, seed=9)
    relative = np.where(np.arange(40) % 2, 0.15, 0.005)
    noise = relative * np.random.default_rng(4).standard_normal(40)
    noisy = replace(data, latency_ms=data.latency_ms * (1 + noise))
    known = replace(noisy, latency_se_ms=relative * noisy.latency_ms)
    blind, knowing = (GaussianProcess().fit(rows) for rows in (noisy, known))
    assert evaluate(knowing, judged).mape < 0.7 * evaluate(blind, judged).mape


@pytest.mark.parametrize("model", ["gp", "linear"])
def test_train_leaves_bad_rows_out_of_every_model_and_names_them(model: str) -> None:
    data = spoiled(PHONE.measure(SPACE, 28, seed=0), BAD, 3.3)
    done = train(data, model=model)
    assert [row.row for row in done.left_out] == BAD
    assert done.left_out[0].subnet == data.subnets[3]
    assert "3 of the rows contradict the others" in done.notes[0]
    assert "row 3 (" in done.notes[0]
    assert done.student.provenance["n"] == 25


def test_the_command_names_bad_rows_and_suggest_offers_them_again(tmp_path: Path) -> None:
    data = spoiled(PHONE.measure(SPACE, 28, seed=0), BAD, 3.3)
    rows = write_dataset(tmp_path / "d.csv", data)
    result = run("train", rows, "-o", tmp_path / "p.edgp")
    assert "note: 3 of the rows contradict the others" in result.stdout
    for name in ("p.edgp", "p.host.npz"):
        again = run("suggest", "--again", "--predictor", tmp_path / name)
        listed = [json.loads(line) for line in again.stdout.splitlines()]
        assert listed == [data.subnets[row].to_dict() for row in BAD]
    assert run("suggest", "--again").exit_code == 2
    origin = load_predictor(tmp_path / "p.edgp").origin  # type: ignore[attr-defined]
    assert len(origin.learned) == 28
