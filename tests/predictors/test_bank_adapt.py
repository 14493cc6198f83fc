"""``edgeprof adapt STORE.db:DEVICE``: a device of a store is a base like any other."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_up_boards import add_networks, record_of, true_ms
from run_cli import run

from edgeprof.base.errors import DatasetError, MixedMachineState, PredictorFormatError, StoreError
from edgeprof.export.onnx import export_network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import read_subnets
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.mobile import mobilenet_v1, mobilenet_v2
from edgeprof.predictors import load_predictor
from edgeprof.predictors.bank.others import Others
from edgeprof.predictors.bank.stored import load_stored
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.host_file import host_bytes, read_host_bytes
from edgeprof.predictors.load import load_base
from edgeprof.records.dataset import read_dataset
from edgeprof.records.store import ImportedRow, Store

SPACE = get_space("ofa-mbv3-w1.0")
SUBNETS = SPACE.sample(60, np.random.default_rng(1), [128, 192])
NETWORKS = [network_of(mobilenet_v1(w, r)) for w in (0.25, 0.5, 1.0) for r in (128, 192)]
OLD_STORE = Path(__file__).parents[1] / "data" / "version_0.1" / "store.db"
HEAD = "device,space,resolution,ks,e,d,latency_ms"

pytestmark = pytest.mark.usefixtures("quick_distillation")


def new_ms(subnets):
    """Return latencies on a device that is like the one in the store, at .7 of its latencies."""
    return 0.7 * true_ms([SPACE.layers(subnet) for subnet in subnets])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    with Store(path) as store:
        add_networks(store, NETWORKS)
        add_networks(store, NETWORKS, "other")
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    lines = [HEAD]
    for subnet, latency_ms in zip(SUBNETS[:6], new_ms(SUBNETS[:6]), strict=True):
        lists = ",".join(f'"{json.dumps(part)}"' for part in (subnet.ks, subnet.e, subnet.d))
        lines.append(f"new,{SPACE.id},{subnet.r},{lists},{latency_ms}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def adapted(lab, rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("adapted") / "new.edgp"
    result = run("adapt", f"{lab}:pi", "--data", rows, "-o", path)
    assert result.exit_code == 0, (result.output, result.exception)
    return path


def test_few_rows_move_a_device_of_a_store_to_a_new_one(adapted):
    truth = new_ms(SUBNETS[6:])
    for name in ("new.edgp", "new.host.npz"):
        predictor = load_predictor(adapted.with_name(name))
        assert predictor.device == "new"
        assert np.mean(np.abs(predictor.predict(SUBNETS[6:]) / truth - 1)) < 0.05


def test_it_starts_from_the_device_and_not_from_the_rows_alone(adapted, rows):
    alone = GaussianProcess().fit(read_dataset(rows))
    truth = new_ms(SUBNETS[6:])
    moved, own = (
        np.mean(np.abs(predictor.predict(SUBNETS[6:]) / truth - 1))
        for predictor in (load_predictor(adapted), alone)
    )
    assert moved < own


def test_model_files_are_predicted_through_the_base(adapted, tmp_path):
    model = tmp_path / "m.onnx"
    export_network(network_of(mobilenet_v2(0.5, 160)), model)
    found = json.loads(run("predict", adapted, model).stdout)
    assert found["latency_low_ms"] < found["latency_ms"] < found["latency_high_ms"]


def test_a_device_of_a_store_survives_its_file(lab):
    device = load_stored(lab, "pi", space=SPACE.id, others=Others((lab,)))
    again = read_host_bytes(host_bytes(device), "kept")
    codes = SPACE.encode(SUBNETS)
    assert (again.device, again.space) == ("pi", SPACE.id)
    for mine, kept in zip(
        device.predict_interval(codes), again.predict_interval(codes), strict=True
    ):
        assert kept == pytest.approx(mine)
    elsewhere = pickle.loads(pickle.dumps(device))
    assert elsewhere.predict_codes(codes) == pytest.approx(device.predict_codes(codes))


def test_many_subnets_are_predicted_as_one_by_one(lab):
    """Above some number tables take the place of layer lists."""
    device = load_stored(lab, "pi", space=SPACE.id)
    codes = SPACE.sample_codes(600, np.random.default_rng(2), [128])
    networks = [SPACE.layers(subnet) for subnet in SPACE.decode(codes[:20])]
    expected = device.predict_networks(networks).mean_ms
    assert device.predict_codes(codes)[:20] == pytest.approx(expected, rel=1e-5)


def test_states_and_further_stores_are_chosen(lab, rows, tmp_path):
    path = tmp_path / "two.db"
    with Store(path) as store:
        add_networks(store, NETWORKS)
        add_networks(store, NETWORKS, threads=1)
    command = ["adapt", f"{path}:pi", "--data", rows, "-o", tmp_path / "new.edgp"]
    with pytest.raises(MixedMachineState, match="threads: 1, 4"):
        raise run(*command).exception
    with pytest.raises(DatasetError, match="with threads=8"):
        raise run(*command, "--where", "threads=8").exception
    with pytest.raises(StoreError, match="no such store"):
        raise run(*command, "--where", "threads=4", "--bank", tmp_path / "gone.db").exception
    base = load_base(Path(f"{path}:pi"), SPACE.id, where={"threads": "1"}, others=Others((lab,)))
    assert base.setting == "ort, 1 thread"
    assert base.costs.bank.provenance["taught_by"] == ["other"]


@pytest.mark.parametrize("option", [("--where", "threads=4"), ("--bank", "lab.db")])
def test_options_of_stores_need_one(rows, option):
    result = run("adapt", "pi.edgp", "--data", rows, "-o", "new.edgp", *option)
    assert result.exit_code == 2
    assert "is for a base that is STORE.db:DEVICE" in result.stderr


def test_what_to_measure_first_is_suggested_by_a_device_of_a_store(lab, tmp_path):
    command = ["suggest", "--new-device", "--predictor", f"{lab}:pi", "-n", "3", "--pool", "40"]
    result = run(*command)
    assert result.exit_code == 2
    assert "is of any space: say --space" in result.stderr
    result = run(*command, "--space", SPACE.id, "-o", tmp_path / "first.jsonl")
    assert result.exit_code == 0, (result.output, result.exception)
    assert len(read_subnets(tmp_path / "first.jsonl")) == 3


def test_what_is_no_base_is_one_clear_line(lab, rows, tmp_path):
    def error_of(source):
        command = ["adapt", source, "--data", rows, "-o", tmp_path / "new.edgp"]
        return run(*command).exception

    with Store(tmp_path / "rows.db") as store:
        store.append_imported([ImportedRow("pi", SUBNETS[0], 5.0, "x.csv")])
        store.append(record_of(3.0), job_key="k", device="file", model_kind="onnx")
    for source, kind, says in (
        (f"{lab}:gone", DatasetError, "no measurement of device gone; devices there: other, pi"),
        (f"{tmp_path}/gone.db:pi", StoreError, "no such store"),
        (f"{tmp_path}/rows.db:pi", DatasetError, "only imported rows of pi"),
        (f"{tmp_path}/rows.db:file", DatasetError, "of no measurement of file the layers are"),
        (f"{lab}:", PredictorFormatError, "is no predictor, want"),
    ):
        with pytest.raises(kind, match=says) as raised:
            raise error_of(source)
        assert "\n" not in str(raised.value)


def test_a_store_of_before_is_a_base(tmp_path):
    """Version 0.1.0 kept no layer lists; subnets have their layers all the same."""
    store = shutil.copy(OLD_STORE, tmp_path / "old.db")
    base = load_base(Path(f"{store}:here"), SPACE.id)
    assert base.predict(SUBNETS[:2]).shape == (2,)
