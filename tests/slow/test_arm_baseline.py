"""No instruction of the ARM programs is beyond the baseline that every supported board has.

A newer instruction would end the program on an old board with SIGILL. Allowed are instructions in
functions that the compiler's own library calls only after asking the processor at run time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from arm_baseline import (
    BASELINES,
    BEYOND_ARMV7,
    BEYOND_ARMV8_0,
    beyond,
    beyond_without_names,
    instructions_of,
)

from edgeprof.boards.toolchain import build_harness

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]


def instructions_for(target: str, toolchain: str) -> list[tuple[str, str]]:
    objdump = BASELINES[target].objdump
    if shutil.which(objdump) is None:
        pytest.skip(f"{objdump} is not installed")
    instructions = instructions_of(objdump, build_harness(target, toolchain=toolchain).path)
    assert len(instructions) > 50_000
    return instructions


@pytest.mark.parametrize("target", BASELINES)
def test_program_stays_within_the_baseline(target: str) -> None:
    instructions = instructions_for(target, "debian")
    assert any("measure" in function for function, _ in instructions), "no names to tell by"
    assert beyond(BASELINES[target].pattern, instructions) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("target", BASELINES)
def test_program_that_is_sent_to_boards_stays_within_the_baseline(target: str) -> None:
    """Zig's: the compiler that is taken unless another is asked for."""
    pytest.importorskip("ziglang", reason="needs ziglang")
    instructions = instructions_for(target, "zig")
    assert beyond_without_names(BASELINES[target].pattern, instructions) == []


@pytest.mark.parametrize(
    ("pattern", "source", "compiler"),
    [
        (BEYOND_ARMV8_0, ".arch armv8.1-a\nldaddal w0, w1, [x2]\n", "aarch64-linux-gnu"),
        (
            BEYOND_ARMV8_0,
            ".arch armv8.2-a+dotprod\nudot v0.4s, v1.16b, v2.16b\n",
            "aarch64-linux-gnu",
        ),
        (BEYOND_ARMV8_0, ".arch armv8-a+crc\ncrc32x w0, w1, x2\n", "aarch64-linux-gnu"),
        (BEYOND_ARMV7, ".arch armv7ve\nudiv r0, r1, r2\n", "arm-linux-gnueabihf"),
        (BEYOND_ARMV7, ".fpu neon-vfpv4\nvfma.f32 q0, q1, q2\n", "arm-linux-gnueabihf"),
        (BEYOND_ARMV7, ".arch armv8-a\nldaex r0, [r1]\n", "arm-linux-gnueabihf"),
    ],
    ids=["ldaddal", "udot", "crc32x", "udiv", "vfma", "ldaex"],
)
def test_newer_instructions_are_noticed(
    pattern: re.Pattern[str], source: str, compiler: str, tmp_path: Path
) -> None:
    if shutil.which(f"{compiler}-as") is None:
        pytest.skip(f"{compiler}-as is not installed")
    assembly, program = tmp_path / "one.s", tmp_path / "one.o"
    assembly.write_text(f"one:\n{source}", encoding="utf-8")
    subprocess.run([f"{compiler}-as", "-o", program, assembly], check=True)
    assert len(beyond(pattern, instructions_of(f"{compiler}-objdump", program))) == 1
