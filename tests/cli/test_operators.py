"""A profile by operator: sums by type and by layer, and the kinds of layers that predict them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import write_onnx
from run_cli import run

from edgeprof.cli.operators import operator_lines


def weights(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A convolution with its activation, and one by channel."""
    path = tmp_path / "m.onnx"
    write_onnx(
        path,
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="first"),
            helper.make_node("Relu", ["c"], ["r"], name="act"),
            helper.make_node("Conv", ["r", "d"], ["y"], name="second", group=4),
        ],
        [("x", (1, 3, 16, 16))],
        [("w", weights(4, 3, 3, 3)), ("d", weights(4, 1, 3, 3))],
    )
    return path


def profiled(model: Path, *operators: tuple[str, str, int], columns: int = 80) -> list[str]:
    """Return the lines of a profile that a runtime gave."""
    names = ("name", "type", "mean_ns")
    per_op = {"n_runs": 20, "operators": [dict(zip(names, one, strict=True)) for one in operators]}
    inputs = [{"name": "x", "type": "float32", "shape": [1, 3, 16, 16]}]
    record = {"per_op": per_op, "runtime": {"inputs": inputs}}
    return operator_lines(SimpleNamespace(model=str(model), record=record), columns)


def test_operators_are_summed_by_type_with_the_kinds_that_are_in_them(model: Path) -> None:
    lines = profiled(
        model,
        ("reorder_token_1", "ReorderInput", 1_000_000),
        ("r_nchwc", "Conv", 6_000_000),
        ("y_nchwc", "Conv", 3_000_000),
    )
    of_type = lines[1 : lines.index("by layer, the slowest of 3:")]
    assert of_type[0].split() == ["9", "ms", "90.0%", "2", "x", "Conv", "conv,", "depthwise"]
    assert of_type[1].split() == ["1", "ms", "10.0%", "1", "x", "ReorderInput", "-"]


@pytest.mark.parametrize("name", ["first", "fused first", "r_nchwc", "r", "r_nchwc_token_7"])
def test_an_operator_is_traced_back_to_its_layer(model: Path, name: str) -> None:
    lines = profiled(model, (name, "FusedConv", 6_000_000), ("y", "Conv", 3_000_000))
    first = lines[lines.index("by layer, the slowest of 2:") + 1]
    assert first.split() == ["6", "ms", "66.7%", "conv", "c"]


def test_parts_of_a_layer_are_one_layer(model: Path) -> None:
    lines = profiled(model, ("c", "Conv", 2_000_000), ("act", "Relu", 1_000_000))
    first = lines[lines.index("by layer, the slowest of 1:") + 1]
    assert first.split() == ["3", "ms", "100.0%", "conv", "c"]


def test_operators_without_names_take_the_kinds_of_their_type(model: Path) -> None:
    lines = profiled(model, ("operator 0", "Conv", 2_000_000))
    assert lines[1].endswith(("conv, depthwise", "depthwise, conv"))
    assert lines[3].split() == ["2", "ms", "100.0%", "-", "operator", "0"]


def test_a_node_that_computes_nothing_is_part_of_no_layer(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="act"),
        helper.make_node("Flatten", ["r"], ["y"], name="view"),
    ]
    write_onnx(path, nodes, [("x", (1, 3, 16, 16))])
    lines = profiled(path, ("act", "Relu", 2_000_000), ("view", "Flatten", 1_000_000))
    assert lines[2].split()[-2:] == ["Flatten", "-"]


def test_a_model_that_cannot_be_read_has_a_profile_all_the_same(tmp_path: Path) -> None:
    lines = profiled(tmp_path / "gone.onnx", ("a" * 90, "T" * 90, 2_000_000))
    assert len(lines) == 4


@pytest.mark.parametrize("columns", [58, 78])
def test_no_line_of_a_profile_is_wider_than_asked_for(model: Path, columns: int) -> None:
    long = ("a" * 90, "T" * 90, 2_000_000)
    heading, *lines = profiled(model, long, ("r", "Conv", 1), ("y", "Conv", 2), columns=columns)
    assert max(map(len, lines)) <= columns
    assert len(heading) <= 70  # a sentence: broken between words


def test_measure_prints_the_profile(model: Path) -> None:
    result = run("measure", model, "--per-op", "--max-secs", "1", "--ci", "0.5")
    assert result.exit_code == 0, result.output
    assert "  by type of operator (means of 20 inferences)" in result.stdout
    assert "depthwise" in result.stdout
    # The first line is as long as the model's path, the last one is the record.
    assert max(map(len, result.stdout.splitlines()[1:-1])) <= 80
