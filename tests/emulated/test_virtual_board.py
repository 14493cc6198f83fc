"""An emulated board that counts exactly: the board program's counters, asserted to the instruction.

QEMU's -icount makes time and cycle counts follow from the executed instructions: a known loop reads
the same number on every run. That proves the counter code, not the speed of any ARM processor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from board_table import counters_of, name_of, ran_on
from virtual_board import (
    Board,
    edgeprof_command,
    exact_count,
    start_board,
    stop_board,
    trained_predictor,
)

from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet, write_subnets
from edgeprof.records.store import Store

pytestmark = [pytest.mark.board, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def exact_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("exact")
    try:
        yield start_board(folder, "--exact")
    finally:
        stop_board(folder)


LOOPS = (1, 1_000, 1_000_000)


def test_loops_of_known_length_read_exact_cycles_by_instruction_and_by_system_call(
    exact_board: Board,
) -> None:
    counts: dict[str, dict[int, int]] = {}
    for user_access, access in ((1, "user_page"), (0, "read")):
        exact_board.set_kernel(paranoid=1, user_access=user_access)
        reports = {loop: exact_board.counters(loop, user="pi") for loop in LOOPS}
        for report in reports.values():
            assert report["by_name"]["cpu_cycles"]["access"] == access
        counts[access] = {loop: exact_count(reports[loop], "cpu_cycles") for loop in LOOPS}
        # Two instructions an iteration, and the same overhead around every loop.
        assert counts[access][1] > 2
        for loop in LOOPS:
            assert counts[access][loop] - counts[access][1] == 2 * (loop - 1)
    # The two differ by the user-space part of the system call alone.
    assert {counts["read"][n] - counts["user_page"][n] for n in LOOPS} == {
        counts["read"][1] - counts["user_page"][1]
    }
    assert abs(counts["read"][1] - counts["user_page"][1]) <= 256


def test_cycles_and_instructions_agree(exact_board: Board) -> None:
    exact_board.set_kernel(paranoid=1, user_access=1)
    for loop in LOOPS:
        report = exact_board.counters(loop)
        cycles = exact_count(report, "cpu_cycles")
        instructions = exact_count(report, "instructions")
        # Each is read by instructions that the other counts: they differ by those few.
        assert abs(cycles - instructions) <= 64


def test_generic_timer_agrees_with_the_cycles(exact_board: Board) -> None:
    exact_board.set_kernel(paranoid=1, user_access=1)
    reports = {loop: exact_board.counters(loop) for loop in LOOPS}
    ticks = {loop: reports[loop]["by_name"]["arm_generic_timer"] for loop in LOOPS}
    cycles = {loop: exact_count(reports[loop], "cpu_cycles") for loop in LOOPS}
    for loop in LOOPS:
        # One instruction is one nanosecond; the timer counts at 62.5 MHz: ticks of 16 ns. The least
        # of the repeats is one that no timer interrupt fell into (cycles leave the kernel out).
        assert ticks[loop]["resolution_ns"] == pytest.approx(16, rel=0.01)
        passed = ticks[loop]["min"] - ticks[1]["min"]
        assert passed == pytest.approx(2 * (loop - 1) / 16, abs=2)
        assert passed == pytest.approx((cycles[loop] - cycles[1]) / 16, abs=2)
    raw = reports[1_000_000]["by_name"]["clock_monotonic_raw"]
    assert raw["min"] == pytest.approx(cycles[1_000_000], rel=1e-3)


def test_counter_of_a_kernel_without_user_access_is_read_by_system_calls_and_never_zero(
    exact_board: Board,
) -> None:
    """The page goes on saying that user space may read; its index is 0 then."""
    exact_board.set_kernel(paranoid=1, user_access=0)
    report = exact_board.counters(1_000)
    assert report["by_name"]["cpu_cycles"]["access"] == "read"
    assert report["by_name"]["cpu_cycles"]["min"] >= 2_000


# Forbids user space to read the counters as soon as the program has opened them.
SWITCH_OFF = """
/usr/local/bin/edgeprof-harness counters --loop {loop} >/tmp/report & pid=$!
until ls -l /proc/$pid/fd 2>/dev/null | grep -q perf_event; do kill -0 $pid || exit; done
echo 0 >/proc/sys/kernel/perf_user_access
wait $pid && cat /tmp/report
"""


def test_counter_is_never_zero_when_user_access_is_switched_off_while_it_is_open(
    exact_board: Board,
) -> None:
    exact_board.set_kernel(paranoid=1, user_access=1)
    loop = 2_000_000
    report = json.loads(exact_board.run(SWITCH_OFF.format(loop=loop)))
    [cycles] = [c for c in report["counters"] if c["name"] == "cpu_cycles"]
    assert cycles["access"] == "user_page"  # as it was opened
    assert kernel_settings(exact_board)["user_access"] == 0
    assert 2 * loop < cycles["min"] <= cycles["max"] < 2 * loop + 4096


def test_counter_that_the_kernel_forbids_is_absent_with_the_reason(exact_board: Board) -> None:
    exact_board.set_kernel(paranoid=3, user_access=1)
    report = exact_board.counters(1_000, user="pi")
    assert "cpu_cycles" not in report["by_name"]
    assert "perf_event_paranoid" in report["absent"]["cpu_cycles"]
    assert report["by_name"]["arm_generic_timer"]["median"] > 0


# Opens more events than the processor has counters, on every processor, and holds them.
CROWD = """
import ctypes, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
attributes = ctypes.create_string_buffer(struct.pack("<IIQ", 0, 128, 0), 128)
for cpu in range(int(sys.argv[1])):
    for _ in range(12):
        assert libc.syscall(241, attributes, -1, cpu, -1, 0) >= 0
