"""Building the board program, ``edgeprof-harness``, for boards and for this machine.

Owns: the targets, the choice of a compiler, the cache of built programs, and the checks of what
came out. The C++ sources travel in the installed package (``native/``), the descriptions of the
compilers in ``firmware_scripts/toolchains``. The compiler is PyPI's ``ziglang`` unless another is
asked for: it needs nothing else on the system and links for a given oldest glibc.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.errors import ToolchainError
from edgeprof.base.extras import missing
from edgeprof.base.files import cache_folder, make_folder, packaged, sha256_of, write_whole
from edgeprof.boards.elf import ElfFacts, Version, format_version, parse_version, read_elf

PROGRAM = "edgeprof-harness"
DEFAULT_GLIBC = "2.27"
MAX_PROGRAM_BYTES = 1_500_000
_BUILD_DEADLINE_S = 1800.0  # zig builds its C++ library first, on a small machine for long


@dataclass(frozen=True)
class Target:
    """A kind of processor to build for.

    Attributes:
        name: what the command line calls it.
        machine: what ``uname -m`` says there.
        zig_toolchain: toolchain file for zig, in ``firmware_scripts/toolchains``.
    """

    name: str
    machine: str
    zig_toolchain: str


TARGETS = {
    target.name: target
    for target in (
        Target("aarch64", "aarch64", "zig-aarch64.cmake"),  # Raspberry Pi 3 and later, Jetson
        Target("armv7", "armv7l", "zig-armv7.cmake"),  # Raspberry Pi OS, 32-bit
        Target("x86_64", "x86_64", "zig-x86_64.cmake"),
    )
}


@dataclass(frozen=True)
class HarnessBuild:
    """A built and checked board program.

    Attributes:
        path: the program.
        target: name of the target.
        facts: what its ELF file says.
        sha256: of the file.
        was_cached: whether it had been built before from the same sources by the same compiler.
    """

    path: Path
    target: str
    facts: ElfFacts
    sha256: str
    was_cached: bool


def target_of(machine: str) -> Target:
    """Return the target that serves a board, by its name or what ``uname -m`` says there.

    Raises:
        ToolchainError: if there is none.
    """
    # A 64-bit processor under a 32-bit system says armv8l.
    synonyms = {"armv8l": "armv7l", "arm64": "aarch64", "amd64": "x86_64", "x86-64": "x86_64"}
    machine = synonyms.get(machine, machine)
    for target in TARGETS.values():
        if machine in (target.name, target.machine):
            return target
    known = ", ".join(target.machine for target in TARGETS.values())
    raise ToolchainError(f"no board program can be built for {machine!r} (only for {known})")


def own_machine(machine: str | None = None, *, is_64_bit: bool = sys.maxsize > 2**32) -> str:
    """Return what programs of this system are for, as ``uname -m`` has it.

    A 32-bit system under a 64-bit kernel (Raspberry Pi OS) says aarch64 and runs armv7l.
    """
    machine = machine or os.uname().machine
    return "armv7l" if machine in ("aarch64", "armv8l") and not is_64_bit else machine


def build_harness(
    target: str,
    *,
    glibc: str | None = None,
    toolchain: str | None = None,
    cache: Path | None = None,
) -> HarnessBuild:
    """Build the board program, or take it from the cache.

    Args:
        target: one of ``TARGETS``, or ``"native"`` for this machine's processor.
        glibc: oldest C library the program must run with; what zig links against (default: 2.27),
            and what any other compiler's program is held to (default: that of the compiler).
        toolchain: ``"zig"``, ``"debian"`` (its cross compilers), ``"host"`` (this machine's own
            compiler, for ``native`` only), or a CMake toolchain file; default:
            ``$EDGEPROF_TOOLCHAIN``, else zig.
        cache: folder to keep programs in; default: the user's cache folder.

    Raises:
        MissingDependency: zig, CMake or Ninja is not installed.
        ToolchainError: an unknown target, a toolchain that does not work, or another program than
            was asked for.
    """
    toolchain = toolchain or os.environ.get("EDGEPROF_TOOLCHAIN") or "zig"
    target = _target_name(target, toolchain)
    if glibc is not None and not re.fullmatch(r"2\.\d{1,2}", glibc):
        raise ToolchainError(f"{glibc!r} is no version of glibc to build for (example: 2.27)")
    if toolchain == "zig":
        glibc = glibc or DEFAULT_GLIBC
    definitions = _definitions(TARGETS[target], glibc, toolchain)
    folder = (cache or cache_folder()) / "harness" / _content_hash(definitions)
    program = folder / PROGRAM
    was_cached = program.is_file()
    if not was_cached:
        make_folder(folder)
        _compile(definitions, program, cache or cache_folder())
    facts = read_elf(program)
    check_program(facts, TARGETS[target].machine, glibc)
    return HarnessBuild(program, target, facts, sha256_of(program), was_cached)


def _target_name(target: str, toolchain: str) -> str:
    if target == "native":
        return target_of(own_machine()).name
    if toolchain == "host":
        raise ToolchainError("the host's own compiler builds --target native only")
    if target not in TARGETS:
        raise ToolchainError(f"unknown target {target!r}; known: {', '.join(TARGETS)}, native")
    return target


def place_program(build: HarnessBuild, folder: Path) -> Path:
    """Copy a built program into a folder, as ``edgeprof-harness``.

    Raises:
        OutputError: if it cannot be written.
    """
    path = make_folder(folder) / PROGRAM
    write_whole(path, build.path.read_bytes())
    path.chmod(0o755)
    return path


def check_program(facts: ElfFacts, machine: str, glibc: str | None) -> None:
    """Check that a program is what was asked for.

    Args:
        facts: of the program's file.
        machine: the processor wanted, as ``uname -m`` has it.
        glibc: newest C library it may need; ``None`` where any will do.

    Raises:
        ToolchainError: naming the first difference.
    """
    if facts.machine != machine:
        raise ToolchainError(
            f"the toolchain made a program for {facts.machine}, wanted {machine}; "
            "name another toolchain file"
        )
    if glibc and facts.glibc and facts.glibc > parse_version(glibc):
        raise ToolchainError(
            f"the program needs glibc {format_version(facts.glibc)}, wanted at most {glibc}; "
            "build it with --toolchain zig"
        )
    if "libstdc++.so.6" in facts.needed:
        raise ToolchainError(
            "the program needs the board's libstdc++; link it in (-static-libstdc++)"
        )
    if facts.stripped_bytes > MAX_PROGRAM_BYTES:
        raise ToolchainError(
            f"the program has {facts.stripped_bytes} bytes without its symbols, at most "
            f"{MAX_PROGRAM_BYTES} are wanted; optimise for size, drop unused sections"
        )


def check_board_glibc(facts: ElfFacts, board_glibc: Version, what: str, remedy: str) -> None:
    """Check that a program or library finds the C library it needs on a board.

    Raises:
        ToolchainError: naming what is needed, what the board has, and the remedy.
    """
    if facts.glibc and facts.glibc > board_glibc:
        raise ToolchainError(
            f"{what} needs glibc {format_version(facts.glibc)}, the board has "
            f"{format_version(board_glibc)}; {remedy}"
        )


def source_folder() -> Path:
    """Return the folder with the C++ sources and their CMakeLists.txt.

    Raises:
        ToolchainError: where the package was installed without them.
    """
    folder = packaged("native")
    if not (folder / "CMakeLists.txt").is_file():
        raise ToolchainError(f"{folder}: the C++ sources are not there; install edgeprof again")
    return folder


def _definitions(target: Target, glibc: str | None, toolchain: str) -> dict[str, str]:
    """Return the CMake definitions that choose the compiler."""
    if toolchain == "host":
        return {
            "CMAKE_CXX_FLAGS": "-ffunction-sections -fdata-sections",
            "CMAKE_EXE_LINKER_FLAGS": "-static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,-S",
        }
    if toolchain != "zig":
        file = Path(toolchain)
        if toolchain == "debian":
            file = toolchain_folder() / f"debian-{target.name}.cmake"
        if not file.is_file():
            known = sorted(path.name for path in toolchain_folder().glob("*-*.cmake"))
            raise ToolchainError(
                f"{toolchain}: no such toolchain file; edgeprof brings, in {toolchain_folder()}: "
                + ", ".join(known)
            )
        return {"CMAKE_TOOLCHAIN_FILE": str(file.resolve())}
    return {
        "CMAKE_TOOLCHAIN_FILE": str(toolchain_folder() / target.zig_toolchain),
        "EDGEPROF_GLIBC": glibc or DEFAULT_GLIBC,
        "EDGEPROF_ZIG": str(find_zig()),
    }


def toolchain_folder() -> Path:
    """Return the folder of the toolchain files that come with edgeprof."""
    return packaged("firmware_scripts/toolchains")


def find_zig() -> Path:
    """Return the zig program of the installed ``ziglang`` package.

    Raises:
        MissingDependency: if it is not installed.
    """
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        raise missing("ziglang", "cross-compilation without --toolchain")
    return Path(spec.origin).parent / "zig"


def _content_hash(definitions: dict[str, str]) -> str:
    """Return a name for the program that changes with anything that goes into it."""
    digest = hashlib.sha256()
    chosen = definitions.get("CMAKE_TOOLCHAIN_FILE")
    for name, value in sorted(definitions.items()):
        if name not in ("EDGEPROF_ZIG", "CMAKE_TOOLCHAIN_FILE"):
            digest.update(f"{name}={value}\n".encode())
    if "EDGEPROF_ZIG" in definitions:
        digest.update(importlib.metadata.version("ziglang").encode())
    else:
        digest.update(_compiler_version(Path(chosen) if chosen else None).encode())
    sources = sorted(p for p in source_folder().rglob("*") if p.is_file())
    toolchains = sorted(toolchain_folder().glob("*.cmake"))
    for path in [*sources, *toolchains, *([Path(chosen)] if chosen else [])]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _compiler_version(toolchain_file: Path | None) -> str:
    """Return what the compiler says of itself; empty where it cannot be asked."""
    compiler = os.environ.get("CXX", "c++")
    if toolchain_file is not None:
        text = toolchain_file.read_text(encoding="utf-8", errors="replace")
        named = re.search(r"set\(\s*CMAKE_CXX_COMPILER\s+\"?([^\s\")]+)", text)
        compiler = named.group(1) if named else ""
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout


def _find_tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if not found:
        raise missing(name, "building the board program")
    return found


def _compile(definitions: dict[str, str], program: Path, cache: Path) -> None:
    """Compile the sources and put the program in place, whole or not at all."""
    cmake, ninja = _find_tool("cmake"), _find_tool("ninja")
    source = source_folder()
    environment = os.environ | {
        "ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"),
        "ZIG_LOCAL_CACHE_DIR": str(cache / "zig"),
    }
    with tempfile.TemporaryDirectory(prefix="build.", dir=program.parent) as build:
        configure = [cmake, "-S", str(source), "-B", build, "-G", "Ninja"]
        # Sources joined compile in a third of the time.
        configure += [f"-DCMAKE_MAKE_PROGRAM={ninja}", "-DCMAKE_UNITY_BUILD=ON"]
        configure += [f"-D{name}={value}" for name, value in definitions.items()]
        for command in (configure, [cmake, "--build", build, "--target", PROGRAM]):
            try:
                done = subprocess.run(
                    command,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=_BUILD_DEADLINE_S,
                )
            except subprocess.TimeoutExpired as error:
                raise ToolchainError(
                    f"the board program was not built within {_BUILD_DEADLINE_S:g} s",
                    command=command,
                ) from error
            if done.returncode != 0:
                raise ToolchainError(
                    f"the board program could not be built: {_cause(done.stdout + done.stderr)}",
                    command=command,
                    exit_status=done.returncode,
                    stdout=done.stdout,
                    stderr=done.stderr,
                )
        (Path(build) / PROGRAM).replace(program)


def _cause(output: str) -> str:
    """Return the line of the tools' output that says most."""
    # CMake: "The CMAKE_CXX_COMPILER:\n\n  aarch64-linux-gnu-g++\n\nis not a full path and was not
    # found in the PATH."
    missing = re.search(r"COMPILER:\s+(\S+)\s+is not", output)
    if missing:
        return f"the compiler {missing.group(1)} is not installed"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"\berror\b|not found", line, re.IGNORECASE)]
    return (telling or lines or ["no output"])[0]
