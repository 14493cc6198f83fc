"""Suites and files as workloads: measured, and kept with layers that are learned from."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from run_cli import run
from stored_records import make_record

from edgeprof.base.errors import MixedMachineState
from edgeprof.base.files import sha256_of
from edgeprof.cli.profile import ProfileArguments
from edgeprof.networks.spaces import get_space
from edgeprof.networks.suites import some_of, suite_models
from edgeprof.networks.suites.mobile import mobilenet_v2
from edgeprof.records.dataset_export import export_dataset
from edgeprof.records.network_lists import lists_beside
from edgeprof.records.network_rows import read_network_rows
from edgeprof.records.store import Store
from edgeprof.report.data import read_stores
from edgeprof.runs.files import FileWorkload
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import measure_here
from edgeprof.runs.suites import SuiteWorkload
from edgeprof.runs.workload import Target

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edgeprof.export.recipes import write_recipe

SUBNET = get_space("ofa-mbv3-w1.0").sample(1, np.random.default_rng(0))[0]
SETTINGS = ProfileSettings(max_secs=0.05, ci_rel=0.5, processes=1)
MODELS = suite_models("layers")[::34]  # twelve, one of them int8


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A store with a suite in it; its models are gone."""
    folder = tmp_path_factory.mktemp("suite")
    with Store(folder / "s.db") as store:
        workload = SuiteWorkload(MODELS, store, SETTINGS, folder / "models")
        assert measure_here(workload, "pi").measured == len(MODELS)
    shutil.rmtree(folder / "models")
    return folder / "s.db"


def test_a_suite_is_measured_once_and_its_models_are_not_even_written_again(measured):
    folder = measured.parent / "again"
    with Store(measured) as store:
        workload = SuiteWorkload(MODELS, store, SETTINGS, folder)
        summary = measure_here(workload, "pi")
    assert (summary.measured, summary.found_done) == (0, len(MODELS))
    assert list(folder.iterdir()) == []


def test_a_store_has_the_layers_of_what_was_measured(measured):
    with Store(measured, create=False) as store:
        found = {
            m.record["model"]["path"]: store.network_of(m.record) for m in store.measurements()
        }
    assert len(found) == len(MODELS)
    assert all(network.work for network in found.values())
    types = {layer.element_type for network in found.values() for layer in network.work}
    assert {"float32", "uint8"} <= types


def test_rows_of_networks_are_learned_from_without_their_models(measured, tmp_path):
    result = run("dataset", "export", measured, "-o", tmp_path / "pi.csv", "--include-poor")
    assert result.exit_code == 0, result.output
    assert f"{len(MODELS)} networks of pi" in result.output
    rows = read_network_rows(tmp_path / "pi.csv")
    assert len(rows) == len(MODELS)
    with Store(measured, create=False) as store:
        networks = {store.network_of(m.record).work for m in store.measurements()}
    assert {network.work for network in rows.networks} == networks
    trained = run("train", tmp_path / "pi.csv", "-o", tmp_path / "pi.edgp")
    assert trained.exit_code == 0, trained.output
    lists_beside(tmp_path / "pi.csv").unlink()
    assert "column model" in str(
        run("train", tmp_path / "pi.csv", "-o", tmp_path / "x.edgp").exception
    )


def test_parquet_has_its_lists_too(measured, tmp_path):
    pytest.importorskip("pyarrow")
    with Store(measured, create=False) as store:
        export_dataset(store, tmp_path / "pi.parquet", include_poor=True)
    assert len(read_network_rows(tmp_path / "pi.parquet")) == len(MODELS)


def test_layers_are_appended_once_and_never_changed(measured, tmp_path):
    shutil.copy(measured, tmp_path / "copy.db")
    with Store(tmp_path / "copy.db") as store:
        record = next(store.measurements()).record
        kept = store.network_of(record)
        other = next(
            n for n in (store.network_of(m.record) for m in store.measurements()) if n != kept
        )
        store.append_network(record["model"]["sha256"], other)
        assert store.network_of(record).work == kept.work


def test_a_store_of_before_has_no_layers_and_is_read(tmp_path):
    path = write_model(tmp_path / "m.onnx")
    with Store(tmp_path / "old.db") as store:
        store.append(record_of(path, 3.0), job_key="file", device="pi", model_kind="onnx")
        assert store.network_of(record_of(path, 3.0)) is None
        summary = export_dataset(store, tmp_path / "there.csv", include_poor=True)
        assert summary.networks_by_device == {"pi": 1}  # the file is where it was
        path.write_bytes(b"another")
        store.append(record_of(None, 5.0), job_key="subnet", device="pi", subnet=SUBNET)
        summary = export_dataset(store, tmp_path / "gone.csv", include_poor=True)
    assert summary.without_layers == {"pi": 1}
    assert (summary.rows_by_device, summary.networks_by_device) == ({"pi": 1}, {})
    assert "network" not in (tmp_path / "gone.csv").read_text().splitlines()[0].split(",")


