"""Runs over real sshds, with real faults: nothing is lost, nothing is measured twice."""

import asyncio
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import kill_run
import loopback_fleet
import pytest
import rack
from loopback_fleet import (
    LARGE_JOB,
    SLOW_JOB,
    Watching,
    controller,
    keys,
    later,
    measured,
    null_items,
    once,
    records_on,
    run_items,
    specs,
    wait_until,
    wrapping,
)
from proxy import Proxy

import edgeprof.boards.transport.ssh
from edgeprof.boards.each_board import (
    check_boards,
    clean_boards,
    restore_boards,
    setup_boards,
)
from edgeprof.boards.transport.ssh import SshNetwork
from edgeprof.records.store import Store

pytestmark = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


def test_every_item_is_measured_once_and_the_boards_are_left_clean(boards, store):
    items = null_items(30)
    summary = run_items(specs(boards), store, items, batch_size=7)
    assert measured(store) == keys(items)
    assert (summary.measured, summary.failed, summary.unfinished) == (30, 0, 0)
    assert summary.duplicates == 0
    assert all(progress.measured > 0 for progress in summary.boards)
    for board in boards.boards:
        assert not list((board.home / ".edgeprof").glob("queue/*"))


def test_a_repeated_run_measures_nothing(board, store):
    run_items(specs(board), store, null_items(5))
    summary = run_items(specs(board), store, null_items(5))
    assert (summary.measured, summary.found_done) == (0, 5)


def test_the_record_says_which_board_made_it(board, store):
    run_items(specs(board), store, null_items(1))
    [measurement] = store.measurements()
    assert measurement.device == "loopback"
    assert measurement.record["board"] == "b01"


def test_a_board_is_prepared_while_it_measures_and_restored_after(boards, store):
    before = [board.governor for board in boards.boards]
    during = []
    watching = Watching("measuring", lambda _: during.append(boards.boards[0].governor))
    run_items(specs(boards), store, null_items(10), listener=watching)
    assert before == ["ondemand", "ondemand"]
    assert "performance" in during
    assert [board.governor for board in boards.boards] == before


def test_a_board_that_must_not_be_prepared_is_left_alone(board, store):
    during = []
    watching = Watching("measuring", lambda _: during.append(board.boards[0].governor))
    run_items(specs(board, prepare=False), store, null_items(3), listener=watching)
    assert set(during) == {"ondemand"}


def test_nothing_is_sent_while_a_batch_is_timed(board, store, monkeypatch):
    # So often that some would pass in any stretch of the batch, were they not silenced.
    monkeypatch.setattr(edgeprof.boards.transport.ssh, "KEEPALIVE_INTERVAL_S", 0.02)
    monkeypatch.setattr(edgeprof.boards.transport.ssh, "KEEPALIVE_COUNT", 1_000_000)
    [target] = board.boards
    with Proxy(target.port) as proxy:
        board.connect_through(target, proxy.port)
        passed = {}

        def look():
            wait_until(lambda: target.processes("wait"))
            first = records_on(target) + 2  # what starts the wait has passed by then
            for count in (first, first + 4):
                wait_until(lambda count=count: records_on(target) >= count)
                passed[count] = proxy.passed_bytes

        watching = Watching("measuring", once(lambda _: later(0.0, look)))
        run_items(specs(board, prepare=False), store, null_items(12, **SLOW_JOB), listener=watching)
        [before, after] = passed.values()
        assert before == after
        assert keep_alives_pass(specs(board)[0], proxy)  # else this test could not fail


def keep_alives_pass(spec, proxy):
    async def idle():
        async with SshNetwork() as network:
            transport = await network.connect(spec)
            before = proxy.passed_bytes
            for _ in range(500):
                if proxy.passed_bytes > before:
                    break
                await asyncio.sleep(0.02)
            await transport.close()
            return proxy.passed_bytes > before

    return asyncio.run(idle())


