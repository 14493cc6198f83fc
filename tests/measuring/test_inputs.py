"""What models are fed: shapes and values that are given, and what is asked for."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from run_cli import run

import edgeprof
from edgeprof.base.errors import InvalidJob, InvalidModel, UnsupportedModel
from edgeprof.cli.values import InputValue
from edgeprof.measuring.harness import Settings
from edgeprof.measuring.inputs import Fed, fed_to_each, values_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

QUICK = Settings(ci_rel=0.5, min_secs=0.0, max_secs=0.5, min_samples=10)
OPTIONS = ("--max-secs", "0.1", "--ci", "0.5")


def save(path, nodes, inputs, outputs=("y",), weights=()):
    """A model of inputs (name, type, shape), without a word of its outputs' shapes."""
    made = [helper.make_tensor_value_info(*one) for one in inputs]
    unknown = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", made, unknown, list(weights))
    for output in graph.output:
        output.type.tensor_type.ClearField("elem_type")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), str(path))
    return path


@pytest.fixture
def reshaping(tmp_path: Path) -> Path:
    """A model whose second input says what shape the first one gets."""
    nodes = [helper.make_node("Reshape", ["x", "target"], ["y"])]
    inputs = [("x", TensorProto.FLOAT, [6]), ("target", TensorProto.INT64, [2])]
    return save(tmp_path / "reshaping.onnx", nodes, inputs)


def embedding(path: Path) -> Path:
    table = numpy_helper.from_array(np.ones((50, 4), np.float32), "table")
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"])]
    return save(path, nodes, [("ids", TensorProto.INT64, ["n"])], weights=[table])


def test_values_that_a_model_needs_can_be_given(reshaping: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"Reshape node.*give them with --input: target"):
        edgeprof.measure(reshaping, QUICK)
    measured = edgeprof.measure(reshaping, QUICK, inputs={"target": [2, 3]})
    assert measured.record["settings"]["inputs"] == {"target": {"values": [2, 3]}}
    np.save(tmp_path / "target.npy", np.array([3, 2]))
    for value in ("2,3", "[3,2]", f"{tmp_path / 'target.npy'}", "-1"):
        result = run("measure", reshaping, "--input", f"target={value}", *OPTIONS)
        assert (result.exit_code == 0) == (value != "-1"), value


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([2, 3, 1], "takes 2 values, got 3"),
        (0.5, "is of type int64, which a given value is not"),
        ("much", "is of type int64, which a given value is not"),
    ],
)
def test_values_that_do_not_fit_are_refused(reshaping: Path, values: object, reason: str) -> None:
    with pytest.raises(InvalidJob, match=rf"reshaping.onnx: input 'target' {reason}"):
        edgeprof.measure(reshaping, QUICK, inputs={"target": values})


def test_indices_can_be_drawn_from_a_range_or_by_their_type(tmp_path: Path) -> None:
    model = embedding(tmp_path / "embedding.onnx")
    for name in ("ids", "int64"):
        measured = edgeprof.measure(model, QUICK, shapes={"ids": [64]}, inputs={name: range(50)})
        assert measured.record["settings"]["inputs"] == {name: {"range": [0, 49]}}
    with pytest.raises(UnsupportedModel, match="inference failed"):
        edgeprof.measure(model, QUICK, shapes={"ids": [64]}, inputs={"ids": range(1000, 2000)})


def test_an_array_gives_its_shape_too(tmp_path: Path) -> None:
    model = embedding(tmp_path / "embedding.onnx")
    measured = edgeprof.measure(model, QUICK, inputs={"ids": np.arange(7)})
    assert measured.record["runtime"]["inputs"][0]["shape"] == [7]


def test_texts_are_inputs_too(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["text"], ["y"])]
    model = save(tmp_path / "text.onnx", nodes, [("text", TensorProto.STRING, [2])])
    with pytest.raises(UnsupportedModel, match=r"--input text=hello"):
        edgeprof.measure(model, QUICK)
    assert run("measure", model, "--input", "text=hello", *OPTIONS).exit_code == 0
    assert edgeprof.measure(model, QUICK, inputs={"text": ["a", "b"]}).n_samples >= 10


def test_values_are_written_as_jobs_have_them() -> None:
    assert values_of(True) == {"values": [1]}
    assert values_of(float("-inf")) == {"values": ["-inf"]}
    assert values_of(np.array([[1.5], [np.inf]])) == {"values": [1.5, "inf"], "shape": [2, 1]}
    assert values_of(np.float32(0.5)) == {"values": [0.5], "shape": []}
    for beyond in (1 << 63, {"range": [0, 1 << 64]}, [1, -(1 << 64)]):
        with pytest.raises(InvalidJob, match=r"64 bits|object values"):
            values_of(beyond)
    with pytest.raises(InvalidJob, match="give a range"):
        values_of(np.zeros((1 << 22) + 1, np.int8))
    with pytest.raises(InvalidJob, match="complex"):
        values_of(np.zeros(1, complex))


