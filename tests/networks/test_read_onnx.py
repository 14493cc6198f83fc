"""The layer list of ONNX files: what is counted, what is folded, what is refused."""

import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprof import get_space
from edgeprof.base.errors import InvalidModel
from edgeprof.networks import read_network
from edgeprof.networks.spaces import known_spaces
from edgeprof.networks.work import CONVOLUTION_KINDS, Kind

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402
from onnx_graphs import write_onnx  # noqa: E402

from edgeprof.export import export_subnets  # noqa: E402

node = helper.make_node


def only_layer(path, **arguments):
    (layer,) = read_network(path, **arguments).work
    return layer


def kinds(network):
    return [layer.kind for layer in network.work]


@pytest.mark.parametrize("space_id", known_spaces())
def test_an_exported_subnet_reads_back_as_the_work_it_was_made_from(tmp_path, space_id):
    space = get_space(space_id)
    for entry in export_subnets(space.sample(2, np.random.default_rng(0)), tmp_path):
        made, read = space.layers(entry.subnet), read_network(tmp_path / entry.file)

        def facts(network):
            plain = (
                replace(layer, name="", inputs=(), operator="", fused=(), fusable_into="")
                for layer in network.work
            )
            return sorted(plain, key=repr)

        assert facts(read) == facts(made)
        assert read.input_shape == made.input_shape
        assert (read.macs, read.parameters) == (made.macs, made.parameters)


CONVOLUTIONS = {
    # kind, weights, attributes, input, MACs per output value, output size
    "dense": (Kind.CONV, (4, 8, 3, 3), {}, (1, 8, 9, 9), 72, (7, 7)),
    "pointwise": (Kind.POINTWISE, (4, 8, 1, 1), {}, (1, 8, 9, 9), 8, (9, 9)),
    "depthwise": (Kind.DEPTHWISE, (8, 1, 3, 3), {"group": 8}, (1, 8, 9, 9), 9, (7, 7)),
    "grouped": (Kind.GROUPED, (4, 4, 3, 3), {"group": 2}, (1, 8, 9, 9), 36, (7, 7)),
    "strided": (Kind.CONV, (4, 8, 3, 3), {"strides": [2, 2]}, (1, 8, 9, 9), 72, (4, 4)),
    "dilated": (Kind.CONV, (4, 8, 3, 3), {"dilations": [2, 2]}, (1, 8, 9, 9), 72, (5, 5)),
    "one_dimension": (Kind.CONV, (4, 8, 3), {}, (1, 8, 9), 24, (7,)),
    "three_dimensions": (Kind.CONV, (4, 8, 3, 3, 3), {}, (1, 8, 5, 5, 5), 216, (3, 3, 3)),
    "not_square": (Kind.CONV, (4, 8, 1, 7), {}, (1, 8, 9, 9), 56, (9, 3)),
    "batch": (Kind.CONV, (4, 8, 3, 3), {}, (5, 8, 9, 9), 72, (7, 7)),
}


@pytest.mark.parametrize("form", CONVOLUTIONS)
def test_convolutions_of_every_form_are_counted(tmp_path, form):
    kind, weights, attributes, shape, macs, size = CONVOLUTIONS[form]
    nodes = [node("Conv", ["x", "w"], ["y"], **attributes)]
    layer = only_layer(write_onnx(tmp_path / "m.onnx", nodes, [("x", shape)], [("w", weights)]))
    n_outputs = shape[0] * weights[0] * int(np.prod(size))
    assert (layer.kind, layer.macs, layer.out_size) == (kind, macs * n_outputs, size)
    assert layer.elements_written == n_outputs
    assert layer.elements_read == np.prod(shape)
    assert layer.parameters == np.prod(weights)
    assert layer.kernel == weights[2:]
    assert (layer.batch, layer.in_channels, layer.out_channels) == (shape[0], 8, weights[0])


