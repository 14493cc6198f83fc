"""The board scripts on copies of captured trees: what they change they take back, to the byte."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from script_board import (
    RESTORABLE,
    VIRTUAL_BOARD,
    Board,
    add_swap_tools,
    add_systemctl,
    needs_scripts,
    path_of,
)
from tree import BOARDS, SCRIPTS

from edgeprof.measuring.machine import findings, machine_state

pytestmark = needs_scripts

ALL_BOARDS = sorted(path.name for path in BOARDS.iterdir() if path.is_dir())
BOARD_SCRIPTS = (*RESTORABLE, "collect_board_info", "install_board")
ALL_SCRIPTS = (*BOARD_SCRIPTS, "make_virtual_board")
# Beside this Python, as a package brings it, or of the system.
SHELLCHECK = shutil.which("shellcheck", path=Path(sys.executable).parent) or shutil.which(
    "shellcheck"
)


# --- every script --------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [*ALL_SCRIPTS, "lib"])
def test_every_script_parses_in_every_shell(script, shell):
    subprocess.run([*shell, "-n", path_of(script)], check=True)


EVERY_FILE = sorted(str(path.relative_to(SCRIPTS)) for path in SCRIPTS.rglob("*.sh"))


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", EVERY_FILE)
def test_every_script_is_clean(script):
    result = subprocess.run([SHELLCHECK, script], cwd=SCRIPTS, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("script", ALL_SCRIPTS)
def test_every_script_explains_itself(script, shell):
    result = subprocess.run([*shell, path_of(script), "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert f"{script}.sh" in result.stdout
    assert "--dry-run" in result.stdout
    assert "Exit status" in result.stdout


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        *((script, ["--nonsense"]) for script in ALL_SCRIPTS),
        *((script, []) for script in BOARD_SCRIPTS),
        ("make_virtual_board", ["--memory", "much"]),
        ("make_virtual_board", ["--cpu", "no processor"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(script, arguments, board_of):
    board = board_of("rpi4b")
    before = board.content()
    result = board.run(script, *arguments)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert board.content() == before


@pytest.mark.parametrize("script", RESTORABLE)
@pytest.mark.parametrize(
    "arguments", [["--restore-after", "soon"], ["--owner", "me"], ["--owner", "999999999"]]
)
def test_a_malformed_watchdog_changes_nothing(script, arguments, board_of):
    board = board_of("jetson-nano")
    before = board.content()
    result = board.run(script, "apply", *arguments)
    assert result.returncode in (1, 2)
    assert result.stderr.count("\n") == 1
    assert board.content() == before


@pytest.mark.parametrize("script", ["pin_clocks", "setup_board", "jetson_clocks", "pmu_access"])
def test_an_unknown_board_is_one_line_and_nothing_changed(script, tmp_path):
    board = Board(tmp_path / "root")
    board.write("proc/version", "Linux\n")
    result = board.run(script, "apply")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("nothing changed\n")
    assert not board.state.exists()


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="cannot become another user"
)
@pytest.mark.parametrize("script", ["quiet_board", "setup_board"])
def test_without_root_it_is_one_line_and_nothing_changed(script):
    # On this machine: without EDGEPROF_ROOT. Nobody may change it, so nothing can go wrong.
    command = ["sh", path_of(script), "apply"]
    if script == "setup_board":
        command += ["--skip", "pin_clocks"]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--clear-groups", *command]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == f"{script}.sh: needs root (sudo); nothing changed\n"


VIRTUAL_BOARD_NEEDS = ("apt-get", "qemu-system-aarch64", "ssh", "cpio", "mke2fs", "xz", "flock")


@pytest.mark.skipif(
    not all(
        shutil.which(c, path=f"{os.environ['PATH']}:/sbin:/usr/sbin") for c in VIRTUAL_BOARD_NEEDS
    ),
    reason=f"needs {', '.join(VIRTUAL_BOARD_NEEDS)}",
)
@pytest.mark.parametrize(("cpu", "status"), [("cortex-a53,pmu=on", 0), ("cortex-z1", 1)])
def test_a_virtual_board_is_checked_and_made_by_no_dry_run(cpu, status, tmp_path):
    command = ["sh", VIRTUAL_BOARD, "--dry-run", "--cpu", cpu]
    places = ["--cache", tmp_path / "cache", "--output", tmp_path / "boards"]
    result = subprocess.run([*command, *places], capture_output=True, text=True)
    assert result.returncode == status, result.stderr
    assert ("has no processor model 'cortex-z1'" in result.stderr) == (status == 1)
    assert list(tmp_path.iterdir()) == []


# --- apply and restore ---------------------------------------------------------------------------


def check_that_set_up_twice_and_restored_it_is_as_before(board):
    add_systemctl(board, ["apt-daily.timer", "ssh.service", "unattended-upgrades.service"])
    add_swap_tools(board)
    before = board.content()
    board.ok("setup_board", "apply")
    prepared = board.content()
    assert prepared != before
    board.ok("setup_board", "apply")
    assert board.content() == prepared
    board.ok("setup_board", "restore")
    assert board.content() == before
    assert not board.state.exists()


@pytest.mark.parametrize("name", ALL_BOARDS)
def test_set_up_twice_and_restored_every_board_is_as_before_to_the_byte(name, board_of):
    check_that_set_up_twice_and_restored_it_is_as_before(board_of(name))


def test_set_up_and_restored_in_every_shell_a_board_is_as_before(board_of, shell):
    check_that_set_up_twice_and_restored_it_is_as_before(board_of("jetson-xavier-nx", shell))


@pytest.mark.parametrize("name", ["rpi4b", "jetson-xavier-nx", "x86-server"])
def test_a_dry_run_changes_nothing(name, board_of):
    board = board_of(name)
    add_systemctl(board, ["apt-daily.timer"])
    add_swap_tools(board)
    before = board.content()
    for script in RESTORABLE:
        board.run(script, "apply", "--dry-run")
        board.run(script, "restore", "--dry-run")
    assert board.content() == before
    assert not board.state.exists()


def test_what_a_dry_run_names_is_what_is_set(board_of):
    board = board_of("rock-5b")
    would = board.ok("pin_clocks", "apply", "--dry-run").stdout
    done = board.ok("pin_clocks", "apply").stdout
    assert would.replace("would set", "set") == done


@pytest.mark.parametrize("name", ["rpi4b", "rpi5", "rpi-zero-2w", "rock-5b", "jetson-nano"])
def test_pinned_clocks_satisfy_the_doctor(name, board_of):
    board = board_of(name)
    board.ok("pin_clocks", "apply")
    for policy in board.root.glob("sys/devices/system/cpu/cpufreq/policy*"):
        # A tree has no kernel that follows.
        shutil.copy(policy / "scaling_max_freq", policy / "scaling_cur_freq")
    ids = {finding.id for finding in findings(machine_state(board.root), cpus=[0])}
    assert not ids & {"governor", "frequency-limited", "frequency-lowered", "boost"}


def test_clocks_are_pinned_per_cluster(board_of):
    board = board_of("rock-5b")
    board.ok("pin_clocks", "apply", "--khz", "1200000", "--khz", "policy4=2208000")
    policies = "sys/devices/system/cpu/cpufreq/policy"
    assert board.read(f"{policies}0/scaling_min_freq") == "1200000\n"
    assert board.read(f"{policies}0/scaling_max_freq") == "1200000\n"
    assert board.read(f"{policies}4/scaling_min_freq") == "2208000\n"
    assert board.read(f"{policies}6/scaling_governor") == "performance\n"


@pytest.mark.parametrize(
    ("khz", "says"),
    [
        ("1234567", "none of its frequencies"),
        ("5000000", "not within"),
        ("policy9=1800000", "no cluster policy9"),
    ],
)
def test_a_frequency_that_cannot_be_had_changes_nothing(khz, says, board_of):
    board = board_of("rock-5b")
    before = board.content()
    result = board.run("pin_clocks", "apply", "--khz", khz)
    assert result.returncode == 1
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.endswith("; nothing changed\n")
    assert board.content() == before
    assert not board.state.exists()


def test_a_step_that_fails_gives_the_reason_of_the_whole(board_of):
    board = board_of("rock-5b")
    before = board.content()
    for arguments in (["--json"], []):
        result = board.run("setup_board", "apply", "--khz", "5000000", *arguments)
        assert result.returncode == 1
        assert result.stderr == (
            "setup_board.sh: pin_clocks: policy0: 5000000 kHz is not within 408000 to 1800000; "
            "nothing changed\n"
        )
        assert board.content() == before
        assert not board.state.exists()
    assert board.run("setup_board", "apply", "--khz", "5000000", "--dry-run").returncode == 1


def test_a_power_mode_is_respected_unless_the_maximum_is_asked_for(board_of):
    board = board_of("jetson-xavier-nx")
    limit = "sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq"
    result = board.ok("pin_clocks", "apply")
    assert "the limit in force is 1420800 kHz, the hardware has 1907200" in result.stderr
    assert board.read(limit) == "1420800\n"
    board.ok("pin_clocks", "apply", "--khz", "max")
    assert board.read(limit) == "1907200\n"
    board.ok("pin_clocks", "restore")
    assert board.read(limit) == "1190400\n"


def test_turbo_is_switched_off_and_the_base_frequency_pinned(board_of):
    board = board_of("x86-server")
    board.ok("pin_clocks", "apply")
    assert board.read("sys/devices/system/cpu/intel_pstate/no_turbo") == "1\n"
    assert board.read("sys/devices/system/cpu/cpufreq/policy3/scaling_max_freq") == "2100000\n"


@pytest.fixture
def passable_folders(tmp_path):
    """Let another user through to the test's folder, as long as the test lasts."""
    modes = {folder: folder.stat().st_mode for folder in tmp_path.parents[:3]}
    for folder, mode in modes.items():
        folder.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)
    yield
    for folder, mode in modes.items():
        folder.chmod(mode)


