"""A read of a counter that the kernel has just forbidden is answered by read(), not by SIGILL."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tree import SUPPORT
from virtual_board import ROOT, Board, start_board, stop_board

CSRC = ROOT / "csrc"
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"

pytestmark = [
    pytest.mark.board,
    pytest.mark.skipif(not CSRC.is_dir(), reason="no csrc beside the tests"),
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"needs Debian's {COMPILER}"),
]


def compile_program(name: str, sources: list[str], folder: Path) -> Path:
    program = folder / name
    files = [SUPPORT / f"{name}.cpp", *(CSRC / source for source in sources)]
    options = ["-std=c++17", "-O2", "-static", "-pthread", "-I", CSRC, "-o", program]
    subprocess.run([COMPILER, *options, *files], check=True)
    return program


@pytest.mark.skipif(shutil.which(EMULATOR) is None, reason=f"needs Debian's {EMULATOR}")
def test_refused_read_fails_and_any_other_undefined_instruction_still_ends_the_program(
    tmp_path: Path,
) -> None:
    """User-mode emulation refuses every read of a counter."""
    program = compile_program("refused_reads", ["timing/refused_reads.cpp"], tmp_path)
    assert subprocess.run([EMULATOR, program], check=False).returncode == 0
    undefined = subprocess.run([EMULATOR, program, "x"], check=False, capture_output=True)
    assert undefined.returncode == -signal.SIGILL


@pytest.fixture
def two_processors(tmp_path: Path) -> Iterator[Board]:
    folder = tmp_path / "boards"
    try:
        yield start_board(folder, "--cpus", "2")
    finally:
        stop_board(folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_counter_goes_on_when_user_access_is_switched_off_from_another_processor(
    two_processors: Board, tmp_path: Path
) -> None:
    sources = ["timing/counters.cpp", "timing/refused_reads.cpp", "timing/core_pmu.cpp"]
    sources += ["timing/clock.cpp", "machine/affinity.cpp", "machine/system_files.cpp"]
    program = compile_program("access_switched_off", sources, tmp_path)
    two_processors.put(program, "/tmp/access_switched_off")
    two_processors.set_kernel(paranoid=1, user_access=1)
    printed = two_processors.run("/tmp/access_switched_off")
    n_by_page, n_by_read, n_not_higher = map(int, printed.split())
    assert n_by_page > 0
    assert n_by_read == 1000
    assert n_not_higher == 0
