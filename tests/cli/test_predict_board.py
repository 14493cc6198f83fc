"""``edgeprof predict --board-facts``: a model on a board with few measurements or none."""

import json
import re

import onnx
import pytest
from run_cli import run
from tree import ROOT

from edgeprof.base.errors import DatasetError
from edgeprof.export.onnx import export_network
from edgeprof.measuring.machine import machine_state
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.mobile import mobilenet_v1, mobilenet_v2
from edgeprof.predictors.bank.from_files import read_facts

BOARDS = ROOT / "tests" / "data" / "boards"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for recipe in (mobilenet_v1(0.25, 128), mobilenet_v2(0.35, 96), mobilenet_v1(0.5, 160)):
        export_network(network_of(recipe), folder / f"{recipe.name}.onnx")
    return folder


@pytest.fixture
def facts_of(tmp_path):
    def write(board, **further):
        path = tmp_path / f"{board}.json"
        state = machine_state(BOARDS / board)
        path.write_text(json.dumps({"machine": state, "runtime": "onnxruntime", **further}))
        return path

    return write


def predicted(*arguments):
    result = run("predict", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), result.stderr


def test_a_board_is_read_from_what_doctor_prints(facts_of):
    facts = read_facts(facts_of("rock-5b", threads=6))
    assert facts.cores == (("Cortex-A76", 2.4, 4), ("Cortex-A55", 1.8, 4))
    assert (facts.threads, facts.runtime) == (6, "ort")
    assert [ghz for _, ghz in facts.busy] == [2.4] * 4 + [1.8] * 2
    assert read_facts(facts_of("rpi4b")).threads == 4


def test_facts_alone_give_a_wide_interval_and_say_so(facts_of, models):
    model = models / "mobilenet-v1-0.25-128.onnx"
    row, said = predicted("--board-facts", facts_of("rpi4b"), model)
    assert row["latency_low_ms"] < row["latency_ms"] < row["latency_high_ms"]
    assert row["latency_high_ms"] > 1.5 * row["latency_low_ms"]
    assert "a guess" in said


def test_layers_that_are_a_guess_are_named(facts_of, models, tmp_path):
    plain, changed = models / "mobilenet-v1-0.25-128.onnx", tmp_path / "weights_are_inputs.onnx"
    model = onnx.load(plain)
    for weights in model.graph.initializer:
        value = onnx.helper.make_tensor_value_info(weights.name, weights.data_type, weights.dims)
        model.graph.input.append(value)
    onnx.save(model, changed)
    _, said = predicted("--board-facts", facts_of("rpi4b"), changed)
    assert re.search(r"28 of \d+ layers are a guess: weights that are inputs of the graph", said)
    assert "(Conv, Gemm)" in " ".join(said.split())
    assert "layers are a guess" not in predicted("--board-facts", facts_of("rpi4b"), plain)[1]


def test_measured_models_narrow_it(facts_of, models, tmp_path):
    table = tmp_path / "probes.csv"
    table.write_text(
        "device,model,latency_ms\n"
        f"b,{models}/mobilenet-v2-0.35-96.onnx,6.0\nb,{models}/mobilenet-v1-0.5-160.onnx,16.0\n"
    )
    model, facts = models / "mobilenet-v1-0.25-128.onnx", facts_of("rpi4b")
    guess, _ = predicted("--board-facts", facts, model)
    row, said = predicted("--board-facts", facts, "--probes", table, model)

    def width(found):
        return found["latency_high_ms"] / found["latency_low_ms"]

    assert width(row) < width(guess)
    assert 2.0 < row["latency_ms"] < 6.5  # between the two in kind, smaller in work
    assert "2 measured models" in said


def test_a_slower_board_takes_longer(facts_of, models):
    model = models / "mobilenet-v1-0.5-160.onnx"
    slow, fast = (
        predicted("--board-facts", facts_of(board), model)[0]["latency_ms"]
        for board in ("rpi-zero-2w", "rock-5b")
    )
    assert slow > 2 * fast


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        '{"cores": []}',
        '{"machine": {"a": 1}}',
        '{"cores": [{"type": "cortex-a72", "ghz": "nan"}]}',
        '{"cores": [{"type": "cortex-a72", "ghz": 1e308}]}',
        '{"cores": [{"type": "cortex-a72", "ghz": 1.8, "number": 1000000000000}]}',
        '{"cores": [{"type": "cortex-a72", "ghz": 1.8}], "threads": 1e999}',
    ],
)
def test_wrong_facts_are_one_clear_error(tmp_path, text):
    path = tmp_path / "facts.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"facts\.json"):
        read_facts(path)


def test_arguments_that_do_not_go_together_are_wrong_usage(facts_of, models):
    model = models / "mobilenet-v1-0.25-128.onnx"
    facts = facts_of("rpi4b")
    assert run("predict", "--board-facts", facts, model, model).exit_code == 2
    assert run("predict", model).exit_code == 2
    assert run("predict", "--probes", facts, model, model).exit_code == 2
