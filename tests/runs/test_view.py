"""What a run shows while it goes on: waits with their reasons, progress within a batch."""

import io
from dataclasses import replace

import pytest
from loopback_fleet import FAST, ItemWorkload, null_items
from rich.console import Console

from edgeprof.boards.batch import Item
from edgeprof.boards.this_machine import LOCK_VARIABLE
from edgeprof.runs.context import RunOptions
from edgeprof.runs.queue import RetryPolicy, WorkQueue
from edgeprof.runs.start import measure_here
from edgeprof.runs.summary import BoardProgress
from edgeprof.runs.view import LiveTable, PlainLog


def shown(*boards, now_s=0.0, width=80):
    table = LiveTable(clock=lambda: now_s)
    for board in boards:
        table.changed(board)
    console = Console(file=io.StringIO(), width=width)
    console.print(table.render())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def board(activity="", since_s=0.0, until_s=None, **values):
    return BoardProgress("pi4", "d", activity, since_s, until_s, **values)


@pytest.mark.parametrize(
    ("activity", "until_s", "words"),
    [
        ("waiting for alice@lab", 600.0, "waiting for alice@lab, 40 s of 10 min"),
        ("waiting to retry 2 (HarnessTimeout)", 50.0, "waiting to retry 2 (HarnessTimeout), 40 s"),
        ("reconnecting (try 2 of 5)", 60.0, "reconnecting (try 2 of 5), 40 s of 1 min"),
        ("waiting for other boards", None, "waiting for other boards, 40 s"),
        ("measuring 50", 240.0, "measuring 50, 40 s of about 4 min"),
        ("done", None, "done"),
    ],
)
def test_what_a_board_does_is_shown_with_how_long_it_takes(activity, until_s, words):
    row = shown(board(activity, until_s=until_s), now_s=40.0, width=120)[1]
    assert words in row


def test_a_bar_counts_a_batch_under_way_by_its_time():
    half = board("measuring 20", until_s=100.0, under_way=20, measured=10, busy_s=50.0, left=30)
    *_, bar = shown(half, now_s=50.0)
    assert bar.split("  ")[-1].strip() == "20 of 40"
    *_, late = shown(half, now_s=500.0)
    assert late.split("  ")[-1].strip() == "29 of 40"  # not all before the records are here


def test_the_time_left_is_told_before_the_first_batch_is_done():
    first = board("measuring 20", until_s=600.0, under_way=20, left=40)
    assert shown(first, now_s=300.0)[1].endswith("15 min")


def test_columns_without_news_are_left_out():
    assert shown(board("measuring 3"))[0].split() == [
        "BOARD",
        "DOING",
        "DONE",
        "PER",
        "MIN",
        "LEFT",
    ]
    assert "FAILED" in shown(board("measuring 3", failed=1))[0]


@pytest.mark.parametrize("width", [60, 80])
def test_the_table_fits_a_terminal(width):
    rows = shown(
        board(
            "waiting to retry 12 (UnsteadyMeasurement)",
            until_s=100.0,
            measured=1234,
            failed=3,
            retried=12,
            temp_mdegc=61_000,
            busy_s=6000.0,
            left=300,
        ),
        width=width,
    )
    assert max(map(len, rows)) <= width
    assert "1234" in rows[1]


def test_a_log_says_what_is_waited_for_once_and_how_long():
    lines = []
    log = PlainLog(lines.append)
    log.changed(board("waiting for alice@lab", until_s=600.0))
    log.changed(board("waiting for alice@lab", until_s=600.0))
    log.changed(board("measuring 3"))
    log.changed(board("waiting to retry 1 (HarnessTimeout)", until_s=2.0))  # soon over
    log.changed(board("waiting for alice@lab", until_s=600.0))
    assert lines == ["pi4: waiting for alice@lab, 10 min at most"] * 2


def test_a_queue_knows_why_items_are_paused():
    items = [Item(key, None, None, {}) for key in "abc"]
    queue = WorkQueue(items, RetryPolicy())
    queue.take(3, 1, 0.0)
    queue.retry(items[0], 0.0, "HarnessTimeout")
    queue.retry(items[1], 0.0, "HarnessTimeout")
    queue.doubt(items[2], "pi4", 0.0, "HarnessCrashed")
    assert queue.paused() == {"HarnessTimeout": 2, "HarnessCrashed": 1}


def test_a_run_that_waits_to_retry_says_why(store, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPROF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "lock"))
    workload = ItemWorkload(store, null_items(1, runtime_options={"act": "hang"}))
    workload.settings = replace(workload.settings, max_load_secs=0.3)
    seen = []

    class Listener:
        def changed(self, board):
            if board.activity.startswith("waiting to retry"):
                seen.append((board.activity, board.until_s - board.since_s))

        def note(self, text):
            pass

    summary = measure_here(workload, "here", options=RunOptions(policy=FAST), listener=Listener())
    assert summary.failed == 1
    assert {activity for activity, _ in seen} == {"waiting to retry 1 (HarnessTimeout)"}
    assert all(0 <= lasts_s <= 0.5 for _, lasts_s in seen)
