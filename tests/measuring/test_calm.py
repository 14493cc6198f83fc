"""What is remembered of a calm machine, and how the next measurement uses it."""

import json

import pytest

from edgeprof import _core
from edgeprof.measuring import calm
from edgeprof.measuring.harness import Settings, measure


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEPROF_CALM_MEMORY", "on")
    monkeypatch.setenv("EDGEPROF_CACHE", str(tmp_path / "cache"))


def record(*readings_ns, cpus=()):
    members = [{"calm_canary_ns": ns, "settings": {"cpus": list(cpus)}} for ns in readings_ns]
    return members[0] if len(members) == 1 else {"group": members}


def test_the_calmest_reading_is_remembered():
    assert calm.known_calm_ns() is None
    calm.learn(record(1000))
    calm.learn(record(990, 980))
    calm.learn(record(985))
    assert calm.known_calm_ns() == 980


def test_a_machine_that_became_slower_for_good_is_forgiven():
    calm.learn(record(1000))
    n_runs = 0
    while calm.known_calm_ns() * (1 + _core.CANARY_TOLERANCE_REL) < 2000:
        calm.learn(record(2000))
        n_runs += 1
        assert n_runs < 100
    assert n_runs > 10


def test_cores_have_their_own():
    calm.learn(record(1000, cpus=[0]))
    assert calm.known_calm_ns([0]) == 1000
    assert calm.known_calm_ns([1]) is None


def test_failures_teach_nothing():
    calm.learn({"error": {"kind": "InvalidModel"}})
    assert calm.known_calm_ns() is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": "y"}', "\x00"])
def test_a_garbled_file_counts_as_none(text):
    calm._file().parent.mkdir()
    calm._file().write_text(text)
    assert calm.known_calm_ns() is None
    calm.learn(record(1000))
    assert calm.known_calm_ns() == 1000


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEPROF_CACHE", str(tmp_path / "file" / "below"))
    calm.learn(record(1000))
    assert calm.known_calm_ns() is None


def test_it_can_be_turned_off(monkeypatch):
    calm.learn(record(1000))
    monkeypatch.setenv("EDGEPROF_CALM_MEMORY", "off")
    assert calm.known_calm_ns() is None
    calm.learn(record(500))
    monkeypatch.setenv("EDGEPROF_CALM_MEMORY", "on")
    assert calm.known_calm_ns() == 1000


@pytest.mark.parametrize("in_process", [False, True])
def test_a_measurement_learns_and_the_next_one_tells_of_slowness(in_process):
    settings = Settings(runtime="null", max_secs=0.5, max_drift=1e3)
    first = measure("m", settings, in_process=in_process)
    known_ns = calm.known_calm_ns()
    assert known_ns == first.record["calm_canary_ns"]
    assert not any("slower throughout" in warning for warning in first.warnings)
    (key,) = json.loads(calm._file().read_text())
    calm._file().write_text(json.dumps({key: known_ns / 10}))
    second = measure("m", settings, in_process=in_process)
    assert any("slower throughout than it has been before (canary: " in w for w in second.warnings)
    assert calm.known_calm_ns() == pytest.approx(known_ns / 10 * 1.02, rel=1e-3)
