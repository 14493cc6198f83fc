"""Runtime libraries for boards: which package, which release, which wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeprof.base.errors import RuntimeUnavailable, ToolchainError
from edgeprof.boards import board_runtimes
from edgeprof.boards.board_runtimes import fetch_runtime, platform_tags
from edgeprof.measuring.harness import PROGRAM


def test_every_platform_tag_up_to_the_boards_glibc_is_listed() -> None:
    tags = platform_tags("aarch64", (2, 28))
    assert tags[0] == "manylinux_2_28_aarch64"
    assert tags[-1] == "manylinux2014_aarch64"
    assert "manylinux_2_17_aarch64" in tags
    assert len(tags) == 13


@pytest.mark.parametrize(
    ("target", "runtime", "glibc", "requirement"),
    [
        ("aarch64", "onnxruntime", (2, 36), "onnxruntime>=1.29"),
        ("aarch64", "onnxruntime", (2, 27), "onnxruntime>=1.19,<1.29"),
        ("armv7", "onnxruntime", (2, 36), "sherpa-onnx-core"),
        ("aarch64", "litert", (2, 31), "ai-edge-litert==1.4.0"),
        ("aarch64", "litert", (2, 36), "ai-edge-litert>=2.1"),
    ],
)
def test_newest_release_that_the_boards_glibc_can_run_is_asked_for(
    target: str, runtime: str, glibc: tuple[int, int], requirement: str
) -> None:
    package = board_runtimes._package(target, runtime)
    assert board_runtimes._requirement(package, glibc, None) == requirement


@pytest.mark.parametrize(
    ("target", "runtime", "glibc", "complaint"),
    [
        (
            "armv7",
            "onnxruntime",
            (2, 31),
            r"has glibc 2\.31, .* sherpa-onnx-core needs glibc 2\.35",
        ),
        ("aarch64", "onnxruntime", (2, 23), r">=1\.19,<1\.29 needs glibc 2\.27"),
        ("armv7", "litert", (2, 36), r"no package brings litert to armv7 .*onnxruntime"),
        ("aarch64", "tensorrt", (2, 36), "no package brings tensorrt"),
    ],
)
def test_board_that_no_release_serves_is_told_what_would_do(
    target: str, runtime: str, glibc: tuple[int, int], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeUnavailable, match=complaint):
        fetch_runtime(target, runtime, glibc, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="unknown target 'mips'"):
        fetch_runtime("mips", "onnxruntime", (2, 36), cache=tmp_path)


def test_library_of_another_processor_is_refused(tmp_path: Path) -> None:
    """A cache filled by hand, or a package that mixes its wheels up."""
    folder = tmp_path / "runtimes" / "onnxruntime-newest-armv7-glibc2.36"
    folder.mkdir(parents=True)
    (folder / "libonnxruntime.so").write_bytes(PROGRAM.read_bytes())
    (folder / "label.json").write_text(
        json.dumps({"package": "onnxruntime 9", "library": "libonnxruntime.so"}), encoding="utf-8"
    )
    with pytest.raises(RuntimeUnavailable, match="onnxruntime 9: its library is for x86_64"):
        fetch_runtime("armv7", "onnxruntime", (2, 36), cache=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "runtime", "glibc", "package"),
    [
        ("aarch64", "onnxruntime", (2, 31), "onnxruntime 1."),
        ("aarch64", "onnxruntime", (2, 27), "onnxruntime 1.28"),
        ("armv7", "onnxruntime", (2, 36), "sherpa-onnx-core"),
        ("aarch64", "litert", (2, 31), "ai-edge-litert 1.4.0"),
        ("aarch64", "litert", (2, 36), "ai-edge-litert 2."),
    ],
)
def test_library_comes_from_the_wheel_for_the_board(
    target: str, runtime: str, glibc: tuple[int, int], package: str, tmp_path: Path
) -> None:
    fetched = fetch_runtime(target, runtime, glibc, cache=tmp_path)
    assert fetched.package.startswith(package)
    assert fetched.glibc is not None
    assert fetched.glibc <= glibc
    assert fetch_runtime(target, runtime, glibc, cache=tmp_path) == fetched


@pytest.mark.slow
def test_release_too_new_for_the_board_names_one_that_would_do(tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeUnavailable, match=r"needs glibc 2\.34.* ai-edge-litert==1\.4\.0 would"
    ):
        fetch_runtime("aarch64", "litert", (2, 31), version="2.3.0", cache=tmp_path)
