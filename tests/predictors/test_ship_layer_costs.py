"""Layer costs out of edgeprof: the file, the board program and the generated C say the same."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_networks import add, measured, network
from onnx_models import save_conv
from synthetic_device import PHONE
from tree import DATA

from edgeprof.base.errors import PredictorFormatError
from edgeprof.cli import cli
from edgeprof.measuring.harness import PROGRAM
from edgeprof.networks import read_network
from edgeprof.networks.layers import Network, Shape
from edgeprof.networks.listed import network_of_layers
from edgeprof.networks.spaces import get_space
from edgeprof.networks.work import Kind
from edgeprof.predictors.host_file import host_bytes
from edgeprof.predictors.layers.compact import CompactLayerCosts
from edgeprof.predictors.layers.layer_list import SIZES, layer_list
from edgeprof.predictors.layers.model import LayerCosts
from edgeprof.predictors.layers.quantities import QUANTITIES
from edgeprof.predictors.load import load_predictor
from edgeprof.predictors.ship.forms import ship
from edgeprof.predictors.ship.layer_costs_c import kind_names

SPACE = get_space("ofa-mbv3-w1.0")
STRICT_C99 = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-O2"]
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")


def listed(name: str, layers) -> Network:
    return network_of_layers(name, layers, Shape(3, 224, 224))


@pytest.fixture(scope="module")
def model() -> LayerCosts:
    networks, latency_ms = measured(40, seed=0)
    return LayerCosts("a machine").fit(networks, latency_ms)


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    """Networks of all kinds that were measured, and of kinds that were not."""
    rng = np.random.default_rng(9)
    made = [network(rng) for _ in range(12)]
    made[0] = [*made[0], add(28, 32, Kind.SORT, "NonZero"), add(28, 32, Kind.ADD, "Sum")]
    made[1] = [add(7, 8, Kind.SOFTMAX, "Softmax")]
    return [listed(f"net {number}", layers) for number, layers in enumerate(made)]


@pytest.fixture(scope="module")
def host_file(model: LayerCosts, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("host") / "Pi 4.host.npz"
    path.write_bytes(host_bytes(model))
    return path


@pytest.fixture(scope="module")
def board(host_file: Path, networks: list[Network], tmp_path_factory) -> Path:
    """The folder with the file for boards, and each network's list."""
    folder = tmp_path_factory.mktemp("board")
    ship(host_file, "edgp", folder, [(item.name, item) for item in networks])
    return folder


def run_board_program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "predict", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_the_file_predicts_what_the_host_model_predicts(model, networks, board) -> None:
    loaded = load_predictor(board / "Pi 4.edgp")
    assert isinstance(loaded, CompactLayerCosts)
    assert (loaded.device, loaded.provenance["n"]) == ("a machine", 40)
    expected = model.predict_networks(networks).mean_ms
    np.testing.assert_allclose(loaded.predict_networks(networks), expected, rtol=1e-5)
    assert load_predictor(board / "Pi 4.edgp").to_bytes() == (board / "Pi 4.edgp").read_bytes()


def test_the_board_program_predicts_lists_of_layers(networks, board) -> None:
    expected = load_predictor(board / "Pi 4.edgp").predict_networks(networks)
    for item, latency_ms in zip(networks, expected, strict=True):
        path = board / f"{item.name.replace(' ', '_')}.json"
        done = run_board_program(board / "Pi 4.edgp", "--network", path)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["name"] == item.name
        assert found["latency_ms"] == pytest.approx(latency_ms, rel=1e-9)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data["layers"][0].update(macs=-1), "layer 0: a number is out of range"),
        (lambda data: data["layers"][1].update(kind="mystery"), "layer 1: no layer is of kind"),
        (lambda data: data["layers"][0].update(speed=1), "layer 0: unknown field speed"),
        (lambda data: data["layers"][0].update(macs="1"), "layer 0: macs is no number"),
        (lambda data: data["layers"].clear(), "is no list of layers of version 1"),
        (lambda data: data.update(version=2), "is no list of layers of version 1"),
    ],
)
def test_the_board_program_says_what_is_wrong_with_a_list(board, tmp_path, damage, says) -> None:
    data = json.loads((board / "net_3.json").read_text())
    damage(data)
    path = tmp_path / "net.json"
    path.write_text(json.dumps(data))
    done = run_board_program(board / "Pi 4.edgp", "--network", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}: {says}" in done.stderr


def test_files_of_the_two_kinds_are_told_apart(board) -> None:
    done = run_board_program(board / "Pi 4.edgp")
    assert done.returncode == 1
    assert "has format version 2" in done.stderr

    done = run_board_program(DATA / "golden.edgp", "--network", board / "net_3.json")
    assert done.returncode == 1
    assert "has format version 1" in done.stderr


def test_a_damaged_file_is_refused_by_both_readers(board, tmp_path) -> None:
    data = (board / "Pi 4.edgp").read_bytes()
    damaged = tmp_path / "damaged.edgp"
    for content in (data[:40], data[:-9], data + b"\0", data[:200] + b"\xff" + data[201:]):
        damaged.write_bytes(content)
        with pytest.raises(PredictorFormatError):
            load_predictor(damaged)
        done = run_board_program(damaged, "--network", board / "net_3.json")
        assert done.returncode == 1
        assert str(damaged) in done.stderr


