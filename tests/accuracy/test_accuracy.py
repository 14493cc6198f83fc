"""Accuracy models: OFA's predictor from its files, ONNX, fitted and distilled ones, the proxy."""

import csv
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_checkpoint import (
    build,
    build_slots,
    call,
    legacy_checkpoint,
    named,
    rebuilt,
    state_dict_pickle,
    zip_checkpoint,
)

from edgeprof import Subnet, get_space
from edgeprof.accuracy import load_accuracy
from edgeprof.accuracy.fitted import compact_accuracy, fit_accuracy, read_accuracies
from edgeprof.accuracy.ofa import OfaMlp
from edgeprof.base.errors import DatasetError, OutputError, PredictorFormatError, SearchError
from edgeprof.base.torch_file import read_torch_tensors
from edgeprof.cli import cli
from edgeprof.networks.spaces.ofa_encoding import OFA_INPUTS, OfaEncoding
from edgeprof.predictors.compact.distil import distil

SPACE = get_space("ofa-mbv3-w1.2")
OFA_WEIGHTS = Path(os.environ.get("EDGEPROF_DATA", "../shared/data")) / "ofa_acc_predictor.npz"


def uniform(kernel, expand, depth, resolution, space=SPACE):
    return Subnet(space.id, (kernel,) * 20, (expand,) * 20, (depth,) * 5, resolution)


def small_mlp(seed=0, widths=(OFA_INPUTS, 8, 1)):
    rng = np.random.default_rng(seed)
    tensors = {}
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        weights = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)
        tensors[f"{2 * index}.weight"] = weights.astype(np.float32)
        tensors[f"{2 * index}.bias"] = rng.normal(size=outputs).astype(np.float32)
    return tensors


@pytest.fixture
def rows():
    return SPACE.sample_codes(50, np.random.default_rng(5))


# --- OFA's encoding and its published weights -----------------------------------------------------


@pytest.mark.skipif(not OFA_WEIGHTS.is_file(), reason="EDGEPROF_DATA has no ofa_acc_predictor.npz")
def test_ofas_predictor_gives_its_published_values():
    model = load_accuracy(OFA_WEIGHTS, SPACE)
    codes = SPACE.encode([uniform(7, 6, 4, 224), uniform(3, 3, 2, 160), uniform(5, 4, 3, 192)])
    np.testing.assert_allclose(model.predict_codes(codes), [0.83593, 0.75312, 0.80593], atol=1e-5)


@given(seed=st.integers(0, 2**32 - 1))
def test_encoding_is_one_hot_per_kept_slot_and_resolution(seed):
    codes = SPACE.sample_codes(1, np.random.default_rng(seed))
    subnet = SPACE.decode(codes)[0]
    expected = np.zeros(OFA_INPUTS)
    for stage in range(5):
        for slot in range(4 * stage, 4 * stage + subnet.d[stage]):
            expected[3 * slot + (3, 5, 7).index(subnet.ks[slot])] = 1
            expected[60 + 3 * slot + (3, 4, 6).index(subnet.e[slot])] = 1
    expected[120 + (subnet.r - 112) // 16] = 1
    np.testing.assert_array_equal(OfaEncoding(SPACE)(codes)[0], expected)


def test_mlp_is_relu_between_layers_and_linear_at_the_end(rows):
    tensors = small_mlp()
    layers = [(tensors[f"{i}.weight"], tensors[f"{i}.bias"]) for i in (0, 2)]
    hidden = np.maximum(OfaEncoding(SPACE)(rows) @ layers[0][0].T + layers[0][1], 0)
    expected = (hidden @ layers[1][0].T + layers[1][1])[:, 0]
    model = OfaMlp(layers, SPACE, name="small")
    np.testing.assert_allclose(model.predict_codes(rows), expected, atol=1e-6)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [zip_checkpoint, legacy_checkpoint])
def test_pth_gives_the_same_as_npz(tmp_path, rows, write):
    tensors = small_mlp()
    np.savez(tmp_path / "a.npz", **tensors)
    (tmp_path / "a.pth").write_bytes(write(tensors))
    from_npz = load_accuracy(tmp_path / "a.npz", SPACE).predict_codes(rows)
    np.testing.assert_array_equal(
        load_accuracy(tmp_path / "a.pth", SPACE).predict_codes(rows), from_npz
    )


def test_a_tensor_of_no_dimension_is_read(tmp_path):
    (tmp_path / "t.pth").write_bytes(zip_checkpoint({"t": np.array(0.5, dtype=np.float32)}))
    assert read_torch_tensors(tmp_path / "t.pth")["t"] == np.float32(0.5)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2"])