print("held", flush=True)
time.sleep(600)
"""


def test_counter_that_must_share_the_processor_is_never_zero_or_low_unnoticed(
    exact_board: Board,
) -> None:
    exact_board.set_kernel(paranoid=-1, user_access=1)
    crowd = exact_board.run(
        f"cat >/tmp/crowd.py <<'END'\n{CROWD}\nEND\n"
        "setsid python3 /tmp/crowd.py 1 >/tmp/crowd.log 2>&1 </dev/null & echo $!; "
        "while ! grep -q held /tmp/crowd.log; do sleep 0.1; done"
    ).split()[0]
    try:
        report = exact_board.counters(1_000_000)
    finally:
        exact_board.run(f"kill {crowd}")
    shares = {}
    for name in ("cpu_cycles", "instructions"):
        if name in report["absent"]:
            assert report["absent"][name]
            shares[name] = 0.0
            continue
        reading = report["by_name"][name]
        shares[name] = reading["running_share"]
        exact = reading["min"] == reading["max"] and reading["median"] > 2_000_000
        assert exact or shares[name] < 1, reading
    assert min(shares.values()) < 1, "nothing had to be shared"


# As Debian has them.
FORBIDDING = {"paranoid": 3, "user_access": 0}


def kernel_settings(board: Board) -> dict[str, int]:
    """Read what the set-up changes on a board without clocks to pin."""
    text = board.run("cd /proc/sys/kernel && cat perf_event_paranoid perf_user_access")
    return dict(zip(("paranoid", "user_access"), map(int, text.split()), strict=True))


def test_board_is_checked_profiled_and_restored_by_the_normal_commands(
    exact_board: Board, tmp_path: Path
) -> None:
    """Program and library are deployed over SSH; the board has no Python package of ours."""
    boards = exact_board.folder / "boards.yaml"
    checked = edgeprof_command("boards", "check", "--boards", boards)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "aarch64" in checked.stdout

    exact_board.set_kernel(**FORBIDDING)
    store = tmp_path / "rack.db"
    smallest = Subnet("ofa-mbv3-w1.0", ks=(3,) * 20, e=(3,) * 20, d=(2,) * 5, r=128)
    write_subnets(tmp_path / "s.jsonl", [smallest])
    arguments = ["--subnets", tmp_path / "s.jsonl", "--max-secs", 1]
    profiled = edgeprof_command("profile", *arguments, "--boards", boards, "--store", store)
    assert profiled.returncode == 0, profiled.stdout + profiled.stderr
    exported = edgeprof_command("dataset", "export", store, "-o", tmp_path / "rows.csv")
    assert exported.returncode == 0, exported.stderr
    rows = (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 1
    assert "virtual-cortex-a72-exact" in rows[1]

    assert kernel_settings(exact_board) == FORBIDDING, "the run itself restores the board"
    with Store(store, create=False) as opened:
        record = next(opened.measurements()).record
    exact_board.set_kernel(paranoid=1, user_access=1)
    ran_on(
        exact_board,
        "Cortex-A72, QEMU, exact",
        runtime=name_of(dict(record)),
        counter=counters_of(exact_board.counters(1)),
        suite="every CI run",
    )


def test_board_is_set_up_and_restored_exactly(exact_board: Board) -> None:
    """It has no clocks to pin: what fits it is set."""
    exact_board.set_kernel(**FORBIDDING)
    inventory = ["--boards", exact_board.folder / "boards.yaml"]
    prepared = edgeprof_command("boards", "setup", *inventory)
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    assert kernel_settings(exact_board) == {"paranoid": 2, "user_access": 1}
    restored = edgeprof_command("boards", "restore", *inventory)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert kernel_settings(exact_board) == FORBIDDING
    assert exact_board.run("ls -A /var/lib/edgeprof", check=False) == ""


def test_board_predicts_with_a_trained_predictor(exact_board: Board, tmp_path: Path) -> None:
    space = get_space("ofa-mbv3-w1.0")
    write_subnets(tmp_path / "s.jsonl", space.sample(5, np.random.default_rng(1)))
    files = [trained_predictor(tmp_path / "p.edgp"), tmp_path / "s.jsonl"]
    here = edgeprof_command("predict", *files)
    codes = edgeprof_command("predict", *files, "--codes")
    assert here.returncode == codes.returncode == 0, here.stderr + codes.stderr
    exact_board.put(tmp_path / "p.edgp", "/tmp/p.edgp")
    (tmp_path / "codes").write_text(codes.stdout, encoding="utf-8")
    exact_board.put(tmp_path / "codes", "/tmp/codes")
    there = exact_board.run("/usr/local/bin/edgeprof-harness predict /tmp/p.edgp </tmp/codes")
    latencies = [
        [json.loads(line)["latency_ms"] for line in text.splitlines()]
        for text in (here.stdout, there)
    ]
    assert len(latencies[0]) == 5
    np.testing.assert_allclose(latencies[1], latencies[0], rtol=1e-6)
