"""A bulk run stores every record once and continues where it stopped."""

import csv
import dataclasses
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from edgeprof import get_space
from edgeprof.base.errors import RuntimeUnavailable
from edgeprof.cli import cli
from edgeprof.cli.profile import ProfileArguments
from edgeprof.records.campaign_samples import LINK_PREFIX, estimate_device
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.store import Store
from edgeprof.runs.context import RunOptions
from edgeprof.runs.queue import RetryPolicy
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import measure_here
from edgeprof.runs.subnets import SubnetWorkload, subnet_key
from edgeprof.runs.workload import REFERENCES, Target

SUBNETS = get_space("ofa-mbv3-w1.0").sample(3, np.random.default_rng(0), [128])
QUICK = ProfileSettings(max_secs=0.2, ci_rel=0.5)
# That a busy machine disturbs samples is no matter of these tests.
ONCE = RunOptions(policy=RetryPolicy(attempts=1))


def profile(subnets, store, settings=QUICK, *, retry_failed=False):
    models = store.path.with_name("models")
    workload = SubnetWorkload(subnets, store, settings, models, retry_failed=retry_failed)
    return measure_here(workload, "here", options=ONCE)


def target(settings=QUICK, device="here", version="build"):
    return Target(device, settings, version, {})


def test_a_run_measures_each_subnet_once_and_resumes(tmp_path):
    pytest.importorskip("onnxruntime")
    with Store(tmp_path / "s.db") as store:
        first = profile(SUBNETS[:2], store)
        assert (first.measured, first.found_done, first.failed) == (2, 0, 0)
        again = profile([*SUBNETS, SUBNETS[0]], store)
        assert (again.measured, again.found_done, again.failed) == (1, 2, 0)
        found = list(store.measurements("here"))
        assert [measurement.subnet for measurement in found] == SUBNETS
        for measurement in found:
            assert measurement.model_kind == "onnx-fp32-b1"
            samples = measurement.record["samples"]["latency_ns"]
            assert len(samples) == measurement.record["summary"]["n_samples"]
            assert measurement.record["machine"]["kernel"]


def test_batches_share_items(tmp_path):
    pytest.importorskip("onnxruntime")
    with Store(tmp_path / "s.db") as store:
        workload = SubnetWorkload(SUBNETS, store, QUICK, tmp_path / "models")
        summary = measure_here(workload, "here", options=dataclasses.replace(ONCE, batch_size=2))
        assert (summary.measured, summary.found_done) == (3, 0)
        stored = {item.job_key: item for item in store.measurements(references=True)}
        own = {item.job_key for item in store.measurements()}
        found = estimate_device(store, "here")
    links = [key for key in stored if key.startswith(LINK_PREFIX)]
    assert links
    assert {key.removeprefix(LINK_PREFIX).split("@")[0] for key in links} <= own
    assert found is not None
    assert found.items.keys() == own
    again = found.items[links[0].removeprefix(LINK_PREFIX).split("@")[0]]
    assert again.n_processes > stored[links[0]].record["campaign"]["processes"]


def test_runs_into_one_store_share_items(tmp_path):
    pytest.importorskip("onnxruntime")
    with Store(tmp_path / "s.db") as store:
        profile(SUBNETS[:2], store)
        profile(SUBNETS[2:], store)
        keys = [item.job_key for item in store.measurements(references=True)]
        own = [item.job_key for item in store.measurements()]
    [link] = [key for key in keys if key.startswith(LINK_PREFIX)]
    assert link.removeprefix(LINK_PREFIX).split("@")[0] in own[:2]


def test_subnets_are_measured_in_turns_and_references_are_stored_with_them(tmp_path):
    pytest.importorskip("onnxruntime")
    with Store(tmp_path / "s.db") as store:
        profile(SUBNETS, store)
        stored = list(store.measurements(references=True))
        export_dataset(store, tmp_path / "d.csv", include_poor=True)
        assert [item.subnet for item in store.measurements()] == SUBNETS
    references = [item for item in stored if item.model_kind == "reference"]
    assert {item.record["job_id"] for item in references} == set(REFERENCES)
    assert len(stored) == len(SUBNETS) + len(references)
    assert len({item.record["campaign"]["id"] for item in stored}) == 1
    for item in stored:
        samples = item.record["samples"]
        assert item.device == "here"
        assert len(samples["process"]) == len(samples["round"]) == len(samples["latency_ns"])
        assert set(samples["process"]) == {0, 1, 2}
    rows = list(csv.DictReader((tmp_path / "d.csv").read_text().splitlines()))
    assert len(rows) == 3


