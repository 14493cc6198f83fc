"""The script that builds a release's wheels: all that was asked for, or an error and none bad."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from tree import ROOT

from edgeprof.base.errors import ToolchainError
from edgeprof.measuring.harness import PROGRAM

SCRIPT = ROOT / "tools" / "release.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="no tools beside the tests")


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "release", module)  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def run_script(
    output: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, "-o", output, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [[], ["--python", "3.12"]])
def test_release_without_its_pythons_is_an_error(arguments: list[str], tmp_path: Path) -> None:
    nothing = str(tmp_path)
    done = run_script(tmp_path / "dist", *arguments, PATH=nothing, PYENV_ROOT=nothing)
    assert done.returncode == 1
    missing = arguments[1] if arguments else "3.10, 3.11, 3.12, 3.13"
    assert done.stderr == f"release: no Python {missing} here; nothing was built\n"
    assert not (tmp_path / "dist").exists()


def test_tool_that_is_needed_last_is_missed_before_anything_is_built(
    release: ModuleType, tmp_path: Path
) -> None:
    assert "patchelf" in release.missing_tools(str(tmp_path))
    patchelf = tmp_path / "patchelf"
    patchelf.touch(mode=0o755)
    assert "patchelf" not in release.missing_tools(str(tmp_path))


def make_wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.write(PROGRAM, name)
    return path


def names_of(machine: str) -> tuple[str, str]:
    return f"edgeprof/_core.cpython-311-{machine}-linux-gnu.so", "edgeprof/bin/edgeprof-harness"


def test_wheel_that_holds_what_it_promises_is_published(
    release: ModuleType, tmp_path: Path
) -> None:
    machine = os.uname().machine
    if machine not in release.MACHINES:
        pytest.skip(f"no release for {machine}")
    wheel = tmp_path / f"edgeprof-0.2.0-cp311-cp311-manylinux_2_99_{machine}.whl"
    make_wheel(wheel, *names_of(machine))
    line = release.publish_wheel(wheel, release.MACHINES[machine], tmp_path / "dist")
    assert line.startswith(wheel.name)
    assert (tmp_path / "dist" / wheel.name).read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize(
    ("tag", "complaint"),
    [
        ("manylinux_2_1_{machine}", "more than its tag says"),
        ("linux_{machine}", "not a manylinux wheel"),
        ("manylinux_2_27_{other}", "not a manylinux wheel"),
    ],
)
def test_refused_wheel_does_not_stay_in_the_output(
    tag: str, complaint: str, release: ModuleType, tmp_path: Path
) -> None:
    machine = os.uname().machine
    if machine not in release.MACHINES:
        pytest.skip(f"no release for {machine}")
    tag = tag.format(machine=machine, other="riscv64")
    wheel = tmp_path / f"edgeprof-0.2.0-cp311-cp311-{tag}.whl"
    make_wheel(wheel, *names_of(machine))
    with pytest.raises(ToolchainError, match=complaint):
        release.publish_wheel(wheel, release.MACHINES[machine], tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_program_for_another_processor_in_a_wheel_is_refused(
    release: ModuleType, tmp_path: Path
) -> None:
    other = "armv7l"
    wheel = tmp_path / f"edgeprof-0.2.0-cp311-cp311-manylinux_2_99_{other}.whl"
    make_wheel(wheel, "edgeprof/bin/edgeprof-harness")
    with pytest.raises(ToolchainError, match="is for"):
        release.publish_wheel(wheel, release.MACHINES[other], tmp_path / "dist")


def test_an_sdist_has_the_files_that_git_has(release: ModuleType) -> None:
    tracked = {".ci/run", "README.md", "edgeprof/__init__.py"}
    release.check_sdist({"README.md", "edgeprof/__init__.py", "PKG-INFO"}, tracked)
    with pytest.raises(ToolchainError, match=r"lacks 1 files: edgeprof/__init__\.py"):
        release.check_sdist({"README.md"}, tracked)
    with pytest.raises(ToolchainError, match=r"has besides 1 files: notes\.txt"):
        release.check_sdist({"README.md", "edgeprof/__init__.py", "notes.txt"}, tracked)


def test_the_check_list_says_what_is_left_to_do(
    release: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "git", lambda *words: ["v9.1.0"] if words[0] == "tag" else [])
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "9.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [9.1.0]\n")
    (tmp_path / "edgeprof-9.1.0.tar.gz").touch()

    def left() -> list[str]:
        found = release.check_list(tmp_path, tried=True)
        return [what for holds, what in found if not holds]

    first, second, third = left()
    assert first == "CHANGELOG.md has a section for 9.1.0 with its date"
    assert second.startswith("wheels for x86_64, aarch64, armv7l and Python 3.10")
    assert third.startswith(".ci/run passes")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [9.1.0] - 2026-01-31\n")
    for python in release.PYTHONS:
        tag = f"cp{python.replace('.', '')}"
        for machine in release.MACHINES:
            (tmp_path / f"edgeprof-9.1.0-{tag}-{tag}-manylinux_2_27_{machine}.whl").touch()
    assert left() == [third]


def test_the_version_is_that_of_the_project(release: ModuleType) -> None:
    assert release.project_version() == importlib.metadata.version("edgeprof")


def test_files_that_docs_name_have_the_version_of_the_project(release: ModuleType) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    named = set(re.findall(r"edgeprof-(\d+\.\d+\.\d+)-cp", "".join(texts)))
    assert named == {release.project_version()}
