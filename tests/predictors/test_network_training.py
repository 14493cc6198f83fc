"""Model files and subnets in one table: read, learned from, predicted and explained."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_networks import measured
from run_cli import run
from synthetic_device import PHONE, write_dataset

import edgeprof
from edgeprof.base.errors import DatasetError, OutputError, PredictorFormatError
from edgeprof.networks import read_network
from edgeprof.networks.layers import Shape
from edgeprof.networks.listed import network_of_layers
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.host_file import host_bytes
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.predictors.layers.training import train_networks
from edgeprof.predictors.load import load_predictor
from edgeprof.records.network_rows import NetworkRows, names_models, read_network_rows

pytest.importorskip("onnx")
pytest.importorskip("scipy")

SPACE = get_space("ofa-mbv3-w1.0")
COLUMNS = ("device", "model", "space", "resolution", "ks", "e", "d", "latency_ms", "latency_se")


def write_model(path: Path, width: int, extra: str | None = None) -> Path:
    from onnx import helper
    from onnx_graphs import write_onnx

    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"]),
        helper.make_node(extra or "Sigmoid", ["c"], ["y"]),
    ]
    weights = [("w0", (width, 3, 3, 3)), ("w1", (2 * width, width, 1, 1))]
    return write_onnx(path, nodes, [("x", (1, 3, 64, 64))], weights)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table of twelve model files and twelve subnets."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "zoo").mkdir()
    rows: list[dict[str, object]] = []
    for width in range(8, 56, 4):
        path = write_model(folder / "zoo" / f"{width}.onnx", width)
        latency_ms = read_network(path).macs / 8e6 + 0.05
        rows.append({"model": f"zoo/{path.name}", "latency_ms": latency_ms, "latency_se": 0.001})
    data = PHONE.measure(SPACE, 12, seed=0)
    for subnet, latency_ms in zip(data.subnets, data.latency_ms, strict=True):
        lists = {name: json.dumps(getattr(subnet, name)) for name in ("ks", "e", "d")}
        rows.append({"space": SPACE.id, "resolution": subnet.r, **lists, "latency_ms": latency_ms})
    return write_table(folder / "mixed.csv", rows)


def write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows({"device": "pi", **row} for row in rows)
    return path


@pytest.fixture(scope="module")
def predictor(table: Path) -> Path:
    result = run("train", table, "-o", table.parent / "pi.edgp")
    assert result.exit_code == 0, result.output
    assert "90 % intervals hold" in result.output
    return table.parent / "pi.host.npz"


def test_rows_of_files_and_of_subnets_are_read_together(table: Path) -> None:
    rows = read_network_rows(table)
    assert names_models(table)
    assert (len(rows), rows.device, rows.spaces) == (24, "pi", (SPACE.id,))
    assert rows.networks[0].macs == read_network(table.parent / "zoo" / "8.onnx").macs
    assert np.isnan(rows.latency_se_ms).sum() == 12


def test_rows_are_selected_as_those_of_subnets(table: Path) -> None:
    assert len(read_network_rows(table, rows=(0, 12))) == 12
    drawn = read_network_rows(table, n=5, seed=1)
    assert len(drawn) == 5
    assert (drawn.latency_ms == read_network_rows(table, n=5, seed=1).latency_ms).all()
    with pytest.raises(DatasetError, match="want -n 99"):
        read_network_rows(table, n=99)


def test_subnets_have_the_batch_and_the_type_that_they_were_measured_in(tmp_path: Path) -> None:
    subnet = SPACE.sample(1, np.random.default_rng(0))[0]
    lists = {name: json.dumps(getattr(subnet, name)) for name in ("ks", "e", "d")}
    row = {"device": "pi", "space": SPACE.id, "resolution": subnet.r, **lists, "latency_ms": 1}
    kinds = ("", "onnx-fp32-b1", "onnx-fp32-b4", "tflite-int8-b1")
    path = tmp_path / "kinds.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*row, "model_kind"])
        writer.writeheader()
        writer.writerows({**row, "model_kind": kind} for kind in kinds)
    plain, same, batch, quantised = read_network_rows(path).networks
    assert plain.work == same.work
    assert batch.macs == 4 * plain.macs
    assert sum(layer.weight_bytes for layer in batch.work) == 4 * plain.parameters
    assert quantised.macs == plain.macs
    assert {layer.element_type for layer in quantised.work} == {"int8"}
    assert sum(layer.bytes_written for layer in quantised.work) == sum(
        layer.elements_written for layer in plain.work
    )


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"model": "missing.onnx", "latency_ms": 1}, "model"),
        ({"model": "", "latency_ms": 1}, "model"),
        ({"model": "zoo/8.onnx", "latency_ms": 0}, "latency_ms"),
        ({"model": "zoo/8.onnx", "latency_ms": 1, "latency_se": -1}, "latency_se"),
    ],
)
def test_a_bad_row_is_named_or_dropped(table: Path, row: dict[str, object], column: str) -> None:
    path = table.parent / "bad.csv"
    write_table(path, [{"model": "zoo/12.onnx", "latency_ms": 1}, row])
    with pytest.raises(DatasetError, match=f"bad.csv, line 3, column {column}: "):
        read_network_rows(path)
    kept = read_network_rows(path, drop_invalid=True)
    assert (len(kept), kept.dropped) == (1, {column: 1})


def test_training_leaves_no_compact_predictor_of_other_rows(table: Path) -> None:
    stale = table.parent / "other.edgp"
    stale.write_bytes(b"of other rows")
    result = run("train", table, "-o", stale, "--json")
    assert json.loads(result.stdout)["files"] == [str(table.parent / "other.host.npz")]
    assert not stale.exists()


def test_a_model_file_is_predicted_with_its_interval(table: Path, predictor: Path) -> None:
    model = write_model(table.parent / "new.onnx", 30)
    result = run("predict", predictor, model)
    line = json.loads(result.stdout)
    assert line["model"] == str(model)
    assert line["latency_low_ms"] < line["latency_ms"] < line["latency_high_ms"]
    assert line["latency_ms"] == pytest.approx(read_network(model).macs / 8e6 + 0.05, rel=0.1)
    assert "learned from 24 networks on pi" in result.stderr
    assert "never measured" not in result.stderr


def test_kinds_never_measured_are_said(table: Path, predictor: Path) -> None:
    model = write_model(table.parent / "odd.onnx", 30, extra="NonZero")
    result = run("predict", predictor, model)
    assert "kinds of layers never measured here: NonZero" in result.stderr


def test_explain_lists_the_layers_that_cost_most(table: Path, predictor: Path) -> None:
    model = write_model(table.parent / "explained.onnx", 30)
    lines = run("predict", predictor, model, "--explain").stderr.splitlines()
    costs = [line.split() for line in lines if "%  " in line]
    assert {cost[3] for cost in costs} == {"Conv", "Sigmoid"}
    shares = [int(cost[2].rstrip("%")) for cost in costs]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=2)


def test_subnets_are_predicted_by_what_networks_taught(table: Path, predictor: Path) -> None:
    fresh = PHONE.measure(SPACE, 5, seed=2)
    path = table.parent / "subnets.jsonl"
    path.write_text("".join(f"{json.dumps(subnet.to_dict())}\n" for subnet in fresh.subnets))
    lines = [json.loads(line) for line in run("predict", predictor, path).stdout.splitlines()]
    predicted = np.array([line["latency_ms"] for line in lines])
    assert np.mean(abs(predicted / fresh.latency_ms - 1)) < 0.1


def test_rows_that_the_others_contradict_are_named_and_left_out(tmp_path: Path) -> None:
    networks, latency_ms = measured(40, seed=0)
    wrong = [4, 17, 30]
    latency_ms[wrong] *= [3.0, 0.4, 2.0]
    listed = [
        network_of_layers(f"net{number}", layers, Shape(3, 64, 64))
        for number, layers in enumerate(networks)
    ]
    unknown = np.full(len(listed), np.nan)
    rows = NetworkRows("pi", tuple(listed), latency_ms, unknown, (), "made")
    done = train_networks(rows, tmp_path / "pi.edgp")
    assert [name for name, _, _ in done.left_out] == [f"net{number}" for number in wrong]
    for (_, given, expected), factor in zip(done.left_out, [3.0, 0.4, 2.0], strict=True):
        assert given / expected == pytest.approx(factor, rel=0.2)
    assert done.notes[0].startswith("3 of the rows contradict the others and are left out: net4 (")
    others, true = measured(60, seed=1)
    assert np.mean(np.abs(done.model.predict_networks(others).mean_ms / true - 1)) < 0.04
    assert done.model.n_networks == 37


def test_rows_of_a_calm_device_all_stay() -> None:
    networks, latency_ms = measured(40, seed=0)
    model = LayerCosts("pi").fit(networks, latency_ms)
    assert len(model.contradicted(networks, latency_ms)) == 0


def test_layer_costs_of_any_space_are_judged_on_measured_subnets(tmp_path: Path) -> None:
    data = PHONE.measure(SPACE, 40, seed=0)
    subnets = [SPACE.layers(subnet) for subnet in data.subnets]
    path = tmp_path / "phone.host.npz"
    path.write_bytes(host_bytes(LayerCosts("phone").fit(subnets, data.latency_ms)))
    table = write_dataset(tmp_path / "phone.csv", PHONE.measure(SPACE, 30, seed=1))
    result = run("evaluate", path, table, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["mape"] < 0.02


def test_subnets_of_several_spaces_are_predicted_from_one_file(
    predictor: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    spaces = (SPACE, get_space("ofa-proxyless-w1.3"))
    mixed = [space.sample(1, rng)[0] for space in spaces]
    file = tmp_path / "subnets.jsonl"
    file.write_text("".join(subnet.to_json() + "\n" for subnet in mixed))
    assert run("ship", predictor, "--to", "edgp", "-o", tmp_path).exit_code == 0
    wanted = load_predictor(predictor).predict(mixed).tolist()
    for file_of_costs in (predictor, tmp_path / "pi.edgp"):
        result = run("predict", file_of_costs, file)
        assert result.exit_code == 0, result.output
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert [line["space"] for line in lines] == [space.id for space in spaces]
        assert [line["latency_ms"] for line in lines] == pytest.approx(wanted, rel=1e-4)
        assert edgeprof.predict(file_of_costs, mixed).tolist() == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(PredictorFormatError, match="has no intervals"):
        edgeprof.predict(tmp_path / "pi.edgp", mixed, confidence=0.9)


def test_what_learned_from_one_space_is_judged_on_another(predictor: Path, tmp_path: Path) -> None:
    space = get_space("ofa-proxyless-w1.3")
    data = tmp_path / "other.csv"
    write_dataset(data, PHONE.measure(space, 6, seed=3))
    result = run("evaluate", predictor, data, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n"] == 6


def test_names_in_a_model_cannot_command_a_terminal(predictor: Path, tmp_path: Path) -> None:
    from onnx import helper
    from onnx_graphs import write_onnx

    nodes = [helper.make_node("Conv", ["x", "w0"], ["\x1b[31my"])]
    model = write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 3, 64, 64))], [("w0", (8, 3, 3, 3))])
    said = run("predict", predictor, model, "--explain").stderr
    assert "\\x1b[31my" in said
    assert "\x1b" not in said


def test_options_that_would_change_nothing_are_wrong_usage(predictor: Path, tmp_path: Path) -> None:
    model, subnets = write_model(tmp_path / "m.onnx", 8), tmp_path / "s.jsonl"
    for arguments in (
        ("predict", predictor, subnets, "--explain"),
        ("predict", predictor, subnets, "--batch", "2"),
        ("predict", predictor, model, "--codes"),
        ("profile", model, "--store", tmp_path / "s.db", "-n", "5"),
        ("profile", model, "--store", tmp_path / "s.db", "--precision", "int8"),
        ("profile", "--suite", "layers", "--store", tmp_path / "s.db", "--space", "ofa-resnet50"),
        ("measure", model, "--store", tmp_path / "s.db", "--max-drift", "0.2"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, arguments
        assert not (tmp_path / "s.db").exists()


def test_two_models_of_one_name_are_not_written_over_each_other(
    predictor: Path, tmp_path: Path
) -> None:
    models = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        models += ["--network", write_model(tmp_path / folder / "m.onnx", 8)]
    with pytest.raises(OutputError, match="two networks would be written as m"):
        raise run("ship", predictor, "--to", "c", "-o", tmp_path / "c", *models).exception


def test_layer_lists_that_did_not_travel_with_the_table_are_named(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("device,model,network,latency_ms\npi,zoo/a.onnx,0123,1.5\n")
    missing = r"no list 0123 in .*rows\.networks\.jsonl\.gz, and .*a\.onnx: cannot be read"
    with pytest.raises(DatasetError, match=missing):
        read_network_rows(table)


def test_guesses_of_one_reason_are_one_sentence(predictor: Path) -> None:
    costs = load_predictor(predictor)
    assert isinstance(costs, LayerCosts)
    layer = read_network_rows(predictor.parent / "mixed.csv").networks[0].work[0]
    guessed = [replace(layer, doubt="unknown operator", operator=name) for name in ("A", "B")]
    (warning,) = costs.basis(guessed).warnings
    assert warning == "100% of the predicted time is a guess: unknown operator (A, B)"
