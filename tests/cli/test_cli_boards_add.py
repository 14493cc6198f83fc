"""``edgeprof boards add``: a board is reached, described and written into the inventory."""

import json
import os
import subprocess
import sys

import pytest
import rack
from run_cli import run

from edgeprof.base.errors import EdgeprofError
from edgeprof.boards.inventory import read_inventory

pytestmark = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def add(*arguments):
    """Add the rack's board, which its own SSH configuration knows."""
    result = run("boards", "add", "b01", "--ssh-config", "ssh_config", *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_a_board_is_described_and_written_where_other_commands_read_it(board, tmp_path):
    said = add("--tag", "loopback").splitlines()
    assert said[0].startswith("b01: ok: ")
    assert any("to install: edgeprof-harness" in line for line in said)
    assert said[-1] == "boards.yaml: added b01"
    [entry] = read_inventory(tmp_path / "boards.yaml").boards
    assert (entry.name, entry.host, entry.device) == ("b01", "b01", "loopback")
    assert run("boards", "check", "b01").exit_code == 0
    assert not (board.boards[0].home / ".edgeprof").exists()


def test_a_board_that_is_there_is_looked_at_and_the_file_left_alone(board, tmp_path):
    board.inventory()
    before = (tmp_path / "boards.yaml").read_bytes()
    assert add().splitlines()[-1] == "boards.yaml: found b01"
    said = json.loads(add("--json"))
    assert (said["inventory"], said["added"], said["usable"]) == ("boards.yaml", False, True)
    assert (tmp_path / "boards.yaml").read_bytes() == before


def a_file_for_a_folder(target):
    (target.home / ".edgeprof").touch()


FAULTS = {
    "unreachable": (lambda target: target.kill_sshd(), "Connection refused"),
    "refused key": (lambda target: target.refuse_keys(), "refused every key for user"),
    "no space": (
        lambda target: target.answer_with("df", "'/dev/root 100 90 2000 98% /'"),
        "1.95 MiB free, need .* MiB; free some space or set 'folder'",
    ),
    "architecture": (lambda target: target.answer_with("uname", "sparc64"), "sparc64"),
    "folder is a file": (a_file_for_a_folder, "/.edgeprof: cannot be written: Not a directory"),
}


@pytest.mark.parametrize("command", [("boards", "add"), ("onboard",)])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_board_that_cannot_be_used_is_one_clear_line_and_nothing_is_written(
    board, tmp_path, fault, command
):
    spoil, message = FAULTS[fault]
    spoil(board.boards[0])
    result = run(*command, "b01", "--ssh-config", "ssh_config")
    check_error(result, message)
    assert not (tmp_path / "boards.yaml").exists()
    assert not list(tmp_path.glob("edgeprof-b01/*"))


@pytest.mark.parametrize("command", [("boards", "add"), ("onboard",)])
def test_a_board_without_a_runtime_is_one_clear_line(board, command):
    board.inventory(extra="runtime: tflite_c")
    check_error(run(*command, "b01"), "board b01: .*tflite_c.*library")


def test_an_inventory_that_is_a_folder_is_one_clear_line(tmp_path):
    (tmp_path / "boards.yaml").mkdir()
    check_error(run("boards", "add", "b01"), "boards.yaml: cannot be read: Is a directory")


def check_error(result, message):
    assert result.exit_code == 1
    assert isinstance(result.exception, EdgeprofError)
    with pytest.raises(EdgeprofError, match=message) as caught:
        raise result.exception
    assert "\n" not in str(caught.value)


# ssh asks on the terminal that controls its session, whatever its input is.
ON_THIS_TERMINAL = """
import fcntl, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.path.remove("")
runpy.run_module("edgeprof", run_name="__main__")
"""


@pytest.mark.parametrize(("answer", "status"), [("yes", 0), ("no", 1)])
@pytest.mark.usefixtures("board")
def test_an_unknown_host_key_is_asked_about_on_a_terminal_as_ssh_asks(tmp_path, answer, status):
    (tmp_path / "known_hosts").unlink()
    terminal, inside = os.openpty()
    words = [sys.executable, "-c", ON_THIS_TERMINAL, "boards", "add", "b01"]
    process = subprocess.Popen(
        [*words, "--ssh-config", "ssh_config"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    shown = read_until(terminal, b"(yes/no")
    os.write(terminal, f"{answer}\n".encode())
    shown += read_until(terminal, None)
    os.close(terminal)
    assert process.wait() == status, shown
    assert b"authenticity of host '[127.0.0.1]" in shown
    assert (tmp_path / "boards.yaml").exists() == (status == 0)
    assert (b"host key of 127.0.0.1" in shown) == (status == 1)


def read_until(terminal, wanted):
    """Read what is shown until a text is there; to the end without one, which is an error."""
    shown = b""
    try:
        while wanted is None or wanted not in shown:
            shown += os.read(terminal, 4096)
    except OSError:
        assert wanted is None, shown
    return shown
