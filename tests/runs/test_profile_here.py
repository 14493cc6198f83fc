"""A bulk run stores every record once and continues where it stopped."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from edgeprof import get_space
from edgeprof.base.errors import RuntimeUnavailable, StoreError
from edgeprof.cli import cli
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.store import Store
from edgeprof.runs.context import RunOptions
from edgeprof.runs.queue import RetryPolicy
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.subnets import SubnetWorkload, profile_here, subnet_key
from edgeprof.runs.workload import Target

SUBNETS = get_space("ofa-mbv3-w1.0").sample(3, np.random.default_rng(0), [128])
QUICK = ProfileSettings(max_secs=0.2, ci_rel=0.5)
# That a busy machine disturbs samples is no matter of these tests.
ONCE = RunOptions(policy=RetryPolicy(attempts=1))


def target(settings=QUICK, device="here", version="build"):
    return Target(device, settings, version, {})


def test_a_run_measures_each_subnet_once_and_resumes(tmp_path):
    pytest.importorskip("onnxruntime")
    with Store(tmp_path / "s.db") as store:
        arguments = {"device": "here", "settings": QUICK, "models": tmp_path / "models"}
        arguments["options"] = ONCE
        first = profile_here(SUBNETS[:2], store, **arguments)
        assert (first.measured, first.found_done, first.failed) == (2, 0, 0)
        again = profile_here([*SUBNETS, SUBNETS[0]], store, **arguments)
        assert (again.measured, again.found_done, again.failed) == (1, 2, 0)
        found = list(store.measurements("here"))
        assert [measurement.subnet for measurement in found] == SUBNETS
        for measurement in found:
            assert measurement.model_kind == "onnx-fp32-b1"
            samples = measurement.record["samples"]["latency_ns"]
            assert len(samples) == measurement.record["summary"]["n_samples"]
            assert measurement.record["machine"]["kernel"]


def test_passes_measure_all_subnets_again_in_another_order(tmp_path):
    pytest.importorskip("onnxruntime")
    many = get_space("ofa-mbv3-w1.0").sample(30, np.random.default_rng(1))
    once, thrice = (ProfileSettings(passes=n) for n in (1, 3))
    with Store(tmp_path / "none.db") as store:
        workload = SubnetWorkload(many, store, thrice, tmp_path)
        items = workload.items(target(thrice))
        assert list(items)[:30] == list(workload.items(target(once)))
    orders = [list(items.values())[i : i + 30] for i in (0, 30, 60)]
    assert orders[0] == many
    assert all(sorted(s.id for s in order) == sorted(s.id for s in many) for order in orders)
    assert orders[1] != orders[0] != orders[2] != orders[1]
    with Store(tmp_path / "s.db") as store:
        settings = dataclasses.replace(QUICK, passes=2)
        arguments = {"device": "here", "models": tmp_path / "models", "options": ONCE}
        profile_here(SUBNETS, store, settings=QUICK, **arguments)
        summary = profile_here(SUBNETS, store, settings=settings, **arguments)
        assert (summary.measured, summary.found_done) == (3, 3)
        export_dataset(store, tmp_path / "d.csv", include_poor=True)
    rows = list(csv.DictReader((tmp_path / "d.csv").read_text().splitlines()))
    assert [row["n_measurements"] for row in rows] == ["2", "2", "2"]


def test_failures_are_counted_and_do_not_stop_the_rest(tmp_path):
    pytest.importorskip("onnxruntime")
    settings = ProfileSettings(max_secs=0.2, ci_rel=0.5, runtime_options={"no_such_option": "1"})
    with Store(tmp_path / "s.db") as store:
        summary = profile_here(
            SUBNETS, store, device="here", settings=settings, models=tmp_path / "models"
        )
        assert summary.failed == 3
        assert len(list(store.failures())) == 3
        assert store.job_keys() == set()


def test_a_missing_runtime_is_named_before_anything_is_written(tmp_path):
    settings = ProfileSettings(runtime="no-such-runtime")
    with Store(tmp_path / "s.db") as store, pytest.raises(RuntimeUnavailable, match="no-such"):
        profile_here(SUBNETS, store, device="here", settings=settings, models=tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_the_key_names_what_gives_the_latency():
    def key(subnet=SUBNETS[0], **changes):
        return subnet_key(subnet, target(**changes))

    assert key() == key(settings=ProfileSettings(max_secs=9))
    assert key() != key(settings=ProfileSettings(threads=2))
    assert key() != key(version="another build")
    assert key() != key(device="jetson")
    assert key() != key(SUBNETS[1])


def test_keys_are_those_of_the_first_version():
    assert subnet_key(SUBNETS[0], target()) == "3ddbe7bcce9bbb849bb19c457ab29d4e"
    other = ProfileSettings(cpus=(0, 1), passes=2, runtime_options={"b": "2", "a": "1"})
    board = dataclasses.replace(target(other), environment={"A": "b"})
    assert subnet_key(SUBNETS[0], board, 1) == "eb09172d43f02e47d3a1da0d626c3c45"


def test_what_failed_for_good_is_left_out_until_it_is_asked_for(tmp_path):
    pytest.importorskip("onnxruntime")
    settings = dataclasses.replace(QUICK, runtime_options={"no_such_option": "1"})
    arguments = {"device": "here", "settings": settings, "models": tmp_path / "models"}
    with Store(tmp_path / "s.db") as store:
        profile_here(SUBNETS[:1], store, **arguments)
        again = profile_here(SUBNETS[:1], store, **arguments)
        assert (again.failed, again.failed_before) == (0, 1)
        asked = profile_here(SUBNETS[:1], store, **arguments, retry_failed=True)
        assert (asked.failed, asked.failed_before) == (1, 0)


def test_the_command_prints_what_it_did(tmp_path):
    pytest.importorskip("onnxruntime")
    arguments = ["profile", "-n", "2", "--resolutions", "128", "--max-secs", "0.2", "--ci", "0.5"]
    arguments += ["--store", str(tmp_path / "s.db"), "--json", "--cpus", "0-0", "--attempts", "1"]
    for expected in ({"measured": 2, "resumed": 0}, {"measured": 0, "resumed": 2}):
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        assert json.loads(result.output) == {**expected, "failed": {}}


def test_an_interrupted_run_leaves_a_valid_store_and_resumes(tmp_path):
    pytest.importorskip("onnxruntime")
    store_path = tmp_path / "s.db"
    command = [sys.executable, "-m", "edgeprof", "profile", "--store", str(store_path)]
    command += ["-n", "200", "--resolutions", "128", "--max-secs", "0.2", "--ci", "0.5"]
    command += ["--attempts", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as run:
        while run.poll() is None and not (store_path.exists() and count_measured(store_path)):
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        complaint = run.stderr.read()
    assert run.returncode == 1
    assert "Traceback" not in complaint
    n_measured = count_measured(store_path)
    assert 0 < n_measured < 200
    result = CliRunner().invoke(cli, [*command[3:], "--json", "-n", "1"], catch_exceptions=False)
    assert json.loads(result.output) == {"measured": 0, "resumed": 1, "failed": {}}


def count_measured(path):
    try:
        with Store(path, create=False) as store:
            return len(store.job_keys())
    except StoreError:  # its tables are being made
        return 0