def test_a_file_that_is_no_array_is_wrong_usage(reshaping: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.npy").write_bytes(b"no array")
    for name in ("bad.npy", "missing.npy"):
        result = run("measure", reshaping, "--input", f"target={tmp_path / name}", *OPTIONS)
        assert result.exit_code == 2
        assert f"{name}: cannot be read" in result.stderr


def test_outputs_may_change_their_sizes_from_run_to_run(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Bernoulli", ["x"], ["drawn"]),
        helper.make_node("Cast", ["drawn"], ["is_kept"], to=TensorProto.BOOL),
        helper.make_node("Compress", ["x", "is_kept"], ["kept"]),
        helper.make_node("Abs", ["kept"], ["y"]),
    ]
    model = save(tmp_path / "detection.onnx", nodes, [("x", TensorProto.FLOAT, [200])])
    measured = edgeprof.measure(model, QUICK, inputs={"x": (np.arange(200) % 3 / 2).tolist()})
    assert measured.n_samples >= 10


def test_an_input_of_unknown_rank_is_asked_for(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "scalar"], ["y"])]
    inputs = [("x", TensorProto.FLOAT, None), ("scalar", TensorProto.FLOAT, [])]
    model = save(tmp_path / "any.onnx", nodes, inputs)
    with pytest.raises(InvalidModel, match=r"'x' of unknown rank.*--shape x=SIZE,SIZE"):
        edgeprof.measure(model, QUICK)
    for text, shape in (("x=2,3", [2, 3]), ("x=", [])):
        result = run("measure", model, "--shape", text, *OPTIONS)
        assert result.exit_code == 0, result.stderr
        measured = edgeprof.measure(model, QUICK, shapes={"x": shape})
        assert [one["shape"] for one in measured.record["runtime"]["inputs"]] == [shape, []]


