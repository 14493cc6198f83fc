"""A predictor out of edgeprof: C source and ONNX model say what the reference says."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tree import DATA

from edgeprof.base.errors import PredictorFormatError
from edgeprof.cli import cli
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.compact.edgp_file import CompactModel, CompactTensors, tensor_shapes
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.ship.forms import ship
from edgeprof.predictors.ship.ship_c import c_header, c_identifier

SPACE = get_space("ofa-mbv3-w1.2")
GOLDEN = DATA / "golden.edgp"
STRICT_C99 = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-O2"]
CROSS_COMPILERS = ["aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc", "arm-none-eabi-gcc"]

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")


def predictor_of(n_additive=5, n_hidden=10, n_inner=8, space=SPACE, seed=1):
    """A predictor of random parts whose latencies lie around 40 ms."""
    rng = np.random.default_rng(seed)
    cardinalities = space.cardinalities
    shapes = tensor_shapes(cardinalities, n_additive, n_hidden, n_inner)
    tensors = CompactTensors(*(rng.normal(size=s).astype(np.float32) for s in shapes))
    return CompactPredictor(CompactModel(space.id, "a board", cardinalities, 0.5, 40.0, tensors))


SHAPES = {"full": (5, 10, 8), "additive only": (5, 0, 0), "no inner": (3, 6, 0), "bias": (2, 0, 4)}


@pytest.fixture(params=[*SHAPES, "distilled"])
def predictor(request):
    if request.param == "distilled":
        return CompactPredictor.load(GOLDEN)
    return predictor_of(*SHAPES[request.param])


@pytest.fixture
def codes():
    return SPACE.sample_codes(10_000, np.random.default_rng(5), SPACE.resolutions)


def saved(predictor, tmp_path):
    path = tmp_path / "Pi 4-b.edgp"
    predictor.save(path)
    return path


def compile_shared(folder: Path, name: str):
    library = folder / f"{name}.so"
    command = ["cc", *STRICT_C99, "-shared", "-fPIC", f"{name}.c", "-o", str(library)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return getattr(ctypes.CDLL(str(library)), f"{name}_predict_ms")


@needs_compiler
def test_generated_c_agrees_with_the_reference_on_10000_subnets(predictor, codes, tmp_path):
    ship(saved(predictor, tmp_path), "c", tmp_path / "out")
    function = compile_shared(tmp_path / "out", "pi_4_b")
    latency_ms = ctypes.c_float()
    found = []
    for row in codes:
        assert function(row.tobytes(), ctypes.byref(latency_ms)) == 0
        found.append(latency_ms.value)
    np.testing.assert_allclose(found, predictor.predict_codes(codes), rtol=1e-5)


@needs_compiler
def test_generated_c_names_the_column_of_a_bad_code_and_gives_no_number(tmp_path):
    ship(saved(predictor_of(), tmp_path), "c", tmp_path)
    function = compile_shared(tmp_path, "pi_4_b")
    latency_ms = ctypes.c_float(-1)
    for column, values in enumerate(SPACE.cardinalities):
        row = np.zeros(len(SPACE.cardinalities), dtype=np.uint8)
        row[column] = values
        assert function(row.tobytes(), ctypes.byref(latency_ms)) == 1 + column
    assert latency_ms.value == -1


@pytest.mark.parametrize("compiler", CROSS_COMPILERS)
def test_generated_c_compiles_for_boards_without_a_warning(compiler, predictor, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    ship(saved(predictor, tmp_path), "c", tmp_path)
    command = [compiler, *STRICT_C99, "-ffreestanding", "-c", "pi_4_b.c", "-o", "pi_4_b.o"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_compiler
def test_object_of_the_generated_c_needs_no_library(tmp_path):
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    ship(saved(predictor_of(), tmp_path), "c", tmp_path)
    subprocess.run(["cc", *STRICT_C99, "-c", "pi_4_b.c"], cwd=tmp_path, check=True)
    listed = subprocess.run(["nm", "-u", "pi_4_b.o"], cwd=tmp_path, capture_output=True, text=True)
    undefined = {line.split()[-1] for line in listed.stdout.splitlines()}
    assert undefined <= {"__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_", "memset"}


def test_onnx_model_agrees_with_the_reference_on_10000_subnets(predictor, codes, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    (path,) = ship(saved(predictor, tmp_path), "onnx", tmp_path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"codes": codes})
    np.testing.assert_allclose(found, predictor.predict_codes(codes), rtol=1e-5)


def test_onnx_model_gives_nan_for_a_code_outside_the_space(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    (path,) = ship(saved(predictor_of(), tmp_path), "onnx", tmp_path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    codes = np.zeros((3, len(SPACE.cardinalities)), dtype=np.uint8)
    codes[1, 0], codes[2, -1] = 255, 25
    (found,) = session.run(None, {"codes": codes})
    assert np.isnan(found).tolist() == [False, True, True]


def test_shipped_edgp_is_the_same_file(tmp_path):
    source = saved(predictor_of(), tmp_path)
    (copy,) = ship(source, "edgp", tmp_path / "board")
    assert copy.read_bytes() == source.read_bytes()


def test_header_says_what_the_codes_are_and_no_name_can_break_its_comment():
    model = replace(predictor_of().model, subject="evil */ int x; /*")
    header = c_header(model, "p")
    assert "evil __ int x_ __" in header
    assert "codes[0..19]: 0 (slot left out) to 9" in header
    assert "1 = kernel 3 expand 3, 2 = kernel 3 expand 4" in header
    assert "codes[20]: 0 to 24: 128, 132" in header


@pytest.mark.parametrize(
    ("name", "identifier"), [("Pi 4-b", "pi_4_b"), ("2080ti", "p_2080ti"), ("äö", "p_")]
)
def test_names_become_c_identifiers(name, identifier):
    assert c_identifier(name) == identifier


def test_ship_command_lists_its_files(tmp_path):
    path = saved(predictor_of(), tmp_path)
    result = CliRunner().invoke(cli, ["ship", str(path), "--to", "c", "-o", f"{tmp_path}/fw"])
    assert result.exit_code == 0, result.output
    assert "pi_4_b.h" in result.output
    assert (tmp_path / "fw" / "pi_4_b.c").exists()


def test_ship_command_writes_an_onnx_model(tmp_path):
    onnx = pytest.importorskip("onnx")
    result = CliRunner().invoke(
        cli, ["ship", str(GOLDEN), "--to", "onnx", "-o", f"{tmp_path}", "--json"]
    )
    assert result.exit_code == 0, result.output
    (path,) = json.loads(result.stdout)
    onnx.checker.check_model(path)


def test_what_is_no_predictor_is_not_shipped(tmp_path):
    (tmp_path / "p.edgp").write_bytes(b"hello")
    with pytest.raises(PredictorFormatError, match=r"no \.edgp file"):
        ship(tmp_path / "p.edgp", "c", tmp_path)