def test_strided_tensors_of_every_float_type_are_read(tmp_path, dtype):
    array = np.arange(12, dtype=dtype).reshape(3, 4).T
    path = tmp_path / "t.pth"
    path.write_bytes(zip_checkpoint({"t": array.copy(order="C")}))
    np.testing.assert_array_equal(read_torch_tensors(path)["t"], array)


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("numpy", "load")],
)
def test_pth_that_names_a_function_is_refused_and_nothing_runs(tmp_path, module, name):
    witness = tmp_path / "ran"
    path = tmp_path / "evil.pth"
    path.write_bytes(zip_checkpoint(small_mlp(), prefix=call(module, name, f"touch {witness}")))
    with pytest.raises(PredictorFormatError, match=f"names {module}.{name}"):
        load_accuracy(path, SPACE)
    assert not witness.exists()


def test_legacy_pth_that_names_a_function_is_refused(tmp_path):
    path = tmp_path / "evil.pth"
    path.write_bytes(state_dict_pickle({}, legacy=True, prefix=call("os", "system", "true")))
    with pytest.raises(PredictorFormatError, match=r"names os\.system"):
        load_accuracy(path, SPACE)


@pytest.mark.parametrize(
    "content",
    [
        rebuilt(strides=(-1,)),
        rebuilt(strides=(-100_000_000,)),
        rebuilt(offset=-1),
        rebuilt(strides=(1 << 30,)),
        rebuilt(state=build(strides=(-1,))),
        rebuilt(state=build(strides=(-100_000_000,))),
        rebuilt(state=build_slots(strides=(-1,))),
        rebuilt(state=build_slots(offset=-1_000)),
        rebuilt(state=build(storage="x")),
    ],
)
def test_pth_cannot_make_a_view_of_foreign_memory(tmp_path, content):
    (tmp_path / "evil.pth").write_bytes(content)
    with pytest.raises(PredictorFormatError, match=r"evil\.pth"):
        read_torch_tensors(tmp_path / "evil.pth")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch", "FloatStorage"),
    ],
)
@pytest.mark.parametrize(
    "state",
    [
        build_slots(__defaults__=(1, 2)),
        build_slots(__code__=None),
        build_slots(name="x"),
        build(name="x"),
        pickle.dumps((4, ">", None, None, None, -1, -1, 0), protocol=2)[2:-1] + b"b",
    ],
)
def test_pth_cannot_change_what_its_names_stand_for(tmp_path, module, name, state):
    """Opcode BUILD on a name; another file reads the same before and after."""
    tensors = small_mlp()
    (tmp_path / "evil.pth").write_bytes(zip_checkpoint(tensors, prefix=named(module, name, state)))
    (tmp_path / "good.pth").write_bytes(zip_checkpoint(tensors))
    with pytest.raises(PredictorFormatError, match=r"evil\.pth"):
        read_torch_tensors(tmp_path / "evil.pth")
    read = read_torch_tensors(tmp_path / "good.pth")
    assert read.keys() == tensors.keys()
    for key, array in tensors.items():
        np.testing.assert_array_equal(read[key], array)


def _unicode(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _tensor(shape):
    """A dict of one tensor of that shape, which views a storage of one element again and again."""
    storage = b"(" + _unicode("storage") + b"ctorch\nFloatStorage\n" + _unicode("0")
    return (
        b"\x80\x02}" + _unicode("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage
        + _unicode("cpu") + b"K\x01tQK\x00J" + struct.pack("<i", shape) + b"\x85K\x00\x85tRs."
    )  # fmt: skip


_DOUBLED = b"".join(b"q%ch%ch%c\x86" % (i, i, i) for i in range(60))

BOMBS = {
    "a place far out in the memo": b"\x80\x02Nr" + struct.pack("<I", 0x0FFFFFFF) + b".",
    "a tuple that takes years to hash": b"\x80\x02}K\x01" + _DOUBLED + b"K\x01s.",
    "an opcode that doubles": b"\x80\x02K\x01" + b"2\x86" * 60 + b".",
    "a large view of little": _tensor(1 << 27),
    "more bytes than there are": b"\x80\x02T\xff\xff\xff\x7f.",
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("form", ["zip", "stream"])
def test_small_checkpoints_that_would_grow_are_refused_at_once(tmp_path, name, form):
    """In a process of little memory, which a bound of its own ends if it takes long."""
    path = tmp_path / "bomb.pth"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", BOMBS[name])
            archive.writestr("a/data/0", b"\0" * 4)
    else:
        path.write_bytes(BOMBS[name])
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from edgeprof.base.torch_file import read_torch_tensors\n"
        "def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\n"
        "try: read_torch_tensors(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, used() - before < 64 << 10)\n"
    )
    read = subprocess.run(
        [sys.executable, "-P", "-c", code, path], capture_output=True, text=True, timeout=120
    )
    assert read.stdout == "PredictorFormatError True\n", read.stderr


def test_a_view_of_all_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "small.pth", "w") as archive:
        archive.writestr("a/data.pkl", _tensor(3))
        archive.writestr("a/data/0", struct.pack("<f", 0.5))
    assert read_torch_tensors(tmp_path / "small.pth")["w"].tolist() == [0.5] * 3


def test_compressed_pth_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", b"\0" * 10_000)
    with pytest.raises(PredictorFormatError, match="compressed entries"):
        read_torch_tensors(tmp_path / "bomb.pth")


def test_tensor_reaching_beyond_its_storage_is_refused(tmp_path):
    content = zip_checkpoint({"t": np.zeros((4, 4), dtype=np.float32)})
    wider = state_dict_pickle({"t": np.zeros((4, 5), dtype=np.float32)}, legacy=False)
    path = tmp_path / "short.pth"
    path.write_bytes(_with_pickle(content, wider))
    with pytest.raises(PredictorFormatError, match="reaches element 19 of a storage of 16"):
        read_torch_tensors(path)


def _with_pickle(content, data):
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith("data.pkl") else old.read(name))
    return stream.getvalue()


