"""The readers of .edgp under sanitizers, fed with mutants."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from tree import ROOT

SOURCES = ROOT / "csrc"

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler here")


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_predictor"
    command = ["c++", "-std=c++17", "-O1", "-g", "-fsanitize=address,undefined"]
    command += ["-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS", f"-I{SOURCES}"]
    command += [
        *(f"{SOURCES}/predictor/{name}.cpp" for name in ("edgp_bytes", "layer_costs", "predictor")),
        f"{SOURCES}/tests/predictor/fuzz_predictor.cpp",
        "-o",
    ]
    done = subprocess.run([*command, str(program)], capture_output=True, text=True)
    if done.returncode != 0 and "cannot find" in done.stderr:
        pytest.skip("the compiler has no sanitizers here")
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize(
    "mutants", [5_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_reader_refuses_or_reads_every_mutant(fuzzer, mutants):
    done = subprocess.run([fuzzer, str(mutants), "2026"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    read, refused = (int(done.stdout.split()[at]) for at in (4, 6))
    assert read + refused == mutants
    assert read > mutants // 50, "too few mutants reach the predictions"
