"""Looking at a board leaves nothing behind there."""

import asyncio
import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tree import BOARDS

from edgeprof.boards.check import check_board
from edgeprof.boards.deploy import deploy, find_software
from edgeprof.boards.facts import read_facts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport import LocalTransport


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def board(home):
    return BoardSpec("b", "b", runtime="null", folder="~/lab/edgeprof", lock=str(home / "lock"))


@pytest.fixture
def connect(home):
    async def connect(_):
        return LocalTransport("b", {**os.environ, "HOME": str(home)})

    return connect


def tree(folder):
    """Return every file and folder below one, with content and mode."""
    return {
        path: (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def test_a_board_that_never_ran_is_as_it_was_after_a_check(board, connect, home):
    report = asyncio.run(check_board(board, connect, find_software))
    assert report.error is None
    assert report.state is not None
    assert report.facts.folder == str(home / "lab/edgeprof")
    assert [item.source.name for item in report.to_install] == ["edgeprof-harness"]
    assert tree(home) == {}


def test_a_board_that_ran_is_as_it_was_after_a_check(board, connect, home):
    async def deployed():
        transport = await connect(board)
        facts = await read_facts(transport, board)
        await deploy(transport, board, facts, find_software(board, facts))

    asyncio.run(deployed())
    before = tree(home)
    report = asyncio.run(check_board(board, connect, find_software))
    assert report.state is not None
    assert report.to_install == ()
    assert tree(home) == before


def edgeprof(home, *arguments):
    """Run the command with a home of its own and no program to connect with."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "edgeprof", *map(str, arguments)],
        env={"PATH": "/nonexistent", "HOME": str(home)},
        capture_output=True,
        text=True,
        cwd=home,
    )


@pytest.mark.parametrize("options", [[], ["--json"], ["--cpus", "0", "--threads", "9"]])
def test_the_doctor_leaves_the_machine_as_it_is(home, tmp_path, options):
    root = Path(shutil.copytree(BOARDS / "rpi4b", tmp_path / "root"))
    before = tree(root)
    assert edgeprof(home, "doctor", "--root", root, *options).returncode == 1
    assert edgeprof(home, "doctor", *options).returncode in (0, 1)
    assert tree(root) == before
    assert tree(home) == {}


def test_a_list_of_boards_connects_to_none(home):
    (home / "boards.yaml").write_text("boards: {a: {host: nowhere.invalid}}\n")
    before = tree(home)
    result = edgeprof(home, "boards", "list")
    assert (result.returncode, result.stdout.split()[-3:]) == (0, ["a", "nowhere.invalid", "a"])
    assert tree(home) == before


def test_a_file_in_place_of_the_folder_is_one_clear_line(board, connect, home):
    (home / "lab").write_text("mine")
    board = dataclasses.replace(board, folder="~/lab")
    report = asyncio.run(check_board(board, connect, find_software))
    assert "cannot be written: Not a directory" in str(report.error)
    assert (home / "lab").read_text() == "mine"