def compiled(folder: Path, name: str) -> ctypes.CDLL:
    library = folder / f"{name}.so"
    command = ["cc", *STRICT_C99, "-shared", "-fPIC", f"{name}.c", "-lm", "-o", str(library)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


class CLayer(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint),
        *((name, ctypes.c_double) for name in ("count", *QUANTITIES, *SIZES)),
    ]


def c_layers(costs: CompactLayerCosts, item: Network) -> ctypes.Array:
    entries = layer_list(item.name, item.work)["layers"]
    numbers = [costs.content.tables.number_of(entry["kind"]) for entry in entries]
    rows = [
        CLayer(number, *(entry[name] for name in ("count", *QUANTITIES, *SIZES)))
        for number, entry in zip(numbers, entries, strict=True)
    ]
    return (CLayer * len(rows))(*rows)


@needs_compiler
def test_generated_c_agrees_with_the_reference(networks, board, host_file, tmp_path) -> None:
    ship(host_file, "c", tmp_path)
    library = compiled(tmp_path, "pi_4")
    library.pi_4_layer_ms.restype = ctypes.c_double
    library.pi_4_predict_ms.restype = ctypes.c_size_t
    costs = load_predictor(board / "Pi 4.edgp")
    latency_ms = ctypes.c_double()
    for item, expected in zip(networks, costs.predict_networks(networks), strict=True):
        layers = c_layers(costs, item)
        n = ctypes.c_size_t(len(layers))
        assert library.pi_4_predict_ms(layers, n, ctypes.byref(latency_ms)) == 0
        assert latency_ms.value == pytest.approx(expected, rel=1e-9)
        each = [layer.count * library.pi_4_layer_ms(ctypes.byref(layer)) for layer in layers]
        assert sum(each) == pytest.approx(expected, rel=0.5)  # but for the architecture's factor
    layers[0].macs = float("nan")
    assert library.pi_4_predict_ms(layers, n, ctypes.byref(latency_ms)) == 1
    assert library.pi_4_layer_ms(ctypes.byref(layers[0])) == -1


@needs_compiler
def test_generated_lists_of_layers_compile_and_predict(host_file, board, tmp_path) -> None:
    path = save_conv(tmp_path / "my net.onnx", [1, 3, 16, 16])
    arguments = ["ship", str(host_file), "--to", "c", "--network", str(path), "-o", str(tmp_path)]
    done = CliRunner().invoke(cli, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    assert [Path(file).name for file in json.loads(done.output)] == [
        "pi_4.h",
        "pi_4.c",
        "pi_4_my_net.h",
    ]
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "pi_4_my_net.h"\n'
        "int main(void)\n{\n    double ms = 0;\n"
        "    size_t n = sizeof pi_4_my_net / sizeof pi_4_my_net[0];\n"
        '    size_t bad = pi_4_predict_ms(pi_4_my_net, n, &ms);\n    printf("%.17g\\n", ms);\n'
        "    return (int)bad;\n}\n"
    )
    build = ["cc", *STRICT_C99, "main.c", "pi_4.c", "-lm", "-o", "main"]
    subprocess.run(build, cwd=tmp_path, check=True)
    run = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    expected = load_predictor(board / "Pi 4.edgp").predict_networks([read_network(path)])[0]
    assert float(run.stdout) == pytest.approx(expected, rel=1e-9)


def test_enumerators_of_kinds_are_distinct_identifiers(model) -> None:
    tables = model.compact({}).content.tables
    names = kind_names(tables, "pi")
    assert len(set(names)) == len(names) == len(tables.unit)
    assert all(re.fullmatch(r"PI_[A-Z0-9_]+", name) for name in names)


def test_a_file_for_boards_becomes_c_and_predicts_models(board, tmp_path) -> None:
    again = ship(board / "Pi 4.edgp", "c", tmp_path / "c")
    assert [path.name for path in again] == ["pi_4.h", "pi_4.c"]
    path = save_conv(tmp_path / "net.onnx", [1, 3, 16, 16])
    done = CliRunner().invoke(cli, ["predict", str(board / "Pi 4.edgp"), str(path)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["latency_ms"] > 0


def test_forms_that_there_are_not_are_refused(host_file, tmp_path) -> None:
    with pytest.raises(PredictorFormatError, match="no form 'onnx' of layer costs"):
        ship(host_file, "onnx", tmp_path)

    with pytest.raises(PredictorFormatError, match="predicts subnets"):
        ship(DATA / "golden.edgp", "c", tmp_path, [("net", listed("net", []))])


def test_subnets_are_predicted_from_sums_over_their_blocks() -> None:
    data = PHONE.measure(SPACE, 40, seed=0)
    subnets = [SPACE.layers(subnet) for subnet in data.subnets]
    model = LayerCosts("phone", SPACE.id).fit(subnets, data.latency_ms)
    codes = SPACE.sample_codes(50, np.random.default_rng(2), SPACE.resolutions)
    expected = model.predict_interval(codes).mean_ms
    np.testing.assert_allclose(model.predict_codes(codes), expected, rtol=1e-9)
    np.testing.assert_allclose(model.compact({}).predict_codes(codes), expected, rtol=1e-5)
