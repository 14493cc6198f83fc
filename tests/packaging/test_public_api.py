"""``import edgeprof``: what it offers, what it costs, and its examples as they stand."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import inspect
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from onnx_models import save_conv
from stand_in_models import AdditiveLatency
from stored_records import fill_store
from synthetic_device import PHONE, write_dataset
from tree import ROOT

import edgeprof
from edgeprof.predictors.models import fit_model
from edgeprof.records.store import Store
from edgeprof.search import SearchOptions

COMMANDS = ("measure", "compare", "profile", "train", "predict", "search", "report", "doctor")
DOCUMENTED = sorted(
    {getattr(edgeprof, name).__module__ for name in edgeprof._HOMES}
    | {"edgeprof.search.functions", "edgeprof.report.functions"}
)
"""Modules whose examples are run."""

pytestmark = pytest.mark.usefixtures("quick_distillation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that examples speak of."""
    folder = tmp_path_factory.mktemp("examples")
    space = edgeprof.get_space("ofa-mbv3-w1.0")
    save_conv(folder / "model.onnx", [1, 3, 18, 18])
    write_dataset(folder / "pi4.csv", replace(PHONE, name="pi4").measure(space, 40, seed=0))
    rows = [f"pi4,model.onnx,{latency_ms}" for latency_ms in (0.1, 0.11, 0.105)]
    (folder / "networks.csv").write_text("\n".join(["device,model,latency_ms", *rows]))
    for name in ("gp.edgp", "gp.host.npz"):
        shutil.copy(ROOT / "tests" / "data" / "version_0.1" / name, folder / f"pi4{name[2:]}")
    subnets = space.sample(12, np.random.default_rng(0))
    fill_store(folder / "here.db", [AdditiveLatency(space, "here")], subnets)
    return folder


def test_completion_offers_what_there_is():
    offered = dir(edgeprof)
    assert set(edgeprof.__all__) <= set(offered)
    for name in edgeprof.__all__:
        assert getattr(edgeprof, name) is not None


@pytest.mark.parametrize("name", COMMANDS)
def test_the_function_behind_a_command_can_be_called_whatever_was_imported_before(name):
    assert callable(getattr(edgeprof, name))
    if name in ("search", "report"):
        module = importlib.import_module(f"edgeprof.{name}")
        assert getattr(edgeprof, name) is module
        assert callable(module)
        assert "Raises:" in module.__call__.__doc__
        assert inspect.signature(module) == inspect.signature(getattr(module, name))


def test_the_version_is_the_packages():
    assert edgeprof.__version__ == importlib.metadata.version("edgeprof")


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        _ = edgeprof.no_such


