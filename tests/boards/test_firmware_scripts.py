"""The board scripts on copies of captured trees: what they change they take back, to the byte."""

import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tree import BOARDS, ROOT, SCRIPTS

from edgeprof.measuring.machine import findings, machine_state

ALL_BOARDS = sorted(path.name for path in BOARDS.iterdir() if path.is_dir())
RESTORABLE = ("jetson_clocks", "pin_clocks", "pmu_access", "quiet_board", "setup_board")
BOARD_SCRIPTS = (*RESTORABLE, "collect_board_info", "install_board")
ALL_SCRIPTS = (*BOARD_SCRIPTS, "make_virtual_board")
# Beside this Python, as a package brings it, or of the system.
SHELLCHECK = shutil.which("shellcheck", path=Path(sys.executable).parent) or shutil.which(
    "shellcheck"
)
VIRTUAL_BOARD = ROOT / "tools" / "virtual_board" / "make_virtual_board.sh"
SHELLS = {
    "dash": ["dash"],
    "busybox": ["busybox", "ash"],
    "bash": ["bash", "--posix"],
}


def path_of(script):
    return VIRTUAL_BOARD if script == VIRTUAL_BOARD.stem else SCRIPTS / f"{script}.sh"


pytestmark = pytest.mark.skipif(
    not SCRIPTS.is_dir() or not sys.platform.startswith("linux"),
    reason="no firmware_scripts beside the tests, or no Linux",
)


@pytest.fixture(params=SHELLS)
def shell(request):
    if shutil.which(SHELLS[request.param][0]) is None:
        pytest.skip(f"{request.param} is not installed")
    return SHELLS[request.param]


class Board:
    """A copy of a captured tree, and the scripts run on it."""

    def __init__(self, root, shell=("sh",)):
        self.root = root
        self.shell = list(shell)
        self.state = root.parent / "state"
        self.environment = {
            **os.environ,
            "EDGEPROF_ROOT": str(root),
            "EDGEPROF_STATE_DIR": str(self.state),
            "EDGEPROF_POLL": "1",
        }

    def command(self, script, *arguments):
        return [*self.shell, str(path_of(script)), *map(str, arguments)]

    def run(self, script, *arguments):
        return subprocess.run(
            self.command(script, *arguments),
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=60,
        )

    def ok(self, script, *arguments):
        result = self.run(script, *arguments)
        assert result.returncode == 0, result.stderr
        return result

    def status(self, script):
        return json.loads(self.ok(script, "status", "--json").stdout)

    def read(self, path):
        return (self.root / path).read_text(encoding="utf-8")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def add_tool(self, name, body):
        self.write(f"usr/sbin/{name}", f"#!/bin/sh\nROOT={self.root}\n{body}\n")
        (self.root / "usr/sbin" / name).chmod(0o755)

    def content(self):
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def board_of(tmp_path):
    def make(name, shell=("sh",)):
        return Board(Path(shutil.copytree(BOARDS / name, tmp_path / "root")), shell)

    return make


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def add_systemctl(board, units):
    """A systemctl that keeps the units that run in a file."""
    board.write("run/active-units", "".join(f"{unit}\n" for unit in units))
    board.add_tool(
        "systemctl",
        """UNITS=$ROOT/run/active-units
case $1 in
is-active) grep -qx "$3" "$UNITS" ;;
stop) grep -vx "$2" "$UNITS" >"$UNITS.new"; mv "$UNITS.new" "$UNITS" ;;
start) echo "$2" >>"$UNITS"; sort -o "$UNITS" "$UNITS" ;;
esac""",
    )


def add_swap_tools(board):
    """A swapoff and a swapon that keep /proc/swaps."""
    board.add_tool(
        "swapoff", 'grep -v "^$1 " "$ROOT/proc/swaps" >"$ROOT/s"; mv "$ROOT/s" "$ROOT/proc/swaps"'
    )
    board.add_tool(
        "swapon",
        """while [ $# -gt 1 ]; do shift; done
grep "^$1 " "$ROOT/original-swaps" >>"$ROOT/proc/swaps\"""",
    )
    board.write("original-swaps", board.read("proc/swaps"))


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


# --- Jetson --------------------------------------------------------------------------------------


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
    check_that_a_stale_lock_is_taken_by_one(board_of("rpi4b", shell), 4)


def test_restore_beside_apply_loses_nothing(board_of):
    check_that_restore_beside_apply_loses_nothing(board_of("rpi4b"), 12)


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


# --- collecting and installing -------------------------------------------------------------------


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