def test_networks_are_pooled_with_the_subnets_of_one_kind(tmp_path):
    paths = [write_model(tmp_path / f"{width}.onnx", width) for width in (0.25, 0.5)]
    with Store(tmp_path / "s.db") as store:
        for path in paths:
            store.append(record_of(path, 3.0), job_key=path.name, device="pi", model_kind="onnx")
        record = record_of(None, 5.0)
        store.append(record, job_key="a", device="pi", subnet=SUBNET, model_kind="onnx-fp32-b1")
        summary = export_dataset(store, tmp_path / "mixed.csv", include_poor=True)
        assert (summary.rows_by_device, summary.networks_by_device) == ({"pi": 3}, {"pi": 2})
        rows = read_network_rows(tmp_path / "mixed.csv")
        assert (len(rows), rows.spaces) == (3, (SUBNET.space,))
        [device] = read_stores([store.path])
        assert len(device.measurements) == 3
        store.append(record, job_key="b", device="pi", subnet=SUBNET, model_kind="onnx-int8-b1")
        with pytest.raises(MixedMachineState, match="model_kind: onnx, onnx-fp32-b1, onnx-int8-b1"):
            export_dataset(store, tmp_path / "x.csv")
        chosen = {"model_kind": "onnx"}
        summary = export_dataset(store, tmp_path / "y.csv", where=chosen, include_poor=True)
        assert summary.rows_by_device == {"pi": 2}


def test_networks_with_files_of_weights_are_pooled(tmp_path):
    paths = [write_model(tmp_path / f"{width}.onnx", width) for width in (0.25, 0.5)]
    with Store(tmp_path / "s.db") as store:
        for path in paths:
            record = record_of(path, 3.0)
            record["model"]["weights_sha256"] = sha256_of(path)
            store.append(record, job_key=path.name, device="pi", model_kind="onnx")
        summary = export_dataset(store, tmp_path / "x.csv", include_poor=True)
    assert summary.rows_by_device == {"pi": 2}


def test_a_model_at_two_shapes_is_two_networks(tmp_path):
    from onnx import helper
    from onnx_graphs import write_onnx

    path = tmp_path / "open.onnx"
    write_onnx(path, [helper.make_node("Relu", ["x"], ["y"])], [("x", ("n", 64))])
    with Store(tmp_path / "s.db") as store:
        for rows in (16, 4096):
            settings = replace(SETTINGS, shapes={"x": (rows, 64)})
            assert measure_here(FileWorkload([path], store, settings), "pi").measured == 1
        works = [store.network_of(m.record).work for m in store.measurements()]
        assert [work[0].elements_written for work in works] == [16 * 64, 4096 * 64]
        summary = export_dataset(store, tmp_path / "x.csv", include_poor=True)
    assert summary.networks_by_device == {"pi": 2}


@pytest.mark.parametrize(
    "arguments",
    [
        ["m.onnx", "--suite", "layers"],
        ["--suite", "layers", "--batch", "2"],
        ["--shape", "x=1,3,8,8"],
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, tmp_path):
    result = run("profile", *arguments, "--store", tmp_path / "s.db")
    assert result.exit_code == 2
    assert not (tmp_path / "s.db").exists()


def test_suites_of_the_command_line_are_those_of_the_format(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(ProfileArguments, "measure", lambda _, workload: found.append(workload))
    for arguments in (["--suite", "layers"], ["--suite", "layers", "--suite", "networks"]):
        run("profile", *arguments, "--format", "tflite", "--store", tmp_path / "s.db")
    layers, both = found
    assert layers.settings.max_secs == 1.0
    assert both.settings.max_secs == 5.0
    target = Target("pi", layers.settings, "0", {})
    n_layers, n_both = len(layers.items(target)), len(both.items(target))
    assert n_layers == len(suite_models("layers", format="tflite"))
    assert n_both == n_layers + len(suite_models("networks", format="tflite"))


def test_a_part_of_a_suite_has_all_kinds_alike_and_is_part_of_a_larger_one(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(ProfileArguments, "measure", lambda _, workload: found.append(workload))
    suites = ["--suite", "layers", "--suite", "networks"]
    for count in (["-n", "40"], ["-n", "100"], []):
        run("profile", *suites, *count, "--store", tmp_path / "s.db")
    target = Target("pi", found[0].settings, "0", {})
    few, more, every = (set(workload.items(target)) for workload in found)
    assert (len(few), len(more)) == (40, 100)
    assert few < more < every
    everything = [*suite_models("layers"), *suite_models("networks")]
    kinds = [model.recipe.name.partition("-")[0] for model in some_of(everything, 40)]
    assert len(set(kinds)) > 25
    networks = {model.recipe.name for model in suite_models("networks")}
    assert 2 <= sum(model.recipe.name in networks for model in some_of(everything, 40)) <= 5


# --- support ------------------------------------------------------------------------------------


def write_model(path, width=0.25):
    write_recipe(mobilenet_v2(width, 32), path, format="onnx", precision="fp32")
    return path


def record_of(path, latency_ms):
    """Return a record of a model file, or of a subnet's model."""
    record = make_record(latency_ms, np.random.default_rng(0))
    if path is not None:
        record["model"] |= {"path": str(path), "sha256": sha256_of(path)}
    return record