def test_importing_edgeprof_and_printing_its_help_loads_few_modules():
    code = (
        "import sys, edgeprof; first = set(sys.modules); import edgeprof.cli;"
        "heavy = {'numpy', 'onnx', 'sklearn', 'asyncio', 'rich', 'importlib.metadata'};"
        "print(sorted(m for m in first if m.startswith('edgeprof')));"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "['edgeprof']\n[]\n"


@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_examples_of_the_docstrings_hold(module, folder, monkeypatch):
    monkeypatch.chdir(folder)
    results = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0


def test_every_function_behind_a_command_has_an_example():
    # `compare` and `EdgeprofError` have those of the others.
    without = {"__version__", "Comparison", "StableError", "TransientError"}
    for name in set(edgeprof.__all__) - without:
        found = getattr(edgeprof, name)
        text = found.__call__.__doc__ if inspect.ismodule(found) else found.__doc__
        assert ">>>" in text, name


QUICK = SearchOptions(population=10, generations=5)


@pytest.fixture(scope="module")
def things(folder):
    """One of each that the functions give."""
    model, data = folder / "model.onnx", edgeprof.read_dataset(folder / "pi4.csv")
    how = {"max_secs": 0.1, "ci_rel": 0.5}
    measured = edgeprof.measure(model, **how)
    with Store(folder / "here.db", create=False) as store:
        return {
            "measured": measured,
            "compared": edgeprof.Comparison(measured, measured, 1.02, 0.99, 1.05, 12),
            "profiled": edgeprof.profile([model], folder / "profiled.db", device="here", **how),
            "data": data,
            "trained": edgeprof.train(data, model="linear"),
            "trained on networks": edgeprof.train(folder / "networks.csv"),
            "linear": fit_model("linear", data),
            "gp": edgeprof.load_predictor(folder / "pi4.host.npz"),
            "compact": edgeprof.load_predictor(folder / "pi4.edgp"),
            "estimator": edgeprof.LatencyRegressor(),
            "found": edgeprof.search(folder / "pi4.edgp", "capacity-proxy", 100.0, options=QUICK)[
                0
            ],
            "report": edgeprof.report(folder / "here.db", folder / "a.html", learning_curve=False),
            "diagnosis": edgeprof.doctor(),
            "store": store,
            "space": edgeprof.get_space("ofa-mbv3-w1.0"),
            "subnet": data.subnets[0],
            "network": edgeprof.get_space("ofa-mbv3-w1.0").layers(data.subnets[0]),
        }


def test_representations_are_short(things):
    for name, thing in things.items():
        assert len(repr(thing)) < 400, (name, repr(thing))
        assert "object at 0x" not in repr(thing), name
    assert repr(things["gp"]) == "GaussianProcess(device='phone', space='ofa-mbv3-w1.0')"
    assert repr(things["space"]) == "<OfaMobileNetV3 ofa-mbv3-w1.0>"


def test_notebooks_show_results_as_tables(things):
    trained = ("trained", "trained on networks")
    for name in ("measured", "compared", "profiled", "data", "found", "diagnosis", *trained):
        assert things[name]._repr_html_().startswith("<table>"), name


def test_notebooks_get_a_table_whose_names_are_escaped(folder):
    measured = edgeprof.measure(folder / "model.onnx", max_secs=0.1, ci_rel=0.5)
    named = type(measured)(**{**vars(measured), "model": "<script>.onnx"})
    html = named._repr_html_()
    assert html.startswith("<table>")
    assert "&lt;script&gt;.onnx" in html
    assert "<script>" not in html
    assert "40" in edgeprof.read_dataset(folder / "pi4.csv")._repr_html_()


def test_data_frames_have_a_row_per_inference_and_per_row(folder):
    pytest.importorskip("pandas")
    measured = edgeprof.measure(folder / "model.onnx", max_secs=0.1, ci_rel=0.5)
    samples = measured.to_pandas()
    assert samples["latency_ns"].tolist() == measured.latency_ns.tolist()
    assert samples["preempted"].dtype == bool
    rows = edgeprof.read_dataset(folder / "pi4.csv").to_pandas()
    assert len(rows) == 40
    assert {"device", "latency_ms", "ks"} <= set(rows.columns)


def test_a_model_file_is_predicted_by_its_path(folder):
    host = edgeprof.load_predictor(folder / "pi4.host.npz")
    one = host.predict(str(folder / "model.onnx"))
    assert one.shape == (1,)
    assert one == edgeprof.predict(folder / "pi4.edgp", folder / "model.onnx")
    compact = edgeprof.load_predictor(folder / "pi4.edgp")
    with pytest.raises(edgeprof.EdgeprofError, match="predicts subnets of"):
        compact.predict(folder / "model.onnx")


def test_subnets_are_predicted_with_and_without_an_interval(folder):
    subnets = edgeprof.read_dataset(folder / "pi4.csv").subnets[:3]
    mean, low, high = edgeprof.predict(folder / "pi4.edgp", subnets, confidence=0.9)
    assert mean.shape == (3,)
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert edgeprof.predict(folder / "pi4.edgp", subnets[0]).shape == (1,)


def test_a_predictor_is_trained_from_a_table_and_written(folder, tmp_path):
    done = edgeprof.train(folder / "pi4.csv", tmp_path / "a.edgp", model="linear", rows=(0, 30))
    assert repr(done.predictor) == "LinearModel(device='pi4', space='ofa-mbv3-w1.0')"
    assert len(repr(done)) < 4000
    saved = edgeprof.load_predictor(tmp_path / "a.host.npz")
    rows = edgeprof.read_dataset(folder / "pi4.csv")
    assert (saved.predict(rows.subnets) == done.predictor.predict(rows.subnets)).all()


def test_one_file_is_profiled_without_a_list(folder, tmp_path):
    how = {"device": "here", "max_secs": 0.1, "ci_rel": 0.5}
    assert edgeprof.profile(str(folder / "model.onnx"), tmp_path / "one.db", **how).measured == 1


def test_subnets_and_files_are_not_profiled_in_one_call(folder, tmp_path):
    subnets = edgeprof.read_dataset(folder / "pi4.csv").subnets[:1]
    with pytest.raises(edgeprof.EdgeprofError, match="not both"):
        edgeprof.profile([*subnets, folder / "model.onnx"], tmp_path / "a.db")


# --- the stub of the extension ------------------------------------------------------------------


def names_and_parameters(stub):
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign):
            yield node.target.id, None
        elif isinstance(node, ast.ClassDef):
            yield node.name, None
            for member in node.body:
                yield f"{node.name}.{member.name}", parameters_of(member)
        elif isinstance(node, ast.FunctionDef):
            yield node.name, parameters_of(node)


def parameters_of(node):
    if node.decorator_list:  # a property
        return None
    return [argument.arg for argument in node.args.args if argument.arg != "self"]


def documented_parameters(function):
    """Return the parameters by pybind11's first line: ``name(self: C, data: bytes) -> None``."""
    inside = re.match(r"[\w]+\((.*)\)", function.__doc__.splitlines()[0]).group(1)
    return [name for name in re.findall(r"(?:^|, )(\w+):", inside) if name != "self"]


STUB = dict(names_and_parameters(ROOT / "edgeprof" / "_core.pyi"))


def test_the_stub_has_what_the_extension_has():
    from edgeprof import _core

    there = {name for name in dir(_core) if not name.startswith("_")}
    for name in list(there):
        if isinstance(getattr(_core, name), type):
            members = vars(getattr(_core, name))
            there |= {f"{name}.{m}" for m in members if m == "__init__" or not m.startswith("_")}
    assert set(STUB) == there


@pytest.mark.parametrize("name", [name for name, found in STUB.items() if found is not None])
def test_the_stub_names_the_parameters_of_the_extension(name):
    from edgeprof import _core

    function = _core
    for part in name.split("."):
        function = getattr(function, part)
    assert documented_parameters(function) == STUB[name]
