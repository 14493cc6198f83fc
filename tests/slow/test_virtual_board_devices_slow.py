"""An emulated board with a cpufreq policy, a thermal zone and a power monitor.

Throttling, the rest that follows it, energy, pinned clocks and their restoration, all through the
kernel's own files. The board counts exactly, so that nothing but the throttling disturbs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_table import name_of, ran_on
from virtual_board import Board, edgeprof_command, start_board, stop_board

from edgeprof.boards.inventory import read_inventory
from edgeprof.measuring.machine import findings
from edgeprof.networks.spaces import get_space
from edgeprof.records.store import Store
from edgeprof.runs.context import RunOptions
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import measure_on
from edgeprof.runs.subnets import SubnetWorkload

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(1800)]

POLICY = "/sys/devices/system/cpu/cpufreq/policy0"
PARAMETERS = "/sys/module/fake_devices/parameters"
FULL_KHZ, THROTTLED_KHZ = 1_800_000, 1_000_000
SPACE = "ofa-mbv3-w1.0"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("devices")
    try:
        yield start_board(folder, "--exact", "--devices", "--lifetime", "1800")
    finally:
        stop_board(folder)


@pytest.fixture
def limit(board: Board) -> Iterator[None]:
    """Have the board's firmware hold the clock down."""
    set_limit(board, THROTTLED_KHZ)
    yield
    set_limit(board, 0)


def set_limit(board: Board, khz: int) -> None:
    board.run(f"echo {khz} >{PARAMETERS}/freq_limit_khz")


def clocks(board: Board) -> str:
    """What edgeprof may change, as the kernel tells it."""
    return board.run(
        f"cat {POLICY}/scaling_governor {POLICY}/scaling_min_freq {POLICY}/scaling_max_freq "
        "/proc/sys/kernel/perf_event_paranoid /proc/sys/kernel/perf_user_access"
    )


def doctor(board: Board) -> dict[str, Any]:
    inventory = board.folder / "boards.yaml"
    done = edgeprof_command("doctor", "--board", board.name, "--boards", inventory, "--json")
    assert done.returncode in (0, 1), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    document["ids"] = {finding["id"] for finding in document["findings"]}
    return document


def test_doctor_sees_the_throttled_clock_of_a_prepared_board_and_nothing_once_it_is_back(
    board: Board,
) -> None:
    before = clocks(board)
    assert before.split() == ["schedutil", "600000", str(FULL_KHZ), "3", "0"]
    inventory = ["--boards", board.folder / "boards.yaml"]
    assert "governor" in doctor(board)["ids"]
    assert edgeprof_command("boards", "setup", *inventory).returncode == 0
    try:
        assert clocks(board).split() == ["performance", str(FULL_KHZ), str(FULL_KHZ), "2", "1"]
        assert not doctor(board)["ids"] & {"governor", "frequency-lowered"}
        set_limit(board, THROTTLED_KHZ)
        assert board.run(f"cat {POLICY}/scaling_cur_freq").strip() == str(THROTTLED_KHZ)
        throttled = doctor(board)
        assert throttled["misleading"]
        assert "frequency-lowered" in throttled["ids"]
        set_limit(board, 0)
        assert "frequency-lowered" not in doctor(board)["ids"]
    finally:
        set_limit(board, 0)
        restored = edgeprof_command("boards", "restore", *inventory)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert clocks(board) == before


@pytest.mark.usefixtures("limit")
def test_record_of_a_throttled_board_says_so_beside_pinned_clocks_and_energy(
    board: Board, tmp_path: Path
) -> None:
    before = clocks(board)
    store = tmp_path / "throttled.db"
    options = ["--space", SPACE, "-n", 1, "--resolutions", 128, "--max-secs", 1, "--attempts", 1]
    inventory = board.folder / "boards.yaml"
    done = edgeprof_command("profile", *options, "--boards", inventory, "--store", store)
    assert done.returncode == 0, done.stdout + done.stderr
    [record] = records_of(store)
    assert "frequency-lowered" in {finding.id for finding in findings(record["machine"])}
    check_pinned(record)
    check_energy(record)
    assert clocks(board) == before
    name = "Cortex-A72, QEMU, cpufreq + thermal + ina3221"
    ran_on(board, name, runtime=name_of(record), suite="slow suite")


def check_pinned(record: dict[str, Any]) -> None:
    [cluster] = record["machine"]["clusters"]
    assert cluster["governor"] == "performance"
    assert cluster["min_freq_khz"] == cluster["max_freq_khz"] == FULL_KHZ


@pytest.fixture
def pinned(board: Board) -> Iterator[None]:
    """Prepare the board for longer than a run's lease: its idle time passes in no time."""
    inventory = ["--boards", board.folder / "boards.yaml"]
    done = edgeprof_command("boards", "setup", *inventory, "--restore-after", 10**8)
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    assert edgeprof_command("boards", "restore", *inventory).returncode == 0


@pytest.mark.usefixtures("limit", "pinned")
def test_a_throttled_campaign_is_kept_and_its_records_say_so(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEPROF_TOOLCHAIN", "debian")
    with Store(tmp_path / "throttled.db") as store:
        subnets = get_space(SPACE).sample(1, np.random.default_rng(0), [128])
        settings = ProfileSettings(max_secs=1.0)
        workload = SubnetWorkload(subnets, store, settings, tmp_path / "models")
        boards = read_inventory(board.folder / "boards.yaml").select(())
        summary = measure_on(workload, boards, options=RunOptions(prepare=False))
    assert (summary.measured, summary.boards[0].retried) == (1, 0)
    [record] = records_of(tmp_path / "throttled.db")
    check_pinned(record)
    assert "frequency-lowered" in {finding.id for finding in findings(record["machine"])}


def check_energy(record: dict[str, Any]) -> None:
    """Power is voltage times current of each rail, as the module has them."""
    rails = {rail["rail"]: rail for rail in record["energy"]}
    wanted = {"VDD_IN": 5012 * 640, "VDD_CPU_GPU_CV": 1004 * 310, "VDD_SOC": 1800 * 95}
    assert {name: rail["power_mean_uw"] for name, rail in rails.items()} == wanted
    median_s = record["summary"]["latency_median_ns"] / 1e9
    for rail in rails.values():
        assert rail["chip"] == "ina3221"
        energy_uj = rail["power_mean_uw"] * median_s
        assert rail["energy_per_inference_uj"] == pytest.approx(energy_uj, abs=1)


def records_of(store: Path) -> list[dict[str, Any]]:
    with Store(store, create=False) as opened:
        return [dict(stored.record) for stored in opened.measurements()]


def test_what_the_devices_read_is_set_and_nonsense_is_refused_by_the_kernel(board: Board) -> None:
    board.run(f"echo 88000 >{PARAMETERS}/soc_temp_mdegc")
    zones = doctor(board)["machine"]["thermal_zones"]
    assert [zone["temp_mdegc"] for zone in zones if zone["type"] == "cpu-thermal"] == [88_000]
    refused = board.run(
        f"echo no >{POLICY}/scaling_governor || cat {POLICY}/scaling_governor", check=False
    )
    assert refused.strip() == "schedutil"
