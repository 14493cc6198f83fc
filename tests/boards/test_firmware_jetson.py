"""The board scripts and a reboot, a Jetson's own tools, and what only reads."""

import os
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from script_board import (
    RESTORABLE,
    needs_scripts,
    wait_until,
)
from tree import SCRIPTS

pytestmark = needs_scripts


def add_jetson_tools(board):
    board.add_tool(
        "nvpmodel",
        """case $2 in 8) exit 1 ;; esac
printf "pmode:%04d\\n" "$2" >"$ROOT/var/lib/nvpmodel/status\"""",
    )
    board.add_tool(
        "jetson_clocks",
        """GPU=$ROOT/sys/class/devfreq/17000000.gv11b
case ${1:-} in
--store) cat "$GPU/min_freq" >"$2" ;;
--restore) cat "$2" >"$GPU/min_freq" ;;
*) cat "$GPU/max_freq" >"$GPU/min_freq" ;;
esac""",
    )


def test_a_jetson_is_set_and_restored_through_the_vendors_tools(board_of):
    board = board_of("jetson-xavier-nx")
    board.write("var/lib/nvpmodel/status", "pmode:0002\n")
    add_jetson_tools(board)
    before = board.content()
    board.ok("jetson_clocks", "apply", "--mode", "5")
    assert board.read("var/lib/nvpmodel/status") == "pmode:0005\n"
    assert board.read("sys/class/devfreq/17000000.gv11b/min_freq") == "1109250000\n"
    board.ok("jetson_clocks", "restore")
    assert board.content() == before


@pytest.mark.parametrize(("mode", "says"), [("99", "no power mode 99"), ("8", "was not taken")])
def test_a_power_mode_that_cannot_be_had_takes_everything_back(mode, says, board_of):
    board = board_of("jetson-xavier-nx")
    add_jetson_tools(board)
    before = board.content()
    result = board.run("jetson_clocks", "apply", "--mode", mode)
    assert result.returncode == 1
    assert says in result.stderr
    assert board.content() == before


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_a_power_mode_needs_the_vendors_tool_in_a_dry_run_too(arguments, board_of):
    board = board_of("jetson-xavier-nx")
    before = board.content()
    result = board.run("jetson_clocks", "apply", "--mode", "5", *arguments)
    assert result.returncode == 1
    assert result.stderr == (
        "jetson_clocks.sh: nvpmodel is not there: the power mode cannot be changed; "
        "nothing changed\n"
    )
    assert board.content() == before


def test_without_the_vendors_tools_the_gpu_is_pinned_through_devfreq(board_of):
    board = board_of("jetson-orin-nano")
    board.ok("jetson_clocks", "apply")
    assert board.read("sys/class/devfreq/17000000.gpu/min_freq") == "624750000\n"


def test_after_a_reboot_only_the_power_mode_is_restored(board_of):
    board = board_of("jetson-xavier-nx")
    add_jetson_tools(board)
    boot_id = "proc/sys/kernel/random/boot_id"
    board.write(boot_id, "first\n")
    board.ok("setup_board", "apply", "--mode", "5")
    board.write(boot_id, "second\n")
    governor = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
    board.write(governor, "ondemand\n")  # what the new boot has chosen
    board.ok("setup_board", "restore")
    assert board.read(governor) == "ondemand\n"
    assert board.read("var/lib/nvpmodel/status") == "pmode:0002\n"


@pytest.mark.parametrize("script", RESTORABLE)
def test_status_only_reads(board_of, script):
    board = board_of("jetson-xavier-nx")
    add_jetson_tools(board)
    board.status(script)
    assert not board.state.exists()
    board.ok("setup_board", "apply", "--mode", "5")

    def everything():
        paths = [*board.root.rglob("*"), *board.state.rglob("*")]
        return {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in paths}

    prepared = everything()
    board.ok(script, "status")
    assert board.status(script)["prepared"]
    assert everything() == prepared


def test_a_collection_changes_nothing(board_of, tmp_path):
    board = board_of("rpi5")
    before = board.content()
    board.ok("collect_board_info", "-o", tmp_path / "collected")
    assert board.content() == before
    assert not board.state.exists()


BOOT_ID = "proc/sys/kernel/random/boot_id"
UNIT = "etc/systemd/system/edgeprof-jetson_clocks.service"


def jetson_rebooted_in_another_mode(board):
    add_jetson_tools(board)
    board.write(BOOT_ID, "first\n")
    board.ok("setup_board", "apply", "--mode", "5", "--restore-after", "3600")
    os.kill(board.status("setup_board")["watchdog"], signal.SIGKILL)
    board.write(BOOT_ID, "second\n")
    assert board.read("var/lib/nvpmodel/status") == "pmode:0005\n"


@pytest.mark.parametrize(
    ("manager", "entry"), [("systemd", UNIT), ("cron", "etc/cron.d/edgeprof-jetson_clocks")]
)
def test_after_a_reboot_the_board_restores_the_power_mode_by_itself(board_of, manager, entry):
    board = board_of("jetson-xavier-nx")
    (board.root / ("run/systemd/system" if manager == "systemd" else "etc/cron.d")).mkdir(
        parents=True
    )
    jetson_rebooted_in_another_mode(board)
    if manager == "systemd":
        wanted = board.root / "etc/systemd/system/multi-user.target.wants" / Path(entry).name
        assert wanted.resolve() == board.root / entry
        [command] = re.findall(r"^ExecStart=(.*)", board.read(entry), re.MULTILINE)
    else:
        [command] = re.findall(r"^@reboot root (.*)", board.read(entry))
    subprocess.run(command.split(), env={"PATH": os.environ["PATH"]}, check=True)
    assert board.read("var/lib/nvpmodel/status") == "pmode:0002\n"
    assert not (board.root / entry).exists()
    board.ok("setup_board", "restore")
    assert not board.state.exists()


def test_the_next_set_up_after_a_reboot_restores_the_power_mode_first(board_of):
    board = board_of("jetson-xavier-nx")
    jetson_rebooted_in_another_mode(board)
    board.ok("setup_board", "apply", "--skip", "jetson_clocks")
    assert board.read("var/lib/nvpmodel/status") == "pmode:0002\n"


def test_status_and_dry_runs_after_a_reboot_leave_the_journal_alone(board_of):
    board = board_of("jetson-xavier-nx")
    jetson_rebooted_in_another_mode(board)
    journals = {path: path.read_bytes() for path in board.state.glob("*.journal")}
    assert board.status("setup_board")["prepared"] is False
    for arguments in (["status"], ["restore", "--dry-run"], ["apply", "--dry-run"]):
        board.ok("setup_board", *arguments)
        board.ok("jetson_clocks", *arguments)
    assert {path: path.read_bytes() for path in board.state.glob("*.journal")} == journals


def test_what_runs_later_does_not_depend_on_the_folder_of_the_scripts(board_of, tmp_path):
    board = board_of("rpi4b")
    before = board.content()
    copies = Path(shutil.copytree(SCRIPTS, tmp_path / "copies"))
    subprocess.run(
        [*board.shell, copies / "setup_board.sh", "apply", "--restore-after", "2"],
        env=board.environment,
        check=True,
    )
    kept = board.state / "setup_board.scripts"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    shutil.rmtree(copies)
    wait_until(lambda: not board.state.exists(), 60)
    assert board.content() == before