@pytest.mark.usefixtures("passable_folders")
def test_a_value_that_the_kernel_refuses_takes_everything_back(board_of):
    board = board_of("rock-5b")
    before = board.content()
    refused = board.root / "sys/devices/system/cpu/cpufreq/policy6/scaling_min_freq"
    refused.chmod(0o444)
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root writes to every file, and there is no setpriv to become another")
        for path in [board.root.parent, *board.root.rglob("*")]:
            if path != refused:
                os.chown(path, 65534, 65534)
        board.shell = ["setpriv", "--reuid=65534", "--clear-groups", "sh"]
    result = board.run("pin_clocks", "apply")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "policy6/scaling_min_freq: wanted '2400000', the kernel keeps '408000'" in result.stderr
    assert result.stderr.endswith("what had been changed is restored\n")
    assert board.content() == before


def test_units_that_run_are_stopped_and_started_again(board_of):
    board = board_of("rpi4b")
    add_systemctl(board, ["apt-daily.timer", "man-db.timer", "ssh.service"])
    board.ok("quiet_board", "apply", "--keep-swap")
    assert board.read("run/active-units") == "ssh.service\n"
    board.ok("quiet_board", "restore")
    assert board.read("run/active-units") == "apt-daily.timer\nman-db.timer\nssh.service\n"


