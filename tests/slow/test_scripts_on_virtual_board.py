"""The board scripts and the kernel module on a real kernel: an emulated board with fake devices."""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from tree import ROOT, SCRIPTS

from edgeprof.measuring.machine import findings, machine_state

POLICY = "/sys/devices/system/cpu/cpufreq/policy0"

pytestmark = [
    pytest.mark.board,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not SCRIPTS.is_dir(), reason="no firmware_scripts beside the tests"),
    pytest.mark.skipif(
        not all(map(shutil.which, ["qemu-system-aarch64", "ssh", "aarch64-linux-gnu-gcc", "make"])),
        reason="needs qemu-system-arm, ssh, make and Debian's aarch64-linux-gnu-gcc",
    ),
]

READ_COUNTER = """
#include <stdint.h>
static uint64_t cycles(void) {
    uint64_t value;
    __asm__ volatile("isb\\n mrs %0, pmccntr_el0" : "=r"(value));
    return value;
}
int main(void) {
    const uint64_t before = cycles();
    for (volatile int i = 0; i < 100000; ++i) {}
    return cycles() > before + 100000 ? 0 : 1;
}
"""
STOP_COUNTERS = """
int main(void) { __asm__ volatile("msr pmcr_el0, xzr"); return 0; }
"""


class VirtualBoard:
    def __init__(self, folder):
        self.folder = folder

    def run(self, command, **options):
        ssh = ["ssh", "-F", str(self.folder / "ssh_config"), "virtual-1", command]
        return subprocess.run(ssh, capture_output=True, timeout=120, **options)

    def ok(self, command, **options):
        result = self.run(command, **options)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()

    def put(self, path, content):
        self.ok(f"cat > {path} && chmod 755 {path}", input=content)

    def read(self, path):
        return self.ok(f"cat {path}").strip()

    def state(self):
        """What the scripts change, as the kernel tells it."""
        return self.ok(
            f"cat {POLICY}/scaling_governor {POLICY}/scaling_m*_freq "
            "/proc/sys/kernel/perf_event_paranoid /proc/sys/kernel/perf_user_access"
        )


@contextmanager
def running_board(folder, *options):
    make = ["sh", ROOT / "tools" / "virtual_board" / "make_virtual_board.sh", "--output", folder]
    common = ["--cpus", "1", "--memory", "512M", "--lifetime", "1800"]
    started = subprocess.run([*make, *common, *options], capture_output=True, text=True)
    try:
        assert started.returncode == 0, started.stderr
        virtual = VirtualBoard(folder)
        virtual.ok("mkdir -p /root/scripts")
        for script in SCRIPTS.glob("*.sh"):
            virtual.put(f"/root/scripts/{script.name}", script.read_bytes())
        yield virtual
    finally:
        subprocess.run([*make, "--stop"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with running_board(tmp_path_factory.mktemp("rack"), "--devices") as virtual:
        yield virtual


def wait_for_state(board, state, seconds=60):
    deadline = time.monotonic() + seconds
    while board.state() != state:
        assert time.monotonic() < deadline, "the watchdog did not restore in time"
        time.sleep(1)


def test_what_is_set_up_is_what_the_kernel_does_and_is_restored(board):
    before = board.state()
    board.ok("sh /root/scripts/setup_board.sh apply")
    assert board.read(f"{POLICY}/scaling_governor") == "performance"
    assert board.read(f"{POLICY}/scaling_cur_freq") == board.read(f"{POLICY}/cpuinfo_max_freq")
    status = json.loads(board.ok("sh /root/scripts/setup_board.sh status --json"))
    assert status["prepared"] is True
    board.ok("sh /root/scripts/setup_board.sh restore")
    assert board.state() == before
    assert board.run("test -e /var/lib/edgeprof").returncode != 0


def test_a_lower_clock_is_pinned_and_taken_back(board):
    before = board.state()
    board.ok("sh /root/scripts/pin_clocks.sh apply --khz 1000000")
    assert board.read(f"{POLICY}/scaling_cur_freq") == "1000000"
    board.ok("sh /root/scripts/pin_clocks.sh apply --khz 1500000")
    assert board.read(f"{POLICY}/scaling_cur_freq") == "1500000"
    board.ok("sh /root/scripts/pin_clocks.sh restore")
    assert board.state() == before


def test_killed_in_the_middle_the_board_is_restored(board):
    before = board.state()
    for delay_s in (0.1, 0.3, 0.6):
        board.ok(
            f"sh /root/scripts/setup_board.sh apply >/dev/null 2>&1 & sleep {delay_s}; kill -9 $!;"
            " wait; sh /root/scripts/setup_board.sh restore >/dev/null"
        )
        # The killed set-up may leave a step behind that goes on by itself: restore once more.
        board.ok("sleep 2; sh /root/scripts/setup_board.sh restore >/dev/null")
        assert board.state() == before


def test_the_board_restores_itself_when_the_connection_ends(board):
    before = board.state()
    board.ok("EDGEPROF_POLL=1 sh /root/scripts/setup_board.sh apply --owner ssh >/dev/null")
    wait_for_state(board, before)


def test_the_doctor_judges_what_was_collected_on_the_board(board, tmp_path):
    archive = board.run(
        "rm -rf /tmp/tree; sh /root/scripts/collect_board_info.sh -o /tmp/tree >/dev/null"
        " && tar -C /tmp/tree -cf - ."
    )
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path], input=archive.stdout, check=True)
    state = machine_state(tmp_path)
    assert state["core_types"][0]["name"] == "Cortex-A72"
    ids = {finding.id for finding in findings(state)}
    assert {"governor", "virtual-machine", "perf-user-access"} <= ids