def test_an_empty_cache_is_measured(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["cache", "x"], ["y"], axis=1)]
    inputs = [("cache", TensorProto.FLOAT, [2, "past"]), ("x", TensorProto.FLOAT, [2, 1])]
    model = save(tmp_path / "cache.onnx", nodes, inputs)
    assert edgeprof.measure(model, QUICK, shapes={"cache": [2, 0]}).n_samples >= 10


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Two models, each with an input of its own and one that both have."""
    models = []
    for name in ("a", "b"):
        nodes = [helper.make_node("Sum", [name, "x"], ["y"])]
        inputs = [(name, TensorProto.FLOAT, ["n"]), ("x", TensorProto.FLOAT, ["m"])]
        models.append(str(save(tmp_path / f"{name}.onnx", nodes, inputs)))
    return models


def test_shapes_go_to_the_models_that_have_the_input(two: list[str]) -> None:
    shapes = ("--shape", "a=4", "--shape", "b=6", "--shape", "b.onnx:x=6", "--shape", "x=4")
    result = run("measure", *two, *shapes, *OPTIONS, "--json")
    assert result.exit_code == 0, result.stderr
    assert [one["model"] for one in json.loads(result.stdout)] == two
    compared = run("compare", *two, *shapes, "--max-secs", "2")
    assert compared.exit_code == 0, compared.stderr


def test_a_name_that_no_model_has_is_told_before_anything_is_measured(two: list[str]) -> None:
    result = run("measure", *two, "--shape", "nobody=1", *OPTIONS)
    assert isinstance(result.exception, InvalidJob)
    assert "no model has an input 'nobody'" in str(result.exception)
    assert f"{two[0]}: a, x" in str(result.exception)


def test_what_is_proposed_works(two: list[str]) -> None:
    proposed = str(run("measure", two[0], *OPTIONS).exception).split("e.g. ")[1]
    assert proposed == "--shape a=1 --shape x=1"
    assert run("measure", two[0], *proposed.split(), *OPTIONS).exit_code == 0


def test_one_model_is_fed_as_it_is_asked_for(two: list[str], tmp_path: Path) -> None:
    assert fed_to_each([two[0]], {"a": [1]}, {}) == [Fed({"a": [1]})]
    unreadable = tmp_path / "none.onnx"
    assert fed_to_each([two[0], unreadable], {"a": [1]}, {"float32": 1}) == [
        Fed({"a": [1]}, {"float32": 1}),
        Fed({"a": [1]}, {"float32": 1}),
    ]


def test_a_model_may_be_called_by_as_much_of_its_path_as_no_other_has(two: list[str]) -> None:
    for said in ("b.onnx", f"{Path(two[1]).parent.name}/b.onnx", two[1]):
        shapes = {"a": [4], "b": [6], "x": [4], f"{said}:x": [6]}
        fed = fed_to_each(two, shapes, {f"{said}:float32": 1.5})
        assert fed == [
            Fed({"a": [4], "x": [4]}),
            Fed({"b": [6], "x": [6]}, {"float32": 1.5}),
        ], said
    assert fed_to_each(two[1:], {"b.onnx:x": [6]}, {}) == [Fed({"x": [6]})]


def test_a_model_that_may_be_several_or_none_is_told_in_one_line(
    two: list[str], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "b.onnx"
    twin.write_bytes(Path(two[1]).read_bytes())
    models = [*two, str(twin)]
    for said, message in (
        ("b.onnx:x", f"b.onnx may be {two[1]} or {twin}; write more of the path"),
        ("c.onnx:x", f"no model is called c.onnx; the models are {two[0]}, "),
        ("a.onnx:b", "no model has an input 'a.onnx:b'"),
        ("nobody", "no model has an input"),
    ):
        with pytest.raises(InvalidJob, match=re.escape(message)) as refusal:
            fed_to_each(models, {said: [1]}, {})
        assert "\n" not in str(refusal.value)
    assert fed_to_each(models, {"other/b.onnx:x": [6]}, {})[2] == Fed({"x": [6]})
    with pytest.raises(InvalidJob, match=r"input 'x' of .*a\.onnx is given twice"):
        fed_to_each(two, {"a.onnx:x": [1], f"{two[0]}:x": [2]}, {})


def test_a_name_with_a_colon_is_the_inputs_own(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["serving:0"], ["y"])]
    model = save(tmp_path / "keras.onnx", nodes, [("serving:0", TensorProto.FLOAT, ["n"])])
    for said in ("serving:0", "keras.onnx:serving:0"):
        assert fed_to_each([model], {said: [3]}, {}) == [Fed({"serving:0": [3]})]


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("text=a=b", "text", {"texts": ["a=b"]}),
        ("text=", None, None),
        ("lr=0.1/m.onnx:x=5", "lr=0.1/m.onnx:x", {"values": [5]}),
        ('"a=b"=5', "a=b", {"values": [5]}),
        ('m.tflite:"a=b"=c=d', "m.tflite:a=b", {"texts": ["c=d"]}),
        ("x=0:9", "x", {"range": [0, 9]}),
    ],
)
def test_values_may_hold_an_equals_sign(text: str, name: str | None, values: object) -> None:
    if name is None:
        with pytest.raises(ValueError, match="text"):
            InputValue.parse(text)
    else:
        assert InputValue.parse(text) == (name, values)


def test_a_text_with_an_equals_sign_reaches_the_model(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["text"], ["y"])]
    model = save(tmp_path / "text.onnx", nodes, [("text", TensorProto.STRING, [1])])
    result = run("measure", model, "--input", "text=a=b", *OPTIONS)
    assert result.exit_code == 0, result.stderr


def test_models_that_failed_stand_in_the_json(two: list[str]) -> None:
    for models in (two[:1], two):
        result = run("measure", *models, "--json", *OPTIONS)
        assert result.exit_code == 1
        printed = json.loads(result.stdout)
        for one in printed if len(models) > 1 else [printed]:
            assert one["error"]["kind"] == "InvalidModel"


def test_profile_feeds_model_files(two: list[str], tmp_path: Path) -> None:
    store = tmp_path / "here.db"
    command = ("profile", *two, "--store", store, "--max-secs", "0.2", "--json")
    shapes = ("--shape", "a=4", "--shape", "b=4", "--shape", "x=4")
    for expected in ({"measured": 2, "resumed": 0}, {"measured": 0, "resumed": 2}):
        result = run(*command, *shapes, "--input", "x=0.5")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout) == {**expected, "failed": {}}
    other = run(*command, *shapes, "--input", "x=0:1")
    assert json.loads(other.stdout)["measured"] == 2
    assert run("profile", "-n", 1, "--store", store, "--shape", "a=1").exit_code == 2


def test_a_proposal_is_quoted_as_a_shell_needs_it(tmp_path: Path) -> None:
    name = "it's (x) $1"
    nodes = [helper.make_node("Relu", [name], ["y"])]
    model = save(tmp_path / "odd.onnx", nodes, [(name, TensorProto.FLOAT, ["n", 3, "h", "w"])])
    said = str(run("measure", model, *OPTIONS).exception).split("e.g. ")[1]
    assert run("measure", model, *shlex.split(said), *OPTIONS).exit_code == 0
    with pytest.raises(InvalidModel) as refusal:
        edgeprof.read_network(model)
    proposed = shlex.split(str(refusal.value).split("for example ")[1])
    assert run("measure", model, *proposed, *OPTIONS).exit_code == 0


def test_a_name_twice_says_how_one_model_is_named(two: list[str]) -> None:
    result = run("measure", *two, "--shape", "x=1", "--shape", "x=2")
    assert result.exit_code == 2
    assert "write MODEL:x=..." in result.stderr.replace("\n", " ")