@settings(max_examples=150, deadline=None)
@given(data=st.data(), legacy=st.booleans())
def test_damaged_pth_is_one_clear_error(tmp_path_factory, data, legacy):
    content = bytearray((legacy_checkpoint if legacy else zip_checkpoint)(small_mlp()))
    if data.draw(st.booleans(), "cut"):
        del content[data.draw(st.integers(0, len(content) - 1), "at") :]
    else:
        at = data.draw(st.integers(0, min(len(content), 1500) - 1), "at")
        content[at] ^= data.draw(st.integers(1, 255), "bits")
    path = tmp_path_factory.mktemp("pth") / "damaged.pth"
    path.write_bytes(content)
    message = f"{path} undamaged where it matters"
    try:
        read_torch_tensors(path)
    except PredictorFormatError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.npz", None, "no such file"),
        ("text.npz", b"hello", "is no .npz"),
        ("empty.npz", b"", "is no .npz"),
        ("text.pth", b"hello", "is no complete PyTorch checkpoint"),
        ("text.onnx", b"hello", "onnxruntime cannot load it"),
        ("model.txt", b"", "unknown kind '.txt'"),
        ("text.edgp", b"hello", "text.edgp"),
    ],
)
def test_a_file_that_is_no_accuracy_model_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PredictorFormatError, match=message) as caught:
        load_accuracy(path, SPACE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (small_mlp(widths=(64, 8, 1)), "takes 64 inputs, want 128"),
        (small_mlp(widths=(128, 8, 2)), "holds no MLP from 128 inputs to 1 output"),
        ({"other": np.zeros(3)}, r"holds no MLP .*found: other"),
        ({"0.weight": np.zeros((1, 128), np.float32)}, "no fully connected layer with a bias"),
        (
            {"0.weight": np.full((1, 128), np.nan), "0.bias": np.zeros(1)},
            "holds values that are no number",
        ),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, tensors, message):
    np.savez(tmp_path / "w.npz", **tensors)
    with pytest.raises(PredictorFormatError, match=message):
        load_accuracy(tmp_path / "w.npz", SPACE)


def test_pickled_arrays_in_an_npz_are_refused(tmp_path):
    np.savez(tmp_path / "w.npz", **{"0.weight": np.array([{}], dtype=object)})
    with pytest.raises(PredictorFormatError, match="plain arrays"):
        load_accuracy(tmp_path / "w.npz", SPACE)


# --- ONNX -----------------------------------------------------------------------------------------


