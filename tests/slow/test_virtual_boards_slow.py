"""Further emulated boards: other processors and releases, several at once, devices of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from board_table import counters_of, ran_on
from virtual_board import Board, edgeprof_command, exact_count, start_board, stop_board

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder whose boards are stopped at the end."""
    place = tmp_path / "boards"
    try:
        yield place
    finally:
        stop_board(place)


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a57", "cortex-a76"])
def test_counts_are_exact_on_other_processors(cpu: str, folder: Path) -> None:
    board = start_board(folder, "--exact", "--cpu", cpu)
    board.set_kernel(paranoid=1, user_access=1)
    check_exact(board)
    ran_on(
        board,
        f"{cpu.replace('cortex-a', 'Cortex-A')}, QEMU, exact",
        counter=counters_of(board.counters(1)),
        suite="slow suite",
    )


def check_exact(board: Board) -> None:
    short, long = (exact_count(board.counters(n), "cpu_cycles") for n in (1, 1_000_000))
    assert long - short == 2 * 999_999


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_program_for_old_boards_runs_on_other_releases(suite: str, folder: Path) -> None:
    board = start_board(folder, "--exact", "--suite", suite, toolchain="zig")
    board.run("echo 1 >/proc/sys/kernel/perf_event_paranoid")
    check_exact(board)
    counters = counters_of(board.counters(1))
    ran_on(board, "Cortex-A72, QEMU, exact", counter=counters, suite="slow suite")


def test_four_boards_run_at_once(folder: Path) -> None:
    start_board(folder, "--boards", "4")
    names = [Board(folder, f"virtual-{i}").run("hostname").strip() for i in range(1, 5)]
    assert names == ["virtual-1", "virtual-2", "virtual-3", "virtual-4"]
    checked = edgeprof_command("boards", "check", "--boards", folder / "boards.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ran_on(Board(folder, "virtual-4"), "Cortex-A72, QEMU, four at once", suite="slow suite")


# Counts around loops while the process is sent back and forth; prints the report, the processors
# that it was seen on, and the nanoseconds that all took.
MIGRATION = """
began=$(date +%s%N)
/usr/local/bin/edgeprof-harness counters --loop {loop} >/tmp/report & pid=$!
while kill -0 $pid 2>/dev/null; do
  for mask in 1 2; do
    taskset -p $mask $pid >/dev/null 2>&1 && cut -d ' ' -f 39 /proc/$pid/stat >>/tmp/seen
  done
done
ended=$(date +%s%N)
cat /tmp/report
tr '\\n' ' ' </tmp/seen
echo
echo $((ended - began))
"""


def test_counter_survives_migration_between_processors(folder: Path) -> None:
    """Not exact: a board that counts exactly has one processor."""
    board = start_board(folder, "--cpus", "2")
    board.set_kernel(paranoid=1, user_access=1)
    loop = 30_000_000
    report, seen, elapsed_ns = board.run(MIGRATION.format(loop=loop)).splitlines()
    places = seen.split()
    n_moves = sum(here != there for here, there in pairwise(places))
    assert set(places) == {"0", "1"}
    assert n_moves >= 10
    [cycles] = [c for c in json.loads(report)["counters"] if c["name"] == "cpu_cycles"]
    assert cycles["access"] == "user_page"
    # Cycles are virtual nanoseconds here: no emulator does two instructions in half of one, and
    # no loop took longer than the whole.
    assert loop / 2 < cycles["min"] <= cycles["max"] < int(elapsed_ns)
    counter = "cpu_cycles (user_page), moved between processors"
    ran_on(board, "Cortex-A72, QEMU, two processors", counter=counter, suite="slow suite")


def test_raspberry_pi_of_qemu_names_itself_and_counts(folder: Path) -> None:
    board = start_board(folder, "--machine", "raspi3b")
    checked = edgeprof_command("boards", "check", "--boards", folder / "boards.yaml", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    [report] = json.loads(checked.stdout)
    assert report["facts"]["model"] == "Raspberry Pi 3 Model B"
    assert report["facts"]["cores"] == 4
    state = report["machine"]
    assert [kind["name"] for kind in state["core_types"]] == ["Cortex-A53"]
    assert [zone["type"] for zone in state["thermal_zones"]] == ["cpu-thermal"]
    assert "clusters" not in state  # QEMU's has no frequency control
    board.set_kernel(paranoid=1, user_access=1)
    counters = board.counters(1_000_000)
    assert counters["by_name"]["cpu_cycles"]["min"] > 1_000_000 / 2
    ran_on(board, "Raspberry Pi 3B of QEMU", counter=counters_of(counters), suite="slow suite")
