"""Which instructions of a program are beyond the baseline that every supported board has.

ARMv8.0-A and ARMv7-A with NEON, read from the disassembly.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

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


# What LLVM's unwinder does in frames of SVE code and of tagged stacks: on boards that have these.
UNWINDING = {"cntd", "stg"}


def beyond_without_names(
    pattern: re.Pattern[str], instructions: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return those that match, in a file whose functions have no names any more: zig's."""
    return [found for found in beyond(pattern, instructions) if found[1] not in UNWINDING]


@dataclass(frozen=True)
class Baseline:
    """What disassembles a target's programs, and what is beyond its baseline."""

    objdump: str
    pattern: re.Pattern[str]


BASELINES = {
    "aarch64": Baseline("aarch64-linux-gnu-objdump", BEYOND_ARMV8_0),
    "armv7": Baseline("arm-linux-gnueabihf-objdump", BEYOND_ARMV7),
}
