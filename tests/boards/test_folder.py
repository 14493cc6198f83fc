"""edgeprof's folder on a board: nobody else can reach into it, and only what is ours leaves it."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import rack
from loopback_fleet import null_items, run_items, specs

from edgeprof.base.errors import BoardSetupError
from edgeprof.base.text import printable
from edgeprof.boards.claim import holder_of
from edgeprof.boards.deploy import deploy, find_software
from edgeprof.boards.each_board import clean_boards, setup_boards
from edgeprof.boards.facts import read_facts
from edgeprof.boards.folder import claim_folder
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.prepared import _SETUP, _UNPACK, _scripts
from edgeprof.boards.session import clean_board
from edgeprof.boards.transport import Completed, LocalTransport, script
from edgeprof.records.store import Store

OTHER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make other users' files")


@pytest.fixture
def board(tmp_path):
    (tmp_path / "lab").mkdir(mode=0o755)
    return BoardSpec("b", "b", runtime="null", folder=str(tmp_path / "lab/edgeprof"))


def facts_of(board):
    return asyncio.run(read_facts(LocalTransport("b"), board))


def deployed(board):
    async def run():
        transport = LocalTransport("b")
        facts = await read_facts(transport, board)
        await deploy(transport, board, facts, find_software(board, facts))

    asyncio.run(run())
    return Path(board.folder)


def check_refused(board, reason):
    with pytest.raises(BoardSetupError, match=reason) as caught:
        facts_of(board)
    assert "is not safe to run programs from" in str(caught.value)
    assert "\n" not in str(caught.value)


@as_root
@pytest.mark.parametrize("place", ["lab/edgeprof", "lab"])
def test_a_folder_of_another_user_is_refused(board, tmp_path, place):
    folder = deployed(board)
    os.chown(tmp_path / place, OTHER, OTHER)
    check_refused(board, f"belongs to another user .number {OTHER}")
    with pytest.raises(BoardSetupError, match="belongs to another user"):
        asyncio.run(claim_folder(LocalTransport("b"), board, str(folder), ["objects/a/b"]))


@pytest.mark.parametrize(
    ("place", "mode"),
    [("lab/edgeprof", 0o777), ("lab", 0o777), ("lab/edgeprof", 0o1777), ("lab", 0o773)],
)
def test_a_folder_that_others_can_write_is_refused(board, tmp_path, place, mode):
    deployed(board)
    (tmp_path / place).chmod(mode)
    check_refused(board, "other users can write in")


def test_a_folder_above_with_the_sticky_bit_is_fine(board, tmp_path):
    deployed(board)
    (tmp_path / "lab").chmod(0o1777)
    assert facts_of(board).folder == board.folder


@as_root
def test_a_program_that_another_user_planted_is_refused(board):
    folder = deployed(board)
    [program] = folder.glob("objects/*/edgeprof-harness")
    os.chown(program, OTHER, OTHER)
    check_refused(board, "can be changed by other users")


def test_a_program_that_others_can_write_is_refused(board):
    folder = deployed(board)
    [program] = folder.glob("objects/*/edgeprof-harness")
    program.chmod(0o777)
    check_refused(board, "can be changed by other users")


def with_tools(board, folder, **scripts):
    """Return the facts by the tools of busybox, but for some tools that are scripts."""
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed")
    folder.mkdir()
    subprocess.run(["busybox", "--install", "-s", folder], check=True)
    for name, text in scripts.items():
        (folder / name).unlink()
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    transport = LocalTransport("b", {**os.environ, "PATH": str(folder)})
    return asyncio.run(read_facts(transport, board))


def test_the_tools_of_busybox_tell_the_same(board, tmp_path):
    folder = deployed(board)
    assert with_tools(board, tmp_path / "bin").objects
    [program] = folder.glob("objects/*/edgeprof-harness")
    program.chmod(0o777)
    with pytest.raises(BoardSetupError, match="can be changed by other users"):
        with_tools(board, tmp_path / "bin2")


def test_a_folder_that_cannot_be_searched_is_refused(board, tmp_path):
    deployed(board)
    with pytest.raises(BoardSetupError, match="find fails"):
        with_tools(board, tmp_path / "bin", find="exit 1")


def test_a_file_that_waits_for_the_probe_is_not_written_to(tmp_path):
    """Another user of /tmp may have put links there."""
    waiting, mine = tmp_path / "waiting", tmp_path / "mine"
    waiting.mkdir(mode=0o700)
    mine.write_text("mine")
    board = BoardSpec("b", "b", runtime="null", folder=str(waiting / "edgeprof"))
    transport = LocalTransport("b")
    plant = f'ln -s "{mine}" "{waiting}/.edgeprof-probe.$$"\n'

    async def run(argv, **more):
        return await original([*argv[:2], plant + argv[2], *argv[3:]], **more)

    original, transport.run = transport.run, run
    with pytest.raises(BoardSetupError, match="cannot be written"):
        asyncio.run(read_facts(transport, board))
    assert mine.read_text() == "mine"


def test_what_a_folder_holds_otherwise_is_the_users_own_affair(board):
    deployed(board)
    notes = Path(board.folder) / "notes"
    notes.write_text("mine")
    notes.chmod(0o666)
    assert facts_of(board).objects


def test_what_root_runs_is_compared_with_its_digest_before(tmp_path):
    archive, sha256 = _scripts()
    argv = script(_UNPACK, sha256)
    done = asyncio.run(LocalTransport("b").run(argv, stdin=archive, deadline_s=30))
    place = Path(done.text.strip())
    try:
        assert place.stat().st_mode & 0o777 == 0o700
        assert (place / "setup_board.sh").is_file()
    finally:
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
    damaged = asyncio.run(LocalTransport("b").run(argv, stdin=archive[:-1] + b"x", deadline_s=30))
    assert damaged.status != 0
    assert damaged.text == ""
    made = tmp_path / "made"
    mktemp = tmp_path / "bin" / "mktemp"
    mktemp.parent.mkdir()
    mktemp.write_text(f'#!/bin/sh\n{shutil.which("mktemp")} "$@" | tee -a {made}\n')
    mktemp.chmod(0o755)
    noting = {**os.environ, "PATH": f"{mktemp.parent}:{os.environ['PATH']}"}
    refused = script(_SETUP, str(tmp_path), str(tmp_path / "lock"), "me", "s", "0" * 64, _UNPACK)
    done = asyncio.run(LocalTransport("b", noting).run(refused, stdin=archive, deadline_s=30))
    assert (done.status, done.stdout) in [(1, b""), (77, b"")]
    assert made.read_text()
    assert not any(Path(place).exists() for place in made.read_text().split())


OWN = {
    "scripts/setup_board.sh": "echo mine",
    "queue/mine/jobs.jsonl": "{}",
    "objects/mine/edgeprof-harness": "",
    "trash/letter": "old",
    "worker.log": "mine",
    "notes.txt": "mine",
}


def write_own_files(folder):
    for name, text in OWN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def files_in(folder):
    return {
        str(p.relative_to(folder)): p.read_text(errors="replace")
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_clean_removes_only_what_edgeprof_put_there(board):
    folder = Path(board.folder)
    folder.mkdir()
    write_own_files(folder)
    deployed(board)
    assert len(list(folder.glob("objects/*/edgeprof-harness"))) == 2
    asyncio.run(clean_board(LocalTransport("b"), board))
    assert files_in(folder) == OWN


def test_clean_of_a_folder_that_edgeprof_never_used_removes_nothing(board):
    folder = Path(board.folder)
    folder.mkdir()
    write_own_files(folder)
    asyncio.run(clean_board(LocalTransport("b"), board))
    assert files_in(folder) == OWN


def test_a_manifest_cannot_lead_out_of_the_folder(board, tmp_path):
    folder = deployed(board)
    (tmp_path / "lab/precious").write_text("mine")
    with (folder / ".edgeprof-manifest").open("a") as stream:
        stream.write("queue/../../precious\nobjects/../precious\n../precious\n/tmp\nqueue/..\n")
    asyncio.run(clean_board(LocalTransport("b"), board))
    assert (tmp_path / "lab/precious").read_text() == "mine"
    assert not folder.exists()


@pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))
def test_after_a_run_and_clean_the_users_own_files_are_left(tmp_path):
    with rack.Rack(tmp_path / "rack", 1) as loopback, Store(tmp_path / "run.db") as store:
        folder = loopback.boards[0].home / ".edgeprof"
        folder.mkdir()
        write_own_files(folder)
        run_items(specs(loopback), store, null_items(2))
        setup_boards(specs(loopback), restore_after_s=600)
        [state] = clean_boards(specs(loopback))
        assert not isinstance(state, Exception), state
        assert loopback.boards[0].governor == "ondemand"
        assert files_in(folder) == OWN


def test_what_a_board_says_reaches_no_terminal_as_it_is():
    escape = "\x1b]0;owned\x07\x9b31m\u202e\n"
    assert printable(escape) == r"\x1b]0;owned\x07\x9b31m\u202e\n"
    assert printable("Grüße\n", keep="\n") == "Grüße\n"
    holder = holder_of('{"owner": "me\\u001b[2J", "session": "s"}')
    assert holder.name == r"me\x1b[2J"
    assert Completed(1, b"", b"sh: \x1b[2J: not found\n").complaint == r"sh: \x1b[2J: not found"
