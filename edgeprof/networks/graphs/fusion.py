"""What runtimes do with a graph when they load it, before a single inference.

Owns: which nodes vanish (views, unused ones), which become part of another (batch normalisation,
constant factors and sums, ReLU, pairs of dequantise and quantise), and which some runtimes compute
with a convolution and some do not (``fusable_into``).
"""

from __future__ import annotations

from collections.abc import Callable

from edgeprof.networks.graphs import measures
from edgeprof.networks.graphs.graph import Graph, Node, Tensor
from edgeprof.networks.graphs.operators import Operator, find
from edgeprof.networks.graphs.patterns import join_patterns
from edgeprof.networks.work import CONVOLUTION_KINDS, PRODUCT_KINDS, Kind

_CLIPPED = frozenset(
    {"Relu", "Clip", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "STABLEHLO_CLAMP"}
)
"""Activations that every runtime computes with the convolution, product or sum before them."""

_CONSTANT_RIGHT = frozenset({"Sub", "Div", "SUB", "DIV"})
_CONSTANT_EITHER = frozenset({"Add", "Mul", "ADD", "MUL"})
_QUANTIZE = frozenset({"QuantizeLinear", "com.microsoft::QuantizeLinear"})
_DEQUANTIZE = frozenset({"DequantizeLinear", "com.microsoft::DequantizeLinear"})
_INTEGER_KERNELS = frozenset(
    {"Add", "Mul", "Sigmoid", "LeakyRelu", "Softmax", "Where", "AveragePool", "GlobalAveragePool"}
    | {"MaxPool", "Resize", "Relu", "Clip", "Gather", "ArgMax", "ReduceMax", "ReduceMin"}
)
"""What ONNX Runtime computes on small integers, beside products and moves of data."""

_FUSABLE = frozenset(
    {Kind.ACTIVATION, Kind.SMOOTH_ACTIVATION, Kind.ADD, Kind.SCALE, Kind.ELEMENTWISE}
)
_PADDING = frozenset({"Pad", "PAD", "PADV2"})


def simplify(graph: Graph) -> None:
    """Leave the nodes that cost time, each with what is computed along with it."""
    _drop_views(graph)
    _drop_unused(graph)
    if not graph.channels_last:
        join_patterns(graph)
    _absorb(graph, _is_folded_arithmetic)
    _absorb(graph, _is_fused_activation)
    _join_quantization(graph)
    _note_fusable(graph)


def _entry(graph: Graph, node: Node) -> Operator:
    return find(node.operator, graph.channels_last)


def _drop_views(graph: Graph) -> None:
    kept = []
    for node in graph.nodes:
        if not (_entry(graph, node).is_view or _is_empty_cast(graph, node)):
            kept.append(node)
            continue
        for name in node.outputs:
            if node.inputs and name:
                graph.sources[name] = node.inputs[0]
    graph.nodes = kept


def _is_empty_cast(graph: Graph, node: Node) -> bool:
    if node.operator not in ("Cast", "CAST"):
        return False
    return graph.tensor(node.inputs[0]).type == graph.tensor(node.outputs[0]).type


