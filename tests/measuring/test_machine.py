"""What the doctor finds on captured trees of boards, and what the findings say."""

import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree import BOARDS

from edgeprof.base.cpu_list import format_cpus, parse_cpus
from edgeprof.base.errors import BoardSetupError
from edgeprof.measuring.machine import (
    KINDS,
    Severity,
    describe,
    findings,
    machine_state,
    would_mislead,
)

ALL_BOARDS = sorted(path.name for path in BOARDS.iterdir() if path.is_dir())


def found_on(board, cpus=None):
    return {finding.id: finding for finding in findings(machine_state(BOARDS / board), cpus)}


def run_doctor(*arguments):
    command = [sys.executable, "-m", "edgeprof", "doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/")


@pytest.mark.parametrize("board", ALL_BOARDS)
def test_every_tree_says_where_it_comes_from_and_what_it_is(board):
    assert (BOARDS / board / "ORIGIN.md").read_text(encoding="utf-8").startswith("# Origin")
    state = machine_state(BOARDS / board)
    assert state["kernel"]
    assert state["core_types"][0]["name"]
    assert describe(state)


@pytest.mark.parametrize("board", [name for name in ALL_BOARDS if name != "rpi5-no-pmu"])
def test_every_board_as_it_boots_would_mislead_by_its_governor(board):
    assert would_mislead(list(found_on(board).values()))
    assert "governor" in found_on(board)


def test_a_pinned_raspberry_pi_is_trusted_though_it_has_no_pmu():
    found = found_on("rpi5-no-pmu")
    assert set(found) == {"no-pmu"}
    assert found["no-pmu"].severity is Severity.NOTICE


def test_a_governor_that_moves_between_equal_limits_is_pinned(tmp_path):
    board = shutil.copytree(BOARDS / "rpi4b", tmp_path / "board")
    policy = board / "sys/devices/system/cpu/cpufreq/policy0"
    (policy / "scaling_min_freq").write_text("1500000\n")
    (policy / "scaling_max_freq").write_text("1500000\n")
    (policy / "scaling_cur_freq").write_text("1500000\n")
    found = {finding.id: finding for finding in findings(machine_state(board))}
    assert "governor" not in found
    assert found["frequency-limited"].found == (
        "cpu0-3 limited to 1500 MHz, the hardware has 1800 MHz"
    )


def test_a_throttled_raspberry_pi_is_hot_loaded_and_throttled():
    found = found_on("rpi4b-throttled")
    assert {"throttled", "hot", "load", "governor"} <= set(found)
    assert found["throttled"].found == (
        "the firmware says: frequency capped, throttled, soft temperature limit "
        "(get_throttled 0xe000e)"
    )
    assert found["hot"].found == (
        "zone cpu-thermal is at 84.7 degrees, throttling starts at 80.0 degrees"
    )
    assert "under-voltage" not in found


def test_a_weak_supply_is_found_now_and_before():
    found = found_on("rpi3b-plus-undervoltage")
    assert found["under-voltage"].severity is Severity.MISLEADING
    assert "hot" in found  # the 3B+ lowers its clock from 60 degrees


def test_an_orin_close_to_its_trip_point_is_hot_and_being_cooled():
    found = found_on("jetson-orin-nano")
    assert {"hot", "cooling", "frequency-limited"} <= set(found)


def test_the_fixed_100_degrees_of_a_jetson_nano_pmic_are_no_heat():
    assert "hot" not in found_on("jetson-nano")


def test_a_power_mode_below_the_hardware_is_a_notice():
    found = found_on("jetson-xavier-nx")
    assert found["frequency-limited"].severity is Severity.NOTICE
    assert "1420.8 MHz" in found["frequency-limited"].found


def test_big_and_little_cores_mislead_unless_cores_of_one_kind_are_chosen():
    assert "Cortex-A55 on cpu0-3, Cortex-A76 on cpu4-7" in found_on("rock-5b")["mixed-cores"].found
    assert "mixed-cores" not in found_on("rock-5b", cpus=[4, 5])
    assert found_on("rock-5b", cpus=[4, 5])["governor"].found.startswith("governor of cpu4-5 is")


