"""What the board scripts collect from a board and install on it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from script_board import (
    Board,
    needs_scripts,
)

from edgeprof.measuring.machine import machine_state

pytestmark = needs_scripts


@pytest.mark.parametrize("name", ["rpi5", "rock-5b", "jetson-nano", "x86-server"])
def test_a_collected_tree_says_what_the_board_says(name, board_of, tmp_path):
    board = board_of(name)
    before = board.content()
    board.ok("collect_board_info", "-o", tmp_path / "collected")
    assert machine_state(tmp_path / "collected") == machine_state(board.root)
    origin = (tmp_path / "collected/ORIGIN.md").read_text(encoding="utf-8")
    assert "Captured by" in origin
    assert board.content() == before


def test_what_identifies_a_board_is_taken_out(board_of, tmp_path, shell):
    board = board_of("rpi4b", shell)
    board.write("proc/sys/kernel/hostname", "lab.pi\n")
    cpuinfo = board.read("proc/cpuinfo")
    board.write("proc/cpuinfo", f"{cpuinfo}Serial\t\t: 10000000deadbeef\n")
    board.write(
        "proc/swaps",
        "Filename Type Size Used Priority\n/dev/lab.pi-vg file 1 0 -2\n"
        "/dev/disk/by-uuid/01234567-89ab-cdef-0123-456789abcdef file 1 0 -2\n"
        "/dev/dc:a6:32:01:23:45 file 1 0 -2\n",
    )
    board.ok("collect_board_info", "-o", tmp_path / "out")
    everything = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    for secret in (b"deadbeef", b"lab.pi", b"456789abcdef", b"dc:a6:32"):
        assert secret not in everything


def test_names_with_a_colon_are_written_for_every_file_system(tmp_path):
    board = Board(tmp_path / "root")
    board.write("proc/sys/kernel/osrelease", "6.6.31\n")
    board.write("sys/devices/platform/soc/soc:firmware/get_throttled", "50000\n")
    board.ok("collect_board_info", "-o", tmp_path / "out")
    assert machine_state(tmp_path / "out")["throttling"]["since_boot"] == [
        "under_voltage",
        "throttled",
    ]
    assert not list((tmp_path / "out").rglob("*:*"))


def test_an_existing_folder_is_not_written_into(board_of, tmp_path):
    (tmp_path / "out").mkdir()
    result = board_of("rpi4b").run("collect_board_info", "-o", tmp_path / "out")
    assert result.returncode == 1
    assert "is there already" in result.stderr


def test_a_root_that_is_not_there_is_one_line_and_leaves_no_folder(tmp_path):
    result = Board(tmp_path / "nowhere").run("collect_board_info", "-o", tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "nowhere: no such folder" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def program():
    path = shutil.which("true")
    if path is None or Path(path).read_bytes()[:4] != b"\x7fELF":
        pytest.skip("no small ELF program at hand")
    return Path(path).resolve()


def test_a_program_is_installed_and_removed_again(board_of, program, tmp_path, shell):
    board = board_of("x86-server", shell)
    board.write("proc/sys/kernel/arch", f"{os.uname().machine}\n")
    before = board.content()
    folder = tmp_path / "bin"
    arguments = ["--folder", folder]
    result = board.ok("install_board", "apply", "--program", program, *arguments)
    assert "runs: " in result.stdout
    assert (folder / program.name).read_bytes() == program.read_bytes()
    board.ok("install_board", "apply", "--program", program, *arguments)
    board.ok("install_board", "restore", *arguments)
    assert not folder.exists()
    assert board.content() == before


@pytest.fixture
def own_board(board_of):
    """Return a board of this machine's processor that keeps its state where it does by default."""
    board = board_of("x86-server")
    board.write("proc/sys/kernel/arch", f"{os.uname().machine}\n")
    del board.environment["EDGEPROF_STATE_DIR"]
    return board


@pytest.mark.parametrize("was_there", [True, False])
def test_an_installation_leaves_a_folder_as_it_was(was_there, own_board, program, tmp_path, shell):
    own_board.shell = shell
    folder = tmp_path / "bin"
    if was_there:
        folder.mkdir()
    own_board.ok("install_board", "apply", "--program", program, "--folder", folder)
    own_board.ok("install_board", "apply", "--program", program, "--folder", folder)
    own_board.ok("install_board", "restore", "--folder", folder)
    assert folder.exists() == was_there
    assert not was_there or list(folder.iterdir()) == []


def test_a_refused_installation_leaves_no_folder(own_board, tmp_path):
    text = tmp_path / "harness"
    text.write_text("hello", encoding="utf-8")
    folder = tmp_path / "bin"
    assert own_board.run("install_board", "apply", "--program", text, "--folder", folder).returncode
    assert not folder.exists()


def test_a_folder_may_be_named_from_where_one_stands(board_of, program, tmp_path):
    board = board_of("x86-server")  # its journal lies elsewhere
    board.write("proc/sys/kernel/arch", f"{os.uname().machine}\n")
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()

    def run(place, *arguments):
        command = board.command("install_board", *arguments, "--folder", "bin")
        subprocess.run(command, env=board.environment, cwd=place, check=True)

    run(here, "apply", "--program", program)
    assert (here / "bin" / program.name).is_file()
    run(elsewhere, "restore")
    assert list(here.iterdir()) == []


def test_the_program_is_tried_and_not_the_library_that_was_named_before_it(
    own_board, program, tmp_path
):
    library = tmp_path / "library.so"
    library.write_bytes(program.read_bytes()[:4096])  # of this processor, but it cannot be run
    folder = tmp_path / "bin"
    arguments = ["--library", library, "--program", program, "--folder", folder]
    result = own_board.ok("install_board", "apply", *arguments)
    assert "runs: " in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [library.name, program.name, "state"]
    )


def test_what_an_installation_replaced_comes_back(board_of, program, tmp_path):
    board = board_of("x86-server")
    board.write("proc/sys/kernel/arch", f"{os.uname().machine}\n")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / program.name).write_bytes(b"older")
    board.ok("install_board", "apply", "--program", program, "--folder", folder)
    board.ok("install_board", "restore", "--folder", folder)
    assert [path.name for path in folder.iterdir()] == [program.name]
    assert (folder / program.name).read_bytes() == b"older"


def test_a_program_for_another_processor_is_refused(board_of, program, tmp_path):
    board = board_of("rpi-zero-2w")  # armv7l
    folder = tmp_path / "bin"
    result = board.run("install_board", "apply", "--program", program, "--folder", folder)
    assert result.returncode == 1
    assert "this board is 'arm'" in result.stderr
    assert not folder.exists()


def test_a_program_that_needs_a_newer_glibc_is_refused(board_of, program, tmp_path):
    board = board_of("x86-server")
    board.write("proc/sys/kernel/arch", f"{os.uname().machine}\n")
    board.add_tool("getconf", "echo glibc 2.1")
    folder = tmp_path / "bin"
    result = board.run("install_board", "apply", "--program", program, "--folder", folder)
    assert result.returncode == 1
    assert "this board has 2.1" in result.stderr
    assert not folder.exists()


def test_what_is_no_program_is_refused(board_of, tmp_path):
    text = tmp_path / "harness"
    text.write_text("hello", encoding="utf-8")
    result = board_of("rpi4b").run(
        "install_board", "apply", "--program", text, "--folder", tmp_path / "bin"
    )
    assert result.returncode == 1
    assert "no ELF file" in result.stderr
