"""Preparing a board by sudo: what root runs comes from a place of root's own."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from tree import BOARDS

from edgeprof.boards.claim import Owner
from edgeprof.boards.deploy import deploy, find_software
from edgeprof.boards.facts import read_facts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.prepared import prepare, restore
from edgeprof.boards.transport import LocalTransport

GOVERNOR = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
OWNER = Owner("me@here", "s")

# Who asks is not root; what sudo runs is written down.
_TOOLS = {
    "id": 'if [ "$*" = -u ]; then echo 1000; else exec /usr/bin/id "$@"; fi',
    "sudo": 'printf "%s\\n" "$*" >> "$SUDO_LOG"; shift; exec "$@"',
}


@pytest.fixture
def account(tmp_path):
    """Return the transport of an account that may use sudo, and the board's root."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in _TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    root = Path(shutil.copytree(BOARDS / "rpi4b", tmp_path / "root"))
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "SUDO_LOG": str(tmp_path / "sudo.log"),
        "EDGEPROF_ROOT": str(root),
    }
    return LocalTransport("b", environment), root


@pytest.mark.skipif(os.geteuid() != 0, reason="files of this account must be root's")
@pytest.mark.parametrize("with_program", [False, True])
def test_root_runs_nothing_from_the_folder_of_the_account(account, tmp_path, with_program):
    transport, root = account
    folder = tmp_path / "folder"
    board = BoardSpec("b", "b", runtime="null", folder=str(folder), lock=str(tmp_path / "lock"))
    before = (root / GOVERNOR).read_text()

    async def run(action, **more):
        facts = await read_facts(transport, board)
        if with_program:
            await deploy(transport, board, facts, find_software(board, facts))
        return await action(transport, board, facts, OWNER, **more)

    state = asyncio.run(run(prepare, lease_s=600))
    assert state.is_prepared, state.reason
    assert (root / GOVERNOR).read_text() == "performance\n"
    state = asyncio.run(run(restore))
    assert not state.is_prepared
    assert (root / GOVERNOR).read_text() == before
    commands = (tmp_path / "sudo.log").read_text()
    assert "setup_board.sh apply" in commands
    assert str(folder) not in commands
    places = [word for word in commands.split() if word.endswith("/setup_board.sh")]
    assert places
    assert not any(Path(place).parent.exists() for place in places)
    assert not (root / "var/lib/edgeprof").exists()