def compile_for_board(source, program):
    compiler = ["aarch64-linux-gnu-gcc", "-O1", "-static", "-x", "c", "-", "-o", program]
    subprocess.run(compiler, input=source.encode(), check=True)
    return program.read_bytes()


def check_module(board, suite, flavour, tmp_path):
    cache = Path(os.environ.get("EDGEPROF_CACHE", Path.home() / ".cache/edgeprof"))
    module = tmp_path / "edgeprof_pmu.ko"
    build = ["sh", ROOT / "tools/virtual_board/build_module.sh", cache / "virtual_board"]
    built = subprocess.run(
        [*build, suite, flavour, SCRIPTS / "pmu_access", module], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    board.put("/root/edgeprof_pmu.ko", module.read_bytes())
    board.put("/root/read_counter", compile_for_board(READ_COUNTER, tmp_path / "read"))
    board.put("/root/stop_counters", compile_for_board(STOP_COUNTERS, tmp_path / "stop"))
    # The shell there must outlive the program to tell its status.
    read_counter, stop_counters = (f"/root/{n}; exit $?" for n in ("read_counter", "stop_counters"))
    illegal_instruction = 128 + 4
    assert board.run(read_counter).returncode == illegal_instruction
    board.ok("sh /root/scripts/pmu_access.sh apply --module /root/edgeprof_pmu.ko")
    try:
        board.ok(read_counter)
        assert board.run(stop_counters).returncode == illegal_instruction
        board.ok(read_counter)
    finally:
        board.ok("sh /root/scripts/pmu_access.sh restore")
    assert board.run(read_counter).returncode == illegal_instruction


def test_the_module_opens_the_cycle_counter_for_reading_only(board, tmp_path):
    check_module(board, "bookworm", "arm64", tmp_path)


def test_the_module_opens_the_counter_of_a_kernel_that_cannot_do_so_itself(tmp_path):
    with running_board(tmp_path / "rack", "--suite", "bullseye") as old:
        assert old.ok("uname -r").startswith("5.10.")
        assert old.run("test -e /proc/sys/kernel/perf_user_access").returncode != 0
        check_module(old, "bullseye", "cloud-arm64", tmp_path)
