"""Runs over real sshds, with real faults: nothing is lost, nothing is measured twice."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import time

import loopback_fleet
import pytest
import rack
from loopback_fleet import (
    FAST,
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
)
from proxy import Proxy

from edgeprof.fleet.connections import (
    check_boards,
    clean_boards,
    restore_boards,
    setup_boards,
)
from edgeprof.store import Store

pytestmark = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


@pytest.fixture
def boards(tmp_path):
    with rack.Rack(tmp_path, 2) as loopback:
        yield loopback


@pytest.fixture
def board(tmp_path):
    with rack.Rack(tmp_path, 1) as loopback:
        yield loopback


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "run.db") as opened:
        yield opened


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


def test_nothing_is_sent_while_a_batch_is_timed(board, store):
    with Proxy(board.boards[0].port) as proxy:
        board.connect_through(board.boards[0], proxy.port)
        silent_from = {}
        watching = Watching("measuring", once(lambda _: silent_from.update(s=time.monotonic())))
        quiet_for = []

        def look():
            quiet_for.append(time.monotonic() - proxy.last_byte_s)

        later(1.8, look)
        run_items(
            specs(board, prepare=False),
            store,
            null_items(10, **SLOW_JOB),
            listener=watching,
        )
    assert quiet_for
    assert quiet_for[0] > 0.2


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

    def kill_worker():
        for pid in target.processes("worker"):
            rack.kill(pid)

    watching = Watching("measuring", once(lambda _: later(0.5, kill_worker)))
    summary = run_items(specs(board), store, items, listener=watching)
    assert measured(store) == keys(items)
    assert summary.failed == 0


def test_a_killed_sshd_costs_a_connection_and_nothing_else(board, store):
    [target] = board.boards
    items = null_items(8, **SLOW_JOB)

    def kill_sshd():
        target.kill_sshd()
        target.start()

    watching = Watching("measuring", once(lambda _: later(0.5, kill_sshd)))
    summary = run_items(specs(board), store, items, listener=watching)
    assert measured(store) == keys(items)
    assert summary.duplicates == 0
    assert any("connection lost" in note for note in watching.notes)


def test_a_cut_network_costs_a_connection_and_nothing_else(board, store):
    with Proxy(board.boards[0].port) as proxy:
        board.connect_through(board.boards[0], proxy.port)
        proxy.delay_s = 0.002
        items = null_items(8, **SLOW_JOB)
        for delay_s in (0.7, 1.6, 2.6):
            later(delay_s, proxy.cut)
        run_items(specs(board), store, items)
    assert measured(store) == keys(items)


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


def test_a_board_that_another_measures_on_is_waited_for_and_then_set_aside(boards, store):
    first = boards.boards[0]
    holder = first.home / "lock"
    holder.write_text('{"owner":"alice@laptop","session":"other"}\n')
    holding = subprocess.Popen(["flock", "-x", str(holder), "sleep", "60"])
    try:
        policy = dataclasses.replace(FAST, busy_limit_s=0.5)
        watching = Watching("never", lambda _: None)
        items = null_items(20, **SLOW_JOB)  # there must be work left when the waiting ends
        summary = run_items(specs(boards), store, items, policy=policy, listener=watching)
    finally:
        holding.kill()
        holding.wait()
    assert measured(store) == keys(items)  # the other board did it all
    busy, free = summary.boards
    assert busy.error is not None
    assert "alice@laptop measures there" in str(busy.error)
    assert free.measured == len(items)
    assert first.governor == "ondemand"
    assert any("waiting" in note for note in watching.notes)


@pytest.fixture(scope="session")
def crashing_library(tmp_path_factory):
    """A runtime's library that does what it is told when it is opened."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("library")

    def build(name, body):
        source = folder / f"{name}.c"
        source.write_text(
            "#include <signal.h>\n#include <unistd.h>\n"
            f"__attribute__((constructor)) static void start(void) {{ {body} }}\n"
        )
        library = folder / f"lib{name}.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
        return str(library)

    return build


def test_an_item_that_crashes_its_runtime_does_not_stop_the_rest(board, store, crashing_library):
    model = {"runtime": "onnxruntime", "model": "/etc/hostname", "max_load_secs": 0.5}
    bad = {
        "SIGILL": {"library": crashing_library("illegal", "raise(SIGILL);")},
        "SIGSEGV": {"library": crashing_library("fault", "raise(SIGSEGV);")},
        "hang": {"library": crashing_library("hang", "sleep(60);")},
    }
    items = null_items(6)
    for item, (_, fields) in zip(items[1:4], bad.items(), strict=True):
        item.job.clear()
        item.job.update({**model, **fields})
    summary = run_items(specs(board), store, items)
    assert measured(store) == [items[0].key, items[4].key, items[5].key]
    failures = {failure.job_key: failure for failure in store.failures()}
    assert set(failures) == set(keys(items[1:4]))
    assert "signal 4" in failures[items[1].key].message
    assert "signal 11" in failures[items[2].key].message
    assert failures[items[3].key].kind == "HarnessTimeout"
    assert summary.failed == 3
    # The hang may pass: it was tried three times; each crash was confirmed by a second one.
    assert summary.boards[0].retried == 4
    assert sorted(group.kind for group in summary.failures) == [
        "HarnessCrashed",
        "HarnessCrashed",
        "HarnessTimeout",
    ]


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
    summary = run_items([first, dataclasses.replace(second, threads=2)], store, items)
    errors = [board.error for board in summary.boards if board.error is not None]
    assert len(errors) == 1
    assert "give it a tag of its own" in str(errors[0])


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
    from edgeprof.errors import StoreError

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


def test_a_disk_that_fills_up_while_measuring_loses_nothing(board, store, tmp_path, mounted):
    folder = mounted(tmp_path / "small", "size=24m")
    [spec] = specs(board, folder=str(folder / "edgeprof"))
    items = null_items(8, **SLOW_JOB)
    filler = folder / "filler"

    def fill():
        with filler.open("wb") as stream:
            try:
                while True:
                    stream.write(b"x" * 65536)
                    stream.flush()
            except OSError:
                pass

    watching = Watching("measuring", once(lambda _: later(0.4, fill)))
    later(6.0, lambda: filler.unlink(missing_ok=True))
    run_items([spec], store, items, listener=watching)
    filler.unlink(missing_ok=True)
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


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1])
def test_400_items_on_8_boards_survive_a_kill_every_few_seconds(tmp_path, seed):
    dice = random.Random(seed)
    count, kills = 400, []
    with rack.Rack(tmp_path, 8) as loopback:

        def kill_program(board):
            for pid in board.processes("edgeprof-harness"):
                rack.kill(pid)

        def kill_sshd(board):
            board.kill_sshd()
            board.start()

        while True:
            with controller(
                loopback,
                tmp_path,
                count,
                job=SLOW_JOB,
                batch_size=10,
                policy={"board_failures": 50},
            ) as process:
                while process.poll() is None:
                    time.sleep(dice.uniform(2.0, 5.0))
                    kind = dice.choice(["controller", "program", "sshd"])
                    kills.append(kind)
                    if kind == "controller":
                        process.kill()
                    else:
                        target = dice.choice(loopback.boards)
                        (kill_program if kind == "program" else kill_sshd)(target)
                if process.returncode == 0:
                    break
        governors = {board.governor for board in loopback.boards}
    with Store(tmp_path / "run.db") as store:
        assert measured(store) == keys(null_items(count))
        assert not list(store.failures())
    assert governors == {"ondemand"}
    print(f"seed {seed}: {len(kills)} kills: { {kind: kills.count(kind) for kind in set(kills)} }")


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