def write_onnx(path, tensors, batch):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "w1", "b1"], ["y"], transB=1),
    ]
    weights = [
        numpy_helper.from_array(tensors[f"{2 * i}.{kind}"], f"{kind[0]}{i}")
        for i in (0, 1)
        for kind in ("weight", "bias")
    ]
    inputs = tensors["0.weight"].shape[1]
    graph = helper.make_graph(
        nodes,
        "accuracy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 1])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))


@pytest.mark.parametrize("batch", ["n", 1, 16])
def test_onnx_of_free_or_fixed_batch_gives_the_same_as_npz(tmp_path, rows, batch):
    tensors = small_mlp()
    np.savez(tmp_path / "a.npz", **tensors)
    write_onnx(tmp_path / "a.onnx", tensors, batch)
    np.testing.assert_allclose(
        load_accuracy(tmp_path / "a.onnx", SPACE).predict_codes(rows),
        load_accuracy(tmp_path / "a.npz", SPACE).predict_codes(rows),
        atol=1e-5,
    )


def test_onnx_of_other_inputs_is_refused(tmp_path):
    write_onnx(tmp_path / "a.onnx", small_mlp(widths=(64, 8, 1)), "n")
    with pytest.raises(PredictorFormatError, match=r"want one input of shape \[n, 128\]"):
        load_accuracy(tmp_path / "a.onnx", SPACE)


# --- proxy, fitted, compact -----------------------------------------------------------------------


def test_the_proxy_grows_with_macs_and_says_it_is_no_accuracy(rows):
    model = load_accuracy("capacity-proxy", SPACE)
    macs = np.array([SPACE.layers(subnet).macs for subnet in SPACE.decode(rows)])
    np.testing.assert_allclose(np.exp(model.predict_codes(rows)), macs, rtol=1e-9)
    assert model.is_proxy
    assert "not an accuracy" in model.name


def write_accuracies(path, subnets, top1):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["space", "resolution", "ks", "e", "d", "top1"])
        for subnet, value in zip(subnets, top1, strict=True):
            lists = [json.dumps(list(values)) for values in (subnet.ks, subnet.e, subnet.d)]
            writer.writerow([subnet.space, subnet.r, *lists, value])


def test_an_accuracy_model_is_fitted_to_measured_subnets(tmp_path):
    codes = SPACE.sample_codes(120, np.random.default_rng(1))
    proxy = load_accuracy("capacity-proxy", SPACE).predict_codes(codes)
    top1 = 0.05 * proxy - 0.25
    write_accuracies(tmp_path / "m.csv", SPACE.decode(codes[:100]), top1[:100])
    fit_accuracy(tmp_path / "m.csv", tmp_path / "m.host.npz")
    fitted = load_accuracy(tmp_path / "m.host.npz", SPACE).predict_codes(codes[100:])
    assert np.abs(fitted - top1[100:]).max() < 0.01


