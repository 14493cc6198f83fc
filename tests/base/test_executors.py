"""Bulk work of the host: in this process, in a pool and on Dask it comes to the same."""

import os
import pickle
import re
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from dask_cluster import scheduler, scheduler_process, worker
from run_cli import run
from synthetic_device import PHONE, SERVER, synthetic_tables, write_dataset

import edgeprof.base.executors
from edgeprof.base.errors import ClusterUnreachable, DatasetError, WorkerLost
from edgeprof.base.executors import bulk_executor, map_through, open_executor
from edgeprof.export import export_subnets, read_manifest
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.across import leave_one_device_out
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.hardware.devices import Device
from edgeprof.predictors.learning_curve import compare_models
from edgeprof.predictors.models import cross_validated, fit_across, fit_model
from edgeprof.predictors.paper.linear import LinearModel
from edgeprof.predictors.paper.mlp import PaperMlp
from edgeprof.runs.lut_blocks import block_workload
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import Target

SPACE = get_space("ofa-mbv3-w1.0")
ROUNDING = 1e-9
"""Arrays that have travelled lie otherwise in memory, and BLAS adds in another order."""


@contextmanager
def a_pool(_folder):
    with open_executor(2) as executor:
        assert executor.submit(os.getpid).result() != os.getpid()
        yield executor


@contextmanager
def a_dask_cluster(folder):
    pytest.importorskip("distributed")
    with (
        scheduler(folder) as address,
        worker(address, [], folder),
        open_executor(dask=address) as executor,
    ):
        yield executor


@pytest.fixture(
    scope="module", params=[a_pool, pytest.param(a_dask_cluster, marks=pytest.mark.slow)]
)
def executor(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("executor")) as opened:
        yield opened


def test_models_are_exported_alike(executor, tmp_path):
    pytest.importorskip("onnx")
    subnets = SPACE.sample(20, np.random.default_rng(0))
    here = export_subnets(subnets, tmp_path / "here")
    steps = []
    there = export_subnets(
        subnets, tmp_path / "there", executor=executor, progress=lambda: steps.append(1)
    )
    assert len(steps) == len(subnets)
    assert here == there == read_manifest(tmp_path / "there")


def test_models_of_blocks_are_exported_alike(executor, tmp_path):
    pytest.importorskip("onnx")
    settings = ProfileSettings()

    def models(name, chosen):
        folder = tmp_path / name
        with block_workload(SPACE, folder, settings, resolutions=[128], executor=chosen) as lut:
            keys = list(lut.items(Target("d", settings, "0", {})).values())[:12]
            files = lut.make_models(keys, settings, lambda: None)
        return {file.path.name: file.path.read_bytes() for file in files}

    here = models("here", None)
    assert len(here) == 12
    assert models("there", executor) == here


def test_predictors_are_compared_alike(executor):
    data = PHONE.measure(SPACE, 25, seed=0)
    more = {
        "models": ["gp", "linear"],
        "bases": [GaussianProcess().fit(SERVER.measure(SPACE, 20, seed=0))],
        "tables": synthetic_tables(SPACE),
        "draws": 1,
    }
    steps = []
    here = compare_models(data, [3, 5], **more)
    there = compare_models(data, [3, 5], **more, executor=executor, progress=steps.append)
    assert {point.model for point in here} > {"gp", "gp + base", "linear", "lut"}
    assert [(point.model, point.n) for point in there] == [(point.model, point.n) for point in here]
    errors = [[point.mae_ms, point.mape, point.low_mape, point.high_mape] for point in here]
    found = [[point.mae_ms, point.mape, point.low_mape, point.high_mape] for point in there]
    np.testing.assert_allclose(found, errors, rtol=ROUNDING)
    assert steps == [1] * 2


def test_folds_are_predicted_alike(executor):
    data = PHONE.measure(SPACE, 12, seed=0)
    model = fit_model("linear", data)
    here = cross_validated("linear", model, data)
    there = cross_validated("linear", model, data, executor=executor)
    np.testing.assert_allclose(there, here, rtol=ROUNDING)


@pytest.mark.parametrize("name", ["gp", "linear", "lut", "paper-finetune"])
def test_a_model_that_was_used_predicts_the_same_elsewhere(name):
    data = PHONE.measure(SPACE, 4, seed=0)
    bases = {
        "gp": [LinearModel.fit(SERVER.measure(SPACE, 4, seed=0))],
        "lut": [synthetic_tables(SPACE)],
        "paper-finetune": [PaperMlp.fit(data)],
    }
    model = fit_model(name, data, bases.get(name, ()))
    codes = SPACE.sample_codes(20, np.random.default_rng(1), SPACE.sampled_resolutions[:1])
    here = model.predict_codes(codes)
    there = pickle.loads(pickle.dumps(model)).predict_codes(codes)
    np.testing.assert_allclose(there, here, rtol=ROUNDING)


