"""What an ELF file says of itself: the processor it is for, the C library it needs.

Owns: reading those facts, from programs and shared libraries of any processor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprof.base.errors import ToolchainError
from edgeprof.base.extras import optional

Version = tuple[int, ...]

# e_machine and class -> the name that `uname -m` has for it
_MACHINES = {
    ("EM_AARCH64", 64): "aarch64",
    ("EM_ARM", 32): "armv7l",
    ("EM_X86_64", 64): "x86_64",
    ("EM_386", 32): "i686",
    ("EM_RISCV", 64): "riscv64",
}


@dataclass(frozen=True)
class ElfFacts:
    """Facts of one ELF file.

    Attributes:
        machine: as ``uname -m`` has it (``aarch64``, ``armv7l``, ``x86_64``), or ELF's own name.
        needed: names of the shared libraries that the loader must find.
        glibc: newest version of the C library that a symbol is asked from; ``None`` without one.
        file_bytes: size of the file.
        stripped_bytes: what would be left of it without symbol names and debug information.
    """

    machine: str
    needed: tuple[str, ...]
    glibc: Version | None
    file_bytes: int
    stripped_bytes: int


def read_elf(path: Path) -> ElfFacts:
    """Read the facts of a program or shared library.

    Raises:
        MissingDependency: without pyelftools.
        ToolchainError: no such file, or no ELF file.
    """
    with optional("reading ELF files"):
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            return _facts(ELFFile(stream), path.stat().st_size)
    except OSError as error:
        raise ToolchainError(f"{path}: cannot be read: {error.strerror}") from error
    except (ELFError, ValueError) as error:
        raise ToolchainError(f"{path}: not an ELF program or library: {error}") from error


def _facts(elf: Any, file_bytes: int) -> ElfFacts:
    needed: list[str] = []
    versions: list[str] = []
    for segment in elf.iter_segments("PT_DYNAMIC"):
        needed += [tag.needed for tag in segment.iter_tags("DT_NEEDED")]
    section = elf.get_section_by_name(".gnu.version_r")
    if section is not None:
        versions = [a.name for _, auxiliaries in section.iter_versions() for a in auxiliaries]
    name = elf["e_machine"]
    return ElfFacts(
        machine=_MACHINES.get((name, elf.elfclass), str(name)),
        needed=tuple(needed),
        glibc=_newest_glibc(versions),
        file_bytes=file_bytes,
        stripped_bytes=file_bytes - sum(s["sh_size"] for s in elf.iter_sections() if _is_extra(s)),
    )


def _is_extra(section: Any) -> bool:
    """Tell whether the section is neither loaded nor needed to read the file."""
    is_loaded = bool(section["sh_flags"] & 2)  # SHF_ALLOC
    return not is_loaded and section["sh_type"] not in ("SHT_NULL", "SHT_NOBITS")


def _newest_glibc(versions: list[str]) -> Version | None:
    found = (re.fullmatch(r"GLIBC_(\d+(\.\d+)*)", version) for version in versions)
    return max((parse_version(version[1]) for version in found if version), default=None)


def parse_version(text: str) -> Version:
    """Turn ``"2.27"`` into ``(2, 27)``.

    Raises:
        ValueError: if it is no dotted number.
    """
    return tuple(int(part) for part in text.split("."))


def format_version(version: Version) -> str:
    """Turn ``(2, 27)`` into ``"2.27"``."""
    return ".".join(str(part) for part in version)
