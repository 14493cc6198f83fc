"""Train, adapt, evaluate and suggest, as the command line does them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from run_cli import run
from synthetic_device import PHONE, SERVER, synthetic_tables, write_dataset

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import read_subnets, write_subnets
from edgeprof.predictors import load_predictor
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.evaluation import evaluate_predictor
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.gp.suggest import Pool, suggest_next
from edgeprof.predictors.load import load_base, load_gaussian_process, load_host
from edgeprof.predictors.lut.lut_file import write_tables
from edgeprof.predictors.lut.lut_keys import Grammar
from edgeprof.predictors.lut.model import LutModel
from edgeprof.predictors.metrics import (
    evaluate,
    metrics_of,
    trivial_metrics,
    trivial_predictors,
    trivial_unseen,
)
from edgeprof.predictors.models import folds_of
from edgeprof.predictors.paper.linear import LinearModel
from edgeprof.predictors.save import save_host, save_predictor
from edgeprof.predictors.train import Training, train
from edgeprof.records.dataset import read_dataset

SPACE = "ofa-mbv3-w1.0"

pytestmark = pytest.mark.usefixtures("quick_distillation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the measurements of two devices and a trained predictor of one."""
    path = tmp_path_factory.mktemp("train")
    space = get_space(SPACE)
    write_dataset(path / "data.csv", *(d.measure(space, 160, seed=0) for d in (PHONE, SERVER)))
    result = run(
        "train", path / "data.csv", "--device", "server", "--rows", "0:60", "-o", path / "s.edgp"
    )
    assert result.exit_code == 0, result.output
    (path / "printed").write_text(result.output)
    return path


def test_train_writes_both_files_and_prints_errors_beside_the_trivial(folder: Path) -> None:
    printed = (folder / "printed").read_text()
    for text in ("cross-validated", "trivial: mean", "trivial: macs", "s.edgp", "s.host.npz"):
        assert text in printed
    assert (folder / "s.edgp").stat().st_size <= 16 * 1024
    held_out = read_dataset(folder / "data.csv", device="server", rows=(60, 160))
    host = evaluate(load_predictor(folder / "s.host.npz"), held_out).mape
    shipped = evaluate(load_predictor(folder / "s.edgp"), held_out).mape
    assert host < 0.03
    assert shipped - host < 0.005


def test_the_shipped_file_says_where_it_comes_from(folder: Path) -> None:
    provenance = load_predictor(folder / "s.edgp").provenance  # type: ignore[attr-defined]
    data = read_dataset(folder / "data.csv", device="server", rows=(0, 60))
    assert provenance["data_sha256"] == data.sha256
    assert provenance["n"] == 60
    assert provenance["model"] == "gp"
    assert provenance["cross_validated"]["n"] == 60