def test_swap_goes_off_and_comes_back(board_of):
    board = board_of("jetson-nano")
    add_swap_tools(board)
    board.ok("quiet_board", "apply")
    assert board.read("proc/swaps").count("\n") == 1
    board.ok("quiet_board", "restore")
    assert sorted(board.read("proc/swaps").splitlines()) == sorted(
        board.read("original-swaps").splitlines()
    )


def test_swap_that_memory_could_not_take_stays_on(board_of):
    board = board_of("rpi-zero-2w")
    add_swap_tools(board)
    result = board.ok("quiet_board", "apply")
    assert "swap stays on" in result.stderr
    assert board.read("proc/swaps") == board.read("original-swaps")


def test_isolation_is_advised_and_never_written(board_of):
    board = board_of("rpi4b")
    board.write("boot/firmware/cmdline.txt", "console=tty1\n")
    assert "isolcpus=3" in board.ok("quiet_board", "apply").stdout
    assert board.read("boot/firmware/cmdline.txt") == "console=tty1\n"


def test_counters_are_opened_and_closed_again(board_of):
    board = board_of("x86-server")
    before = board.content()
    board.ok("pmu_access", "apply")
    assert board.read("proc/sys/kernel/perf_event_paranoid") == "2\n"
    assert board.read("proc/sys/kernel/nmi_watchdog") == "0\n"
    board.ok("pmu_access", "restore")
    assert board.content() == before