def test_a_transposed_convolution_works_on_each_value_that_it_reads(tmp_path):
    nodes = [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 8, 9, 9))], [("w", (8, 4, 2, 2))])
    layer = only_layer(path)
    assert (layer.kind, layer.out_size) == (Kind.TRANSPOSED_CONV, (18, 18))
    assert layer.macs == 8 * 9 * 9 * 4 * 2 * 2


def test_what_a_runtime_folds_is_a_part_of_the_layer_before(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "w2"], ["m2"]),
        node("Add", ["m2", "b2"], ["y"]),
    ]
    weights = [("w", (4, 8, 1, 1)), *((name, (4,)) for name in "sbmv"), ("w2", (4, 10))]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 8, 9, 9))], [*weights, ("b2", (10,))])
    conv, pool, linear = read_network(path).work
    assert (conv.kind, conv.fused) == (Kind.POINTWISE, ("BatchNormalization", "Relu"))
    assert conv.parameters == 32 + 4  # the bias is what is left of the normalisation
    assert conv.operations == 4 * 81
    assert (pool.kind, pool.operations) == (Kind.REDUCE, 4 * 81)
    assert (linear.kind, linear.macs, linear.parameters) == (Kind.LINEAR, 40, 50)
    assert linear.inputs == (pool.name,)


@pytest.mark.parametrize(
    ("operator", "shape", "is_folded"),
    [
        ("Mul", (), True),
        ("Mul", (1,), False),
        ("Mul", (4, 1, 1), True),
        ("Add", (1, 4, 1, 1), True),
        ("Add", (4,), False),  # along the width
        ("Add", (), False),
        ("Div", (4, 1, 1), False),
    ],
)
def test_constants_fold_into_a_convolution_as_onnx_runtime_folds_them(
    tmp_path, operator, shape, is_folded
):
    nodes = [node("Conv", ["x", "w"], ["c"]), node(operator, ["c", "k"], ["y"])]
    weights = [("w", (4, 8, 1, 1)), ("k", np.ones(shape, np.float32))]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 8, 9, 4))], weights)
    conv, *rest = read_network(path).work
    assert conv.fused == ((operator,) if is_folded else ())
    assert [layer.fusable_into for layer in rest] == ([] if is_folded else [conv.name])


def test_nothing_is_computed_with_a_transposed_convolution(tmp_path):
    nodes = [
        node("ConvTranspose", ["x", "w"], ["c"], strides=[2, 2]),
        node("BatchNormalization", ["c", *"sbmv"], ["n"]),
        node("Relu", ["n"], ["y"]),
    ]
    weights = [("w", (8, 4, 2, 2)), *((name, (4,)) for name in "sbmv")]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 8, 9, 9))], weights)
    assert kinds(read_network(path)) == [
        Kind.TRANSPOSED_CONV,
        Kind.NORMALIZATION,
        Kind.ACTIVATION,
    ]


@pytest.mark.parametrize(("ir_version", "is_doubted"), [(3, False), (8, True)])
def test_weights_that_are_inputs_too_are_a_doubt(tmp_path, ir_version, is_doubted):
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["y"])]
    inputs = [("x", (1, 8, 9, 9)), ("w", (4, 8, 1, 1))]
    path = write_onnx(tmp_path / "m.onnx", nodes, inputs, [("w", (4, 8, 1, 1))])
    model = onnx.load(path)
    model.ir_version = ir_version
    onnx.save(model, path)
    layer = only_layer(path)
    assert ("inputs of the graph" in layer.doubt) == is_doubted
    assert layer.macs == 4 * 8 * 81


def test_a_residual_sum_stays_and_tells_which_convolution_could_take_it(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        node("Add", ["c", "x"], ["s"]),
        node("Relu", ["s"], ["y"]),
    ]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 8, 9, 9))], [("w", (8, 8, 3, 3))])
    conv, add = read_network(path).work
    assert (add.kind, add.fused, add.fusable_into) == (Kind.ADD, ("Relu",), conv.name)
    assert add.elements_read == 2 * 8 * 81