def test_a_server_has_turbo_smt_a_load_and_closed_counters():
    found = found_on("x86-server")
    assert {"boost", "smt", "load", "perf-paranoid", "nmi-watchdog"} <= set(found)
    assert "no-pmu" not in found
    assert "frequency-lowered" not in found


def test_a_board_short_of_memory_says_so():
    assert {"memory-short", "swap-used"} <= set(found_on("rpi-zero-2w"))


def test_old_kernels_say_that_user_access_to_counters_came_later():
    assert "5.17" in found_on("jetson-nano")["perf-user-access"].found
    assert found_on("rpi4b")["perf-user-access"].found == "kernel.perf_user_access is 0, want 1"


def test_a_clock_that_is_held_down_under_performance_misleads():
    cluster = {
        "cpus": [0],
        "governor": "performance",
        "cur_freq_khz": 1000000,
        "max_freq_khz": 1800000,
    }
    found = findings({"clusters": [cluster]})
    assert found[0].id == "frequency-lowered"
    assert found[0].found == "cpu0 runs at 1000 MHz, not 1800 MHz"
    assert findings({"clusters": [{**cluster, "driver": "intel_pstate"}]}) == []


def test_a_cpu_quota_misleads_when_it_is_below_the_threads():
    state = {"cpu_quota": {"quota_us": 150000, "period_us": 100000}, "online_cpus": [0, 1]}
    assert "cpu-quota" in [finding.id for finding in findings(state)]
    assert "cpu-quota" not in [finding.id for finding in findings(state, cpus=[1])]


def about_threads(state, **more):
    kinds = ("few-cpus", "threads-beyond-cpus", "threads-beyond-quota", "cpu-quota")
    return [finding for finding in findings(state, **more) if finding.id in kinds]


def test_more_threads_than_cpus_mislead():
    state = {"online_cpus": [0, 1, 2, 3], "affinity": [3]}
    [found] = about_threads(state, threads=4)
    assert found.id == "threads-beyond-cpus"
    assert found.found == "4 threads on 1 CPU (cpu3)"
    assert "taskset" in found.remedy
    assert [found.id for found in about_threads(state, threads=1)] == ["few-cpus"]
    assert about_threads(state)[0].found == "this process may use 1 CPU of 4 (cpu3)"
    [found] = about_threads({"online_cpus": [0, 1]}, threads=3)
    assert found.id == "threads-beyond-cpus"
    [found] = about_threads(state, cpus=[1, 2], threads=4)
    assert found.found == "4 threads on 2 CPUs (cpu1-2)"


def test_cpus_that_are_off_are_not_counted():
    state = {"online_cpus": [0, 1], "affinity": [0, 1, 2, 3]}
    assert about_threads(state, threads=2) == []
    assert about_threads(state, threads=3)[0].found == "3 threads on 2 CPUs (cpu0-1)"


def test_more_threads_than_the_control_group_allows_mislead():
    state = {"online_cpus": [0, 1, 2, 3], "cpu_quota": {"quota_us": 1, "period_us": 1}}
    [found] = about_threads(state, threads=2)
    assert found.id == "threads-beyond-quota"
    assert found.found == "2 threads, the control group allows 1 CPU"
    assert "CPUQuota" in found.remedy
    assert about_threads(state, threads=1) == []


def test_idle_isolated_cpus_are_pointed_out():
    state = {"online_cpus": [0, 1, 2, 3], "affinity": [0, 1], "isolated_cpus": [2, 3]}
    assert "cpu2-3" in next(f for f in findings(state) if f.id == "isolated-cpus").found
    assert "isolated-cpus" not in [f.id for f in findings(state, cpus=[2])]


def test_what_misleads_comes_first():
    found = findings(machine_state(BOARDS / "x86-server"))
    severities = [finding.severity for finding in found]
    assert severities == sorted(severities, key=lambda severity: severity is Severity.NOTICE)