def test_devices_are_left_out_alike(executor):
    sheets = [Device("phone", 8, 1000, 4, 8), Device("server", 100, 2000, 64, 40)]
    rows = [device.measure(SPACE, 20, seed=0) for device in (PHONE, SERVER)]
    measured = list(zip(sheets, rows, strict=True))
    across = fit_across("gp", measured, sheets[0])
    codes = rows[0].codes
    there = pickle.loads(pickle.dumps(across)).predict_codes(codes)
    np.testing.assert_allclose(there, across.predict_codes(codes), rtol=ROUNDING)
    here = leave_one_device_out(measured)
    there = leave_one_device_out(measured, executor=executor)
    assert list(here) == list(there) == ["phone", "server"]
    for name in here:
        assert there[name].mape == pytest.approx(here[name].mape, rel=ROUNDING)


def test_an_error_of_a_part_is_raised_as_it_is(executor):
    data = PHONE.measure(SPACE, 3, seed=0)
    parts = map_through(executor, data.draw, [2, 4], [0, 0])
    assert len(next(parts)) == 2
    with pytest.raises(DatasetError) as there:
        next(parts)
    with pytest.raises(DatasetError) as here:
        data.draw(4, 0)
    assert str(there.value) == str(here.value)
    assert there.value.evidence == here.value.evidence


def test_a_pool_is_opened_where_it_pays_or_is_asked_for():
    with bulk_executor(9, 10) as executor:
        assert executor is None
    with bulk_executor(100, 10, jobs=1) as executor:
        assert executor is None
    for n_items, jobs in ((10, None), (1, 2)):
        with bulk_executor(n_items, 10, jobs=jobs) as executor:
            assert isinstance(executor, ProcessPoolExecutor)


def test_processes_of_a_pool_leave_each_other_the_cores(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with open_executor(1) as pool:
        assert pool.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    with open_executor(1) as pool:
        assert pool.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "3"


def test_a_process_that_dies_is_one_clear_line():
    with pytest.raises(WorkerLost, match=r"died, probably for want of memory; .*--jobs"):  # noqa: SIM117
        with open_executor(1) as pool:
            pool.submit(os._exit, 1).result()


@pytest.mark.usefixtures("token_distillation")
def test_the_commands_take_jobs(tmp_path):
    data = write_dataset(tmp_path / "d.csv", PHONE.measure(SPACE, 30, seed=0))
    compare = ("compare-predictors", data, "--counts", "5", "--models", "linear", "--draws", 2)
    train = ("train", data, "--model", "linear", "-n", 10, "-o", tmp_path / "p.edgp", "--json")
    for command in (compare, train):
        one, two = (run(*command, "--jobs", jobs) for jobs in (1, 2))
        assert (one.exit_code, two.exit_code) == (0, 0), two.output
        assert figures(two.stdout) == pytest.approx(figures(one.stdout), rel=ROUNDING)


def figures(text):
    return [float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)]


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_one_clear_line():
    pytest.importorskip("distributed")
    with (
        pytest.raises(ClusterUnreachable, match="no Dask scheduler answers"),
        open_executor(dask="tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.slow
def test_a_scheduler_without_workers_is_one_clear_line(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(edgeprof.base.executors, "WORKERS_DEADLINE_S", 1.0)
    with (
        scheduler(tmp_path) as address,
        pytest.raises(ClusterUnreachable, match=f"has no workers; .*: dask worker {address}"),
        open_executor(dask=address),
    ):
        pass


@pytest.mark.slow
def test_a_dask_worker_that_dies_at_its_work_is_one_clear_line(tmp_path):
    pytest.importorskip("distributed")
    never = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with (
        scheduler(tmp_path, **never) as address,
        worker(address, [], tmp_path),
        pytest.raises(WorkerLost, match=f"workers of the Dask scheduler {address} died"),
        open_executor(dask=address) as executor,
    ):
        executor.submit(os._exit, 1).result(timeout=60)


@pytest.mark.slow
def test_a_dask_scheduler_that_is_lost_is_one_clear_line(tmp_path):
    pytest.importorskip("distributed")
    with (
        scheduler_process(tmp_path) as (process, address),
        worker(address, [], tmp_path),
        pytest.raises(ClusterUnreachable, match=f"the Dask scheduler {address} was lost"),
        open_executor(dask=address) as executor,
    ):
        wait_for_it_after(executor, lambda: os.killpg(process.pid, signal.SIGKILL))


def wait_for_it_after(executor, event):
    future = executor.submit(time.sleep, 60)
    event()
    future.result(timeout=90)
