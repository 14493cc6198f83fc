"""The board program: targets, toolchains, and the checks of what came out."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeprof.base.errors import ToolchainError
from edgeprof.boards import toolchain
from edgeprof.boards.elf import ElfFacts, parse_version, read_elf
from edgeprof.cli import cli
from edgeprof.measuring.harness import PROGRAM

# A good program for a Raspberry Pi 4.
GOOD = ElfFacts(
    machine="aarch64",
    needed=("libdl.so.2", "libpthread.so.0", "libc.so.6", "ld-linux-aarch64.so.1"),
    glibc=(2, 17),
    file_bytes=1_600_000,
    stripped_bytes=700_000,
)


def test_good_program_passes_the_checks() -> None:
    toolchain.check_program(GOOD, "aarch64", "2.27")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"machine": "x86_64"}, "program for x86_64, wanted aarch64"),
        ({"glibc": (2, 34)}, "needs glibc 2.34, wanted at most 2.27"),
        ({"needed": ("libstdc++.so.6",)}, "needs the board's libstdc"),
        ({"stripped_bytes": 1_500_001}, "has 1500001 bytes"),
    ],
)
def test_program_that_is_not_what_was_asked_for_is_refused(
    change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ToolchainError, match=complaint):
        toolchain.check_program(replace(GOOD, **change), "aarch64", "2.27")


def test_program_too_new_for_the_board_names_both_versions_and_the_remedy() -> None:
    new = replace(GOOD, glibc=(2, 34))
    with pytest.raises(ToolchainError, match=r"needs glibc 2\.34, the board has 2\.31; build"):
        toolchain.check_board_glibc(new, (2, 31), "the program", "build it with --glibc 2.31")


@pytest.mark.parametrize(
    ("machine", "target"),
    [("aarch64", "aarch64"), ("armv7l", "armv7"), ("armv8l", "armv7"), ("x86-64", "x86_64")],
)
def test_target_of_a_board_follows_from_its_uname(machine: str, target: str) -> None:
    assert toolchain.target_of(machine).name == target


def test_board_without_a_target_is_refused() -> None:
    with pytest.raises(ToolchainError, match="'armv6l'"):
        toolchain.target_of("armv6l")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"target": "sparc"}, "unknown target 'sparc'"),
        ({"target": "aarch64", "toolchain": "nowhere.cmake"}, "debian-aarch64.cmake"),
        ({"target": "aarch64", "toolchain": "host"}, "native only"),
        ({"target": "aarch64", "glibc": "musl"}, "'musl' is no version of glibc"),
        (
            {"target": "aarch64", "glibc": "musl", "toolchain": "debian"},
            "'musl' is no version of glibc",
        ),
    ],
)
def test_request_that_cannot_be_met_is_refused_before_anything_is_built(
    arguments: dict[str, str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEPROF_TOOLCHAIN", raising=False)
    with pytest.raises(ToolchainError, match=complaint):
        toolchain.build_harness(**arguments, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_compiler_is_named_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "odd.cmake"
    file.write_text(
        "set(CMAKE_SYSTEM_NAME Linux)\nset(CMAKE_CXX_COMPILER m68k-linux-gnu-g++)\n",
        encoding="utf-8",
    )
    with pytest.raises(ToolchainError, match=r"the compiler m68k-linux-gnu-g\+\+ is not installed"):
        toolchain.build_harness("aarch64", toolchain=str(file), cache=tmp_path / "cache")
    assert not list(tmp_path.rglob("edgeprof-harness"))


def test_sources_travel_in_the_installed_package() -> None:
    source = toolchain.source_folder()
    assert (source / "CMakeLists.txt").is_file()
    assert (source / "csrc" / "board" / "main.cpp").is_file()
    assert (toolchain.toolchain_folder() / "zig-aarch64.cmake").is_file()


def test_name_of_a_built_program_changes_with_the_compiler_and_its_options(tmp_path: Path) -> None:
    one = tmp_path / "one.cmake"
    one.write_text("set(CMAKE_SYSTEM_NAME Linux)\n", encoding="utf-8")
    before = toolchain._content_hash({"CMAKE_TOOLCHAIN_FILE": str(one)})
    assert toolchain._content_hash({"CMAKE_TOOLCHAIN_FILE": str(one), "X": "1"}) != before
    one.write_text("set(CMAKE_SYSTEM_NAME Darwin)\n", encoding="utf-8")
    assert toolchain._content_hash({"CMAKE_TOOLCHAIN_FILE": str(one)}) != before


def fake_compiler(folder: Path, version: str) -> Path:
    """Write a compiler that does nothing but say which it is, and a toolchain file for it."""
    compiler = folder / "g++"
    compiler.write_text(f"#!/bin/sh\necho 'g++ {version}'\n", encoding="utf-8")
    compiler.chmod(0o755)
    file = folder / "own.cmake"
    file.write_text(f'set(CMAKE_CXX_COMPILER "{compiler}")\n', encoding="utf-8")
    return file


def test_another_release_of_the_compiler_makes_another_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = {"CMAKE_TOOLCHAIN_FILE": str(fake_compiler(tmp_path, "12.2"))}
    monkeypatch.setenv("CXX", str(tmp_path / "g++"))
    before, host_before = toolchain._content_hash(definitions), toolchain._content_hash({})
    fake_compiler(tmp_path, "14.2")
    assert toolchain._content_hash(definitions) != before
    assert toolchain._content_hash({}) != host_before


def test_program_is_found_again_wherever_edgeprof_is_installed(tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "zig.cmake"
        file.write_text("set(CMAKE_SYSTEM_NAME Linux)\n", encoding="utf-8")
        hashes.add(toolchain._content_hash({"CMAKE_TOOLCHAIN_FILE": str(file)}))
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("machine", "is_64_bit", "own"),
    [
        ("aarch64", True, "aarch64"),
        ("aarch64", False, "armv7l"),
        ("armv8l", False, "armv7l"),
        ("armv7l", False, "armv7l"),
        ("x86_64", True, "x86_64"),
    ],
)
def test_native_is_what_programs_of_this_system_are_for(
    machine: str, is_64_bit: bool, own: str
) -> None:
    assert toolchain.own_machine(machine, is_64_bit=is_64_bit) == own


def test_glibc_that_is_asked_for_holds_for_every_compiler(tmp_path: Path) -> None:
    # Built before, as far as the cache can tell: nothing is compiled here.
    definitions = toolchain._definitions(toolchain.TARGETS["x86_64"], None, "host")
    folder = tmp_path / "harness" / toolchain._content_hash(definitions)
    folder.mkdir(parents=True)
    shutil.copy(PROGRAM, folder)
    with pytest.raises(ToolchainError, match=r"needs glibc 2\.\d+, wanted at most 2\.1; build"):
        toolchain.build_harness("native", toolchain="host", glibc="2.1", cache=tmp_path)


def test_installed_program_is_for_this_machine() -> None:
    facts = read_elf(PROGRAM)
    assert facts.machine == os.uname().machine
    assert facts.glibc is not None
    assert facts.glibc >= (2, 2)
    assert any(name.startswith("libc.so") for name in facts.needed)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF" + bytes(60)])
def test_file_that_is_no_elf_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(content)
    with pytest.raises(ToolchainError, match="not an ELF"):
        read_elf(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="cannot be read: No such file"):
        read_elf(tmp_path / "nowhere")


def test_versions_compare_as_numbers() -> None:
    assert parse_version("2.9") < parse_version("2.17")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("target", "machine"), [("aarch64", "aarch64"), ("armv7", "armv7l"), ("x86_64", "x86_64")]
)
def test_zig_builds_for_old_boards(target: str, machine: str, tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="needs ziglang")
    command = ["harness", "build", "--target", target, "--glibc", "2.27", "-o", str(tmp_path)]
    done = CliRunner().invoke(cli, [*command, "--json"])
    assert done.exit_code == 0, done.output
    built = json.loads(done.output)
    assert built["machine"] == machine
    assert parse_version(built["glibc_needed"]) <= (2, 27)
    assert built["stripped_bytes"] <= 1_500_000
    facts = read_elf(tmp_path / "edgeprof-harness")
    assert facts.machine == machine
    again = CliRunner().invoke(cli, [*command, "--json"])
    assert json.loads(again.output)["was_cached"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_host_compiler_builds_for_this_machine(tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler here")
    built = toolchain.build_harness("native", toolchain="host", cache=tmp_path)
    assert built.facts.machine == os.uname().machine
