"""Model files of any networks, measured in bulk."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from edgeprof.base.errors import InvalidModel
from edgeprof.cli import cli
from edgeprof.export import export_subnets
from edgeprof.networks.spaces import get_space
from edgeprof.records.campaign_samples import LINK_PREFIX
from edgeprof.records.store import Store
from edgeprof.runs.files import FileWorkload, format_of_files
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import Target


@pytest.fixture
def models(tmp_path):
    """Two models that share a file of weights."""
    pytest.importorskip("onnx")
    subnets = get_space("ofa-mbv3-w1.0").sample(2, np.random.default_rng(0), [128])
    return [tmp_path / "m" / entry.file for entry in export_subnets(subnets, tmp_path / "m")]


def test_files_are_measured_and_keep_their_paths(models, tmp_path):
    pytest.importorskip("onnxruntime")
    command = ["profile", *map(str, models), "--store", str(tmp_path / "s.db"), "--json"]
    command += ["--max-secs", "0.1", "--ci", "0.5"]
    for expected in ({"measured": 2, "resumed": 0}, {"measured": 0, "resumed": 2}):
        result = CliRunner().invoke(cli, command, catch_exceptions=False)
        assert json.loads(result.stdout) == {**expected, "failed": {}}
    with Store(tmp_path / "s.db", create=False) as store:
        stored = list(store.measurements())
    assert [item.record["model"]["path"] for item in stored] == [str(model) for model in models]
    assert {item.model_kind for item in stored} == {"onnx"}
    assert all(item.subnet is None for item in stored)


def test_a_file_is_measured_beside_one_of_an_earlier_run(models, tmp_path):
    for model in models[:2]:
        command = ["profile", str(model), "--store", str(tmp_path / "s.db"), "--max-secs", "0.1"]
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
    with Store(tmp_path / "s.db") as store:
        keys = [item.job_key for item in store.measurements(references=True)]
        first = next(item.job_key for item in store.measurements())
    assert any(key.startswith(LINK_PREFIX + first) for key in keys)


def test_a_file_that_is_not_what_was_measured_links_nothing(models, tmp_path):
    command = ["profile", str(models[0]), "--store", str(tmp_path / "s.db"), "--max-secs", "0.1"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    models[0].write_bytes(models[1].read_bytes())
    with Store(tmp_path / "s.db") as store:
        [first] = [item.job_key for item in store.measurements()]
        workload = FileWorkload([models[1]], store, ProfileSettings())
        target = Target(store.devices()[0], ProfileSettings(), "0", {})
        assert workload.others(target, store) == {first: models[0]}
        links = workload._left(target).links
    assert first not in links
    assert list(links.values()) == [models[1]]


def test_files_with_the_same_content_are_one_item_and_weights_belong_to_it(models, store):
    copy = models[0].with_name("copy.onnx")
    copy.write_bytes(models[0].read_bytes())
    workload = FileWorkload([*models, copy], store, ProfileSettings())
    target = Target("d", ProfileSettings(), "0", {})
    keys = workload.items(target)
    assert len(keys) == 2
    [first, _] = workload.make_models(models, ProfileSettings(), lambda: None)
    assert first.weights is not None
    assert first.weights.source.parent == models[0].parent
    with first.weights.source.open("ab") as stream:
        stream.write(b"\0")
    assert not keys.keys() & workload.items(target).keys()


def test_files_of_one_run_have_one_format(models, tmp_path):
    assert format_of_files(models) == "onnx"
    with pytest.raises(InvalidModel, match="one format"):
        format_of_files([*models, tmp_path / "a.tflite"])
    with pytest.raises(InvalidModel, match=r"a\.txt"):
        format_of_files([tmp_path / "a.txt"])


def test_a_file_that_is_no_model_costs_only_itself(models, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "zip.onnx").write_bytes(b"PK\x03\x04 and so on")
    command = ["profile", str(tmp_path / "zip.onnx"), str(models[0]), "--store"]
    command += [str(tmp_path / "s.db"), "--json", "--max-secs", "0.1", "--ci", "0.5"]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 1
    printed = json.loads(result.stdout)
    assert (printed["measured"], printed["failed"]) == (1, {"InvalidModel": 1})
    assert "zip.onnx: is no ONNX model" in printed["failures"][0]["example"]
