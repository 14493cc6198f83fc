"""Further emulated boards: other processors and releases, several at once, devices of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from virtual_board import Board, edgeprof_command, exact_count, start_board, stop_board

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(1800)]

POLICY = "/sys/devices/system/cpu/cpufreq/policy0"
PARAMETERS = "/sys/module/fake_devices/parameters"


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
    short, long = (exact_count(board.counters(n), "cpu_cycles") for n in (1, 1_000_000))
    assert long - short == 2 * 999_999


@pytest.mark.parametrize("suite", ["bullseye", "trixie"])
def test_program_for_old_boards_runs_on_other_releases(suite: str, folder: Path) -> None:
    board = start_board(folder, "--exact", "--suite", suite, toolchain="zig")
    board.run("echo 1 >/proc/sys/kernel/perf_event_paranoid")
    short, long = (exact_count(board.counters(n), "cpu_cycles") for n in (1, 1_000_000))
    assert long - short == 2 * 999_999


def test_four_boards_run_at_once(folder: Path) -> None:
    start_board(folder, "--boards", "4")
    names = [Board(folder, f"virtual-{i}").run("hostname").strip() for i in range(1, 5)]
    assert names == ["virtual-1", "virtual-2", "virtual-3", "virtual-4"]
    checked = edgeprof_command("boards", "check", "--boards", folder / "boards.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_counter_survives_migration_between_processors(folder: Path) -> None:
    board = start_board(folder, "--cpus", "2")
    board.set_kernel(paranoid=1, user_access=1)
    mover = board.run(
        "setsid sh -c 'while :; do for mask in 1 2; do for p in $(pidof edgeprof-harness); do "
        "taskset -p $mask $p; done; done; done' >/dev/null 2>&1 </dev/null & echo $!"
    ).strip()
    report = board.counters(10_000_000)
    board.run(f"kill -- -{mover} || kill {mover}", check=False)
    # Cycles are virtual nanoseconds here, and the loop takes at least one each.
    assert report["by_name"]["cpu_cycles"]["min"] > 1_000_000


def test_clocks_are_pinned_and_restored_through_real_files(folder: Path) -> None:
    board = start_board(folder, "--devices")
    before = board.run(f"cat {POLICY}/scaling_governor {POLICY}/scaling_min_freq")
    assert before.split() == ["schedutil", "600000"]
    boards = ["--boards", folder / "boards.yaml"]
    prepared = edgeprof_command("boards", "setup", *boards)
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr
    assert board.run(f"cat {POLICY}/scaling_governor").strip() == "performance"
    restored = edgeprof_command("boards", "restore", *boards)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert board.run(f"cat {POLICY}/scaling_governor {POLICY}/scaling_min_freq") == before


def test_kernel_itself_refuses_nonsense_and_reports_the_throttled_clock(folder: Path) -> None:
    board = start_board(folder, "--devices")
    board.run(f"echo 1000000 >{PARAMETERS}/freq_limit_khz; echo 88000 >{PARAMETERS}/soc_temp_mdegc")
    assert board.run(f"cat {POLICY}/cpuinfo_cur_freq").strip() == "1000000"
    assert board.run("cat /sys/class/thermal/thermal_zone0/temp").strip() == "88000"
    refused = subprocess.run(
        ["ssh", "-F", folder / "ssh_config", "virtual-1", f"echo no >{POLICY}/scaling_governor"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "Invalid argument" in refused.stderr