def _drop_unused(graph: Graph) -> None:
    if not graph.outputs:
        return
    needed = {graph.source(name) for name in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if not node.outputs or needed.intersection(node.outputs):
            kept.append(node)
            needed.update(graph.source(name) for name in node.inputs)
    graph.nodes = kept[::-1]


def _absorb(graph: Graph, is_absorbed: Callable[[Graph, Node, Node], bool]) -> None:
    """Join nodes to the one that alone feeds them, where it is told to."""
    readers, producers = graph.readers(), graph.producers()
    outputs = {graph.source(name) for name in graph.outputs}
    gone: set[int] = set()
    for node in graph.nodes:
        computed = {graph.source(name) for name in node.inputs if graph.is_computed(name)}
        if len(computed) != 1:
            continue
        name = computed.pop()
        before = producers.get(name)
        if before is None or name in outputs or len(readers[name]) != 1:
            continue
        if is_absorbed(graph, before, node):
            result = node.outputs[0]
            graph.sources[result] = name
            readers[name] = readers[result]
            outputs.update({name} if result in outputs else ())
            before.fused += [node.operator, *node.fused]
            gone.add(id(node))
    graph.nodes = [node for node in graph.nodes if id(node) not in gone]


def _takes_in(graph: Graph, node: Node) -> bool:
    """Tell whether runtimes compute other nodes with one: with most products.

    ONNX Runtime computes a transposed convolution alone.
    """
    kind = _entry(graph, node).kind
    if kind is Kind.TRANSPOSED_CONV:
        return graph.channels_last
    return kind in PRODUCT_KINDS and kind is not Kind.RECURRENT


def _is_folded_arithmetic(graph: Graph, before: Node, node: Node) -> bool:
    """Tell whether weights and bias take in a node; adds the bias that comes with it."""
    if not _takes_in(graph, before) or node.fused:
        return False
    if len(graph.constants(before)) == 0 and node.operator not in ("Mul", "Div", "MUL", "DIV"):
        return False
    if node.operator == "BatchNormalization":
        bias = node.inputs[2]
    elif node.operator in _CONSTANT_EITHER or (
        node.operator in _CONSTANT_RIGHT and graph.is_computed(node.inputs[0])
    ):
        constant = next(iter(graph.constants(node)), None)
        if constant is None or not _fits_weights(graph, before, node, constant):
            return False
        bias = constant.name if constant.elements > 1 else ""
    else:
        return False
    if bias and len(graph.constants(before)) == 1:
        before.inputs.append(bias)
    return True


def _fits_weights(graph: Graph, before: Node, node: Node, constant: Tensor) -> bool:
    """Tell whether weights take in a constant factor, or a bias a constant sum.

    For convolutions of ONNX Runtime there is one for each channel, or one factor without axes.
    """
    shape = graph.tensor(before.outputs[0]).shape or (1,)
    if graph.channels_last or _entry(graph, before).kind not in CONVOLUTION_KINDS:
        return constant.elements <= max(shape)
    if not constant.shape:
        return node.operator == "Mul"
    per_channel = (*shape[1:2], *(1 for _ in shape[2:]))
    is_per_channel = constant.shape[-len(per_channel) :] == per_channel
    return is_per_channel and constant.elements == shape[1] and node.operator in _CONSTANT_EITHER


def _is_fused_activation(graph: Graph, before: Node, node: Node) -> bool:
    is_sum = _entry(graph, before).measure is measures.addition and len(graph.computed(before)) > 1
    takes = is_sum or (_takes_in(graph, before) and bool(graph.constants(before)))
    if not takes or node.operator not in _CLIPPED:
        return False
    before.fused_operations += graph.tensor(node.outputs[0]).elements
    return True


def _join_quantization(graph: Graph) -> None:
    """Let nodes between dequantise and quantise read and write the small type."""
    readers, producers = graph.readers(), graph.producers()
    outputs = {graph.source(name) for name in graph.outputs}
    for node in graph.nodes:
        kind = _entry(graph, node).kind
        is_product = kind in PRODUCT_KINDS
        if not (is_product or kind is Kind.MOVE or node.operator in _INTEGER_KERNELS):
            continue
        sources = {n: producers.get(graph.source(n)) for n in node.inputs if graph.is_computed(n)}
        dequantized = {
            name: before
            for name, before in sources.items()
            if before is not None and before.operator in _DEQUANTIZE
        }
        result = node.outputs[0] if node.outputs else ""
        after = readers.get(result, [])
        is_quantized = (
            bool(after)
            and result not in outputs
            and all(reader.operator in _QUANTIZE for reader in after)
        )
        if not dequantized or len(dequantized) < len(sources) or not (is_quantized or is_product):
            continue
        node.inputs = [
            _as_small(graph, name, dequantized[name].inputs[0]) if name in dequantized else name
            for name in node.inputs
        ]
        node.fused.insert(0, "DequantizeLinear")
        if is_quantized:
            node.fused.append("QuantizeLinear")
            graph.tensor(result).type = graph.tensor(after[0].outputs[0]).type
            for reader in after:
                graph.sources[reader.outputs[0]] = result
                reader.outputs = [""]
    graph.nodes = [node for node in graph.nodes if node.outputs != [""]]
    _join_pairs(graph)
    _drop_unused(graph)


def _as_small(graph: Graph, name: str, quantized: str) -> str:
    """Return the quantized tensor in the shape in which a node reads the dequantized one."""
    if graph.tensor(quantized).shape == graph.tensor(name).shape:
        return quantized
    small = f"{name}:quantized"
    view = graph.tensor(name)
    graph.tensors[small] = type(view)(small, view.shape, graph.tensor(quantized).type)
    graph.sources[small] = quantized
    return small


def _join_pairs(graph: Graph) -> None:
    """Drop dequantise and quantise that follow each other at once."""
    producers = graph.producers()
    for node in graph.nodes:
        before = producers.get(graph.source(node.inputs[0])) if node.inputs else None
        if node.operator in _QUANTIZE and before is not None and before.operator in _DEQUANTIZE:
            graph.sources[node.outputs[0]] = before.inputs[0]
            node.outputs = [""]
    graph.nodes = [node for node in graph.nodes if node.outputs != [""]]


def _note_fusable(graph: Graph) -> None:
    """Note what some runtimes compute with the convolution or product before or after it."""
    readers, producers = graph.readers(), graph.producers()

    def is_product(node: Node | None) -> bool:
        return node is not None and _entry(graph, node).kind in PRODUCT_KINDS

    for node in graph.nodes:
        if node.operator in _PADDING or _is_scaling(graph, node):
            after = readers.get(node.outputs[0], [])
            if len(after) == 1 and is_product(after[0]):
                node.fusable_into = after[0].outputs[0]
        if _entry(graph, node).kind in _FUSABLE:
            for name in (graph.source(name) for name in node.inputs if graph.is_computed(name)):
                if len(readers[name]) == 1 and is_product(producers.get(name)):
                    node.fusable_into = name


def _is_scaling(graph: Graph, node: Node) -> bool:
    """Tell whether a node multiplies by one constant."""
    factors = [tensor.elements for tensor in graph.constants(node)]
    return node.operator in ("Mul", "Div") and factors == [1]
