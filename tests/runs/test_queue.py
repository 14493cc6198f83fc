"""The rules of a fleet run, without any board."""

import asyncio
import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.base.errors import BoardSetupError, BoardUnreachable, InvalidRecord
from edgeprof.boards.batch import Batch, Item, parse_records
from edgeprof.boards.claim import Owner
from edgeprof.boards.deploy import Payload
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.prepared import prepare, restore
from edgeprof.boards.transport import Completed, FakeTransport
from edgeprof.runs.queue import RetryPolicy, Verdict, WorkQueue, verdict_of
from edgeprof.runs.summary import BoardProgress, group_failures
from edgeprof.runs.view import LiveTable, PlainLog, format_minutes

POLICY = RetryPolicy(attempts=3, backoff_s=2.0, backoff_limit_s=10.0)
FACTS = BoardFacts("/home/pi/.edgeprof", "aarch64", "6.1", (2, 36), 4, None, 1 << 30, frozenset())


BOARD = BoardSpec("b", "b")
ME = Owner("me@here", "session")


def queue_of(count, policy=POLICY):
    return WorkQueue([Item(str(i), None, None, {}) for i in range(count)], policy)


def keys(items):
    return [item.key for item in items]


def test_items_are_taken_in_order_and_shared_fairly():
    queue = queue_of(10)
    assert keys(queue.take(50, boards=2, now_s=0)) == ["0", "1", "2", "3", "4"]
    assert keys(queue.take(2, boards=1, now_s=0)) == ["5", "6"]
    assert keys(queue.take(50, boards=9, now_s=0)) == ["7"]


def test_a_batch_is_linked_by_items_that_it_does_not_have():
    items = [Item(str(i), None, None, {}) for i in range(20)]
    queue = WorkQueue(items, POLICY, links=items[::4])
    assert keys(queue.links_beside(items[:1])) == ["link:4"]
    assert keys(queue.links_beside(items[1:20])) == ["link:0"]
    assert keys(queue.links_beside(items)) == []
    others = [Item(f"other{i}", None, None, {}) for i in range(40)]
    assert keys(queue.links_beside(others)) == [f"link:{i}" for i in (0, 4, 8, 12, 16)]
    queue.drop_link("link:8")
    assert "link:8" not in keys(queue.links_beside(others))


def test_an_item_that_failed_in_passing_comes_again_after_a_growing_pause():
    queue = queue_of(1)
    [item] = queue.take(1, 1, now_s=0)
    assert queue.retry(item, now_s=100)
    assert queue.next_ready_s() == 102
    assert queue.take(1, 1, now_s=101) == []
    assert keys(queue.take(1, 1, now_s=102)) == ["0"]
    assert queue.retry(item, now_s=200)
    assert queue.next_ready_s() == 204
    queue.take(1, 1, now_s=204)
    assert not queue.retry(item, now_s=300)  # the third attempt was the last


def test_pauses_grow_to_a_limit():
    assert [POLICY.backoff_after(n) for n in (1, 2, 3, 4, 9)] == [2, 4, 8, 10, 10]


def test_an_item_finishes_once():
    queue = queue_of(2)
    first, second = queue.take(2, 1, now_s=0)
    assert queue.finish(first)
    assert not queue.finish(first)
    queue.put_back([first, second])  # a board was lost; one of its records had come
    assert keys(queue.take(9, 1, now_s=0)) == ["1"]
    assert queue.unfinished == 1


def test_what_a_board_still_holds_is_not_handed_to_another():
    queue = queue_of(4)
    assert keys(queue.claim(["1", "3", "unknown"])) == ["1", "3"]
    assert keys(queue.take(9, 1, now_s=0)) == ["0", "2"]
    assert queue.claim(["0"]) == []  # under way elsewhere


@given(st.lists(st.sampled_from(["take", "finish", "retry", "put_back"]), max_size=60))
def test_no_item_is_lost_or_handed_out_twice(steps):
    queue, out, now_s, done = queue_of(5), [], 0.0, set()
    for step in steps:
        now_s += 5
        if step == "take":
            taken = queue.take(2, 1, now_s)
            assert not {item.key for item in taken} & {item.key for item in out}
            out += taken
        elif out:
            item = out.pop(0)
            if step == "put_back" or (step == "retry" and queue.retry(item, now_s)):
                queue.put_back([item] if step == "put_back" else [])
            else:
                queue.finish(item)
                done.add(item.key)
    left = queue.take(9, 1, now_s + 1000)
    assert {item.key for item in [*left, *out]} | done == set("01234")
    assert queue.unfinished == 5 - len(done)


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ({"summary": {"n_samples": 10}}, Verdict.MEASURED),
        ({"error": {"transient": True}}, Verdict.PASSING),
        ({"error": {"transient": False, "kind": "HarnessCrashed"}}, Verdict.DOUBTFUL),
        ({"error": {"transient": False}}, Verdict.FAILED),
        ({"error": {}}, Verdict.FAILED),
    ],
)
def test_a_record_says_what_becomes_of_its_item(record, verdict):
    assert verdict_of(record) is verdict


