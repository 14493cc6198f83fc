"""The work of single operators: multiply-accumulates, element operations, shape numbers.

Owns: one function per family of operators; each reads a node's shapes and returns what it does as
one or several ``Part``. Which operator belongs to which family stands in ``operators``.

Conventions: a product of matrices (M, K) x (K, N) has M K N MACs; a bias costs nothing; bytes are
of every value once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2, prod

from edgeprof.networks.graphs.graph import Graph, Node, Tensor, as_sizes
from edgeprof.networks.work import Kind, convolution_kind


@dataclass
class Part:
    """What a node or a part of it does; see ``NetworkLayer`` for the fields.

    Attributes:
        kind: None where it is that of the operator's table entry.
        operations: None where the table says how many there are per element written.
        elements_read, elements_written, parameters: None where they are those of the node.
    """

    kind: Kind | None = None
    label: str = ""
    macs: int = 0
    operations: int | None = None
    elements_read: int | None = None
    elements_written: int | None = None
    parameters: int | None = None
    in_channels: int = 1
    out_channels: int = 1
    in_size: tuple[int, ...] = ()
    out_size: tuple[int, ...] = ()
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    steps: int = 1


Measure = Callable[[Node, Graph], list[Part]]


def is_channels_last(node: Node, graph: Graph) -> bool:
    """Tell whether a node's maps have their channels at the end."""
    return (
        graph.channels_last or "Nhwc" in node.operator or bool(node.attributes.get("channels_last"))
    )


def channels_and_size(tensor: Tensor, channels_last: bool) -> tuple[int, tuple[int, ...]]:
    """Return the channels of a map and its sizes in space.

    A tensor of three dimensions is a sequence of vectors: its channels are the last.
    """
    shape = tensor.shape
    if len(shape) < 2:
        return (shape[0] if shape else 1), ()
    if channels_last or len(shape) == 3:
        return shape[-1], shape[1:-1]
    return shape[1], shape[2:]


def main_input(node: Node, graph: Graph) -> Tensor:
    """Return the largest tensor that a node reads, computed ones before constants."""
    tensors = graph.computed(node) or graph.constants(node)
    return max(tensors, key=lambda tensor: tensor.elements, default=Tensor("", ()))


def _map_part(node: Node, graph: Graph) -> Part:
    last = is_channels_last(node, graph)
    in_channels, in_size = channels_and_size(main_input(node, graph), last)
    written = graph.tensor(node.outputs[0]) if node.outputs else main_input(node, graph)
    out_channels, out_size = channels_and_size(written, last)
    return Part(
        in_channels=in_channels, out_channels=out_channels, in_size=in_size, out_size=out_size
    )


def by_element(node: Node, graph: Graph) -> list[Part]:
    """Count so many operations per element written; the table says how many."""
    return [_map_part(node, graph)]


def by_input_element(node: Node, graph: Graph) -> list[Part]:
    """Count one operation per element read: reductions."""
    part = _map_part(node, graph)
    part.operations = sum(tensor.elements for tensor in graph.computed(node))
    part.out_size = part.out_size or (1,) * len(part.in_size)
    return [part]


def interpolation(node: Node, graph: Graph) -> list[Part]:
    """Count the values that each element written is interpolated from, with their weights."""
    part = _map_part(node, graph)
    operations = {b"nearest": 1, b"cubic": 32}.get(node.attributes.get("mode", b"nearest"), 8)
    part.operations = operations * sum(graph.tensor(name).elements for name in node.outputs if name)
    return [part]


def partial_read(node: Node, graph: Graph) -> list[Part]:
    """Count a node that reads no more than it writes: slices, lookups."""
    part = _map_part(node, graph)
    written = sum(graph.tensor(name).elements for name in node.outputs if name)
    indices = [t.elements for t in graph.computed(node)[1:]]
    part.elements_read = min(written, main_input(node, graph).elements) + sum(indices)
    part.parameters = min(written, sum(t.elements for t in graph.constants(node)))
    if part.parameters and not graph.is_computed(node.inputs[0]):
        part.elements_read = sum(t.elements for t in graph.computed(node))
    return [part]


def addition(node: Node, graph: Graph) -> list[Part]:
    """Tell the sum of computed maps of one shape from other additions."""
    part = _map_part(node, graph)
    shapes = [tensor.shape for tensor in graph.computed(node)]
    if len(shapes) > 1 and len(set(shapes)) == 1:
        part.kind = Kind.ADD
        part.operations = (len(shapes) - 1) * prod(shapes[0])
    return [part]


def multiplication(node: Node, graph: Graph) -> list[Part]:
    """Tell the product of a map and a smaller computed one from other products."""
    part = _map_part(node, graph)
    sizes = {tensor.elements for tensor in graph.computed(node)}
    if len(sizes) > 1:
        part.kind = Kind.SCALE
    return [part]


