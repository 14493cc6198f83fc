"""`edgeprof profile --boards`: subnets measured with a real runtime on boards, and through Dask."""

import asyncio
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import rack
from dask_cluster import scheduler, worker
from loopback_fleet import SLOW_JOB, null_items, run_items
from run_cli import run

from edgeprof.boards.deploy import Payload, Software
from edgeprof.boards.inventory import BoardSpec, read_inventory
from edgeprof.boards.transport.dask import DaskNetwork
from edgeprof.export import export_subnets
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import write_subnets
from edgeprof.records.store import Store
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.subnets import SubnetWorkload

pytestmark = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def edgeprof(*arguments, status=0):
    result = run(*arguments)
    assert result.exit_code == status, (result.output, result.exception)
    return result


@pytest.fixture
def subnets(tmp_path):
    drawn = get_space("ofa-mbv3-w1.0").sample(2, np.random.default_rng(0), [128])
    write_subnets(tmp_path / "subnets.jsonl", drawn)
    return drawn


def test_subnets_are_measured_on_boards_and_a_repeated_command_resumes(boards, subnets, tmp_path):
    pytest.importorskip("onnxruntime")
    boards.inventory(extra="")
    command = ["profile", "--subnets", "subnets.jsonl", "--max-secs", "0.3", "--store", "s.db"]
    # One attempt: that a busy machine disturbs samples is no matter of this test.
    command += ["--boards", "boards.yaml", "--json", "--attempts", "1"]
    summary = json.loads(edgeprof(*command).stdout)
    assert (summary["measured"], summary["failed"], summary["duplicates"]) == (2, 0, 0)
    again = json.loads(edgeprof(*command).stdout)
    assert (again["measured"], again["found_done"]) == (0, 2)
    with Store(tmp_path / "s.db") as store:
        measurements = list(store.measurements("loopback"))
    assert {m.subnet.id for m in measurements} == {subnet.id for subnet in subnets}
    record = measurements[0].record
    assert record["model"]["path"].endswith(".onnx")
    assert "/" not in record["model"]["path"]
    assert record["runtime"]["name"] == "onnxruntime"
    assert measurements[0].latency_median_ns > 10_000


def test_boards_are_listed_and_checked_from_the_command_line(boards, tmp_path):
    boards.inventory()
    text = (tmp_path / "boards.yaml").read_text()
    (tmp_path / "boards.yaml").write_text(f"{text}  bad: {{port: 99999}}\n")
    listed = edgeprof("boards", "list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["BOARD", "b01", "b02"]
    assert "line 5: board 'bad': 'port': '99999'" in listed.stderr
    checked = edgeprof("boards", "check", "--json", status=1)
    assert [report["usable"] for report in json.loads(checked.stdout)] == [True, True]
    text = edgeprof("boards", "check", status=1).stdout
    assert "b01: ok: " in text
    assert "to install: edgeprof-harness" in text


def test_boards_are_prepared_and_cleaned_from_the_command_line(boards):
    boards.inventory()
    prepared = edgeprof("boards", "setup", "b01", "--restore-after", "600")
    assert prepared.stdout == "b01: prepared\n"
    assert [board.governor for board in boards.boards] == ["performance", "ondemand"]
    restored = edgeprof("boards", "restore")
    assert restored.stdout == "b01: as it was\nb02: as it was\n"
    edgeprof("boards", "clean", "--json")
    assert [board.governor for board in boards.boards] == ["ondemand", "ondemand"]
    assert not any((board.home / ".edgeprof").exists() for board in boards.boards)


@pytest.mark.slow
def test_a_dask_worker_killed_half_way_loses_nothing(tmp_path):
    pytest.importorskip("distributed")
    items = null_items(60, **SLOW_JOB)
    with (
        rack.Rack(tmp_path, 4) as loopback,
        scheduler(tmp_path) as address,
        worker(address, loopback.boards[:2], tmp_path),
        worker(address, loopback.boards[2:], tmp_path) as doomed,
        Store(tmp_path / "run.db") as store,
    ):

        class Killing:
            def changed(self, _board):
                if doomed.poll() is None and len(store.job_keys()) >= 10:
                    os.killpg(doomed.pid, signal.SIGKILL)

            def note(self, text):
                print(text)

        specs = read_inventory(loopback.inventory()).boards
        summary = run_items(
            specs,
            store,
            items,
            network=lambda: DaskNetwork(address),
            listener=Killing(),
            batch_size=5,
        )
        assert doomed.poll() == -signal.SIGKILL
        assert sorted(m.job_key for m in store.measurements()) == [item.key for item in items]
    assert summary.duplicates == 0
    lost = {board.name for board in summary.boards if board.error is not None}
    assert lost == {"b03", "b04"}


def test_no_usable_board_is_a_failure_and_an_unwanted_faulty_one_is_none(boards, tmp_path):
    boards.inventory()
    text = (tmp_path / "boards.yaml").read_text()
    (tmp_path / "boards.yaml").write_text(f"{text}  bad: {{port: 99999}}\n")
    command = ["profile", "--boards", "boards.yaml", "--store", "s.db", "-n", "2"]
    failed = edgeprof(*command, "--board", "bad", status=1)
    assert "line 5: board 'bad': 'port': '99999'" in failed.stderr
    assert "none of the boards asked for can be used" in str(failed.exception)
    checked = edgeprof("boards", "check", "b01")
    assert checked.stderr == ""


def test_models_for_boards_are_exported_through_an_executor(subnets, tmp_path):
    program = Payload(tmp_path / "edgeprof-harness", "0" * 64, executable=True)
    submitted = []

    class Pool(ThreadPoolExecutor):
        def submit(self, *arguments, **more):
            submitted.append(arguments)
            return super().submit(*arguments, **more)

    with Pool() as pool, Store(tmp_path / "s.db") as store:
        models = tmp_path / "models"
        work = SubnetWorkload(subnets, store, ProfileSettings(), models, executor=pool)
        board = BoardSpec("b", "b")
        items = asyncio.run(work.plan(board, Software(program, None))).items
        other = replace(board, environment={"A": "b"})
        others = asyncio.run(work.plan(other, Software(program, None))).items
    assert submitted
    assert len(items) == len(subnets)
    assert not {item.key for item in items} & {item.key for item in others}


def test_a_model_is_measured_on_a_named_board(boards, subnets, tmp_path):
    pytest.importorskip("onnxruntime")
    boards.inventory(extra="")
    [entry] = export_subnets(subnets[:1], tmp_path / "models")
    model, board = f"models/{entry.file}", boards.boards[0].name
    command = ["measure", model, "--on", board, "--max-secs", "0.2"]
    assert edgeprof(*command).stdout.startswith(f"{model}: ")
    kept = edgeprof(*command, "--store", "s.db", "--json").stdout
    assert json.loads(kept)["n_samples"] >= 10
    with Store(tmp_path / "s.db") as store:
        [measurement] = store.measurements()
        assert store.network_of(measurement.record).macs == entry.macs
    refused = edgeprof("measure", model, "--on", "nobody", status=1)
    assert "no board, tag or group 'nobody'" in str(refused.exception)
