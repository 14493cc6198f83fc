"""Trained weights of a supernet are cut out for its subnets as OFA does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprof import Subnet, get_space
from edgeprof.base.errors import EdgeprofError, InvalidModel
from edgeprof.export import export_subnets
from edgeprof.export.ofa_weights import OfaWeights
from edgeprof.export.weights import Constant, constants_of

SPACE = "ofa-mbv3-w1.0"
SMALL = Subnet(SPACE, (3,) * 20, (3,) * 20, (2,) * 5, 128)
LARGEST = Subnet(SPACE, (7,) * 20, (6,) * 20, (4,) * 5, 224)
OFA_LAYERS = {
    "expand": "inverted_bottleneck.conv.conv.weight",
    "depthwise": "depth_conv.conv.conv.weight",
    "project": "point_linear.conv.conv.weight",
}


def supernet() -> dict[str, np.ndarray]:
    """A state dict with the names and shapes of OFA's, and random values."""
    rng = np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {}

    def conv(name: str, bn: str, *shape: int) -> None:
        fan_in = int(np.prod(shape[1:]))
        tensors[name] = rng.standard_normal(shape).astype(np.float32) / np.sqrt(fan_in)
        for part in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{bn}.{part}"] = rng.uniform(0.5, 1.5, shape[0]).astype(np.float32)

    conv("first_conv.conv.weight", "first_conv.bn", 16, 3, 3, 3)
    first = "blocks.0.mobile_inverted_conv"
    conv(f"{first}.depth_conv.conv.weight", f"{first}.depth_conv.bn", 16, 1, 3, 3)
    conv(f"{first}.point_linear.conv.weight", f"{first}.point_linear.bn", 16, 16, 1, 1)
    for layer in get_space(SPACE).layers(LARGEST).layers():
        stage, _, rest = layer.name.partition(".")
        if not stage.startswith("stage") or not layer.weight_shape:
            continue
        block, _, kind = rest.partition(".")
        number = 4 * (int(stage[5:]) - 1) + int(block[5:])
        root = f"blocks.{number}.mobile_inverted_conv"
        if kind.startswith("se_"):
            name = f"{root}.depth_conv.se.fc.{kind[3:]}"
            tensors[f"{name}.weight"] = rng.standard_normal(layer.weight_shape) / 30
            tensors[f"{name}.bias"] = rng.standard_normal(layer.weight_shape[0])
            continue
        elastic = f"{root}.{OFA_LAYERS[kind]}"
        bn = f"{root}.{OFA_LAYERS[kind].partition('.')[0]}.bn.bn"
        conv(elastic, bn, *layer.weight_shape)
        if kind == "depthwise":
            prefix = elastic.removesuffix("conv.weight")
            tensors[f"{prefix}7to5_matrix"] = rng.standard_normal((25, 25)).astype(np.float32)
            tensors[f"{prefix}5to3_matrix"] = rng.standard_normal((9, 9)).astype(np.float32)
    conv("final_expand_layer.conv.weight", "final_expand_layer.bn", 960, 160, 1, 1)
    tensors["feature_mix_layer.conv.weight"] = rng.standard_normal((1280, 960, 1, 1)) / 30
    tensors["classifier.linear.weight"] = rng.standard_normal((1000, 1280)) / 36
    tensors["classifier.linear.bias"] = rng.standard_normal(1000)
    return tensors


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ofa") / "supernet.npz"
    np.savez(path, **supernet())
    return path


@pytest.fixture(scope="module")
def weights(checkpoint: Path) -> OfaWeights:
    return OfaWeights(checkpoint)


def constant(subnet: Subnet, name: str) -> Constant:
    layers = get_space(subnet.space).layers(subnet).layers()
    return next(c for layer in layers for c in constants_of(layer) if c.name == name)


def test_every_constant_of_every_subnet_is_found(weights: OfaWeights) -> None:
    space = get_space(SPACE)
    for subnet in (SMALL, LARGEST, *space.sample(3, np.random.default_rng(0))):
        for layer in space.layers(subnet).layers():
            for item in constants_of(layer):
                assert weights.values(item).shape == item.shape


def test_kernels_are_cropped_and_transformed_one_size_after_the_other(weights: OfaWeights) -> None:
    tensors = supernet()
    root = "blocks.1.mobile_inverted_conv.depth_conv"
    kernel7 = tensors[f"{root}.conv.conv.weight"][5, 0]
    kernel5 = (tensors[f"{root}.conv.7to5_matrix"] @ kernel7[1:6, 1:6].ravel()).reshape(5, 5)
    kernel3 = (tensors[f"{root}.conv.5to3_matrix"] @ kernel5[1:4, 1:4].ravel()).reshape(3, 3)
    bn = {part: tensors[f"{root}.bn.bn.{part}"][5] for part in ("weight", "running_var")}
    wanted = kernel3 * bn["weight"] / np.sqrt(bn["running_var"] + 1e-5)
    got = weights.values(constant(SMALL, "stage1.block1.depthwise.weight"))[5, 0]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_batch_normalisation_is_folded(weights: OfaWeights) -> None:
    tensors = supernet()
    bn = {p: tensors[f"final_expand_layer.bn.{p}"] for p in ("weight", "bias", "running_mean")}
    scale = bn["weight"] / np.sqrt(tensors["final_expand_layer.bn.running_var"] + 1e-5)
    got = weights.values(constant(SMALL, "final_expand.conv.bias"))
    np.testing.assert_allclose(got, bn["bias"] - bn["running_mean"] * scale, atol=1e-6)


def test_narrow_blocks_take_the_first_channels(weights: OfaWeights) -> None:
    small = weights.values(constant(SMALL, "stage2.block1.project.weight"))
    large = weights.values(constant(LARGEST, "stage2.block1.project.weight"))
    np.testing.assert_array_equal(small, large[:, : small.shape[1]])


def test_models_with_trained_weights_stand_alone(
    checkpoint: Path, weights: OfaWeights, tmp_path: Path
) -> None:
    ort = pytest.importorskip("onnxruntime")
    (entry,) = export_subnets([SMALL], tmp_path, weights=weights)
    assert entry.weights_file is None
    assert entry.weights == weights.id == OfaWeights(checkpoint).id
    session = ort.InferenceSession(str(tmp_path / entry.file))
    y = session.run(None, {"input": np.zeros((1, 3, 128, 128), np.float32)})[0]
    assert np.isfinite(y).all()


def test_a_supernet_of_another_width_is_refused(weights: OfaWeights) -> None:
    wider = Subnet("ofa-mbv3-w1.2", SMALL.ks, SMALL.e, SMALL.d, SMALL.r)
    with pytest.raises(InvalidModel, match=r"first_conv has the shape \(16, 3, 3, 3\)"):
        weights.values(constant(wider, "stem.conv.weight"))


@pytest.mark.parametrize("name", ["a.npz", "a.pth"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"nonsense")
    with pytest.raises(EdgeprofError, match=name):
        OfaWeights(path)
    with pytest.raises(EdgeprofError, match=r"none\.npz"):
        OfaWeights(tmp_path / "none.npz")
