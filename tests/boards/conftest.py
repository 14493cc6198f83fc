"""Captured boards that the board scripts run on."""

import shutil
from pathlib import Path

import pytest
from script_board import SHELLS, Board
from tree import BOARDS


@pytest.fixture(params=SHELLS)
def shell(request):
    if shutil.which(SHELLS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not installed")
    return SHELLS[request.param]


@pytest.fixture
def board_of(tmp_path):
    def make(name, shell=("sh",)):
        return Board(Path(shutil.copytree(BOARDS / name, tmp_path / "root")), shell)

    return make