GATES = {
    "gelu": (
        [
            ("Div", "xc", "a"),
            ("Erf", "a", "b"),
            ("Add", "bc", "d"),
            ("Mul", "xd", "e"),
            ("Mul", "ec", "y"),
        ],
        Kind.SMOOTH_ACTIVATION,
    ),
    "silu": ([("Sigmoid", "x", "a"), ("Mul", "xa", "y")], Kind.SMOOTH_ACTIVATION),
    "mish": (
        [("Softplus", "x", "a"), ("Tanh", "a", "b"), ("Mul", "xb", "y")],
        Kind.SMOOTH_ACTIVATION,
    ),
    "h_swish": ([("HardSigmoid", "x", "a"), ("Mul", "ax", "y")], Kind.ACTIVATION),
    "layer_norm": (
        [
            ("ReduceMean", "x", "a"),
            ("Sub", "xa", "b"),
            ("Pow", "bc", "d"),
            ("ReduceMean", "d", "e"),
            ("Add", "ec", "f"),
            ("Sqrt", "f", "g"),
            ("Div", "bg", "h"),
            ("Mul", "hw", "i"),
            ("Add", "iw", "y"),
        ],
        Kind.NORMALIZATION,
    ),
}


@pytest.mark.parametrize("name", GATES)
def test_gates_and_norms_in_several_operators_are_one_layer(tmp_path, name):
    steps, kind = GATES[name]
    nodes = [
        node(op, list(reads), [writes], **({"axes": [-1]} if op == "ReduceMean" else {}))
        for op, reads, writes in steps
    ]
    weights = [("c", np.array(2.0, np.float32)), ("w", (16,))]
    layer = only_layer(write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 5, 16))], weights))
    assert layer.kind is kind
    assert (layer.elements_read, layer.elements_written) == (80, 80)
    assert layer.fused == tuple(op for op, _, _ in steps)


def test_a_gate_of_another_map_is_no_activation(tmp_path):
    nodes = [node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "z"], ["y"])]
    inputs = [("x", (1, 8, 1, 1)), ("z", (1, 8, 9, 9))]
    network = read_network(write_onnx(tmp_path / "m.onnx", nodes, inputs))
    assert kinds(network) == [Kind.SMOOTH_ACTIVATION, Kind.SCALE]


def test_shapes_that_the_graph_computes_are_folded(tmp_path):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n", "axis"], ["n1"]),
        node("Concat", ["n1", "rest"], ["shape"], axis=0),
        node("Reshape", ["x", "shape"], ["r"]),
        node("MatMul", ["r", "w"], ["y"]),
    ]
    weights = [
        ("zero", np.array(0)),
        ("axis", np.array([0])),
        ("rest", np.array([-1, 6])),
        ("w", (6, 5)),
    ]
    layer = only_layer(write_onnx(tmp_path / "m.onnx", nodes, [("x", (2, 3, 4))], weights))
    assert (layer.macs, layer.in_size, layer.batch) == (2 * 2 * 6 * 5, (2,), 2)


def test_attention_is_two_products_and_a_softmax(tmp_path):
    nodes = [
        node("MultiHeadAttention", ["q", "k", "v"], ["y"], num_heads=4, domain="com.microsoft")
    ]
    inputs = [(name, (1, 10, 32)) for name in "qkv"]
    scores, softmax, values = read_network(write_onnx(tmp_path / "m.onnx", nodes, inputs)).work
    assert (scores.macs, values.macs) == (4 * 10 * 10 * 8,) * 2
    assert (scores.kind, softmax.kind, values.kind) == (Kind.MATMUL, Kind.SOFTMAX, Kind.MATMUL)
    assert softmax.elements_read == 4 * 10 * 10
    assert values.name == "y"
    assert values.inputs == (softmax.name,)