def test_an_accuracy_model_of_a_space_with_widths_is_fitted_to_a_table(tmp_path):
    space = get_space("ofa-resnet50")
    subnets = space.sample(40, np.random.default_rng(1))
    macs = np.array([space.layers(subnet).macs for subnet in subnets])
    top1 = 0.05 * np.log(macs) - 0.3
    rows = [
        [s.space, s.r, *(json.dumps(list(v)) for v in (s.ks, s.e, s.d, s.w)), value]
        for s, value in zip(subnets, top1, strict=True)
    ]
    with (tmp_path / "m.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["space", "resolution", "ks", "e", "d", "w", "top1"], *rows])
    data = fit_accuracy(tmp_path / "m.csv", tmp_path / "m.host.npz")
    np.testing.assert_array_equal(data.codes, space.encode(subnets))
    np.testing.assert_allclose(data.values, top1)
    fitted = load_accuracy(tmp_path / "m.host.npz", space).predict_codes(space.encode(subnets))
    assert np.abs(fitted - top1).max() < 0.01


def test_files_that_could_not_be_loaded_again_are_not_written(tmp_path, rows):
    write_accuracies(tmp_path / "m.csv", SPACE.decode(rows), np.linspace(0.7, 0.8, len(rows)))
    with pytest.raises(OutputError, match=r"acc\.npz: want a name that ends in \.host\.npz"):
        fit_accuracy(tmp_path / "m.csv", tmp_path / "acc.npz")
    np.savez(tmp_path / "a.npz", **small_mlp())
    with pytest.raises(OutputError, match=r"acc\.bin: want a name that ends in \.edgp"):
        compact_accuracy(load_accuracy(tmp_path / "a.npz", SPACE), SPACE, tmp_path / "acc.bin")
    assert {path.name for path in tmp_path.iterdir()} == {"m.csv", "a.npz"}


@pytest.mark.parametrize(
    ("value", "message"),
    [("76.1", "column top1: '76.1', want a fraction"), ("", "line 2, column top1"), ("x", "'x'")],
)
def test_a_top1_that_is_no_fraction_names_its_line(tmp_path, value, message):
    write_accuracies(tmp_path / "m.csv", [uniform(3, 3, 2, 160)], [value])
    with pytest.raises(DatasetError, match=message):
        read_accuracies(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("space,resolution\n", "column ks is missing"),
        ("space,resolution,ks,e,d,top1\n", "has no rows"),
        ("space,resolution,ks,e,d,top1\nofa-mbv3-w1.2,160,[3],[3],[2],0.7\n", "line 2, column ks"),
        ("space,resolution,ks,e,d,top1\nofa-mbv3-w1.2,160,x,y,z,0.7\n", "line 2, column ks"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_named(tmp_path, content, message):
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_accuracies(tmp_path / "m.csv")


def test_a_latency_predictor_is_not_taken_for_an_accuracy_model(tmp_path):
    from edgeprof.predictors.compact.distil import fit_student

    rng = np.random.default_rng(0)
    codes = SPACE.sample_codes(600, rng, SPACE.resolutions)
    student = fit_student("rpi4", SPACE, codes, np.full(len(codes), 5.0), rng)
    student.save(tmp_path / "latency.edgp")
    with pytest.raises(PredictorFormatError, match="predicts the latency of rpi4, no accuracy"):
        load_accuracy(tmp_path / "latency.edgp", SPACE)


def write_model(folder, kind, rows):
    """Write an accuracy model of a kind; returns the file."""
    tensors = small_mlp()
    if kind == "onnx":
        write_onnx(folder / "a.onnx", tensors, "n")
        return folder / "a.onnx"
    np.savez(folder / "a.npz", **tensors)
    if kind == "npz":
        return folder / "a.npz"
    values = load_accuracy(folder / "a.npz", SPACE).predict_codes(rows)
    top1 = 0.7 + 0.1 * (values - values.min()) / np.ptp(values)
    write_accuracies(folder / "m.csv", SPACE.decode(rows), top1)
    fit_accuracy(folder / "m.csv", folder / "m.host.npz")
    return folder / "m.host.npz"


@pytest.fixture
def short_distillation(monkeypatch):
    """A third of the usual subnets: seconds instead of a minute."""
    monkeypatch.setattr("edgeprof.accuracy.fitted.distil", partial(distil, n_unlabelled=8000))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "host"])
@pytest.mark.usefixtures("short_distillation")
def test_every_kind_of_accuracy_model_is_made_compact(tmp_path, rows, kind):
    model = load_accuracy(write_model(tmp_path, kind, rows), SPACE)
    report = compact_accuracy(model, SPACE, tmp_path / "a.edgp")
    compact = load_accuracy(tmp_path / "a.edgp", SPACE)
    assert compact.resolutions == model.resolutions
    difference = compact.predict_codes(rows) - model.predict_codes(rows)
    assert np.sqrt(np.mean(difference**2)) < 2 * report.rmse


@pytest.mark.slow
def test_a_compact_accuracy_model_repeats_its_model(tmp_path, rows):
    model = load_accuracy(write_model(tmp_path, "npz", rows), SPACE)
    report = compact_accuracy(model, SPACE, tmp_path / "a.edgp")
    compact = load_accuracy(tmp_path / "a.edgp", SPACE)
    assert compact.resolutions == model.resolutions
    difference = compact.predict_codes(rows) - model.predict_codes(rows)
    assert np.sqrt(np.mean(difference**2)) < 2 * report.rmse
    assert report.rmse < 0.5 * np.std(model.predict_codes(rows))
    with pytest.raises(PredictorFormatError, match=r"accuracy model of space ofa-mbv3-w1\.2"):
        load_accuracy(tmp_path / "a.edgp", get_space("ofa-mbv3-w1.0"))


@pytest.mark.slow
@pytest.mark.usefixtures("short_distillation")
def test_compact_prints_what_it_loses_and_the_search_takes_the_file(tmp_path, rows):
    source = write_model(tmp_path, "npz", rows)
    output = tmp_path / "a.edgp"
    arguments = ["accuracy", "compact", str(source), "--space", SPACE.id, "-o", str(output)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert f"{output}: " in result.output
    assert "root mean square difference" in result.output
    assert load_accuracy(output, SPACE).predict_codes(rows).shape == (len(rows),)


def test_a_proxy_is_not_made_compact(tmp_path):
    with pytest.raises(SearchError, match="is no accuracy model"):
        compact_accuracy(load_accuracy("capacity-proxy", SPACE), SPACE, tmp_path / "p.edgp")


def test_fit_prints_what_it_learned_from(tmp_path):
    codes = SPACE.sample_codes(10, np.random.default_rng(1))
    write_accuracies(tmp_path / "m.csv", SPACE.decode(codes), np.linspace(0.7, 0.8, 10))
    output = str(tmp_path / "m.host.npz")
    result = CliRunner().invoke(cli, ["accuracy", "fit", str(tmp_path / "m.csv"), "-o", output])
    assert result.exit_code == 0, result.output
    assert "fitted to 10 subnets of ofa-mbv3-w1.2" in result.output
