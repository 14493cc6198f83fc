"""TFLite models through tflite-runtime's wheels: Python makes the interpreter, C++ times it.

Here against a stand-in for the package; the slow suite runs the package itself.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tree import SUPPORT

import edgeprof
from edgeprof.base.errors import (
    HarnessCrashed,
    InvalidJob,
    InvalidModel,
    RuntimeUnavailable,
    UnsupportedModel,
)
from edgeprof.measuring.harness import PROGRAM, Settings, make_job, measure_interleaved, run_jobs
from edgeprof.measuring.runtimes import find_runtime, runtime_of

LIBRARY = "_pywrap_tensorflow_interpreter_wrapper.so"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stand-in library")
    package = tmp_path_factory.mktemp("site") / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '2.99.0'\n", encoding="utf-8")
    shutil.copy(SUPPORT / "fake_tflite_runtime.py", package / "interpreter.py")
    source = SUPPORT / "fake_tflite_runtime.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", package / LIBRARY, source], check=True)
    return package / LIBRARY


@pytest.fixture
def settings(library: Path) -> Settings:
    return Settings(
        runtime="tflite_runtime",
        library=library,
        ci_rel=0.5,
        max_secs=2.0,
        min_secs=0.0,
        min_samples=10,
        max_samples=100,
    )


def model(folder: Path, content: bytes = b"T") -> Path:
    path = folder / "fake.tflite"
    path.write_bytes(content)
    return path


def test_an_interpreter_made_by_python_is_timed(settings: Settings, tmp_path: Path) -> None:
    result = edgeprof.measure(model(tmp_path), settings)
    assert (result.runtime, result.runtime_version) == ("tflite_runtime", "2.99.0")
    assert result.n_samples >= 10
    runtime = result.record["runtime"]
    assert runtime["library_path"] == str(settings.library)
    assert runtime["inputs"] == [{"name": "x", "type": "float32", "shape": [1, 16]}]
    assert runtime["outputs"] == [{"name": "y", "type": "float32", "shape": [1, 16]}]
    assert runtime["options"] == {"kernel_mode": "xnnpack", "partitions": 1}


def test_its_inputs_are_those_of_every_runtime(settings: Settings, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    (record,) = run_jobs([{**make_job(model(tmp_path), settings), "outputs_file": str(outputs)}])
    assert "error" not in record
    values = np.fromfile(outputs, np.float32)
    assert values.size == 16
    assert 0 < np.abs(values).max() < 2


def test_it_is_interleaved_with_others(settings: Settings, tmp_path: Path) -> None:
    null = Settings(runtime="null", max_samples=100, max_secs=2.0)
    results = measure_interleaved([(model(tmp_path), settings), ("nothing", null)])
    assert [result.runtime for result in results] == ["tflite_runtime", "null"]


def test_jobs_of_both_doors_keep_their_order(settings: Settings, tmp_path: Path) -> None:
    null = Settings(runtime="null", max_samples=100, max_secs=2.0)
    jobs = [
        make_job("first", null),
        make_job(model(tmp_path), settings),
        make_job("last", null),
    ]
    records = list(run_jobs(jobs))
    assert [record["runtime"]["name"] for record in records] == ["null", "tflite_runtime", "null"]


def test_kernel_mode_is_an_option(settings: Settings, tmp_path: Path) -> None:
    path = model(tmp_path)
    result = edgeprof.measure(path, settings, runtime_options={"kernel_mode": "builtin"})
    assert result.record["runtime"]["options"] == {"kernel_mode": "builtin", "partitions": 0}
    for options in ({"kernel_mode": "turbo"}, {"kernel_mode": 1}, {"xnnpack": True}):
        with pytest.raises(InvalidJob, match="kernel_mode"):
            edgeprof.measure(path, settings, runtime_options=options)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"model", InvalidModel, r"fake\.tflite: is no TFLite model.*should be 'TFL3'"),
        (b"To", UnsupportedModel, r"fake\.tflite: tflite-runtime cannot prepare it: Didn't find"),
        (b"Tn", RuntimeUnavailable, r"does not work with numpy .*'numpy<2'"),
        (b"Tc", HarnessCrashed, r"tflite_runtime 2\.99\.0.*signal 6.*while measuring"),
    ],
)
def test_what_goes_wrong_is_told_and_the_caller_lives(
    settings: Settings, tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        edgeprof.measure(model(tmp_path, content), settings)


def test_shapes_are_checked_as_for_every_runtime(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidJob, match="does not fit"):
        edgeprof.measure(model(tmp_path), settings, shapes={"x": [1, 8]})


def test_a_package_without_its_modules_is_told(tmp_path: Path) -> None:
    package = tmp_path / "site" / "tflite_runtime"
    package.mkdir(parents=True)
    library = package / LIBRARY
    library.touch()
    (package / "__init__.py").touch()
    with pytest.raises(RuntimeUnavailable, match=r"cannot be imported.*pip install tflite-runtime"):
        edgeprof.measure(model(tmp_path), runtime="tflite_runtime", library=library)


def test_it_is_chosen_where_there_is_nothing_else(
    library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("edgeprof.measuring.runtimes.sysconfig.get_config_var", lambda _: "nowhere")
    with pytest.raises(RuntimeUnavailable, match=r"pip install tflite-runtime 'numpy<2'"):
        find_runtime("tflite_runtime")
    monkeypatch.setenv("EDGEPROF_TFLITE_RUNTIME", str(library))
    assert runtime_of("a.tflite") == "tflite_runtime"
    litert = tmp_path / "libLiteRt.so"
    litert.touch()
    monkeypatch.setenv("EDGEPROF_LITERT", str(litert))
    assert runtime_of("a.tflite") == "litert"


def test_the_program_alone_says_that_it_needs_python(tmp_path: Path, library: Path) -> None:
    program = PROGRAM
    job = f'{{"model": "{model(tmp_path)}", "runtime": "tflite_runtime", "library": "{library}"}}'
    done = subprocess.run([program, "run"], input=job, capture_output=True, text=True, check=True)
    assert "RuntimeUnavailable" in done.stdout
    assert "Python package" in done.stdout