@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_a_recurrent_layer_has_a_cell_at_each_step(tmp_path, operator, gates):
    nodes = [node(operator, ["x", "w", "r"], ["y"], hidden_size=6)]
    weights = [("w", (1, gates * 6, 5)), ("r", (1, gates * 6, 6))]
    layer = only_layer(write_onnx(tmp_path / "m.onnx", nodes, [("x", (7, 2, 5))], weights))
    assert (layer.kind, layer.steps) == (Kind.RECURRENT, 7)
    assert layer.macs == 7 * 2 * gates * 6 * (5 + 6)


@pytest.mark.parametrize("is_known", [True, False])
def test_the_body_of_a_loop_counts_at_each_turn_that_is_known(tmp_path, is_known):
    body = helper.make_graph(
        [node("MatMul", ["h", "w"], ["out"]), node("Identity", ["c"], ["go_on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 6]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 6]),
        ],
    )
    turns = "five" if is_known else ""
    nodes = [node("Loop", [turns, "yes", "x"], ["y"], body=body)]
    weights = [("five", np.array(5)), ("yes", np.array(True)), ("w", (6, 6))]
    layer = only_layer(write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 6))], weights))
    assert layer.macs == 36 * (5 if is_known else 1)
    assert layer.parameters == 36
    assert layer.doubt == ("" if is_known else "number of turns unknown")


def test_of_a_condition_the_costlier_branch_counts_and_says_so(tmp_path):
    def branch(name, operator, *reads):
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([node(operator, list(reads), [name])], name, [], [result])

    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["is"], to=TensorProto.BOOL),
        node(
            "If",
            ["is"],
            ["y"],
            then_branch=branch("a", "MatMul", "x", "w"),
            else_branch=branch("b", "Relu", "x"),
        ),
    ]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (3, 6))], [("w", (6, 60))])
    last = read_network(path).work[-1]
    assert (last.macs, last.doubt) == (3 * 6 * 60, "branch chosen at run time")
    # A branch that does not take the shapes that are asked for is not the one that runs.
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (3, "n"))], [("w", (6, 60))])
    last = read_network(path, shapes={"x": (3, 8)}).work[-1]
    assert (last.operator, last.doubt) == ("Relu", "branch chosen at run time")


def quantized(name, of):
    return node("QuantizeLinear", [of, "scale", "zero"], [name])


def dequantized(name, of):
    return node("DequantizeLinear", [of, "scale", "zero"], [name])


def test_between_dequantise_and_quantise_a_layer_is_of_small_integers(tmp_path):
    nodes = [
        quantized("xq", "x"),
        dequantized("xd", "xq"),
        dequantized("wd", "w"),
        node("Conv", ["xd", "wd"], ["c"]),
        node("Relu", ["c"], ["r"]),
        quantized("cq", "r"),
        dequantized("y", "cq"),
    ]
    weights = [
        ("scale", np.array(0.1, np.float32)),
        ("zero", np.array(0, np.int8)),
        ("w", np.zeros((4, 8, 3, 3), np.int8)),
    ]
    first, conv, last = read_network(
        write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 8, 9, 9))], weights)
    ).work
    assert (first.kind, last.kind) == (Kind.QUANTIZE, Kind.QUANTIZE)
    assert (conv.kind, conv.element_type, conv.weight_type) == (Kind.CONV, "int8", "int8")
    assert conv.bytes_read == 8 * 81
    assert conv.bytes_written == 4 * 49
    assert (first.bytes_read, first.bytes_written) == (4 * 8 * 81, 8 * 81)


