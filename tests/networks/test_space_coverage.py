"""The further search spaces: what they refuse, and that their models run in both runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprof import Subnet, get_space
from edgeprof.base.errors import InvalidSubnet
from edgeprof.export.weights import MadeWeights, WeightFile, constants_of
from edgeprof.networks.spaces import known_spaces
from edgeprof.networks.spaces.costs import model_bytes_cost, model_bytes_of

ALL_SPACES = known_spaces()


def test_compofa_ties_the_expand_ratio_to_the_depth() -> None:
    ks = tuple(k for k in (3, 5, 3, 3, 5) for _ in range(4))
    Subnet("compofa-mbv3-w1.0", ks, (3,) * 20, (2,) * 5, 160)
    with pytest.raises(InvalidSubnet, match=r"e\[4\] is 3, .* wants 4 where d\[1\] is 3"):
        Subnet("compofa-mbv3-w1.0", ks, (3,) * 20, (2, 3, 2, 2, 2), 160)
    with pytest.raises(InvalidSubnet, match=r"ks\[0\] is 7, .* wants one of 3"):
        Subnet("compofa-mbv3-w1.0", (7, *ks[1:]), (3,) * 20, (2,) * 5, 160)
    Subnet("compofa-mbv3-elastic-w1.0", (7, *ks[1:]), (3,) * 20, (2,) * 5, 160)


def test_compofa_has_as_many_networks_as_its_paper_says() -> None:
    fixed, elastic = get_space("compofa-mbv3-w1.0"), get_space("compofa-mbv3-elastic-w1.0")
    assert np.prod([len(group.variants) for group in fixed.choice_groups]) == 243
    per_stage = 3**2 + 3**3 + 3**4
    counted = [
        sum(int(np.prod([len(column) for column in variant])) for variant in group.variants)
        for group in elastic.choice_groups
    ]
    assert counted == [per_stage] * 5


def test_proxyless_has_a_last_stage_of_one_block() -> None:
    with pytest.raises(InvalidSubnet, match=r"d\[5\] is 2"):
        Subnet("ofa-proxyless-w1.3", (3,) * 21, (3,) * 21, (2,) * 6, 160)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": [3] * 18}, "'ks' has 18 values, space ofa-resnet50 wants 0"),
        ({"e": [0.25] * 17}, "'e' has 17 values"),
        ({"e": [0.3] * 18}, r"e\[0\] is 0.3, .* wants one of 0.2, 0.25, 0.35"),
        ({"w": [0, 0, 0, 0, 0, 3]}, r"w\[5\] is 3"),
        ({"d": [2, 2, 2, 2, 3]}, r"d\[4\] is 3"),
        ({"w": None}, "'w' has 0 values"),
    ],
)
def test_resnet50_refuses_what_it_has_not(change: dict[str, object], message: str) -> None:
    ofa = {"e": [0.25] * 18, "d": [0] * 5, "w": [0] * 6, "r": [160]}
    assert Subnet.from_dict(ofa, space="ofa-resnet50").ks == ()
    with pytest.raises(InvalidSubnet, match=message):
        Subnet.from_dict({**ofa, **change}, space="ofa-resnet50")


def test_resnet50_subnets_of_equal_channels_are_equal() -> None:
    first = Subnet("ofa-resnet50", (), (0.25,) * 18, (0,) * 5, 160, (0,) * 6)
    second = Subnet("ofa-resnet50", (), (0.25,) * 18, (1, 0, 0, 0, 0), 160, (1, 0, 0, 0, 0, 0))
    assert first.id == second.id
    assert first.id != Subnet("ofa-resnet50", (), (0.25,) * 18, (0,) * 5, 160, (2,) + (0,) * 5).id


@pytest.mark.parametrize("space_id", ALL_SPACES)
def test_json_keeps_every_subnet(space_id: str) -> None:
    for subnet in get_space(space_id).sample(20, np.random.default_rng(1)):
        assert Subnet.from_json(subnet.to_json()) == subnet


@pytest.mark.parametrize("space_id", ALL_SPACES)
def test_the_shared_weights_of_a_space_have_room_for_every_subnet(space_id: str) -> None:
    space = get_space(space_id)
    weight_file = WeightFile.plan("weights.bin", MadeWeights.for_space(space))
    for subnet in space.sample(30, np.random.default_rng(2)):
        for layer in space.layers(subnet).layers():
            for constant in constants_of(layer):
                weight_file.offset_bytes(constant)


def widest_and_sampled(space_id: str) -> list[Subnet]:
    """The subnet of the last choices at the smallest resolution, and a sampled odd one."""
    space = get_space(space_id)
    last = [column[-1] for group in space.choice_groups for column in group.variants[-1]]
    widest = space.decode(np.array([[*last, 0]], dtype=np.uint8))[0]
    return [widest, space.sample(1, np.random.default_rng(3), [space.resolutions[1]])[0]]


@pytest.mark.parametrize("space_id", [s for s in ALL_SPACES if not s.startswith("ofa-mbv3")])
def test_models_of_every_space_agree_in_both_runtimes(tmp_path: Path, space_id: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    from edgeprof.export.onnx import export_network as export_onnx
    from edgeprof.export.tflite import export_network as export_tflite

    space = get_space(space_id)
    weights = MadeWeights.for_space(space)
    for subnet in widest_and_sampled(space_id):
        network = space.layers(subnet)
        export_onnx(network, tmp_path / "a.onnx", weights=weights)
        export_tflite(network, tmp_path / "a.tflite", weights=weights)
        shape = (1, 3, subnet.r, subnet.r)
        x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        wanted = ort.InferenceSession(str(tmp_path / "a.onnx"), options).run(None, {"input": x})[0]
        model = interpreter.Interpreter(str(tmp_path / "a.tflite"))
        model.allocate_tensors()
        model.set_tensor(model.get_input_details()[0]["index"], x.transpose(0, 2, 3, 1))
        model.invoke()
        got = model.get_tensor(model.get_output_details()[0]["index"])
        assert np.isfinite(wanted).all()
        assert 0.01 < float(np.sqrt(np.mean(np.square(wanted)))) < 100
        assert np.abs(got - wanted).max() / np.abs(wanted).max() < 1e-5


@pytest.mark.parametrize("model_format", ["onnx", "tflite"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    "space_id", ["ofa-mbv3-w1.2", "compofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50"]
)
def test_model_bytes_are_an_upper_estimate_near_the_file(
    tmp_path: Path, space_id: str, precision: str, model_format: str
) -> None:
    from edgeprof.export import onnx, onnx_int8, tflite

    space = get_space(space_id)
    subnet = space.sample(1, np.random.default_rng(3))[0]
    network, path = space.layers(subnet), tmp_path / "model"
    if model_format == "tflite":
        tflite.export_network(network, path, precision=precision)
    else:
        (onnx_int8 if precision == "int8" else onnx).export_network(network, path)
    estimated = model_bytes_of(network, model_format, precision)
    assert path.stat().st_size <= estimated <= 1.03 * path.stat().st_size
    codes = space.encode([subnet])
    assert model_bytes_cost(space, model_format, precision)(codes)[0] == estimated
