"""This machine as a board: one run at a time, files used where they lie, Python where needed."""

import json
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from loopback_fleet import FAST, SLOW_JOB, ItemWorkload, keys, measured, null_items, wait_until

from edgeprof.base.errors import BoardBusy, StoreError
from edgeprof.boards.batch import Batch, Item
from edgeprof.boards.deploy import Payload
from edgeprof.boards.this_machine import LOCK_VARIABLE, local_software, this_machine
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import write_subnets
from edgeprof.runs.context import RunOptions
from edgeprof.runs.start import measure_here, only_run

QUICK = RunOptions(policy=FAST, batch_size=5)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """A cache and a lock of the test's own."""
    monkeypatch.setenv("EDGEPROF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "lock"))


def test_every_item_is_measured_once_and_a_repeated_run_measures_nothing(store, tmp_path):
    items = null_items(5)
    first = measure_here(ItemWorkload(store, items), "here", options=QUICK)
    again = measure_here(ItemWorkload(store, items), "here", options=QUICK)
    assert measured(store) == keys(items)
    assert (first.measured, again.measured, again.found_done) == (5, 0, 5)
    assert first.sent_bytes < 200_000  # no program and no library
    assert not list((tmp_path / "cache" / "board").iterdir())


def test_a_second_run_into_the_same_store_is_refused(store):
    with only_run(store), pytest.raises(StoreError, match="another run is measuring into this"):
        measure_here(ItemWorkload(store, null_items(1)), "here", options=QUICK)


def test_a_run_waits_for_another_one_on_this_machine_and_says_for_whom(store, tmp_path):
    holder = '{"owner":"alice@here","session":"other"}\n'
    (tmp_path / "lock").write_text(holder)
    busy = subprocess.Popen(["flock", "-x", "--no-fork", tmp_path / "lock", "sleep", "600"])
    notes = []

    class Listener:
        def changed(self, board):
            if board.activity.startswith("waiting for alice"):
                busy.kill()

        def note(self, text):
            notes.append(text)

    try:
        wait_until(lambda: subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode)
        summary = measure_here(
            ItemWorkload(store, null_items(2)), "here", options=QUICK, listener=Listener()
        )
    finally:
        busy.kill()
        busy.wait()
    assert summary.measured == 2
    [note] = notes
    assert "alice@here measures there" in note
    assert note.endswith("; waiting")


def test_a_run_does_not_wait_for_ever(store, tmp_path):
    (tmp_path / "lock").write_text('{"owner":"alice@here","session":"other"}\n')
    busy = subprocess.Popen(["flock", "-x", "--no-fork", tmp_path / "lock", "sleep", "600"])
    policy = RunOptions(policy=type(FAST)(**{**vars(FAST), "busy_limit_s": 0.2}))
    try:
        wait_until(lambda: subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode)
        with pytest.raises(BoardBusy, match="alice@here"):
            measure_here(ItemWorkload(store, null_items(2)), "here", options=policy)
    finally:
        busy.kill()
        busy.wait()


def test_two_local_runs_take_turns_and_both_finish(tmp_path):
    pytest.importorskip("onnxruntime")
    write_subnets(
        tmp_path / "s.jsonl", get_space("ofa-mbv3-w1.0").sample(2, np.random.default_rng(0), [128])
    )
    command = [sys.executable, "-m", "edgeprof", "profile", "--subnets", tmp_path / "s.jsonl"]
    command += ["--max-secs", "0.2", "--attempts", "1", "--json"]
    runs = [
        subprocess.Popen(
            [*command, "--store", tmp_path / f"{i}.db", "--models", tmp_path / "models"],
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        )
        for i in range(2)
    ]
    results = [json.loads(run.communicate()[0]) for run in runs]
    assert [result["measured"] for result in results] == [2, 2]


def test_models_and_weights_are_used_where_they_lie(tmp_path):
    model = tmp_path / "m.onnx"
    weights = Payload(tmp_path / "w.bin", "0" * 64, executable=False)
    batch = Batch("s.1", (Item("k", model, weights, {"threads": 2}),), {})
    archive = b"".join(batch.archive("/f", "/lib.so", in_place=True))
    assert len(archive) < 1000
    assert [item.name for item in batch_members(archive)] == [
        "jobs.jsonl",
        "environment.json",
        "links",
        "SHA256SUMS",
    ]


def batch_members(archive):
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getmembers()


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_was_measured_and_leaves_no_worker(store, blow, tmp_path):
    main = threading.main_thread()
    items = null_items(100, **SLOW_JOB)

    class Listener:
        def changed(self, board):
            if board.measured and board.activity.startswith("measuring"):
                signal.pthread_kill(main.ident, blow)

        def note(self, text):
            pass

    with pytest.raises(KeyboardInterrupt):
        measure_here(ItemWorkload(store, items), "here", options=QUICK, listener=Listener())
    assert 0 < len(measured(store)) < 100
    assert subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode == 0


def test_a_runtime_that_only_python_opens_is_served_by_a_worker_in_python(tmp_path, store):
    board = this_machine("here", "session")

    class PythonWorkload(ItemWorkload):
        """The null runtime, through the script that stands in for the program."""

    from edgeprof.boards.this_machine import LocalNetwork, _door_script
    from edgeprof.runs.start import measure_on

    script = _door_script(tmp_path / "site-packages" / "tflite_runtime" / "library.so")
    asked = []

    def find(spec, facts):
        asked.append(spec)
        software = local_software(spec, facts)
        return type(software)(Payload.of(script, executable=True), None)

    workload = PythonWorkload(store, null_items(3))
    summary = measure_on(
        workload, [board.__class__(**{**vars(board), "runtime": "null"})], find=find,
        options=QUICK, open_network=LocalNetwork,
    )  # fmt: skip
    assert asked
    assert summary.measured == 3
    assert measured(store) == keys(null_items(3))