def test_an_old_kernel_is_said_to_have_no_user_access(board_of):
    result = board_of("jetson-nano").ok("pmu_access", "apply")
    assert "kernel 4.9.337-tegra has no kernel.perf_user_access" in result.stderr


def test_a_module_is_loaded_and_unloaded(board_of, tmp_path):
    board = board_of("jetson-nano")
    board.write("proc/modules", "")
    board.add_tool("insmod", 'echo "$(basename "$1" .ko) 16384 0" >>"$ROOT/proc/modules"')
    board.add_tool("rmmod", ': >"$ROOT/proc/modules"')
    module = tmp_path / "edgeprof_pmu.ko"
    module.touch()
    board.ok("pmu_access", "apply", "--module", module)
    assert board.read("proc/modules").startswith("edgeprof_pmu ")
    board.ok("pmu_access", "restore")
    assert board.read("proc/modules") == ""


# --- status --------------------------------------------------------------------------------------


def test_status_names_steps_and_values_before_and_now(board_of):
    board = board_of("rpi4b")
    assert board.status("setup_board")["prepared"] is False
    board.ok("setup_board", "apply")
    status = board.status("setup_board")
    assert status["prepared"] is True
    steps = {step["script"]: step for step in status["steps"]}
    assert steps["jetson_clocks"]["available"] is False
    assert "not a Jetson" in steps["jetson_clocks"]["reason"]
    governor = steps["pin_clocks"]["changes"][0]
    assert governor["name"].endswith("policy0/scaling_governor")
    assert (governor["before"], governor["now"]) == ("ondemand", "performance")


def test_apply_and_restore_print_the_status_after_it_as_json(board_of):
    board = board_of("rpi4b")
    for script in ("pin_clocks", "setup_board"):
        assert json.loads(board.ok(script, "apply", "--json").stdout)["prepared"] is True
        assert json.loads(board.ok(script, "restore", "--json").stdout)["prepared"] is False


def test_a_board_without_clocks_to_pin_gets_the_steps_that_fit(board_of):
    board = board_of("rpi4b")
    shutil.rmtree(board.root / "sys/devices/system/cpu/cpufreq")
    before = board.content()
    result = board.ok("setup_board", "apply")
    assert "pin_clocks: not for this board" in result.stdout
    assert board.read("proc/sys/kernel/perf_event_paranoid") == "2\n"
    assert board.content() != before
    board.ok("setup_board", "restore")
    assert board.content() == before


def test_steps_can_be_left_out(board_of):
    board = board_of("rpi4b")
    board.ok("setup_board", "apply", "--skip", "pin_clocks", "--skip", "pmu_access")
    prepared = {s["script"]: s["prepared"] for s in board.status("setup_board")["steps"]}
    assert prepared == {
        "jetson_clocks": False,
        "pin_clocks": False,
        "quiet_board": True,
        "pmu_access": False,
    }