def test_what_has_no_integer_kernel_is_computed_in_float_between_conversions(tmp_path):
    nodes = [dequantized("d", "x"), node("HardSwish", ["d"], ["h"]), quantized("y", "h")]
    weights = [("scale", np.array(0.1, np.float32)), ("zero", np.array(0, np.int8))]
    path = write_onnx(
        tmp_path / "m.onnx", nodes, [("x", (1, 64))], weights, element=TensorProto.INT8
    )
    network = read_network(path)
    assert kinds(network) == [Kind.QUANTIZE, Kind.ACTIVATION, Kind.QUANTIZE]
    assert network.work[1].element_type == "float32"


def test_a_factor_before_a_product_tells_which_product_could_take_it(tmp_path):
    nodes = [node("Mul", ["x", "c"], ["s"]), node("MatMul", ["s", "z"], ["y"])]
    inputs = [("x", (1, 5, 16)), ("z", (1, 16, 5))]
    path = write_onnx(tmp_path / "m.onnx", nodes, inputs, [("c", np.array(2.0, np.float32))])
    scaling, product = read_network(path).work
    assert scaling.fusable_into == product.name


def test_a_cast_to_the_same_type_costs_nothing(tmp_path):
    nodes = [node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), node("Relu", ["c"], ["y"])]
    assert only_layer(write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 64))])).operator == "Relu"


def test_quantized_operators_are_counted(tmp_path):
    nodes = [
        node("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z"], ["c"]),
        node(
            "QLinearAdd", ["c", "s", "z", "c2", "s", "z", "s", "z"], ["y"], domain="com.microsoft"
        ),
    ]
    weights = [
        ("s", np.array(0.1, np.float32)),
        ("z", np.array(0, np.uint8)),
        ("w", np.zeros((4, 8, 3, 3), np.uint8)),
    ]
    inputs = [("x", (1, 8, 9, 9)), ("c2", (1, 4, 7, 7))]
    path = write_onnx(tmp_path / "m.onnx", nodes, inputs, weights, element=TensorProto.UINT8)
    conv, add = read_network(path).work
    assert (conv.macs, conv.element_type) == (4 * 49 * 72, "uint8")
    assert (add.kind, add.bytes_read, add.bytes_written) == (Kind.ADD, 2 * 196, 196)


CONTRIBUTED = {
    # operator: inputs, weights, attributes, kind, MACs, shape of the output
    "QuickGelu": (["x"], {}, Kind.SMOOTH_ACTIVATION, 0, (2, 6, 16)),
    "SkipLayerNormalization": (["x", "x", "v"], {}, Kind.NORMALIZATION, 0, (2, 6, 16)),
    "FusedMatMul": (["x", "x"], {"transB": 1}, Kind.MATMUL, 2 * 6 * 6 * 16, (2, 6, 6)),
    "MatMulNBits": (
        ["x", "packed", "v"],
        {"K": 16, "N": 20, "bits": 4, "block_size": 16},
        Kind.LINEAR,
        2 * 6 * 16 * 20,
        (2, 6, 20),
    ),
}


@pytest.mark.parametrize("operator", CONTRIBUTED)
def test_operators_that_onnx_runtime_adds_have_shapes_and_work(tmp_path, operator):
    inputs, attributes, kind, macs, shape = CONTRIBUTED[operator]
    nodes = [
        node(operator, inputs, ["c"], domain="com.microsoft", **attributes),
        node("Tanh", ["c"], ["y"]),
    ]
    weights = [("v", (16,)), ("packed", np.zeros((20, 1, 8), np.uint8))]
    first, relu = (
        read_network(write_onnx(tmp_path / "m.onnx", nodes, [("x", (2, 6, 16))], weights)).work[:2]
        or ()
    )
    assert (first.kind, first.macs, first.doubt, relu.doubt) == (kind, macs, "", "")
    assert relu.elements_written == np.prod(shape)


@pytest.mark.parametrize(("element", "width"), [("FLOAT16", 2), ("BFLOAT16", 2), ("DOUBLE", 8)])
def test_the_element_type_counts(tmp_path, element, width):
    nodes = [node("Relu", ["x"], ["y"])]
    path = write_onnx(
        tmp_path / "m.onnx", nodes, [("x", (1, 100))], element=getattr(TensorProto, element)
    )
    assert only_layer(path).bytes_read == 100 * width


