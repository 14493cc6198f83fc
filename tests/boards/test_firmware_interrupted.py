"""Board scripts that are killed, that run beside each other, and that a watchdog restores."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from script_board import (
    add_systemctl,
    needs_scripts,
    wait_until,
)
from tree import SCRIPTS

pytestmark = needs_scripts


# --- interrupted ---------------------------------------------------------------------------------


def test_killed_in_the_middle_it_is_restored_to_the_byte(board_of, shell):
    board = board_of("rock-5b", shell)
    before = board.content()
    # A reader waits for ever at the third cluster's governor, as a hanging driver would make it.
    hanging = board.root / "sys/devices/system/cpu/cpufreq/policy6/scaling_governor"
    saved = hanging.read_bytes()
    hanging.unlink()
    os.mkfifo(hanging)
    process = subprocess.Popen(
        board.command("pin_clocks", "apply"), env=board.environment, stdout=subprocess.DEVNULL
    )
    policy4 = "sys/devices/system/cpu/cpufreq/policy4/scaling_min_freq"
    wait_until(lambda: board.read(policy4) == "2400000\n")
    process.send_signal(signal.SIGKILL)
    process.wait()
    hanging.unlink()
    hanging.write_bytes(saved)
    assert board.content() != before
    board.ok("pin_clocks", "restore")
    assert board.content() == before
    assert not board.state.exists()


def test_killed_at_any_moment_it_is_restored_to_the_byte(board_of):
    board = board_of("jetson-xavier-nx")
    before = board.content()
    generator = random.Random(4)
    for _ in range(8):
        process = subprocess.Popen(
            board.command("setup_board", "apply"),
            env=board.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(generator.uniform(0.0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        board.ok("setup_board", "restore")
        assert board.content() == before


def test_terminated_it_restores_by_itself(board_of):
    board = board_of("rpi4b")
    add_systemctl(board, ["apt-daily.timer", "man-db.timer"])
    before = board.content()
    # The second unit takes its time to stop.
    board.add_tool("slow", "")
    systemctl = board.root / "usr/sbin/systemctl"
    text = systemctl.read_text(encoding="utf-8")
    slow = text.replace("stop) ", 'stop) [ "$2" != man-db.timer ] || sleep 1; ')
    systemctl.write_text(slow, encoding="utf-8")
    process = subprocess.Popen(
        board.command("quiet_board", "apply"),
        env=board.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: "apt-daily.timer" not in board.read("run/active-units"))
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "interrupted: restoring" in errors
    assert board.read("run/active-units").encode() == before["run/active-units"]


def lock_entry(pid):
    start_time = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split(") ")[1].split()[19]
    return f"{pid}.{start_time}"


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_two_at_a_time_are_refused(board_of, version):
    board = board_of("rpi4b")
    (board.state / "pin_clocks.lock").mkdir(parents=True)
    entry = lock_entry(os.getpid())
    if version == "this":
        (board.state / "pin_clocks.lock" / entry).touch()
    else:
        (board.state / "pin_clocks.lock/pid").write_text(entry.replace(".", "\t") + "\n")
    board.environment["EDGEPROF_LOCK_WAIT"] = "0"
    result = board.run("pin_clocks", "apply")
    assert result.returncode == 1
    assert f"process {os.getpid()} is running pin_clocks.sh" in result.stderr


# Takes the lock, and says so when somebody else has it at the same time.
_CONTENDER = """
NAME=contender
HERE=$1
. "$HERE/lib.sh"
lock
mkdir "$ROOT/inside" || echo "two at once"
rmdir "$ROOT/inside"
unlock
"""


def check_that_a_stale_lock_is_taken_by_one(board, rounds, contenders=3):
    board.environment["EDGEPROF_LOCK_WAIT"] = "60"
    lock = board.state / "contender.lock"
    for number in range(rounds):
        lock.mkdir(parents=True, exist_ok=True)
        (lock / "999999999.1").touch()  # no process has this number
        if number % 2:
            (lock / "pid").write_text("999999999\t1\n")
        started = [
            subprocess.Popen(
                [*board.shell, "-c", _CONTENDER, str(SCRIPTS / "lib.sh"), str(SCRIPTS)],
                env=board.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for _ in range(contenders)
        ]
        assert [process.communicate(timeout=120)[0] for process in started] == [b""] * contenders
        assert not lock.exists()


def check_that_restore_beside_apply_loses_nothing(board, rounds):
    """Whatever the order, what differs from before stands in a journal."""
    before = board.content()
    board.environment["EDGEPROF_LOCK_WAIT"] = "60"
    journal = board.state / "pin_clocks.journal"
    for number in range(rounds):
        if number % 2:
            board.ok("pin_clocks", "apply")
        if number % 3 == 0:
            (board.state / "pin_clocks.lock").mkdir(parents=True, exist_ok=True)
            (board.state / "pin_clocks.lock/999999999.1").touch()
        started = [
            subprocess.Popen(
                board.command("pin_clocks", action),
                env=board.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for action in ("apply", "restore", "status")
        ]
        for process in started:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
        assert journal.is_file() == (board.content() != before)
        board.ok("pin_clocks", "restore")
        assert board.content() == before
        assert not board.state.exists()


def test_a_stale_lock_is_taken_by_one(board_of, shell):
    check_that_a_stale_lock_is_taken_by_one(board_of("rpi4b", shell), 2)


def test_restore_beside_apply_loses_nothing(board_of):
    check_that_restore_beside_apply_loses_nothing(board_of("rpi4b"), 6)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_stale_lock_is_taken_by_one_a_thousand_times(board_of):
    check_that_a_stale_lock_is_taken_by_one(board_of("rpi4b"), 1000)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_restore_beside_apply_loses_nothing_a_thousand_times(board_of):
    check_that_restore_beside_apply_loses_nothing(board_of("rpi4b"), 1000)


# --- the watchdog --------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["pin_clocks", "setup_board"])
def test_the_watchdog_restores_when_the_time_is_up(script, board_of, shell):
    board = board_of("rpi4b", shell)
    before = board.content()
    board.ok(script, "apply", "--restore-after", "1")
    assert board.content() != before
    wait_until(lambda: not board.state.exists())
    assert board.content() == before


def test_the_watchdog_restores_when_its_owner_ends(board_of):
    board = board_of("rpi4b")
    before = board.content()
    owner = subprocess.Popen(["sleep", "60"])
    try:
        board.ok("setup_board", "apply", "--owner", owner.pid)
        assert board.content() != before
        assert board.status("setup_board")["watchdog"] > 0
    finally:
        owner.kill()
        owner.wait()
    wait_until(lambda: not board.state.exists())
    assert board.content() == before


def test_a_second_set_up_without_a_lease_leaves_the_watchdog_running(board_of):
    board = board_of("rpi4b")
    before = board.content()
    board.ok("setup_board", "apply", "--restore-after", "3600")
    watchdog = board.status("setup_board")["watchdog"]
    again = board.ok("setup_board", "apply")
    assert f"the watchdog of an earlier run (process {watchdog})" in again.stderr
    assert board.status("setup_board")["watchdog"] == watchdog
    board.ok("setup_board", "restore")
    assert board.content() == before


def test_restore_ends_the_watchdog(board_of):
    board = board_of("rpi4b")
    board.ok("setup_board", "apply", "--restore-after", "3600")
    watchdog = board.status("setup_board")["watchdog"]
    board.ok("setup_board", "restore")
    wait_until(lambda: not Path(f"/proc/{watchdog}").exists())


@pytest.mark.skipif(shutil.which("dash") is None, reason="needs a small shell to copy")
def test_the_watchdog_restores_when_the_ssh_connection_ends(board_of, tmp_path):
    board = board_of("rpi4b")
    before = board.content()
    # What the SSH server's process of a connection is to the script: an ancestor of that name.
    server = tmp_path / "sshd-session"
    shutil.copy(shutil.which("dash"), server)
    server.chmod(0o755)
    script = SCRIPTS / "setup_board.sh"
    connection = subprocess.Popen(
        [server, "-c", f"sh -c 'sh {script} apply --owner ssh'; sleep 60"],
        env=board.environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: (board.state / "setup_board.watchdog").is_file())
    finally:
        os.killpg(connection.pid, signal.SIGKILL)
        connection.wait()
    wait_until(lambda: not board.state.exists())
    assert board.content() == before


def test_an_ssh_owner_is_wanted_only_within_a_connection(board_of):
    board = board_of("rpi4b")
    before = board.content()
    result = board.run("setup_board", "apply", "--owner", "ssh")
    if result.returncode == 0:
        board.ok("setup_board", "restore")
        pytest.skip("the tests themselves run in an SSH connection")
    assert "does not run in an SSH connection; nothing changed" in result.stderr
    assert board.content() == before
