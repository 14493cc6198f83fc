"""Runtime libraries to send to a board, taken from the wheels for the board's platform.

Owns: which package brings which runtime to which processor, which of its releases run with an old
C library, and the cache of fetched libraries. pip fetches, here, on the host: the board needs
neither Python nor a network. The libraries of this machine itself are ``runtimes.py``'s.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.errors import RuntimeUnavailable, ToolchainError
from edgeprof.base.files import atomic_write, cache_folder, make_folder, write_whole
from edgeprof.boards.elf import Version, format_version, read_elf
from edgeprof.boards.toolchain import TARGETS
from edgeprof.measuring.runtimes import TABLE, Wheel

# Every wheel holds the same library whatever Python it is for; this one has had wheels longest.
_WHEEL_PYTHON = "3.11"
_OLDEST_GLIBC = (2, 17)
_FETCH_DEADLINE_S = 900.0


@dataclass(frozen=True)
class BoardRuntime:
    """A runtime's library for a board.

    Attributes:
        runtime: name of the runtime.
        package: name and release of the package it was taken from.
        path: the library.
        glibc: the C library it needs; ``None`` if any will do.
    """

    runtime: str
    package: str
    path: Path
    glibc: Version | None


def fetch_runtime(
    target: str,
    runtime: str,
    glibc: Version,
    *,
    version: str | None = None,
    cache: Path | None = None,
) -> BoardRuntime:
    """Fetch the newest release of a runtime's library that a board can run.

    Args:
        target: the board's processor, one of ``toolchain.TARGETS``.
        runtime: one that has wheels in ``runtimes.TABLE``.
        glibc: the board's C library, such as ``(2, 31)``.
        version: the release to take instead of the newest.
        cache: folder to keep libraries in; default: the user's cache folder.

    Raises:
        RuntimeUnavailable: no release for this processor or C library (the message says which
            would do), or pip could not fetch it.
    """
    package = _package(target, runtime)
    requirement = _requirement(package, glibc, version)
    name = f"{runtime}-{version or 'newest'}-{target}-glibc{format_version(glibc)}"
    folder = (cache or cache_folder()) / "runtimes" / name
    if not (folder / "label.json").is_file():
        make_folder(folder)
        _fetch(package, requirement, target, glibc, folder)
    return _checked(package, target, glibc, folder, runtime)


def _checked(
    package: Wheel, target: str, glibc: Version, folder: Path, runtime: str
) -> BoardRuntime:
    """Return what was fetched into a folder, where the board can run it."""
    fetched = json.loads((folder / "label.json").read_text(encoding="utf-8"))
    what, path = fetched["package"], folder / fetched["library"]
    needed = read_elf(path)
    machine = TARGETS[target].machine
    if needed.machine != machine:
        raise RuntimeUnavailable(
            f"{what}: its library is for {needed.machine}, the board is {machine}"
        )
    if needed.glibc and needed.glibc > glibc:
        raise RuntimeUnavailable(
            f"{what} needs glibc {format_version(needed.glibc)}, the board has "
            f"{format_version(glibc)}; {_advice(package, glibc)}"
        )
    return BoardRuntime(runtime, what, path, needed.glibc)


def platform_tags(machine: str, glibc: Version) -> list[str]:
    """List every wheel tag that a system can install, newest first (pip does not expand them)."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc[1], _OLDEST_GLIBC[1] - 1, -1)]
    return [*tags, f"manylinux2014_{machine}"]


def _package(target: str, runtime: str) -> Wheel:
    if target not in TARGETS:
        raise ToolchainError(f"unknown target {target!r}; known: {', '.join(TARGETS)}")
    for package in TABLE[runtime].wheels if runtime in TABLE else ():
        if target in package.targets:
            return package
    having = [
        name for name, known in TABLE.items() if any(target in w.targets for w in known.wheels)
    ]
    raise RuntimeUnavailable(
        f"no package brings {runtime} to {target} (known there: {', '.join(having)}); "
        "name a library of your own"
    )


def _requirement(package: Wheel, glibc: Version, version: str | None) -> str:
    """Return what to ask pip for."""
    if version:
        return f"{package.name}=={version}"
    for floor, releases in package.floors:
        if glibc >= floor:
            return package.name + releases
    raise RuntimeUnavailable(
        f"the board has glibc {format_version(glibc)}, no release of {package.name} runs with it; "
        + _advice(package, glibc)
    )


def _advice(package: Wheel, glibc: Version) -> str:
    """Say which release would do, or which C library."""
    for floor, releases in package.floors:
        if glibc >= floor:
            return f"{package.name}{releases} would do"
    floor, releases = package.floors[-1]
    return f"{package.name}{releases} needs glibc {format_version(floor)}"


def _fetch(package: Wheel, requirement: str, target: str, glibc: Version, folder: Path) -> None:
    """Put the library and a label that names it into the folder, the label last."""
    with tempfile.TemporaryDirectory(prefix="fetch.", dir=folder) as download:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", download]
        command += ["--implementation", "cp", "--python-version", _WHEEL_PYTHON]
        for tag in platform_tags(TARGETS[target].machine, glibc):
            command += ["--platform", tag]
        try:
            done = subprocess.run(
                [*command, requirement],
                capture_output=True,
                text=True,
                check=False,
                timeout=_FETCH_DEADLINE_S,
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeUnavailable(
                f"pip did not fetch {requirement} within {_FETCH_DEADLINE_S:g} s; is the package "
                "index reachable?",
                command=command,
            ) from error
        wheels = list(Path(download).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            errors = re.findall(r"^ERROR: (.*)", done.stderr, re.MULTILINE)
            reason = errors[-1] if errors else (done.stderr.strip() or "no wheel came")
            raise RuntimeUnavailable(
                f"pip found no {requirement} for {target} with glibc {format_version(glibc)}: "
                f"{reason.splitlines()[-1]}",
                command=command,
                exit_status=done.returncode,
                stderr=done.stderr,
            )
        library = _extract(wheels[0], package, folder)
    name, release, _ = wheels[0].name.split("-", 2)
    with atomic_write(folder / "label.json") as stream:
        json.dump({"package": f"{name.replace('_', '-')} {release}", "library": library}, stream)


def _extract(wheel: Path, package: Wheel, folder: Path) -> str:
    """Take the library out of a wheel; returns its file name."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.namelist():
            if re.fullmatch(package.library, entry):
                name = Path(entry).name
                write_whole(folder / name, archive.read(entry))
                return name
    raise RuntimeUnavailable(f"{wheel.name} holds no library {package.library}")
