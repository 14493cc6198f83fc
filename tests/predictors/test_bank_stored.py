"""A device in a store: predicted by the bank from all that was measured of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up_boards import add_networks, record_of, true_ms
from run_cli import run

from edgeprof.base.errors import DatasetError, MixedMachineState, StoreError
from edgeprof.export.onnx import export_network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet, write_subnets
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.suites.mobile import mobilenet_v1, mobilenet_v2
from edgeprof.predictors import load_predictor
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.stored import load_stored, parse_stored
from edgeprof.predictors.bank.terms import Terms
from edgeprof.records.store import ImportedRow, Store

SPACE = get_space("ofa-mbv3-w1.0")
SUBNETS = SPACE.sample(60, np.random.default_rng(0), [128, 192])
NETWORKS = [network_of(mobilenet_v1(w, r)) for w in (0.25, 0.5, 1.0) for r in (128, 192)]


def add_subnets(store, subnets, device="pi"):
    latencies = true_ms([SPACE.layers(subnet) for subnet in subnets])
    for subnet, latency_ms in zip(subnets, latencies, strict=True):
        store.append(
            record_of(latency_ms),
            job_key=f"{device}-{subnet.id}",
            device=device,
            subnet=subnet,
            model_kind="onnx-fp32-b1",
        )


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    path = tmp_path_factory.mktemp("lab") / "lab.db"
    with Store(path) as store:
        add_networks(store, NETWORKS[:3])
    return path


def test_a_name_of_a_device_in_a_store_is_taken_apart(tmp_path):
    assert parse_stored("a/lab.db:rpi 5") == (tmp_path.__class__("a/lab.db"), "rpi 5")
    assert parse_stored("lab.db:rack/pi")[1] == "rack/pi"
    assert parse_stored("lab.db") is None
    assert parse_stored("x.edgp") is None


def test_facts_come_from_the_records(lab):
    facts = load_stored(lab, "pi").costs.facts
    assert facts.cores == (("Cortex-A72", 1.8, 4),)
    assert (facts.threads, facts.runtime) == (4, "ort")


def test_more_of_any_kind_brings_the_error_down_on_one_way(tmp_path):
    rest = [SPACE.layers(subnet) for subnet in SUBNETS[40:]] + NETWORKS[3:]
    errors = []
    for n_networks, n_subnets in ((1, 0), (3, 2), (3, 40)):
        path = tmp_path / f"{n_networks}-{n_subnets}.db"
        with Store(path) as store:
            add_networks(store, NETWORKS[:n_networks])
            add_subnets(store, SUBNETS[:n_subnets])
        device = load_stored(path, "pi")
        assert device.n_networks == n_networks + n_subnets
        mean, low, high = device.predict_networks(rest)
        assert ((low < mean) & (mean < high)).all()
        errors.append(np.mean(np.abs(mean / true_ms(rest) - 1)))
    assert errors[0] < 0.25  # facts alone miss by .375
    assert errors[2] < errors[0]
    assert errors[2] < 0.03


def test_repeats_count_once_and_blocks_sum_to_networks(lab, tmp_path):
    device = load_stored(lab, "pi")
    subnets = SUBNETS[:5]
    networks = [SPACE.layers(subnet) for subnet in subnets]
    expected = device.costs.predict(Terms.of([network.work for network in networks])).mean_ms
    assert device.predict(subnets) == pytest.approx(expected)
    device.space = SPACE.id
    assert device.predict_codes(SPACE.encode(subnets)) == pytest.approx(expected)
    with Store(tmp_path / "twice.db") as store:
        for seed in range(2):
            add_networks(store, NETWORKS[:3], seed=seed)
    assert load_stored(tmp_path / "twice.db", "pi").n_networks == 3


def test_a_latency_alone_is_the_one_that_stands_in_the_interval(lab):
    device = load_stored(lab, "pi", space=SPACE.id)
    codes = SPACE.encode(SUBNETS)
    for latencies in (device.predict_codes(codes), device.predict(SUBNETS)):
        assert latencies == pytest.approx(device.predict_interval(codes).mean_ms, rel=1e-6)


def test_what_was_measured_otherwise_is_chosen_or_refused(tmp_path):
    path = tmp_path / "lab.db"
    with Store(path) as store:
        add_networks(store, NETWORKS[:2])
        add_networks(store, NETWORKS[:3], threads=1)
        add_networks(store, NETWORKS[:1], runtime="litert")
    with pytest.raises(MixedMachineState, match=r"runtime: litert, onnxruntime; threads: 1, 4"):
        load_stored(path, "pi")
    chosen = load_stored(path, "pi", where={"threads": "1"})
    assert (chosen.n_networks, chosen.costs.facts.threads) == (3, 1)
    assert chosen.setting == "ort, 1 thread"
    with pytest.raises(DatasetError, match="no measurement of device pi with threads=2"):
        load_stored(path, "pi", where={"threads": "2"})
    with pytest.raises(DatasetError, match="unknown field"):
        load_stored(path, "pi", where={"thread": "2"})


def test_precisions_are_one_device(tmp_path):
    path = tmp_path / "lab.db"
    with Store(path) as store:
        add_networks(store, NETWORKS[:2])
        record = record_of(9.0)
        store.append(record, job_key="q", device="pi", subnet=SUBNETS[0], model_kind="onnx-int8-b1")
    assert load_stored(path, "pi").n_networks == 3


def test_what_cannot_be_learned_from_is_one_clear_line(lab, tmp_path):
    with pytest.raises(StoreError, match="no such store"):
        load_stored(tmp_path / "gone.db", "pi")
    with pytest.raises(DatasetError, match="no measurement of device other; devices there: pi"):
        load_stored(lab, "other")
    with Store(tmp_path / "empty.db") as store:
        store.session_id()
    with pytest.raises(DatasetError, match="devices there: none; `edgeprof probe"):
        load_stored(tmp_path / "empty.db", "pi")
    with Store(tmp_path / "rows.db") as store:
        store.append_imported([ImportedRow("pi", SUBNETS[0], 5.0, "x.csv")])
        store.append(record_of(3.0), job_key="k", device="file", model_kind="onnx")
    with pytest.raises(DatasetError, match="only imported rows of pi"):
        load_stored(tmp_path / "rows.db", "pi")
    with pytest.raises(DatasetError, match="of no measurement of file the layers are known"):
        load_stored(tmp_path / "rows.db", "file")


def test_imported_rows_count_beside_measured_ones(tmp_path):
    with Store(tmp_path / "lab.db") as store:
        add_networks(store, NETWORKS[:1])
        store.append_imported([ImportedRow("pi", SUBNETS[0], 5.0, "x.csv")])
    assert load_stored(tmp_path / "lab.db", "pi").n_networks == 2


def test_a_machine_that_does_not_tell_its_clock_is_given_a_usual_one():
    state = {"core_types": [{"name": "Intel(R) Xeon(R)", "cpus": [0, 1]}], "online_cpus": [0, 1]}
    facts = Facts.from_dict({"machine": state, "cpus": [1]})
    assert facts.cores == (("Intel(R) Xeon(R)", 2.0, 1),)


# --- the command line -----------------------------------------------------------------------------


def test_a_model_and_subnets_are_predicted_on_a_device_of_a_store(lab, tmp_path):
    model, subnets = tmp_path / "m.onnx", tmp_path / "subnets.jsonl"
    network = network_of(mobilenet_v2(0.5, 160))
    export_network(network, model)
    write_subnets(subnets, SUBNETS[:2])
    for named in (("--device", f"{lab}:pi"), (f"{lab}:pi",)):
        result = run("predict", *named, model)
        assert result.exit_code == 0, result.output
        row = json.loads(result.stdout)
        assert row["latency_low_ms"] < row["latency_ms"] < row["latency_high_ms"]
        assert row["latency_ms"] == pytest.approx(true_ms([network])[0], rel=0.3)
        assert "from other boards and 3 measured models on pi (ort, 4 threads)" in result.stderr
        lines = run("predict", *named, subnets).stdout.splitlines()
        assert [Subnet.from_dict(json.loads(line)) for line in lines] == SUBNETS[:2]
        assert "latency_high_ms" in json.loads(lines[0])


def test_python_takes_a_device_of_a_store_as_a_predictor(lab):
    assert repr(load_predictor(f"{lab}:pi")) == "StoredDevice(device='pi', space='')"
    assert load_predictor(f"{lab}:pi", space=SPACE.id).space == SPACE.id


@pytest.mark.parametrize(
    "arguments",
    [
        ("--device", "lab.db:pi", "a.onnx", "b.onnx"),
        ("--device", "pi", "a.onnx"),
        ("--device", "lab.db:pi", "--board-facts", "f.json", "a.onnx"),
        ("--where", "threads=4", "pi.edgp", "subnets.jsonl"),
        ("--where", "threads=4", "--board-facts", "f.json", "a.onnx"),
    ],
)
def test_arguments_that_do_not_go_together_are_wrong_usage(arguments):
    assert run("predict", *arguments).exit_code == 2


def test_states_are_chosen_among_those_of_a_store():
    command = ["search", "--latency", "pi.edgp", "--accuracy", "capacity-proxy"]
    result = run(*command, "--budget-ms", "20", "--where", "threads=4")
    assert result.exit_code == 2
    assert "--where is for a device of a store" in result.stderr


def test_a_search_runs_on_a_device_of_a_store(lab, tmp_path):
    path = tmp_path / "lab.db"
    with Store(path) as store:
        add_networks(store, NETWORKS[:2])
        add_subnets(store, SUBNETS[:3])
    device = load_stored(path, "pi")
    budget_ms = float(np.median(device.predict(SUBNETS)))
    command = ["search", "--latency", f"{path}:pi", "--accuracy", "capacity-proxy", "--json"]
    command += ["--budget-ms", budget_ms, "--max-evaluations", "400"]
    done = run(*command)
    assert done.exit_code == 0, (done.output, done.exception)
    (found,) = json.loads(done.stdout)
    latency_ms = float(device.predict([Subnet.from_dict(found["subnet"])])[0])
    assert found["latency_ms"] == pytest.approx(latency_ms)
    assert 0.5 * budget_ms < latency_ms <= budget_ms
    assert run(*command, "--confidence", "0.9", "--where", "threads=4").exit_code == 0
    command[2] = f"{lab}:pi"
    assert "say which with --space" in str(run(*command).exception)
    assert run(*command, "--space", SPACE.id).exit_code == 0
