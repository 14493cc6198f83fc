"""What is installed is complete, and so are the sdist and the wheel built from it."""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
import zipfile

import pytest
from tree import ROOT as SOURCE

IN_EVERY_WHEEL = ("edgeprof/py.typed", "edgeprof/bin/edgeprof-harness", "edgeprof/cli/__init__.py")
IN_EVERY_SDIST = (
    "CMakeLists.txt",
    "LICENSE",
    "README.md",
    "csrc/timing/measure.cpp",
    "edgeprof/py.typed",
    "firmware_scripts/setup_board.sh",
    "pyproject.toml",
    "tests/packaging/test_packaging.py",
)


# What boards need and what the package reads at run time: where it lies, installed and here.
SHIPPED = [
    ("edgeprof/native/csrc", "csrc", "**/*.cpp"),
    ("edgeprof/native/csrc", "csrc", "**/*.h"),
    ("edgeprof/native", ".", "CMakeLists.txt"),
    ("edgeprof/native", ".", "pyproject.toml"),
    ("edgeprof/firmware_scripts", "firmware_scripts", "**/*.sh"),
    ("edgeprof/firmware_scripts", "firmware_scripts", "**/*.cmake"),
    ("edgeprof/firmware_scripts", "firmware_scripts", "pmu_access/*"),
    ("edgeprof", "edgeprof", "**/*.py"),
    ("edgeprof", "edgeprof", "py.typed"),
]


def find_extension(names):
    return [name for name in names if name.startswith("edgeprof/_core.") and name.endswith(".so")]


def test_the_installed_package_is_complete():
    files = importlib.metadata.files("edgeprof")
    names = {str(file) for file in files}
    assert set(IN_EVERY_WHEEL) <= names
    assert len(find_extension(names)) == 1
    assert any(name.endswith("LICENSE") for name in names)
    harness = next(file for file in files if file.name == "edgeprof-harness").locate()
    assert os.access(harness, os.X_OK)


@pytest.mark.parametrize(("installed", "source", "pattern"), SHIPPED)
def test_what_is_installed_is_what_stands_in_the_sources(installed, source, pattern):
    tests = SOURCE / "csrc" / "tests"
    found = (SOURCE / source).glob(pattern)
    wanted = [path for path in found if path.is_file() and tests not in path.parents]
    if not (SOURCE / "pyproject.toml").is_file():
        pytest.skip("no source tree beside the tests")
    assert wanted
    files = {str(file): file.locate() for file in importlib.metadata.files("edgeprof")}
    for path in wanted:
        found = files[f"{installed}/{path.relative_to(SOURCE / source)}"]
        assert found.read_bytes() == path.read_bytes(), path
        if os.access(path, os.X_OK):
            assert os.access(found, os.X_OK), path


def test_the_base_install_is_light():
    requirements = importlib.metadata.requires("edgeprof")
    base = {line.split(">")[0] for line in requirements if "extra ==" not in line}
    assert base == {"numpy", "click"}


def test_the_version_of_the_package_and_of_its_core_are_one():
    import edgeprof._core

    assert edgeprof._core.version() == importlib.metadata.version("edgeprof")


def test_importing_edgeprof_loads_nothing_heavy():
    code = (
        "import edgeprof, sys; print([m for m in ('numpy', 'sklearn', 'onnx') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_sdist_is_complete_and_builds_a_complete_wheel(tmp_path):
    if not (SOURCE / "pyproject.toml").is_file():
        pytest.skip("no source tree beside the tests")
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "install", "-q", "build", "--target", tmp_path / "tools"], check=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "tools")}
    build = [sys.executable, "-m", "build", "--outdir", tmp_path, SOURCE]
    subprocess.run(build, check=True, env=environment, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert set(IN_EVERY_SDIST) <= names
    assert not any(name.startswith((".git/", "build/", ".venv/")) for name in names)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert set(IN_EVERY_WHEEL) <= names
    assert len(find_extension(names)) == 1
    assert not any(name.startswith("tests/") for name in names)
