"""No instruction of the ARM programs is beyond the baseline that every supported board has.

ARMv8.0-A and ARMv7-A with NEON: a newer instruction would end the program on an old board with
SIGILL. Read from the disassembly. Allowed are instructions in functions that the compiler's own
library calls only after asking the processor at run time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeprof.toolchain import build_harness

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]

# The helpers of -moutline-atomics (libgcc) ask for the processor's features before they use LSE.
# The unwinder reads the length of SVE vectors only in frames of SVE code: on boards that have it.
DISPATCHED = re.compile(
    r"__aarch64_(cas|swp|ldadd|ldclr|ldeor|ldset)\d+_\w+"
    r"|execute_stack_op|uw_update_context(_1)?|_Unwind_GetGR"
)

# ARMv8.1-A and later, and the optional extensions of ARMv8.0-A.
BEYOND_ARMV8_0 = re.compile(
    r"cas[abhlp]*|swp[abhl]*|(ld|st)(add|clr|eor|set|smax|smin|umax|umin)[abhl]*"  # LSE
    r"|sqrdml[as]h|ldapu?r\w*|fjcvtzs|fcmla|fcadd|[su]dot|usdot|sudot|fmlal2?|fmlsl2?"  # 8.1-8.3
    r"|crc32\w*|aes\w+|sha(1|256|512)\w+|sm[34]\w+|eor3|bcax|rax1|xar"  # CRC32, cryptography
    r"|bf\w*dot|bfmmla|[us]mmla|usmmla|cfinv|rmif|setf(8|16)|[xa]xflag"  # BF16, I8MM, flags
    r"|irg|gmi|stz?2?g|ldg|ptrue\w*|whilel\w|cnt[bhwd]|ld1[bhwd]|rdvl"  # MTE, SVE
    r"|(ret|br|blr|ldr|eret)a[ab]z?"  # pointer authentication outside the hint space
)
# ARMv7VE division, VFPv4, and what ARMv8-A brought to 32 bits.
BEYOND_ARMV7 = re.compile(
    r"[su]div|vfn?m[as](\.\w+)?|vmaxnm\S*|vminnm\S*|vrint\S*|vcvt[anpm]\S*|vsel\S*|v[su]dot\S*"
    r"|(lda|stl)(b|h|ex|exb|exh|exd)?|crc32\S*|aes\S*|sha(1|256)\S*|sevl|hlt"
)


def instructions_of(objdump: str, program: Path) -> list[tuple[str, str]]:
    """Disassemble: (function, mnemonic) of every instruction."""
    text = subprocess.run(
        [objdump, "-d", "--no-show-raw-insn", program], capture_output=True, text=True, check=True
    ).stdout
    found: list[tuple[str, str]] = []
    function = ""
    for line in text.splitlines():
        if header := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            function = header.group(1)
        elif instruction := re.match(r"\s+[0-9a-f]+:\s+([a-z][\w.]*)", line):
            found.append((function, instruction.group(1)))
    return found


def beyond(pattern: re.Pattern[str], instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those that match the pattern and stand in no dispatched function."""
    conditional = r"(eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?(\.[nw])?"
    extended = re.compile(rf"({pattern.pattern}){conditional}")
    return [
        (function, mnemonic)
        for function, mnemonic in instructions
        if extended.fullmatch(mnemonic) and not DISPATCHED.fullmatch(function)
    ]


@pytest.mark.parametrize(
    ("target", "objdump", "pattern"),
    [
        ("aarch64", "aarch64-linux-gnu-objdump", BEYOND_ARMV8_0),
        ("armv7", "arm-linux-gnueabihf-objdump", BEYOND_ARMV7),
    ],
    ids=["aarch64", "armv7"],
)
def test_program_stays_within_the_baseline(
    target: str, objdump: str, pattern: re.Pattern[str]
) -> None:
    if shutil.which(objdump) is None:
        pytest.skip(f"{objdump} is not installed")
    program = build_harness(target, toolchain="debian").path
    instructions = instructions_of(objdump, program)
    assert len(instructions) > 50_000
    assert any("measure" in function for function, _ in instructions), "no names to tell by"
    assert beyond(pattern, instructions) == []


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
