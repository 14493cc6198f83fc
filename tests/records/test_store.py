"""The store keeps every record once, refuses foreign files, and survives being killed."""

import contextlib
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from unprivileged import run_unprivileged

from edgeprof import get_space
from edgeprof.base.errors import InvalidRecord, StoreError
from edgeprof.records.network_lists import measured_network
from edgeprof.records.pooling import state_of
from edgeprof.records.store import ImportedRow, Store, StoredMeasurement, network_key

SUBNET = get_space("ofa-mbv3-w1.0").sample(1, np.random.default_rng(0))[0]


def make_record(latency_ns=5_000_000):
    return {
        "record_version": 1,
        "model": {"path": "a.onnx", "sha256": "0" * 64},
        "runtime": {"name": "onnxruntime", "version": "1.32.0"},
        "settings": {"threads": 1},
        "samples": {"latency_ns": [latency_ns] * 3},
        "summary": {
            "latency_median_ns": latency_ns,
            "ci_low_ns": latency_ns - 10,
            "ci_high_ns": latency_ns + 10,
            "n_samples": 3,
        },
    }


def test_a_record_comes_back_as_it_was_appended(tmp_path):
    with Store(tmp_path / "s.db") as store:
        assert store.append(
            make_record(), job_key="a", device="pi", subnet=SUBNET, model_kind="onnx"
        )
    with Store(tmp_path / "s.db", create=False) as store:
        (found,) = store.measurements("pi")
        assert found.record == make_record()
        assert found.subnet == SUBNET
        assert found.model_kind == "onnx"
        assert found.latency_median_ns == 5_000_000
        assert store.devices() == ["pi"]
        assert list(store.measurements("other")) == []


def test_a_key_is_stored_once(tmp_path):
    with Store(tmp_path / "s.db") as store:
        assert store.append(make_record(1), job_key="a", device="pi")
        assert not store.append(make_record(2), job_key="a", device="pi")
        assert [m.latency_median_ns for m in store.measurements()] == [1]
        assert store.job_keys() == {"a"}


def test_failures_are_kept_beside_measurements(tmp_path):
    failure = {"error": {"kind": "HarnessCrashed", "message": "signal 11"}}
    with Store(tmp_path / "s.db") as store:
        store.append_failure(failure, job_key="a", device="pi", subnet=SUBNET)
        store.append_failure(failure, job_key="a", device="pi", subnet=SUBNET)
        assert [f.kind for f in store.failures()] == ["HarnessCrashed"] * 2
        assert store.job_keys() == set()


def test_imported_rows_are_appended_once(tmp_path):
    with Store(tmp_path / "s.db") as store:
        rows = [ImportedRow("pi", SUBNET, 3.5, "a.csv")]
        assert store.append_imported(rows) == 1
        assert store.append_imported(rows) == 0
        assert list(store.imported_rows()) == rows