def test_an_unknown_operator_costs_its_bytes_and_is_named(tmp_path):
    nodes = [node("Foo", ["x"], ["f"], domain="com.acme"), node("Conv", ["f", "w"], ["y"])]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (1, 8, 9, 9))], [("w", (4, 8, 1, 1))])
    unknown, conv = read_network(path).work
    assert (unknown.operator, unknown.kind) == ("com.acme::Foo", Kind.UNKNOWN)
    assert (unknown.doubt, unknown.bytes_read, unknown.bytes_written) == (
        "unknown operator",
        4 * 648,
        4 * 648,
    )
    assert (conv.macs, conv.doubt) == (4 * 8 * 81, "shape known at run time only")


def test_a_shape_of_run_time_is_no_error(tmp_path):
    nodes = [node("NonZero", ["x"], ["n"]), node("Cast", ["n"], ["y"], to=1)]
    work = read_network(write_onnx(tmp_path / "m.onnx", nodes, [("x", (4, 6))])).work
    assert [layer.doubt for layer in work] == ["shape known at run time only"] * 2
    assert all(layer.bytes_written > 0 for layer in work)


def test_an_open_shape_is_named_and_the_proposal_works(tmp_path):
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Reshape", ["c", "s"], ["y"])]
    weights = [("w", (4, 3, 1, 1)), ("s", np.array([1, 4 * 48 * 48]))]  # 48 pixels only
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", ("batch", 3, "height", "width"))], weights)
    with pytest.raises(InvalidModel, match=r"'x' \(batch,3,height,width\) is open") as caught:
        read_network(path)
    proposed = str(caught.value).rpartition("--shape x=")[2]
    assert proposed == "1,3,48,48"
    layer = only_layer(path, shapes={"x": (1, 3, 48, 48)})
    assert layer.in_size == (48, 48)


def test_one_shape_sets_the_dimensions_of_that_name_everywhere(tmp_path):
    nodes = [node("Add", ["x", "z"], ["y"])]
    inputs = [("x", ("n", 8)), ("z", ("n", 8))]
    path = write_onnx(tmp_path / "m.onnx", nodes, inputs)
    assert only_layer(path, shapes={"x": (5, 8)}).elements_read == 80
    assert only_layer(path, batch=3).elements_read == 48


def test_an_input_of_unknown_rank_asks_for_its_shape(tmp_path):
    nodes = [node("Relu", ["x"], ["y"])]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", None)])
    with pytest.raises(InvalidModel, match="'x' \\(of unknown rank\\) is open"):
        read_network(path)
    assert only_layer(path, shapes={"x": (1, 3, 8, 8)}).elements_read == 192


def test_a_dimension_of_zero_is_a_shape(tmp_path):
    nodes = [node("Concat", ["past", "x"], ["y"], axis=2)]
    inputs = [("x", (1, 8, 1, 64)), ("past", (1, 8, "past", 64))]
    path = write_onnx(tmp_path / "m.onnx", nodes, inputs)
    assert only_layer(path, shapes={"past": (1, 8, 0, 64)}).elements_written == 512


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"z": (1, 8)}, "has no input 'z' to give a shape; its inputs are x"),
        ({"x": (1, 9)}, "input 'x' is 4,8, got 1,9"),
        ({"x": (4, 8, 1)}, "input 'x' is 4,8, got 4,8,1"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(tmp_path, shapes, message):
    path = write_onnx(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [("x", (4, 8))])
    with pytest.raises(InvalidModel, match=message):
        read_network(path, shapes=shapes)


def test_weights_that_are_not_there_are_not_missed(tmp_path):
    nodes = [node("MatMul", ["x", "w"], ["y"])]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (2, 60))], [("w", (60, 70))])
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, size_threshold=0, location="w.bin")
    (tmp_path / "w.bin").unlink()
    assert only_layer(path).weight_bytes == 4 * 60 * 70


