"""The layer list of TFLite files."""

import numpy as np
import pytest

from edgeprof import get_space
from edgeprof.base.errors import InvalidModel
from edgeprof.networks import read_network
from edgeprof.networks.work import Kind

pytest.importorskip("ai_edge_litert.schema_py_generated")
pytest.importorskip("flatbuffers")
from tflite_models import operator, signature, subgraph, tensor, write_tflite

from edgeprof.export import export_subnets


@pytest.mark.parametrize("space_id", ["ofa-mbv3-w1.0", "ofa-resnet50"])
@pytest.mark.parametrize(("precision", "element"), [("fp32", "float32"), ("int8", "int8")])
def test_an_exported_subnet_has_the_products_it_was_made_from(
    tmp_path, space_id, precision, element
):
    space = get_space(space_id)
    (entry,) = export_subnets(
        space.sample(1, np.random.default_rng(0)), tmp_path, format="tflite", precision=precision
    )
    made, read = space.layers(entry.subnet), read_network(tmp_path / entry.file)

    def products(network):
        return [
            (layer.kind, layer.macs, layer.out_channels, layer.out_size, layer.kernel, layer.stride)
            for layer in network.work
            if layer.macs
        ]

    assert products(read) == products(made)
    assert read.macs == made.macs
    assert {layer.element_type for layer in read.work if layer.macs} == {element}
    assert {layer.weight_type for layer in read.work if layer.macs} == {element}
    assert all(not layer.doubt for layer in read.work)


def product(shape=(1, 64)):
    """A fully connected layer with ReLU from ``shape`` to 10 columns."""
    tensors = [
        tensor("x", shape),
        tensor("w", (10, shape[-1]), buffer=1),
        tensor("y", (*shape[:-1], 10)),
    ]
    options = {"fusedActivationFunction": 1}
    operators = [operator(0, [0, 1, -1], [2], "FullyConnectedOptions", **options)]
    return subgraph(tensors, operators, [0], [2])


WEIGHTS = np.zeros((10, 64), np.float32)


def test_a_fully_connected_layer_is_counted_with_its_activation(tmp_path):
    path = write_tflite(tmp_path / "m.tflite", [product()], ["FULLY_CONNECTED"], buffers=[WEIGHTS])
    (layer,) = read_network(path).work
    assert (layer.kind, layer.macs, layer.parameters) == (Kind.LINEAR, 640, 640)
    assert (layer.fused, layer.operations) == (("RELU",), 10)
    assert (layer.in_channels, layer.out_channels) == (64, 10)


def test_of_several_signatures_the_first_is_read_and_said(tmp_path):
    graphs = [product(), product((8, 64))]
    signatures = [signature("decode", 0), signature("prefill", 1)]
    path = write_tflite(
        tmp_path / "m.tflite", graphs, ["FULLY_CONNECTED"], signatures, buffers=[WEIGHTS]
    )
    network = read_network(path)
    assert network.notes == ("read signature 'decode', the first of 'decode', 'prefill'",)
    assert network.macs == 640


def test_a_custom_operator_costs_its_bytes_and_is_named(tmp_path):
    tensors = [tensor("x", (1, 64)), tensor("y", (1, 64))]
    graph = subgraph(tensors, [operator(0, [0], [1])], [0], [1])
    (layer,) = read_network(write_tflite(tmp_path / "m.tflite", [graph], ["Warp"])).work
    assert (layer.operator, layer.kind) == ("custom::Warp", Kind.UNKNOWN)
    assert (layer.doubt, layer.bytes_read) == ("unknown operator", 256)


def test_the_body_of_a_loop_counts_once_and_says_so(tmp_path):
    def body(*operators):
        return subgraph([tensor("a", (1, 64)), tensor("b", (1, 64))], list(operators), [0], [1])

    loop = operator(0, [0], [1], "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2)
    graphs = [
        subgraph([tensor("x", (1, 64)), tensor("y", (1, 64))], [loop], [0], [1]),
        body(operator(1, [0], [1])),
        body(operator(2, [0], [1])),
    ]
    path = write_tflite(tmp_path / "m.tflite", graphs, ["WHILE", "ABS", "TANH"])
    work = read_network(path).work
    assert [layer.operator for layer in work] == ["ABS", "TANH"]
    assert {layer.doubt for layer in work} == {"number of turns unknown"}


def open_model(path, **names):
    tensors = [tensor("x", (1, 64), (-1, 64)), tensor("y", (1, 64), (-1, 64))]
    graph = subgraph(tensors, [operator(0, [0], [1])], [0], [1])
    signatures = [signature("serve", 0, names)] if names else []
    return write_tflite(path, [graph], ["TANH"], signatures)


def test_an_open_shape_is_named_and_the_proposal_works(tmp_path):
    path = open_model(tmp_path / "m.tflite")
    with pytest.raises(InvalidModel, match="--shape x=1,64"):
        read_network(path)
    assert read_network(path, shapes={"x": (1, 64)}).work[0].elements_read == 64


def test_other_shapes_are_worked_out_by_the_interpreter(tmp_path):
    path = open_model(tmp_path / "m.tflite")
    (layer,) = read_network(path, batch=5).work
    assert (layer.elements_read, layer.elements_written, layer.batch) == (320, 320, 5)
    with pytest.raises(InvalidModel, match="has no input 'z' to give a shape; its inputs are x"):
        read_network(path, shapes={"z": (1, 64)})


def test_inputs_have_the_names_of_the_signature_as_in_runtimes(tmp_path):
    path = open_model(tmp_path / "m.tflite", image=0)
    with pytest.raises(InvalidModel, match="--shape image=1,64"):
        read_network(path)
    with pytest.raises(InvalidModel, match="its inputs are image"):
        read_network(path, shapes={"z": (1, 64)})
    for name in ("image", "x"):  # that of the tensor is taken, too
        assert read_network(path, shapes={name: (3, 64)}).work[0].elements_read == 192


def test_a_file_that_is_no_model_is_one_clear_line(tmp_path):
    path = tmp_path / "m.tflite"
    for content, message in [
        (b"no model at all", "does not begin with TFL3"),
        (b"", "cannot be read"),
        (b"PK\x03\x04....", "is a zip archive, want a TFLite model"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(8), "truncated or damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InvalidModel, match=message) as caught:
            read_network(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(InvalidModel, match="cannot be read: No such file"):
        read_network(tmp_path / "none.tflite")


def test_a_truncated_model_is_named(tmp_path):
    path = write_tflite(tmp_path / "m.tflite", [product()], ["FULLY_CONNECTED"], buffers=[WEIGHTS])
    whole = path.read_bytes()
    for length in (40, len(whole) // 4, len(whole) // 2, len(whole) - 500):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidModel, match=r"m\.tflite: is no valid TFLite model"):
            read_network(path)
