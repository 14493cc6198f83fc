"""Campaigns as the board program runs them: a batch folder in, records out."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from edgeprof.measuring.harness import PROGRAM
from edgeprof.measuring.measurement import Measurement


def null_job(job_id, **options):
    """Return a job of the null runtime."""
    return {"job_id": job_id, "runtime": "null", "model": job_id, "runtime_options": options}


@pytest.fixture
def batch(tmp_path):
    """Return a function that makes a batch folder of jobs and settings."""

    def make(jobs, **settings):
        (tmp_path / "campaign.json").write_text(json.dumps(settings))
        (tmp_path / "jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs))
        return tmp_path

    return make


def run(folder):
    """Work a batch folder off; return its records by job."""
    subprocess.run([PROGRAM, "campaign", folder], check=True, timeout=300)
    return records_of(folder)


def records_of(folder):
    lines = (folder / "records.jsonl").read_text().splitlines()
    records = {record["job_id"]: record for record in map(json.loads, lines)}
    assert len(records) == len(lines)
    return records


def test_records_of_a_campaign_are_measurements(batch):
    jobs = [null_job("a", latency_us=500), null_job("b", latency_us=1000, noise_rel=0.05)]
    records = run(batch(jobs, budget_secs=1.0, seed=4))
    for job_id in ("a", "b", "reference:arithmetic", "reference:memory"):
        measured = Measurement.from_record(records[job_id])
        assert measured.n_samples == len(records[job_id]["samples"]["begin_ns"])
    campaign = records["a"]["campaign"]
    assert campaign["processes"] >= 3
    assert len(campaign["load_ns"]) >= 3
    assert records["b"]["summary"]["latency_median_ns"] > 900_000


def test_what_differs_between_processes_stands_in_the_samples(batch):
    records = run(batch([null_job("m", latency_us=1000, modes=[1, 2])], budget_secs=1.0))
    samples = records["m"]["samples"]
    assert sorted(set(samples["process"])) == list(range(max(samples["process"]) + 1))
    by_process = {}
    for process, latency_ns in zip(samples["process"], samples["latency_ns"], strict=True):
        by_process.setdefault(process, []).append(latency_ns)
    for latencies in by_process.values():
        assert min(latencies) > 2 * 990_000 or min(latencies) < 1_900_000


def test_a_campaign_killed_at_any_moment_keeps_its_rounds_and_goes_on(batch):
    jobs = [null_job(name, latency_us=2000, noise_rel=0.3) for name in "abc"]
    folder = batch(jobs, budget_secs=1.5, ci_rel=1e-5)
    rounds = folder / "rounds.jsonl"
    kept = b""
    for n_lines in (5, 12):
        process = subprocess.Popen([PROGRAM, "campaign", folder])
        deadline = time.monotonic() + 120
        while not rounds.exists() or rounds.read_bytes().count(b"\n") < n_lines:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.2)  # its child dies with it
        text = rounds.read_bytes()
        assert text.startswith(kept)
        kept = text[: text.rindex(b"\n") + 1]
    records = run(folder)
    assert rounds.read_bytes().startswith(kept)
    measured = {}
    for line in rounds.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "round":
            for job_id, visit in event["visits"].items():
                measured[job_id] = measured.get(job_id, 0) + len(visit["latency_ns"])
    for name in "abc":
        samples = records[name]["samples"]
        assert len(samples["latency_ns"]) == measured[name]
        assert samples["begin_ns"] == sorted(samples["begin_ns"])
    assert run(folder) == records


LONG_S = 3600


def wait_for(is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_campaign_ends_with_whoever_started_it(batch):
    folder = batch([null_job("a", latency_us=2000)], budget_secs=LONG_S, ci_rel=1e-6)
    with subprocess.Popen(
        [PROGRAM, "campaign", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for((folder / "rounds.jsonl").exists)
        process.stdout.close()  # as the death of the other process does
        assert process.stderr.read() == (
            "edgeprof-harness: nobody reads what a campaign would tell\n"
        )
        assert process.wait(120) == 1


def test_jobs_end_with_whoever_waits_for_their_records(tmp_path):
    job = {**null_job("a", latency_us=2000), "max_secs": LONG_S, "ci_rel": 1e-6}
    progress = tmp_path / "progress"
    progress.touch()
    line = json.dumps({**job, "progress_file": str(progress)})
    with subprocess.Popen(
        [PROGRAM, "run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write(line + "\n")
        process.stdin.close()  # no more jobs: the one at hand goes on
        wait_for(progress.read_bytes)
        assert process.poll() is None
        process.stdout.close()
        assert "records cannot be written" in process.stderr.read()
        assert process.wait(120) == 1


def test_a_campaign_whose_output_nobody_could_read_goes_on(batch):
    folder = batch([null_job("a", latency_us=500)], budget_secs=0.5)
    with (folder / "log").open("w") as log:
        subprocess.run([PROGRAM, "campaign", folder], check=True, timeout=300, stdout=log)
    assert "error" not in records_of(folder)["a"]


KILLED = """
import os, sys, threading, time
from pathlib import Path
from edgeprof.measuring.local_campaign import run_campaign

job = {"runtime": "null", "model": "a", "runtime_options": {"latency_us": 2000}}
threading.Thread(
    target=run_campaign,
    args=({"a": job}, {"budget_secs": 3600.0, "ci_rel": 1e-6}),
    daemon=True,
).start()
time.sleep(3600)
"""


def test_a_killed_python_leaves_no_campaign_behind(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as python:
        try:
            wait_for(lambda: list(tmp_path.glob("*/rounds.jsonl")) or python.poll() is not None)
            [folder] = [path.parent for path in tmp_path.glob("*/rounds.jsonl")]
            assert programs_in(folder)
        finally:
            python.kill()
    wait_for(lambda: not programs_in(folder))


def programs_in(folder):
    """Return the processes that were started with this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if os.fsencode(folder) in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def test_a_bad_campaign_file_is_the_error_of_every_job(batch):
    records = run(batch([null_job("a"), null_job("b")], processes=0))
    assert {record["error"]["kind"] for record in records.values()} == {"InvalidJob"}
    assert "campaign.processes" in records["a"]["error"]["message"]


def test_a_thousand_records_stay_small(batch):
    jobs = [null_job(f"n{i}", latency_us=400, noise_rel=0.1) for i in range(2)]
    folder = batch(jobs, budget_secs=3.0, ci_rel=1e-6)
    run(folder)
    lines = (folder / "records.jsonl").read_text().splitlines()
    assert max(map(len, lines)) < 100_000