def test_every_kind_of_finding_can_be_found():
    states = [machine_state(BOARDS / board) for board in ALL_BOARDS]
    states += [
        {"clusters": [{"governor": "performance", "cur_freq_khz": 1, "max_freq_khz": 9}]},
        {"cpu_quota": {"quota_us": 1, "period_us": 2}, "hypervisor": "kvm", "container": "docker"},
        {"online_cpus": [0, 1], "affinity": [0], "isolated_cpus": [1], "clock_source": "hpet"},
        {"uptime_s": 30.0, "load_1min": 0.7},
        {"online_cpus": [0], "threads": 2, "cpu_quota": {"quota_us": 1, "period_us": 1}},
        {"throttling": {"since_boot": ["throttled"]}},
    ]
    assert {finding.id for state in states for finding in findings(state)} == set(KINDS)


@given(
    st.dictionaries(
        st.sampled_from(["architecture", "kernel", "hypervisor", "clock_source"]), st.text()
    )
)
def test_absent_facts_are_no_findings_of_what_they_would_say(state):
    ids = {finding.id for finding in findings(state)}
    assert not ids & {"governor", "hot", "load", "throttled", "smt", "boost", "swap-used"}


@given(st.sets(st.integers(0, 8191), min_size=1))
def test_a_cpu_list_survives_being_written_and_read(cpus):
    assert parse_cpus(format_cpus(sorted(cpus))) == sorted(cpus)


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-", "0-99999", "1,,2", "1;2"])
def test_a_malformed_cpu_list_is_refused(text):
    with pytest.raises(ValueError, match="CPU list"):
        parse_cpus(text)


def test_a_folder_that_is_no_tree_is_refused(tmp_path):
    with pytest.raises(BoardSetupError, match="no machine state found"):
        machine_state(tmp_path)


def test_doctor_prints_finding_consequence_and_remedy_and_exits_1():
    result = run_doctor("--root", BOARDS / "rpi4b")
    assert result.returncode == 1
    assert result.stdout.startswith("Raspberry Pi 4 Model B Rev 1.4; 4 x Cortex-A72; Debian")
    assert "governor of cpu0-3 is 'ondemand'" in result.stdout
    assert KINDS["governor"].consequence in result.stdout
    assert "remedy: sudo firmware_scripts/pin_clocks.sh apply" in result.stdout
    assert "A measurement would be misleading: 1 of 2 findings." in result.stdout
    assert "(firmware_scripts is /" in result.stdout


def test_doctor_exits_0_when_a_measurement_can_be_trusted():
    result = run_doctor("--root", BOARDS / "rpi5-no-pmu")
    assert result.returncode == 0
    assert "can be trusted" in result.stdout


def test_doctor_prints_json():
    result = run_doctor("--root", BOARDS / "rock-5b", "--cpus", "4-7", "--json")
    document = json.loads(result.stdout)
    assert document["misleading"] is True
    assert document["machine"]["board_model"] == "Radxa ROCK 5B"
    assert {"id", "severity", "found", "consequence", "remedy"} == set(document["findings"][0])


def test_doctor_refuses_a_malformed_cpu_list_as_wrong_usage():
    result = run_doctor("--cpus", "big")
    assert result.returncode == 2
    assert "'big' is not a list of cores such as 0-3,6" in result.stderr


def test_doctor_asks_one_place_at_a_time():
    result = run_doctor("--board", "rpi4-01", "--root", BOARDS / "rpi4b")
    assert result.returncode == 2
    assert "exclude each other" in result.stderr


def test_doctor_of_a_board_that_cannot_be_reached_is_one_line(tmp_path):
    pytest.importorskip("asyncssh")
    inventory = tmp_path / "boards.yaml"
    # Port 9 (discard) on loopback: nothing listens there.
    inventory.write_text(
        "boards:\n  gone: {host: 127.0.0.1, port: 9, user: nobody}\n", encoding="utf-8"
    )
    result = run_doctor("--board", "gone", "--boards", inventory)
    assert result.returncode == 1
    assert result.stderr.startswith("edgeprof: ")
    assert "gone" in result.stderr
    assert result.stderr.count("\n") == 1


def test_doctor_on_no_tree_is_one_line(tmp_path):
    result = run_doctor("--root", tmp_path)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("edgeprof: ")