def test_evaluate_prints_the_metrics_that_scripts_rely_on(folder: Path) -> None:
    arguments = (folder / "data.csv", "--device", "server", "--rows", "60:160", "--json")
    result = run("evaluate", folder / "s.edgp", *arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    for name in ("mae_ms", "rmse_ms", "mape", "within_5pct", "within_10pct"):
        assert found[name] >= 0
    assert found["n"] == 100
    assert found["spearman"] > 0.99
    assert found["kendall_tau"] > 0.9
    assert found["mape"] < found["trivial"]["macs"]["mape"] < found["trivial"]["mean"]["mape"]
    assert "coverage_90pct" not in found
    with_host = json.loads(run("evaluate", folder / "s.host.npz", *arguments).stdout)
    assert 0.85 <= with_host["coverage_90pct"] <= 0.99


def test_trivial_predictors_are_fitted_to_the_training_rows_too(folder: Path) -> None:
    trained = read_dataset(folder / "data.csv", device="server", rows=(0, 60))
    judged = read_dataset(folder / "data.csv", device="server", rows=(60, 160))
    expected = np.abs(trained.latency_ms.mean() / judged.latency_ms - 1).mean()
    for name in ("s.edgp", "s.host.npz"):
        result = evaluate_predictor(load_predictor(folder / name), judged)
        assert result.trivial_fitted_to == "training rows"
        assert result.trivial["mean"].mape == pytest.approx(expected)
        assert result.trivial["macs"] == evaluate(trivial_predictors(trained)["macs"], judged)
    no_training = evaluate_predictor(trivial_predictors(trained)["macs"], judged)
    assert no_training.trivial_fitted_to == "these rows"


@pytest.mark.parametrize("n_folds", [12, 5])
def test_trivial_predictors_are_cross_validated_in_the_same_folds(n_folds: int) -> None:
    data = SERVER.measure(get_space(SPACE), 12, seed=0)
    model = GaussianProcess().fit(data) if n_folds == 12 else LinearModel.fit(data)
    folds = folds_of(model, len(data), seed=3)
    assert len(folds) == n_folds
    assert sorted(np.concatenate(folds)) == list(range(12))
    found = trivial_metrics(trivial_unseen(data, folds), data.latency_ms)
    predicted = {"mean": np.empty(12), "macs": np.empty(12)}
    for fold in folds:
        rest = data.take(np.setdiff1d(np.arange(12), fold))
        for name, predictor in trivial_predictors(rest).items():
            predicted[name][fold] = predictor.predict_codes(data.codes[fold])
    for name, predicted_ms in predicted.items():
        assert found[name].mae_ms == pytest.approx(metrics_of(predicted_ms, data.latency_ms).mae_ms)
    assert found["mean"].spearman is None


def test_no_host_removes_the_host_model_of_the_predictor_it_replaces(
    folder: Path, tmp_path: Path
) -> None:
    student = CompactPredictor.load(folder / "s.edgp")
    for host, files in ((load_host(folder / "s.host.npz"), 2), (None, 1)):
        assert len(save_predictor(tmp_path / "s.edgp", student, host)) == files
        assert len(list(tmp_path.iterdir())) == files
        assert load_base(tmp_path / "s.edgp").device == "server"


def test_a_host_model_of_another_predictor_is_refused(folder: Path, tmp_path: Path) -> None:
    assert load_gaussian_process(folder / "s.edgp").device == "server"
    (tmp_path / "other.edgp").write_bytes((folder / "s.edgp").read_bytes())
    other = GaussianProcess().fit(PHONE.measure(get_space(SPACE), 5, seed=0))
    save_host(tmp_path / "other.host.npz", other)
    for load in (load_base, load_gaussian_process):
        with pytest.raises(PredictorFormatError, match=r"is not the host model that .*other\.edgp"):
            load(tmp_path / "other.edgp")


def test_adapt_needs_few_rows_and_uses_the_host_model_of_the_base(folder: Path) -> None:
    result = run(
        *("adapt", folder / "s.edgp", "--data", folder / "data.csv", "--device", "phone"),
        *("--rows", "0:60", "-n", "5", "--seed", "2", "-o", folder / "q.edgp", "--json"),
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["provenance"]["bases"] == [f"server ({SPACE})"]
    held_out = read_dataset(folder / "data.csv", device="phone", rows=(60, 160))
    assert evaluate(load_predictor(folder / "q.edgp"), held_out).mape < 0.05
    assert load_host(folder / "q.host.npz").bases[0].kind == "gp"  # type: ignore[attr-defined]


def test_adapt_takes_a_base_without_its_host_model(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.edgp").write_bytes((folder / "s.edgp").read_bytes())
    result = run(
        *("adapt", tmp_path / "alone.edgp", "--data", folder / "data.csv", "--device", "phone"),
        *("-n", "5", "-o", tmp_path / "q.edgp"),
    )
    assert result.exit_code == 0, result.output
    held_out = read_dataset(folder / "data.csv", device="phone", rows=(60, 160))
    kept, shipped = (load_predictor(tmp_path / name) for name in ("q.host.npz", "q.edgp"))
    np.testing.assert_allclose(
        kept.predict_codes(held_out.codes), shipped.predict_codes(held_out.codes), rtol=0.03
    )


def test_options_that_a_model_would_not_use_are_wrong_usage(folder: Path) -> None:
    base, data = folder / "s.host.npz", (folder / "data.csv", "--device", "phone")
    for arguments, message in (
        (("--model", "paper-gpu"), "--across goes with"),
        (("--model", "linear", "--base", base), "--base goes with"),
        (("--model", "paper-mlp", "--base", base), "--base goes with"),
        (("--across", base, "--base", base), "--base goes with"),
        (("--across", base, "--model", "linear"), "--across goes with"),
        (("--model", "paper-finetune"), "needs --base"),
        (("--model", "lut"), "go together"),
        (("--lut", folder), "go together"),
        (("--space", SPACE), "--space goes with --across"),
    ):
        result = run("train", *data, *arguments, "-o", folder / "never.edgp")
        assert result.exit_code == 2, arguments
        assert message in result.stderr
    assert not (folder / "never.edgp").exists()


def test_lookup_tables_become_an_edgp(folder: Path, tmp_path: Path) -> None:
    tables = synthetic_tables(get_space(SPACE), (160, 176, 224))
    write_tables(tables.table_set, tmp_path / "lut", Grammar.OFA)
    result = run(
        *("train", folder / "data.csv", "--device", "phone", "--model", "lut"),
        *("--lut", tmp_path / "lut", "-o", tmp_path / "l.edgp"),
    )
    assert result.exit_code == 0, result.output
    assert "no tables for 128, 132" in result.stdout
    codes = get_space(SPACE).sample_codes(200, np.random.default_rng(0), [160, 176, 224])
    shipped, kept = (load_predictor(tmp_path / name) for name in ("l.edgp", "l.host.npz"))
    assert (shipped.device, kept.device) == ("phone", "phone")
    np.testing.assert_allclose(kept.predict_codes(codes), tables.predict_codes(codes))
    assert metrics_of(shipped.predict_codes(codes), tables.predict_codes(codes)).mape < 0.005
    assert shipped.provenance["bases"] == [f"lut ({SPACE})"]  # type: ignore[attr-defined]


def test_between_and_beyond_tables_sums_follow_the_pixels() -> None:
    space = get_space(SPACE)
    model = LutModel(synthetic_tables(space, (160, 224)), "phone")
    full = synthetic_tables(space, (144, 160, 192, 224))
    for resolution in (144, 192):
        codes = space.sample_codes(50, np.random.default_rng(0), [resolution])
        error = metrics_of(model.predict_codes(codes), full.predict_codes(codes))
        assert error.mape < 0.03
    alone = LutModel(synthetic_tables(space, (224,)), "phone")
    assert np.all(alone.predict_codes(codes) < full.predict_codes(codes) * 1.1)


@pytest.mark.usefixtures("token_distillation")
def test_a_paper_mlp_is_trained_and_fine_tuned(folder: Path, tmp_path: Path) -> None:
    data, tuned = folder / "data.csv", ("-o", tmp_path / "f.edgp")
    for arguments in (
        ("--device", "server", "--model", "paper-mlp", "-o", tmp_path / "m.edgp"),
        *[
            ("--device", "phone", "--model", "paper-finetune", "--base", base, *tuned)
            for base in (tmp_path / "m.edgp", tmp_path / "m.host.npz")
        ],
    ):
        result = run("train", data, "-n", "30", *arguments)
        assert result.exit_code == 0, result.output
    write_subnets(tmp_path / "s.jsonl", get_space(SPACE).sample(3, np.random.default_rng(0)))
    lines = run("predict", tmp_path / "f.host.npz", tmp_path / "s.jsonl").stdout.splitlines()
    for line in map(json.loads, lines):
        assert 0 <= line["latency_low_ms"] < line["latency_ms"] < line["latency_high_ms"]


@pytest.mark.usefixtures("token_distillation")
def test_one_sample_is_enough_to_train_on(folder: Path, tmp_path: Path) -> None:
    result = run(
        *("train", folder / "data.csv", "--device", "phone", "-n", "1"),
        *("-o", tmp_path / "p.edgp"),
    )
    assert result.exit_code == 0, result.output
    assert "only 1 sample" in result.stdout
    held_out = read_dataset(folder / "data.csv", device="phone", rows=(60, 160))
    assert evaluate(load_predictor(tmp_path / "p.edgp"), held_out).mape < 0.4


DEVICES = """device,cores,clock_mhz,ram_gb,bandwidth_gb_per_s,hardware
phone,8,1000,4,8,
server,100,2000,64,40,rack
server at night,100,2000,64,40,rack
"""


@pytest.mark.usefixtures("token_distillation")
def test_across_predicts_a_device_and_can_be_adapted(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "devices.csv"
    sheet.write_text(DEVICES.replace("phone,", "tablet,"))
    arguments = ("train", folder / "data.csv", "--across", sheet)
    unmeasured = ("--device", "tablet", "-o", tmp_path / "t.edgp")
    result = run(*arguments, *unmeasured)
    assert result.exit_code == 0, result.output
    assert "lacks phone; their rows are not used" in result.stderr
    assert "no measurement of tablet: predicted from its data sheet and server" in result.stdout
    assert "90 % interval" in result.stdout
    twin = run(*arguments, "--device", "server at night", "-o", tmp_path / "n.edgp")
    assert "no rows of other hardware than rack" in str(twin.exception)
    zero = load_predictor(tmp_path / "t.edgp")
    result = run(
        *("adapt", tmp_path / "t.edgp", folder / "s.edgp", "--data", folder / "data.csv"),
        *("--device", "phone", "-n", "5", "-o", tmp_path / "q.edgp", "--json"),
    )
    assert result.exit_code == 0, result.output
    bases = json.loads(result.stdout)["provenance"]["bases"]
    assert bases == [f"tablet ({SPACE})", f"server ({SPACE})"]
    held_out = read_dataset(folder / "data.csv", device="phone", rows=(60, 160))
    adapted = evaluate(load_predictor(tmp_path / "q.edgp"), held_out).mape
    assert adapted < 0.5 * evaluate(zero, held_out).mape


def test_a_base_of_another_space_is_named_by_its_file(folder: Path, tmp_path: Path) -> None:
    other = write_dataset(
        tmp_path / "r.csv", PHONE.measure(get_space("ofa-proxyless-w1.3"), 5, seed=0)
    )
    result = run("adapt", folder / "s.edgp", "--data", other, "-o", tmp_path / "q.edgp")
    assert f"{folder / 's.edgp'} of server: is of space {SPACE}" in str(result.exception)


def test_an_exported_model_is_predicted_by_the_host_model_beside(
    folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    from edgeprof.export import export_subnets

    (subnet,) = get_space(SPACE).sample(1, np.random.default_rng(3))
    (entry,) = export_subnets([subnet], tmp_path, format="onnx", precision="fp32", batch=1)
    lines = [
        json.loads(run("predict", folder / name, tmp_path / entry.file).stdout)
        for name in ("s.edgp", "s.host.npz")
    ]
    assert lines[0] == lines[1]
    expected = load_predictor(folder / "s.host.npz").predict([subnet])[0]
    assert lines[0]["latency_ms"] == pytest.approx(expected, rel=0.03)
    assert lines[0]["latency_low_ms"] < expected < lines[0]["latency_high_ms"]
    (tmp_path / "alone.edgp").write_bytes((folder / "s.edgp").read_bytes())
    failed = run("predict", tmp_path / "alone.edgp", tmp_path / entry.file)
    assert "needs the .host.npz of a gp beside it" in str(failed.exception)


def test_a_student_that_falls_short_is_noted(folder: Path) -> None:
    model = load_predictor(folder / "s.host.npz")
    student = CompactPredictor.load(folder / "s.edgp")
    close, far = (Training(model, student, mape) for mape in (0.004, 0.006))  # type: ignore[arg-type]
    assert close.notes == ()
    assert "distillation costs 0.60%" in far.notes[0]


def test_what_has_been_measured_is_not_suggested() -> None:
    space = get_space(SPACE)
    pool = space.sample(40, np.random.default_rng(7))
    codes = space.encode(pool)
    known = PHONE.measure(space, 1, seed=0).take([0] * 30)
    known = replace(known, codes=codes[:30], subnets=tuple(pool[:30]), rows=np.arange(30))
    latencies_ms = np.linspace(10, 20, 30)
    model = GaussianProcess().fit(replace(known, latency_ms=latencies_ms))
    chosen = suggest_next(model, 10, Pool(40, seed=7))
    assert {subnet.id for subnet in chosen} == {subnet.id for subnet in pool[30:]}
    with pytest.raises(PredictorFormatError, match="30 of them measured before"):
        suggest_next(model, 11, Pool(40, seed=7))


def test_suggest_is_reproducible_and_avoids_what_is_known(folder: Path) -> None:
    lists = []
    for _ in range(2):
        result = run("suggest", "--predictor", folder / "s.edgp", "-n", "5", "--pool", "200")
        assert result.exit_code == 0, result.output
        lists.append(result.stdout)
    assert lists[0] == lists[1]
    assert len(set(lists[0].splitlines())) == 5


def test_suggest_knows_where_to_start(folder: Path, tmp_path: Path) -> None:
    for arguments in (("--predictor", folder / "s.edgp"), ("--space", SPACE)):
        path = tmp_path / "first.jsonl"
        result = run("suggest", "--new-device", *arguments, "-n", "4", "--pool", "200", "-o", path)
        assert result.exit_code == 0, result.output
        assert len({subnet.id for subnet in read_subnets(path)}) == 4


def test_suggest_without_a_predictor_or_a_space_is_wrong_usage() -> None:
    assert run("suggest", "-n", "3").exit_code == 2
    assert run("suggest", "--new-device").exit_code == 2


@pytest.mark.usefixtures("token_distillation")
def test_no_host_leaves_the_host_model_out(folder: Path, tmp_path: Path) -> None:
    result = run(
        *("train", folder / "data.csv", "--device", "phone", "-n", "8"),
        *("--model", "linear", "--no-host", "-o", tmp_path / "l.edgp"),
    )
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["l.edgp"]


def test_an_unknown_model_and_another_suffix_are_errors(folder: Path, tmp_path: Path) -> None:
    data = read_dataset(folder / "data.csv", device="phone", n=5)
    with pytest.raises(
        PredictorFormatError,
        match="unknown model 'magic'; known: gp, linear, lut, paper-finetune, paper-mlp",
    ):
        train(data, model="magic")
    for name in ("p.onnx", "p"):
        result = run("train", folder / "data.csv", "--device", "phone", "-o", tmp_path / name)
        assert isinstance(result.exception, PredictorFormatError)
        assert "ends in .edgp" in str(result.exception)
        assert not list(tmp_path.iterdir())


def test_a_predictor_of_another_space_is_not_judged(folder: Path) -> None:
    other = PHONE.measure(get_space("ofa-mbv3-w1.2"), 3, seed=0)
    with pytest.raises(DatasetError, match="column space"):
        evaluate_predictor(load_predictor(folder / "s.edgp"), other)


def test_dropped_rows_are_counted_on_stderr(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "data.csv").read_text().splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0] + ",nan"
    (tmp_path / "bad.csv").write_text("\n".join(lines[:12]) + "\n")
    result = run("evaluate", folder / "s.edgp", tmp_path / "bad.csv", "--drop-invalid")
    assert result.exit_code == 0, result.output
    assert "dropped 1 rows (latency_ms: 1)" in result.stderr
    failed = run("evaluate", folder / "s.edgp", tmp_path / "bad.csv")
    assert "line 3 (row 1), column latency_ms: 'nan'" in str(failed.exception)
