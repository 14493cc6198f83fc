"""The suites: known architectures as published, layers of every kind, and files that run."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprof.base.errors import UnsupportedModel
from edgeprof.networks import read_network
from edgeprof.networks.suites import SUITES, network_of, suite_models
from edgeprof.networks.suites.large import convnext, detector, resnet, vgg, vit
from edgeprof.networks.suites.layers import layer_suite
from edgeprof.networks.suites.mobile import (
    efficientnet_lite,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v2,
    squeezenet,
)
from edgeprof.networks.suites.recipe import Recipe
from edgeprof.networks.work import Kind

onnx = pytest.importorskip("onnx")

from edgeprof.export.recipes import onnx_model, write_recipe  # noqa: E402 - needs onnx

PUBLISHED = [  # millions of multiply-accumulates and of parameters, from papers and model zoos
    (mobilenet_v1(), 569, 4.2),
    (mobilenet_v1(0.5, 160), 77, 1.3),
    (mobilenet_v2(), 300, 3.5),
    (mobilenet_v2(1.4, 224), 582, 6.1),
    (mobilenet_v3("large"), 219, 5.4),
    (mobilenet_v3("large", 0.75), 155, 4.0),
    (mobilenet_v3("large", minimalistic=True), 209, 3.9),
    (mobilenet_v3("small", 0.75), 44, 2.04),
    (mobilenet_v3("small"), 56, 2.5),
    (efficientnet_lite(), 385, 4.65),  # its authors say 407, with batch norms and sums
    (squeezenet(), 349, 1.24),
    (shufflenet_v2(0.5), 41, 1.4),
    (shufflenet_v2(1.0), 146, 2.3),
    (shufflenet_v2(1.5), 299, 3.5),
    (resnet(18), 1814, 11.7),
    (resnet(34), 3664, 21.8),
    (resnet(50), 4089, 25.5),
    (vgg(11), 7609, 132.9),
    (vgg(16), 15470, 138.4),
    (convnext(), 4456, 28.6),
    (vit(192), 1258, 5.7),
    (vit(384), 4608, 22.0),
    (vit(768), 17564, 86.6),
]


def read(recipe, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model(recipe, with_values=False).SerializeToString())
    return read_network(path)


@pytest.mark.parametrize(("recipe", "macs", "parameters"), PUBLISHED, ids=lambda v: str(v)[:40])
def test_macs_and_parameters_are_those_published(recipe, macs, parameters, tmp_path):
    network = read(recipe, tmp_path)
    assert network.macs / 1e6 == pytest.approx(macs, rel=0.015)
    assert network.parameters / 1e6 == pytest.approx(parameters, rel=0.03)


@pytest.mark.parametrize("suite", SUITES)
def test_shapes_are_those_that_onnx_infers(suite):
    for recipe, _ in suite_models(suite):
        model = onnx_model(recipe, with_values=False)
        found = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        for value in [*found.graph.value_info, *found.graph.output]:
            if value.name in recipe.shapes:
                dims = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
                assert dims == tuple(recipe.shapes[value.name]), (recipe.name, value.name)


def test_the_layers_span_the_kinds_and_none_is_in_doubt(tmp_path):
    layers = [layer for recipe in layer_suite() for layer in read(recipe, tmp_path).work]
    kinds = {layer.kind for layer in layers}
    assert set(Kind) - kinds == {Kind.TRANSFORM, Kind.UNKNOWN}
    assert not [layer for layer in layers if layer.doubt]
    assert {stride for layer in layers for stride in layer.stride} >= {1, 2}
    operators = {layer.operator for layer in layers if layer.kind is Kind.ELEMENTWISE}
    assert operators >= {"Add", "Sub", "Mul", "Div", "Max"}


@pytest.mark.parametrize(("suite", "number"), [("layers", 485), ("networks", 48)])
def test_models_are_distinct_and_the_same_each_time(suite, number):
    models = suite_models(suite)
    assert len({(recipe.name, precision) for recipe, precision in models}) == number
    assert len({(recipe.digest, precision) for recipe, precision in models}) == number
    assert [model.recipe.digest for model in suite_models(suite)] == [r.digest for r, _ in models]


def test_the_digest_tells_recipes_apart():
    def recipe(name="a", out=8, stride=1):
        net = Recipe(name)
        net.conv(net.input(1, 3, 32, 32), out, 3, stride)
        return net

    assert recipe().digest == recipe(name="b").digest
    assert len({recipe().digest, recipe(out=9).digest, recipe(stride=2).digest}) == 3


@pytest.mark.parametrize(
    "recipe",
    [
        *[model.recipe for model in suite_models("layers")[::5]],
        mobilenet_v3("small", 0.5, 64),
        shufflenet_v2(0.5, 64),
        squeezenet(0.25, 64),
        convnext(16, (1, 1, 1, 1), 64),
        vit(64, 1, 16, 64),
        detector(0.125, 1, 64),
    ],
    ids=lambda recipe: recipe.name,
)
def test_models_run_and_their_values_stay_finite(recipe, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    write_recipe(recipe, tmp_path / "m.onnx", format="onnx", precision="fp32")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    rng = np.random.default_rng(0)
    feed = {
        name: abs(rng.standard_normal(recipe.shapes[name], dtype=np.float32))
        for name in recipe.inputs
    }
    outputs = session.run(None, feed)
    assert outputs[0].shape == recipe.shapes[recipe.results[0]]
    assert np.isfinite(outputs[0]).all()
    assert outputs[0].std() > 1e-6


@pytest.mark.parametrize(
    ("kind", "precision"), [("tflite", "fp32"), ("tflite", "int8"), ("onnx", "int8")]
)
def test_convolutional_networks_have_the_other_forms_with_the_same_macs(kind, precision, tmp_path):
    pytest.importorskip("onnxruntime")
    if kind == "tflite":
        pytest.importorskip("ai_edge_litert")
    path = tmp_path / f"m.{kind}"
    for recipe in (mobilenet_v3("small", 0.5, 64), resnet(10, 0.25, 64), vgg(11, 0.125, 64)):
        write_recipe(recipe, path, format=kind, precision=precision)
        assert read_network(path).macs == read(recipe, tmp_path).macs
    with pytest.raises(UnsupportedModel, match=f"no {kind} form in {precision}"):
        write_recipe(vit(64, 1, 16, 64), path, format=kind, precision=precision)


def test_a_format_has_the_models_that_it_can_write():
    for suite in SUITES:
        models = suite_models(suite, format="tflite")
        assert len(models) > 20
        assert all(network_of(model.recipe) is not None for model in models)
    assert {model.precision for model in suite_models("layers")} == {"fp32", "int8"}
    assert {model.precision for model in suite_models("layers", precision="int8")} == {"int8"}