def test_a_killed_controller_is_continued_by_the_same_command(boards, store, tmp_path):
    with controller(boards, tmp_path, 16, job=SLOW_JOB, batch_size=5) as process:
        wait_until(lambda: sum(map(records_on, boards.boards)) >= 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "performance" in {board.governor for board in boards.boards}  # nobody restored it
    summary = run_items(specs(boards), store, null_items(16, **SLOW_JOB), batch_size=5)
    assert measured(store) == keys(null_items(16))
    assert summary.duplicates == 0
    assert [board.governor for board in boards.boards] == ["ondemand", "ondemand"]


def test_ctrl_c_stops_the_boards_and_restores_them(boards, store, tmp_path):
    with controller(boards, tmp_path, 40, job=SLOW_JOB, batch_size=20) as process:
        wait_until(lambda: sum(map(records_on, boards.boards)) >= 3)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    assert [board.governor for board in boards.boards] == ["ondemand", "ondemand"]
    assert not any(board.processes("worker") for board in boards.boards)
    assert len(measured(store)) >= 3  # what was on the boards has been collected


def test_a_killed_board_program_is_started_again(board, store):
    [target] = board.boards
    items = null_items(8, **SLOW_JOB)
    killed = []

    def kill_worker():
        wait_until(lambda: records_on(target))
        killed.extend(target.processes("worker"))
        for pid in killed:
            rack.kill(pid)

    watching = Watching("measuring", once(lambda _: later(0.0, kill_worker)))
    summary = run_items(specs(board), store, items, listener=watching)
    assert killed
    assert measured(store) == keys(items)
    assert summary.failed == 0


def test_a_killed_sshd_costs_a_connection_and_nothing_else(board, store):
    [target] = board.boards
    items = null_items(8, **SLOW_JOB)

    def kill_sshd():
        wait_until(lambda: records_on(target))
        target.kill_sshd()
        target.start()

    watching = Watching("measuring", once(lambda _: later(0.0, kill_sshd)))
    summary = run_items(specs(board), store, items, listener=watching)
    assert measured(store) == keys(items)
    assert summary.duplicates == 0
    assert any("connection lost" in note for note in watching.notes)


def test_a_cut_network_costs_a_connection_and_nothing_else(board, store):
    [target] = board.boards
    with Proxy(target.port) as proxy:
        board.connect_through(target, proxy.port)
        proxy.delay_s = 0.002
        items = null_items(12, **SLOW_JOB)
        cuts, is_over = [], threading.Event()

        def cut_thrice():
            # The first is cut while connected; how many more, the machine's load decides.
            was_waiting = False
            while len(cuts) < 3 and not is_over.wait(0.02):
                is_waiting = bool(target.processes("wait"))
                if is_waiting and not was_waiting:
                    cuts.append(proxy.cut())
                was_waiting = is_waiting  # until its sshd has noticed

        watching = Watching("measuring", once(lambda _: later(0.0, cut_thrice)))
        run_items(specs(board), store, items, listener=watching)
        is_over.set()
    assert cuts[0] == 1
    assert any("connection lost" in note for note in watching.notes)
    assert measured(store) == keys(items)


def test_a_slow_network_only_takes_longer(board, store, tmp_path):
    [target] = board.boards
    with Proxy(target.port) as proxy:
        board.connect_through(target, proxy.port)
        proxy.rate_bytes_per_s, proxy.delay_s = 300_000, 0.02
        (tmp_path / "model.bin").write_bytes(random.Random(0).randbytes(100_000))
        items = [dataclasses.replace(item, model=tmp_path / "model.bin") for item in null_items(4)]
        summary = run_items(specs(board), store, items)
    assert measured(store) == keys(items)
    assert proxy.sent_bytes > 400_000
    assert proxy.held_back_s >= proxy.sent_bytes / 300_000
    assert summary.boards[0].error is None


@pytest.fixture
def jumping_clock(tmp_path):
    """A library that makes the date of a program jump by hours, back and forth, at each look."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    source = tmp_path / "jump.c"
    source.write_text(
        """#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static int looks;
int clock_gettime(clockid_t id, struct timespec *now) {
    int status = (int)syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += (++looks % 2 ? 1 : -1) * 36000L * (looks % 97);
    return status;
}
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
"""
    )
    library = tmp_path / "libjump.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.mark.slow
def test_clocks_that_jump_decide_nothing(boards, tmp_path, jumping_clock, monkeypatch):
    """The controller's and the board program's: only clocks that do not jump are asked."""
    find = wrapping(tmp_path, f"export LD_PRELOAD={jumping_clock}", ["b01", "b02"])
    items = null_items(12, **SLOW_JOB)
    with Store(tmp_path / "run.db") as store:
        summary = run_items(specs(boards), store, items, find=find, batch_size=3)
        assert measured(store) == keys(items)
        assert summary.duplicates == 0
    monkeypatch.setenv("LD_PRELOAD", str(jumping_clock))
    date = [sys.executable, "-c", "import time; print(time.time() - time.time())"]
    assert abs(float(subprocess.check_output(date))) > 3600  # the clock does jump
    with controller(boards, tmp_path, 24, job=SLOW_JOB, batch_size=3) as process:
        out, err = process.communicate(timeout=240)
    summary = json.loads(out)
    assert (summary["measured"], summary["found_done"]) == (12, 12), err.decode()
    assert summary["wall_s"] < 240
    assert [board.governor for board in boards.boards] == ["ondemand", "ondemand"]


@pytest.mark.slow
def test_a_network_that_goes_silent_is_noticed_and_costs_a_connection(board, store):
    with Proxy(board.boards[0].port) as proxy:
        board.connect_through(board.boards[0], proxy.port)

        def stall():
            proxy.stall()
            later(32.0, proxy.resume)

        items = null_items(4, **SLOW_JOB)
        watching = Watching("measuring", once(lambda _: later(0.2, stall)))
        run_items(specs(board), store, items, listener=watching, item_typical_s=0.01)
    assert measured(store) == keys(items)
    assert any("no answer within 30" in note for note in watching.notes)


EAT_MEMORY = """
struct rlimit limit = {1u << 28, 1u << 28};
setrlimit(RLIMIT_AS, &limit);
for (void *block; (block = malloc(1u << 24));) memset(block, 1, 1u << 24);
abort();
"""


@pytest.fixture(scope="session")
def crashing_library(tmp_path_factory):
    """A runtime's library that does what it is told when it is opened."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("library")

    def build(name, body):
        source = folder / f"{name}.c"
        source.write_text(
            "#include <signal.h>\n#include <stdlib.h>\n#include <string.h>\n"
            "#include <sys/resource.h>\n#include <unistd.h>\n"
            f"__attribute__((constructor)) static void start(void) {{ {body} }}\n"
        )
        library = folder / f"lib{name}.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        return str(library)

    return build


def test_an_item_that_crashes_its_runtime_does_not_stop_the_rest(board, store, crashing_library):
    model = {"runtime": "onnxruntime", "model": "/etc/hostname"}
    bad = {
        "SIGILL": {"library": crashing_library("illegal", "raise(SIGILL);")},
        "SIGSEGV": {"library": crashing_library("fault", "raise(SIGSEGV);")},
        "hang": {"library": crashing_library("hang", "sleep(60);"), "max_load_secs": 0.5},
        # As a runtime does for which a small board has no memory, and as the kernel does then.
        "no memory": {"library": crashing_library("eater", EAT_MEMORY)},
        "killed": {"library": crashing_library("killed", "raise(SIGKILL);")},
    }
    items = null_items(8)
    for item, (_, fields) in zip(items[1:6], bad.items(), strict=True):
        item.job.clear()
        item.job.update({**model, **fields})
    summary = run_items(specs(board), store, items)
    assert measured(store) == [items[0].key, items[6].key, items[7].key]
    failures = {failure.job_key: failure for failure in store.failures()}
    assert set(failures) == set(keys(items[1:6]))
    assert "signal 4" in failures[items[1].key].message
    assert "signal 11" in failures[items[2].key].message
    assert failures[items[3].key].kind == "HarnessTimeout"
    assert "signal 6" in failures[items[4].key].message
    assert "out of memory, probably" in failures[items[5].key].message
    assert summary.failed == 5
    # The hang may pass: it was tried three times; each crash was confirmed by a second one.
    assert summary.boards[0].retried == 6
    kinds = sorted(group.kind for group in summary.failures)
    assert kinds == [*["HarnessCrashed"] * 4, "HarnessTimeout"]


def test_a_job_that_the_board_refuses_is_recorded_as_failed(board, store):
    items = null_items(3)
    items[1].job["threads"] = -1
    summary = run_items(specs(board), store, items)
    [failed] = store.failures()
    assert (failed.job_key, failed.kind) == (items[1].key, "InvalidJob")
    assert (summary.measured, summary.failed) == (2, 1)


def test_the_others_go_on_without_a_board_that_cannot_be_reached(boards, store):
    boards.boards[0].kill_sshd()
    items = null_items(5)
    summary = run_items(specs(boards), store, items)
    assert measured(store) == keys(items)
    assert summary.boards[0].measured == 0
    assert sum(board.measured for board in summary.boards[1:]) == len(items)


def test_boards_of_one_queue_must_measure_alike(boards, store):
    first, second = specs(boards)
    items = null_items(10, **SLOW_JOB)
    for changes in ({"threads": 2}, {"environment": {"TOKEN": "s3cret"}}):
        summary = run_items([first, dataclasses.replace(second, **changes)], store, items)
        [error] = [board.error for board in summary.boards if board.error is not None]
        assert "give it a tag of its own" in str(error)
        assert "s3cret" not in str(error)


def test_two_kinds_of_boards_each_do_everything(boards, store):
    first, second = specs(boards)
    items = null_items(4)

    def plan_keys(spec):
        return [dataclasses.replace(item, key=f"{spec.device}-{item.key}") for item in items]

    mine = plan_keys(first) + plan_keys(dataclasses.replace(second, tags=("other",)))
    summary = run_items([first], store, mine[:4])
    summary = run_items([dataclasses.replace(second, tags=("other",))], store, mine)
    assert summary.found_done == 4
    assert store.devices() == ["loopback", "other"]


def test_a_second_run_into_the_same_store_is_refused(board, store):
    from edgeprof.base.errors import StoreError

    with (
        loopback_fleet.only_run(store),
        pytest.raises(StoreError, match="another run"),
    ):
        run_items(specs(board), store, null_items(1))


def as_root(*command):
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def mounted():
    """Mounts small file systems, and takes them off again."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    folders = []

    def mount(folder, options):
        folder.mkdir()
        try:
            as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"cannot mount here: {error.stderr.decode().strip()}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("size=64k", "free, need"),
        ("ro", "cannot be written: Read-only file system"),
        ("noexec", "mounted noexec"),
    ],
)
def test_a_bad_folder_is_one_clear_line_and_the_other_board_goes_on(
    boards, store, tmp_path, mounted, options, message
):
    folder = mounted(tmp_path / "bad", options)
    first, second = specs(boards)
    first = dataclasses.replace(first, folder=str(folder / "edgeprof"))
    items = null_items(4)
    summary = run_items([first, second], store, items)
    assert measured(store) == keys(items)
    assert message in str(summary.boards[0].error)
    assert "\n" not in str(summary.boards[0].error)


@pytest.mark.slow
def test_a_disk_that_fills_up_while_measuring_loses_nothing(board, store, tmp_path, mounted):
    folder = mounted(tmp_path / "small", "size=24m")
    [spec] = specs(board, folder=str(folder / "edgeprof"))
    items = null_items(8, **LARGE_JOB)
    filler = folder / "filler"
    [target] = board.boards
    struck = []

    def records():
        files = folder.glob("edgeprof/queue/*/records.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in files)

    def fill():
        wait_until(records)
        with filler.open("wb") as stream, suppress(OSError):
            while True:
                stream.write(b"x" * 65536)
                stream.flush()
        with suppress(AssertionError):
            # Records of a part, and no worker: it ended because it could not write the next.
            wait_until(lambda: 0 < records() < 8 and not target.processes("worker"))
            struck.append(records())
        filler.unlink()

    watching = Watching("measuring", once(lambda _: later(0.0, fill)))
    run_items([spec], store, items, listener=watching)
    wait_until(lambda: not filler.exists())
    assert struck
    run_items([spec], store, items)
    assert measured(store) == keys(items)


def test_boards_are_checked_without_being_changed(boards):
    boards.boards[1].kill_sshd()
    first, second = check_boards(specs(boards))
    assert first.error is None
    assert first.facts is not None
    assert [item.source.name for item in first.to_install] == ["edgeprof-harness"]
    assert first.state is not None
    assert isinstance(first.findings, list)
    assert second.error is not None
    folder = boards.boards[0].home / ".edgeprof"
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_boards_are_set_up_restored_and_cleaned_by_hand(board, store):
    [target] = board.boards
    run_items(specs(board), store, null_items(1))
    [state] = setup_boards(specs(board), restore_after_s=600)
    assert state.is_prepared
    assert target.governor == "performance"
    [state] = restore_boards(specs(board))
    assert not state.is_prepared
    assert target.governor == "ondemand"
    setup_boards(specs(board), restore_after_s=600)
    clean_boards(specs(board))
    assert target.governor == "ondemand"
    assert not (target.home / ".edgeprof").exists()


def test_a_lost_controller_leaves_no_board_prepared_for_ever(board):
    [target] = board.boards
    setup_boards(specs(board), restore_after_s=1)
    assert target.governor == "performance"
    wait_until(lambda: target.governor == "ondemand")


def check_survived(report, folder, count):
    assert (report.unrestored, report.working) == ([], [])
    with Store(folder / "run.db") as store:
        assert measured(store) == keys(null_items(count))
        assert not list(store.failures())


def test_models_on_4_boards_survive_kills_of_every_kind(tmp_path):
    """Each when records were made since the last: a slow machine only makes it longer."""
    pytest.importorskip("onnx")
    dice = random.Random(1)
    kinds = dice.sample(kill_run.KINDS, 4)
    report = kill_run.survive(
        tmp_path,
        4,
        40,
        kinds,
        dice=dice,
        pause=kill_run.after_progress(2),
        job=SLOW_JOB,
        n_models=6,
        batch_size=3,
        policy={"board_failures": 50},
    )
    assert set(report.kills) == set(kill_run.KINDS), report.kills
    assert all(report.kills.values()), report.kills
    check_survived(report, tmp_path, 40)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [1])
def test_400_models_on_8_boards_survive_a_kill_every_few_seconds(tmp_path, seed):
    pytest.importorskip("onnx")
    report = kill_run.survive_400_models(tmp_path, seed)
    check_survived(report, tmp_path, 400)
    print(f"seed {seed}: {report.wall_s:.0f} s, kills: {dict(report.kills)}")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_50_boards_are_served_by_one_small_controller(tmp_path):
    with (
        rack.Rack(tmp_path, 50) as loopback,
        controller(loopback, tmp_path, 500, prepare=False) as process,
    ):
        out, err = process.communicate(timeout=500)
        summary = json.loads(out)
        refused = [board.name for board in loopback.boards if "drop connection" in board.log()]
    assert summary["measured"] == 500, err.decode()[-2000:]
    assert [board["error"] for board in summary["boards"]] == [None] * 50
    assert refused == []
    assert summary["peak_rss_bytes"] < 300 << 20