def test_failures_are_counted_and_do_not_stop_the_rest(tmp_path):
    pytest.importorskip("onnxruntime")
    settings = ProfileSettings(max_secs=0.2, ci_rel=0.5, runtime_options={"no_such_option": "1"})
    with Store(tmp_path / "s.db") as store:
        summary = profile(SUBNETS, store, settings)
        assert summary.failed == 3
        assert len(list(store.failures())) == 3
        assert store.job_keys() == set()


def test_a_missing_runtime_is_named_before_anything_is_written(tmp_path):
    settings = ProfileSettings(runtime="no-such-runtime")
    with Store(tmp_path / "s.db") as store, pytest.raises(RuntimeUnavailable, match="no-such"):
        profile(SUBNETS, store, settings)
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
    other = ProfileSettings(cpus=(0, 1), runtime_options={"b": "2", "a": "1"})
    board = dataclasses.replace(target(other), environment={"A": "b"})
    assert subnet_key(SUBNETS[0], board) == "0d94bc1ff0d03cad0573b54a1838a28d"


def test_what_failed_for_good_is_left_out_until_it_is_asked_for(tmp_path):
    pytest.importorskip("onnxruntime")
    settings = dataclasses.replace(QUICK, runtime_options={"no_such_option": "1"})
    with Store(tmp_path / "s.db") as store:
        profile(SUBNETS[:1], store, settings)
        again = profile(SUBNETS[:1], store, settings)
        assert (again.failed, again.failed_before) == (0, 1)
        asked = profile(SUBNETS[:1], store, settings, retry_failed=True)
        assert (asked.failed, asked.failed_before) == (1, 0)


def test_the_command_prints_what_it_did(tmp_path):
    pytest.importorskip("onnxruntime")
    arguments = ["profile", "-n", "2", "--resolutions", "128", "--max-secs", "0.2", "--ci", "0.5"]
    arguments += ["--store", str(tmp_path / "s.db"), "--json", "--cpus", "0-0", "--attempts", "1"]
    for expected in ({"measured": 2, "resumed": 0}, {"measured": 0, "resumed": 2}):
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        assert json.loads(result.stdout) == {**expected, "failed": {}}
        (line,) = result.stderr.splitlines()
        assert re.match(r".*: (good|usable|poor): noise floor .*%, latencies differ by .*%", line)


def test_an_interrupted_campaign_keeps_its_rounds_and_resumes(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("EDGEPROF_CACHE", str(tmp_path / "cache"))
    store_path = tmp_path / "s.db"
    command = [sys.executable, "-m", "edgeprof", "profile", "--store", str(store_path), "-n", "4"]
    command += ["--resolutions", "128", "--max-secs", "1", "--ci", "0.0001"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as run:
        while run.poll() is None and len(rounds_in(tmp_path)) < 3:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        complaint = run.stderr.read()
    assert run.returncode == 1
    assert "Traceback" not in complaint
    kept = rounds_in(tmp_path)
    assert len(kept) >= 3
    result = CliRunner().invoke(cli, [*command[3:], "--json"], catch_exceptions=False)
    assert json.loads(result.stdout) == {"measured": 4, "resumed": 0, "failed": {}}
    with Store(store_path, create=False) as store:
        stored = list(store.measurements(references=True))
    before = {ns for line in kept for visit in line["visits"].values() for ns in visit["begin_ns"]}
    assert before <= {ns for item in stored for ns in item.record["samples"]["begin_ns"]}
    assert not list((tmp_path / "cache" / "board").iterdir())


def rounds_in(folder):
    """The finished rounds of the campaign that is in the queue."""
    lines = []
    for path in folder.glob("cache/board/*/queue/*/rounds.jsonl"):
        whole = path.read_text().rpartition("\n")[0]
        lines += [json.loads(line) for line in whole.splitlines()]
    return [line for line in lines if line["event"] == "round"]


def test_providers_are_options_of_the_runtime_and_make_other_items(tmp_path):
    arguments = ["profile", "--store", str(tmp_path / "s.db"), "--subnets", "none.jsonl"]
    seen = []
    for more in ([], ["--provider", "CUDA", "--provider", "CPU", "--option", "arena=false"]):
        parsed = cli.get_command(None, "profile").make_context("profile", [*arguments[1:], *more])
        seen.append(ProfileArguments(**parsed.params).profile_settings())
    assert seen[0].runtime_options == {}
    assert seen[1].runtime_options == {"arena": False, "providers": ["CUDA", "CPU"]}
    plain, gpu = (subnet_key(SUBNETS[0], target(settings)) for settings in seen)
    assert plain != gpu
