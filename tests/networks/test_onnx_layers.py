"""A model from anywhere has a layer list; what is not known is named, never passed over."""

import numpy as np
import pytest

from edgeprof import get_space
from edgeprof.base.errors import InvalidModel, UnsupportedModel
from edgeprof.networks.layers import Op
from edgeprof.networks.spaces import known_spaces

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

from edgeprof.export import export_subnets  # noqa: E402
from edgeprof.networks.onnx_layers import read_onnx_network  # noqa: E402


def write_model(path, nodes, in_shape=(1, 8, 16, 16), out_name="y", weights=()):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, in_shape)],
        [helper.make_tensor_value_info(out_name, TensorProto.FLOAT, None)],
        [
            helper.make_tensor(name, TensorProto.FLOAT, shape, np.zeros(shape, np.float32))
            for name, shape in weights
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("space_id", known_spaces())
def test_an_exported_subnet_reads_back_as_the_layers_it_was_made_from(tmp_path, space_id):
    space = get_space(space_id)
    for entry in export_subnets(space.sample(3, np.random.default_rng(0)), tmp_path):
        made, read = space.layers(entry.subnet), read_onnx_network(tmp_path / entry.file)

        def facts(network):
            return sorted(
                (layer.op.value, layer.macs, layer.in_shape, layer.out_shape, layer.stride)
                for layer in network.layers()
            )

        assert facts(read) == facts(made)
        assert read.input_shape == made.input_shape


def test_x_times_hard_sigmoid_of_x_is_h_swish(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("HardSigmoid", ["c"], ["s"]),
        helper.make_node("Mul", ["c", "s"], ["y"]),
    ]
    path = write_model(tmp_path / "m.onnx", nodes, weights=[("w", (4, 8, 3, 3))])
    network = read_onnx_network(path)
    assert [layer.op for layer in network.layers()] == [Op.CONV, Op.H_SWISH]
    assert network.macs == 4 * 8 * 9 * 16 * 16


def test_what_a_runtime_folds_costs_nothing(tmp_path):
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["y"]),
    ]
    weights = [("w", (8, 10)), ("b", (10,))]
    network = read_onnx_network(write_model(tmp_path / "m.onnx", nodes, weights=weights))
    assert [layer.op for layer in network.layers()] == [Op.GLOBAL_AVG_POOL, Op.LINEAR]
    assert network.macs == 80


@pytest.mark.parametrize(
    ("op_type", "message"),
    [("Erf", "operator Erf of node 'y': the operator is not known"), ("Softplus", "Softplus")],
)
def test_an_unknown_operator_is_named(tmp_path, op_type, message):
    path = write_model(tmp_path / "m.onnx", [helper.make_node(op_type, ["x"], ["y"])])
    with pytest.raises(UnsupportedModel, match=message):
        read_onnx_network(path)


def test_a_dilated_convolution_is_named(tmp_path):
    node = helper.make_node("Conv", ["x", "w"], ["y"], dilations=[2, 2], kernel_shape=[3, 3])
    path = write_model(tmp_path / "m.onnx", [node], weights=[("w", (4, 8, 3, 3))])
    with pytest.raises(UnsupportedModel, match="dilations"):
        read_onnx_network(path)


def test_dynamic_shapes_are_named(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    path = write_model(tmp_path / "m.onnx", nodes, in_shape=(1, 8, None, None))
    with pytest.raises(InvalidModel, match="shape of 'x' is"):
        read_onnx_network(path)


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(InvalidModel, match=r"m\.onnx: is no valid ONNX model"):
        read_onnx_network(tmp_path / "m.onnx")
    with pytest.raises(InvalidModel, match="cannot be read"):
        read_onnx_network(tmp_path / "none.onnx")