def _per_axis(node: Node, name: str, n: int) -> tuple[int, ...]:
    sizes = as_sizes(node.attributes.get(name, ()))
    return sizes[:n] if len(sizes) >= n else (1,) * n


def convolution(data: int = 0, weights: int = 1, transposed: bool = False) -> Measure:
    """Return the measure of a convolution by where its data and weights stand."""

    def measure(node: Node, graph: Graph) -> list[Part]:
        x, w = graph.tensor(node.inputs[data]), graph.tensor(node.inputs[weights])
        y = graph.tensor(node.outputs[0])
        last = is_channels_last(node, graph)
        rank = len(y.shape) - 2
        in_channels, out_channels = (x.shape[-1], y.shape[-1]) if last else (x.shape[1], y.shape[1])
        if graph.channels_last:
            kernel, groups = _kernel_of_tflite(node, w, in_channels, rank)
        else:
            kernel, groups = w.shape[-rank:], node.attributes.get("group", 1)
        size = slice(1, -1) if last else slice(2, None)
        work = (
            x.elements * prod(kernel) * out_channels
            if transposed
            else y.elements * prod(kernel) * in_channels
        )
        return [
            Part(
                kind=Kind.TRANSPOSED_CONV
                if transposed
                else convolution_kind(kernel, groups, in_channels),
                macs=work // groups,
                operations=0,
                in_channels=in_channels,
                out_channels=out_channels,
                in_size=x.shape[size],
                out_size=y.shape[size],
                kernel=kernel,
                stride=_per_axis(node, "strides", rank),
                dilation=_per_axis(node, "dilations", rank),
                groups=groups,
            )
        ]

    return measure


def _kernel_of_tflite(
    node: Node, weights: Tensor, in_channels: int, rank: int
) -> tuple[tuple[int, ...], int]:
    if rank == 3:  # (depth, height, width, in, out)
        return weights.shape[:3], 1
    kernel = weights.shape[1:-1]
    if node.operator == "DEPTHWISE_CONV_2D":
        return kernel, in_channels
    return kernel, max(in_channels // max(weights.shape[-1], 1), 1)


def pool(node: Node, graph: Graph) -> list[Part]:
    """Count one operation per pixel of each window."""
    part = _map_part(node, graph)
    rank = len(part.in_size)
    part.kernel = _per_axis(node, "kernel_shape", rank)
    part.stride = _per_axis(node, "strides", rank)
    part.dilation = _per_axis(node, "dilations", rank)
    part.operations = prod(part.kernel) * graph.tensor(node.outputs[0]).elements
    return [part]


def product(left: int = 0, right: int = 1, transposed: bool = False) -> Measure:
    """Return the measure of a product of matrices by where its factors stand.

    Args:
        left: position of the left factor among the inputs.
        right: position of the right one.
        transposed: whether the right factor's columns are its last but one dimension, as in
            TFLite's fully connected layer.
    """

    def measure(node: Node, graph: Graph) -> list[Part]:
        a, b = graph.tensor(node.inputs[left]), graph.tensor(node.inputs[right])
        y = graph.tensor(node.outputs[0])
        inner = a.shape[-1]
        if node.attributes.get("transA") and len(a.shape) > 1:
            inner = a.shape[-2]
        if transposed:
            inner = b.shape[-1]
        is_linear = a.constant or b.constant
        columns = y.shape[-1] if y.shape else 1
        rows = y.elements // max(columns, 1)
        return [matrix_part(rows, inner, columns, y.shape, is_linear)]

    return measure


def matrix_part(rows: int, inner: int, columns: int, shape: Sequence[int], is_linear: bool) -> Part:
    """Return the product of matrices (M, K) x (K, N).

    Args:
        rows: M, of all matrices together.
        inner: K.
        columns: N.
        is_linear: whether one factor is constant.
        shape: of the output; its last two dimensions are those of one matrix.
    """
    batch = shape[0] if shape else 1
    matrices = 1 if is_linear else prod(shape[:-2])
    per_matrix = rows // max(batch if is_linear and len(shape) > 1 else matrices, 1)
    return Part(
        kind=Kind.LINEAR if is_linear else Kind.MATMUL,
        macs=rows * inner * columns,
        operations=0,
        in_channels=inner,
        out_channels=columns,
        in_size=(per_matrix,),
        out_size=(per_matrix,),
        groups=matrices,
    )


def einsum(node: Node, graph: Graph) -> list[Part]:
    """Count the product of all sizes that the equation names."""
    equation = node.attributes["equation"]
    equation = (equation.decode() if isinstance(equation, bytes) else equation).replace(" ", "")
    terms, _, result = equation.replace("...", "").partition("->")
    tensors = [graph.tensor(name) for name in node.inputs]
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms.split(","), tensors, strict=True):
        for label, size in zip(reversed(term), reversed(tensor.shape), strict=False):
            sizes[label] = max(size, sizes.get(label, 1))
    y = graph.tensor(node.outputs[0])
    if len(tensors) == 1:
        return by_input_element(node, graph)
    shared = [label for label in sizes if label not in result]
    inner = prod(sizes[label] for label in shared)
    columns = y.shape[-1] if y.shape else 1
    rows = y.elements // max(columns, 1)
    return [matrix_part(rows, inner, columns, y.shape, any(t.constant for t in tensors))]