def failure(model, message):
    return {"model": {"path": model}, "error": {"kind": "HarnessCrashed", "message": message}}


def test_failures_of_one_cause_are_one_group():
    groups = group_failures(
        [
            failure("a.onnx", "a.onnx: died of signal 4 in pid 17"),
            failure("b.onnx", "b.onnx: died of signal 4 in pid 18"),
            failure("c.onnx", "c.onnx: no memory"),
        ]
    )
    assert [(group.count, group.example) for group in groups] == [
        (2, "a.onnx: died of signal 4 in pid 17"),
        (1, "c.onnx: no memory"),
    ]


def test_a_batch_travels_as_numbers_of_ours(tmp_path):
    ugly = tmp_path / "a b;$(id)\n-x.onnx"
    ugly.write_bytes(b"model")
    (tmp_path / "w.bin").write_bytes(b"weights")
    weights = Payload.of(tmp_path / "w.bin", executable=False)
    items = (Item("k1", ugly, weights, {"threads": 2}), Item("k2", ugly, None, {}))
    archive = b"".join(Batch("s.1", items, {"A": "b c"}).archive("/f", "/f/objects/x/lib.so"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()
        jobs = [json.loads(line) for line in tar.extractfile("jobs.jsonl")]
        links = tar.extractfile("links").read().decode()
    group = f"m/{weights.sha256[:16]}"
    assert names == [
        f"{group}/0.onnx",
        "m/1.onnx",
        "jobs.jsonl",
        "environment.json",
        "links",
        "SHA256SUMS",
    ]
    assert jobs[0] == {
        "threads": 2,
        "job_id": "k1",
        "library": "/f/objects/x/lib.so",
        "model": f"/f/queue/s.1/{group}/0.onnx",
    }
    assert links == f"{weights.address}\t{group}/w.bin\n"


def test_a_torn_record_is_no_record():
    assert list(parse_records(b'{"job_id":"a"}\n{"job_id":"b"')) == ["a"]
    assert parse_records(b"") == {}
    assert list(parse_records(b'\0\0\0\n[]\n{"job_id":"b"}\n')) == ["b"]


def test_a_record_that_says_nothing_is_refused():
    with pytest.raises(InvalidRecord):
        verdict_of({"job_id": "a"})


def run_prepared(status, stdout=b"", stderr=b""):
    def answer(argv, stdin):
        assert stdin  # the scripts
        assert argv[-1] in ("--json", "3600")
        return Completed(status, stdout, stderr)

    return FakeTransport(answer)


def test_a_board_without_root_is_measured_as_it_is():
    transport = run_prepared(77, stderr=b"no root there (sudo -n is refused)\n")
    state = asyncio.run(prepare(transport, BOARD, FACTS, ME, lease_s=3600))
    assert not state.is_prepared
    assert state.reason == "no root there (sudo -n is refused)"


def test_a_state_that_cannot_be_restored_is_an_error_with_the_command_to_try_again():
    transport = run_prepared(1, stderr=b"policy0: could not be restored\n")
    with pytest.raises(BoardSetupError, match="edgeprof boards restore b"):
        asyncio.run(restore(transport, BOARD, FACTS, ME))


def test_a_killed_setup_is_tried_again():
    with pytest.raises(BoardUnreachable):
        asyncio.run(prepare(run_prepared(-9), BOARD, FACTS, ME, lease_s=3600))


def test_the_plain_log_says_news_and_not_too_often():
    lines, now = [], [0.0]
    log = PlainLog(lines.append, clock=lambda: now[0])
    board = BoardProgress("b", "d")
    log.changed(board)
    board.measured = 3
    log.changed(board)
    board.measured = 4
    log.changed(board)
    now[0] = 11.0
    log.changed(board)
    assert lines == ["b: 3 measured, 0 failed", "b: 4 measured, 0 failed"]


def test_the_live_table_has_a_row_for_each_board():
    from rich.console import Console

    table = LiveTable()
    first = BoardProgress("[red]b1", "d", "measuring 3", measured=4, busy_s=60.0, left=7)
    table.changed(first)
    table.changed(BoardProgress("b2", "d", temp_mdegc=61_200, left=6))
    table.changed(BoardProgress("b3", "other", measured=10, busy_s=60.0, left=50))
    console = Console(file=io.StringIO(), width=120)
    console.print(table.render())
    rows = console.file.getvalue().splitlines()
    assert "[red]b1" in rows[1]
    assert "4.0" in rows[1]
    assert "61 C" in rows[2]
    # Each queue for itself: 6 left at 4 a minute, 50 at 10.
    assert [row.split()[-2:] for row in rows[1:4]] == [["2", "min"], ["2", "min"], ["5", "min"]]


def test_durations_are_written_for_people():
    assert [format_minutes(m) for m in (0.5, 12.2, 185)] == ["30 s", "12 min", "3 h 05 min"]