def test_a_file_that_is_no_model_is_one_clear_line(tmp_path):
    path = tmp_path / "m.onnx"
    for content, message in [
        (b"no model", "is no valid ONNX model"),
        (b"", "is no valid ONNX model: it has no nodes"),
        (b"PK\x03\x04....", "is a zip archive, want an ONNX model"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InvalidModel, match=message) as caught:
            read_network(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(InvalidModel, match="cannot be read: No such file"):
        read_network(tmp_path / "none.onnx")
    with path.open("wb") as stream:
        stream.truncate(2**31)
    with pytest.raises(InvalidModel, match=r"2\.1 GB, and an ONNX file ends at 2 GB"):
        read_network(path)


def test_a_name_that_is_no_text_is_one_clear_line(tmp_path):
    path = write_onnx(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [("x", (4, 8))])
    path.write_bytes(path.read_bytes().replace(b"Relu", b"Re\xffu"))
    with pytest.raises(InvalidModel, match="a name is no text"):
        read_network(path)


def test_a_truncated_model_is_named(tmp_path):
    path = write_onnx(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [("x", (4, 8))])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InvalidModel, match="is no valid ONNX model"):
        read_network(path)


@pytest.mark.parametrize(
    ("reads", "message"), [("b", "the graph has a cycle"), ("z", "nothing computes it")]
)
def test_a_graph_that_cannot_run_is_named(tmp_path, reads, message):
    nodes = [node("Add", ["x", reads], ["a"]), node("Relu", ["a"], ["b"])]
    path = write_onnx(tmp_path / "m.onnx", nodes, [("x", (4, 8))], outputs=["b"])
    with pytest.raises(InvalidModel, match=message):
        read_network(path)


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 9),
    rows=st.integers(1, 20),
    inner=st.integers(1, 20),
    columns=st.integers(1, 20),
)
def test_einsum_and_product_count_alike_and_the_batch_multiplies(
    tmp_path_factory, batch, rows, inner, columns
):
    folder = tmp_path_factory.mktemp("models")
    forms = {
        "product": node("MatMul", ["x", "z"], ["y"]),
        "einsum": node("Einsum", ["x", "z"], ["y"], equation="bmk,bkn->bmn"),
    }
    inputs = [("x", ("b", rows, inner)), ("z", ("b", inner, columns))]
    for name, form in forms.items():
        path = write_onnx(folder / f"{name}.onnx", [form], inputs)
        layer = only_layer(path, batch=batch)
        assert layer.macs == batch * rows * inner * columns
        assert layer.bytes_read == batch * only_layer(path, batch=1).bytes_read
        assert (layer.in_channels, layer.out_channels) == (inner, columns)


LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_the_light_models_of_onnx_are_read(path):
    network = read_network(path)
    assert network.macs > 1e8
    assert not [layer for layer in network.work if layer.doubt]


@pytest.fixture(scope="module")
def timm_graphs(tmp_path_factory):
    archive = Path(os.environ.get("EDGEPROF_DATA", "")) / "timm_graphs.tar.xz"
    if not archive.is_file():
        pytest.skip("EDGEPROF_DATA names no folder with timm_graphs.tar.xz")
    folder = tmp_path_factory.mktemp("timm")
    with tarfile.open(archive) as stream:
        stream.extractall(folder, filter="data")
    return sorted(folder.glob("*.onnx"))


@pytest.mark.slow
def test_every_graph_of_timm_is_read_without_a_doubt(timm_graphs):
    for path in timm_graphs:
        network = read_network(path)
        assert not [layer for layer in network.work if layer.doubt], path.stem
        assert sum(layer.kind in CONVOLUTION_KINDS | {Kind.LINEAR} for layer in network.work) > 5