@pytest.mark.parametrize(
    "verb", ["UPDATE measurements SET device = 'x'", "DELETE FROM measurements"]
)
def test_what_is_stored_cannot_be_changed(tmp_path, verb):
    with Store(tmp_path / "s.db") as store:
        store.append(make_record(), job_key="a", device="pi")
    connection = sqlite3.connect(tmp_path / "s.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(verb)
    connection.close()


def test_a_record_without_summary_is_refused(tmp_path):
    with Store(tmp_path / "s.db") as store, pytest.raises(InvalidRecord, match="summary"):
        store.append({"record_version": 1}, job_key="a", device="pi")


def test_a_foreign_sqlite_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no edgeprof store"):
        Store(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "text.db"
    path.write_text("hello, this is no database at all" * 100)
    with pytest.raises(StoreError, match=r"text\.db: file is not a database"):
        Store(path)


def test_a_missing_store_is_named(tmp_path):
    with pytest.raises(StoreError, match="no such store"):
        Store(tmp_path / "none.db", create=False)


@contextlib.contextmanager
def full_disk(room_bytes):
    """Let files grow to so many bytes and no further."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_one_clear_error_and_appends_nothing(tmp_path):
    rows = [ImportedRow("pi", SUBNET, 3.5, f"{number}.csv") for number in range(2000)]
    with Store(tmp_path / "s.db") as store:
        store.append_imported(rows[:1])
        store._connection.execute("PRAGMA cache_size = 1")  # pages reach the disk at once
        with full_disk(100_000), pytest.raises(StoreError, match=r"s\.db: .*(full|disk)"):
            store.append_imported(rows)
        assert list(store.imported_rows()) == rows[:1]


def test_a_store_that_cannot_be_begun_leaves_no_file(tmp_path):
    with full_disk(0), pytest.raises(StoreError, match=r"s\.db: .*(full|disk)"):
        Store(tmp_path / "s.db")
    assert list(tmp_path.iterdir()) == []


def test_work_that_fails_before_its_first_row_leaves_no_store(tmp_path):
    with pytest.raises(ZeroDivisionError):
        fail_with(Store(tmp_path / "s.db"))
    assert list(tmp_path.iterdir()) == []


def fail_with(*stores):
    with contextlib.ExitStack() as opened:
        for store in stores:
            opened.enter_context(store)
        raise ZeroDivisionError


def test_work_that_fails_leaves_the_store_of_others(tmp_path):
    path = tmp_path / "s.db"
    store = Store(path)
    with Store(path) as other:
        with pytest.raises(ZeroDivisionError):
            fail_with(store)
        assert other.append(make_record(), job_key="a", device="pi")
    with pytest.raises(ZeroDivisionError):
        fail_with(Store(path))
    with Store(path, create=False) as store:
        assert store.job_keys() == {"a"}


def test_a_store_opened_to_read_takes_no_rows(tmp_path):
    Store(tmp_path / "s.db").close()
    with (
        Store(tmp_path / "s.db", create=False) as store,
        pytest.raises(StoreError, match="readonly"),
    ):
        store.append(make_record(), job_key="a", device="pi")


def test_a_store_in_a_read_only_folder_can_be_exported(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    with Store(folder / "s?.db") as store:  # a name that an URI would read otherwise
        store.append(make_record(), job_key="a", device="pi", subnet=SUBNET)
    folder.chmod(0o555)
    output = tmp_path / "out.csv"
    arguments = ("dataset", "export", folder / "s?.db", "-o", output, "--include-poor")
    done = run_unprivileged(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{output}: 1 subnets of pi\n")
    assert [file.name for file in folder.iterdir()] == ["s?.db"]


def test_a_newer_version_is_refused(tmp_path):
    with Store(tmp_path / "s.db"):
        pass
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="update edgeprof"):
        Store(tmp_path / "s.db")


WRITER = """
import json, sys
from pathlib import Path
from edgeprof.records.store import Store
record = json.loads(sys.argv[2])
with Store(Path(sys.argv[1])) as store:
    start = len(store.job_keys())
    for number in range(start, start + 100_000):
        store.append(record, job_key=str(number), device="pi")
        print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_it_reported(tmp_path):
    import json

    path = tmp_path / "s.db"
    for delay_s in (0.05, 0.2):
        command = [sys.executable, "-c", WRITER, str(path), json.dumps(make_record())]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            reported = [writer.stdout.readline()]
            time.sleep(delay_s)
            writer.send_signal(signal.SIGKILL)
            reported += writer.stdout.read().split("\n")[:-1]
        with Store(path, create=False) as store:
            assert {line.strip() for line in reported} <= store.job_keys()
            assert all(m.record == make_record() for m in store.measurements())
    assert Path(path).stat().st_size > 0


def test_a_store_keeps_its_session_wherever_it_lies_and_shares_it_with_none(tmp_path):
    with Store(tmp_path / "a.db") as store, Store(tmp_path / "b.db") as other:
        session = store.session_id()
        assert session == store.session_id()
        assert session != other.session_id()
        assert len(session) == 12
    (tmp_path / "a.db").rename(tmp_path / "c.db")
    with Store(tmp_path / "c.db") as renamed:
        assert renamed.session_id() == session


def test_a_further_signature_of_a_model_is_another_network(tmp_path):
    signatures = {"signature": "encode", "signatures": ["encode", "decode"]}
    first = {"model": {"sha256": "ab"}, "runtime": {"options": signatures}}
    second = {**first, "runtime": {"options": {**signatures, "signature": "decode"}}}
    only = {"model": {"sha256": "ab"}, "runtime": {"options": {"signature": "encode"}}}
    assert network_key(first) == network_key(only) == "ab"
    assert network_key(second) == "ab#decode"
    with Store(tmp_path / "s.db") as store:  # the reader of model files reads the first one only
        assert measured_network(store, second) is None


def test_what_a_model_decides_is_no_state_of_the_device():
    record = {
        "model": {"sha256": "ab"},
        "runtime": {"name": "litert", "version": "2.3.0", "options": {"kernel_mode": "xnnpack"}},
        "settings": {"threads": 1},
    }
    of_model = {"fully_delegated": False, "signature": "a", "signatures": ["a"], "subgraphs": 2}
    options = {**record["runtime"]["options"], **of_model}
    other = {**record, "runtime": {**record["runtime"], "options": options}}
    states = [
        state_of(StoredMeasurement("k", "", "d", None, "tflite", one)) for one in (record, other)
    ]
    assert states[0] == states[1]


def test_reading_leaves_nothing_behind(tmp_path):
    path = tmp_path / "s.db"
    with Store(path) as store:
        store.append(make_record(), job_key="k", device="d", subnet=SUBNET)
    before = path.read_bytes()
    with Store(path, create=False) as store:
        assert len(list(store.measurements())) == 1
        with pytest.raises(StoreError):
            store.append(make_record(), job_key="l", device="d", subnet=SUBNET)
    assert [file.name for file in tmp_path.iterdir()] == ["s.db"]
    assert path.read_bytes() == before