def recurrent(gates: int, weights: Sequence[int]) -> Measure:
    """Return the measure of a recurrent layer: a cell's products at each step of the sequence.

    Args:
        gates: products of each weight matrix stacked in one.
        weights: where the matrices stand among the inputs; each is used once a step.
    """

    def measure(node: Node, graph: Graph) -> list[Part]:
        x = graph.tensor(node.inputs[0])
        is_batch_major = bool(node.attributes.get("layout") or node.attributes.get("batch_major"))
        is_step = len(x.shape) < 3
        steps = 1 if is_step else x.shape[1 if is_batch_major else 0]
        batch = x.elements // max(steps * x.shape[-1], 1)
        given = [i for i in weights if i < len(node.inputs) and node.inputs[i]]
        matrices = sum(graph.tensor(node.inputs[i]).elements for i in given)
        return [
            Part(
                macs=steps * batch * matrices,
                operations=steps * batch * gates * graph.tensor(node.outputs[0]).shape[-1],
                in_channels=x.shape[-1],
                out_channels=graph.tensor(node.outputs[0]).shape[-1],
                steps=steps,
            )
        ]

    return measure


def attention(node: Node, graph: Graph) -> list[Part]:
    """List attention as what it consists of: two products and a softmax between them."""
    query, key, value = (graph.tensor(name) for name in node.inputs[:3])
    batch, heads, rows, features = _heads(node, query, "q_num_heads", "num_heads")
    _, _, length, _ = _heads(node, key, "kv_num_heads", "num_heads")
    _, value_heads, _, width = _heads(node, value, "kv_num_heads", "num_heads")
    if not graph.is_computed(node.inputs[1]):
        length, width = rows, features
    del value_heads
    return attention_parts(batch, heads, rows, length, features, width)


def _heads(node: Node, tensor: Tensor, *names: str) -> tuple[int, int, int, int]:
    """Return (batch, heads, length, features of a head)."""
    if len(tensor.shape) == 4:
        batch, heads, length, features = tensor.shape
        return batch, heads, length, features
    heads = next((node.attributes[name] for name in names if name in node.attributes), 1)
    batch, length, features = tensor.shape
    return batch, heads, length, features // heads


def attention_parts(
    batch: int, heads: int, rows: int, length: int, features: int, width: int
) -> list[Part]:
    """Return scores, softmax and weighted sum of (batch, heads) attentions."""
    scores = batch * heads * rows * length
    first = matrix_part(batch * heads * rows, features, length, (batch, heads, rows, length), False)
    first.label, first.elements_written, first.parameters = "scores", scores, 0
    first.elements_read = batch * heads * (rows + length) * features
    softmax = Part(
        kind=Kind.SOFTMAX,
        label="softmax",
        operations=5 * scores,
        elements_read=scores,
        elements_written=scores,
        parameters=0,
        in_channels=length,
        out_channels=length,
        in_size=(heads, rows),
        out_size=(heads, rows),
    )
    last = matrix_part(batch * heads * rows, length, width, (batch, heads, rows, width), False)
    last.label, last.parameters = "values", 0
    last.elements_read = scores + batch * heads * length * width
    last.elements_written = batch * heads * rows * width
    return [first, softmax, last]


def packed_attention(node: Node, graph: Graph) -> list[Part]:
    """List attention that projects its own queries, keys and values from one input."""
    x, w = graph.tensor(node.inputs[0]), graph.tensor(node.inputs[1])
    batch, rows, inner = x.shape
    heads, projected = node.attributes.get("num_heads", 1), w.shape[-1]
    projection = matrix_part(batch * rows, inner, projected, (batch, rows, projected), True)
    projection.label, projection.elements_read = "projection", x.elements
    projection.elements_written = batch * rows * projected
    features = projected // 3 // heads
    return [projection, *attention_parts(batch, heads, rows, rows, features, features)]


def block_quantized_product(node: Node, graph: Graph) -> list[Part]:
    """Count a product whose right factor is packed, with its sizes as attributes K and N."""
    rows = graph.tensor(node.inputs[0]).elements // node.attributes["K"]
    y = graph.tensor(node.outputs[0])
    return [matrix_part(rows, node.attributes["K"], node.attributes["N"], y.shape, True)]


def transform(node: Node, graph: Graph) -> list[Part]:
    """Count n log n operations along the last axis that is transformed."""
    part = _map_part(node, graph)
    elements = main_input(node, graph).elements
    part.operations = round(5 * elements * max(log2(max(elements, 2)), 1))
    return [part]
