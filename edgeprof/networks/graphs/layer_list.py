"""From a model file to its ``Network``.

Owns: which reader reads which file, and a layer's numbers from its node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidModel
from edgeprof.base.extras import optional
from edgeprof.networks.graphs.fusion import simplify
from edgeprof.networks.graphs.graph import UNKNOWN_OPERATOR, Graph, Node, Tensor
from edgeprof.networks.graphs.measures import Part, channels_and_size, main_input
from edgeprof.networks.graphs.operators import find
from edgeprof.networks.graphs.tflite_reader import read_tflite_graph
from edgeprof.networks.layers import Network, Shape
from edgeprof.networks.listed import network_of_layers
from edgeprof.networks.work import Kind, NetworkLayer, bytes_of

_SAME_FIELDS = (
    "in_channels",
    "out_channels",
    "in_size",
    "out_size",
    "kernel",
    "stride",
    "dilation",
    "groups",
    "steps",
)
"""Fields that a part and a layer share."""


def read_network(
    path: Path | str,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
) -> Network:
    """Read the layer list of an ONNX or TFLite file. Weights are not read and may be missing.

    >>> import edgeprof
    >>> edgeprof.read_network("model.onnx").macs
    27648

    Args:
        path: the model; one ending in ``.tflite`` or ``.lite`` is TFLite, any other ONNX.
        shapes: shapes of inputs by name, for those that the file leaves open.
        batch: leading dimension of the inputs.

    Raises:
        InvalidModel: no model, or an input's shape is open; the message proposes one that works.
        MissingDependency: if the package that reads the format is not installed.
    """
    path = Path(path)
    graph = _read_graph(path, shapes, batch)
    input_shape = _input_shape(graph)
    simplify(graph)
    layers = layers_of(graph)
    if not layers:
        raise InvalidModel(f"{path}: has no layers that compute anything")
    return network_of_layers(path.stem, layers, input_shape, tuple(graph.notes))


def layers_by_node(
    path: Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> dict[str, NetworkLayer]:
    """Return the layer that each node of a file is computed in, those that compute nothing aside.

    By the node's name and by those of its outputs; the errors are those of ``read_network``.
    """
    graph = _read_graph(path, shapes, None)
    names = [
        (node.name, *node.outputs)
        for node in graph.nodes
        if not find(node.operator, graph.channels_last).is_view
    ]
    simplify(graph)
    layers = {layer.name: layer for layer in layers_of(graph)}
    found: dict[str, NetworkLayer] = {}
    for own, *outputs in names:
        for layer in (layers.get(graph.source(output)) for output in outputs if output):
            if layer is not None:
                found.update((name, layer) for name in (own, *outputs) if name)
    return found


def _read_graph(path: Path, shapes: Mapping[str, Sequence[int]] | None, batch: int | None) -> Graph:
    is_tflite = path.suffix.lower() in (".tflite", ".lite")
    return (read_tflite_graph if is_tflite else _read_onnx)(path, shapes, batch)


def _read_onnx(path: Path, shapes: Mapping[str, Sequence[int]] | None, batch: int | None) -> Graph:
    with optional(f"{path}: reading an ONNX model"):
        from edgeprof.networks.graphs.onnx_reader import read_onnx_graph

    return read_onnx_graph(path, shapes, batch)


def _input_shape(graph: Graph) -> Shape:
    """Return the shape of the largest input, without its batch."""
    inputs = [graph.tensor(name) for name in graph.inputs] or [Tensor("", (1, 1))]
    largest = max(inputs, key=lambda tensor: tensor.elements)
    channels, size = channels_and_size(largest, graph.channels_last)
    return Shape(max(channels, 1), *(max(one, 1) for one in [*size, 1, 1][:2]))


def layers_of(graph: Graph) -> tuple[NetworkLayer, ...]:
    """Return the layers of a simplified graph in the order of execution."""
    named = {name: node.outputs[0] for node in graph.nodes for name in node.outputs}
    return tuple(layer for node in graph.nodes for layer in _layers(graph, node, named))


def _layers(graph: Graph, node: Node, named: Mapping[str, str]) -> list[NetworkLayer]:
    entry = find(node.operator, graph.channels_last)
    doubt = node.doubt or (UNKNOWN_OPERATOR if entry.kind is Kind.UNKNOWN else "")
    try:
        parts = entry.measure(node, graph)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        parts, doubt = [Part()], doubt or "form unknown"
    whole = _whole(graph, node, named)
    written = whole.elements_written
    layers: list[NetworkLayer] = []
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        operations = part.operations
        if operations is None:
            operations = entry.operations * max(written, 1)
        layer = replace(
            whole,
            name=whole.name if is_last else f"{whole.name}:{part.label}",
            inputs=whole.inputs if not layers else (layers[-1].name,),
            kind=part.kind or entry.kind,
            macs=part.macs * node.turns,
            operations=(operations + (node.fused_operations if is_last else 0)) * node.turns,
            doubt=doubt,
            **{name: getattr(part, name) for name in _SAME_FIELDS},
        )
        layers.append(_with_traffic(layer, part, node.turns))
    return layers


def _whole(graph: Graph, node: Node, named: Mapping[str, str]) -> NetworkLayer:
    """Return what all parts of a node have in common, with the node's traffic as a whole."""
    computed, constants = graph.computed(node), graph.constants(node)
    outputs = [graph.tensor(name) for name in node.outputs if name]
    first = outputs[0].shape if outputs else ()
    sources = dict.fromkeys(graph.source(tensor.name) for tensor in computed)
    heaviest = max(constants, key=lambda tensor: tensor.elements, default=None)
    return NetworkLayer(
        name=node.outputs[0] if node.outputs else node.name,
        operator=node.operator,
        kind=Kind.UNKNOWN,
        inputs=tuple(dict.fromkeys(named.get(name, name) for name in sources)),
        elements_read=sum(tensor.elements for tensor in computed),
        elements_written=sum(tensor.elements for tensor in outputs),
        parameters=sum(tensor.elements for tensor in constants),
        bytes_read=sum(bytes_of(tensor.elements, tensor.type) for tensor in computed),
        bytes_written=sum(bytes_of(tensor.elements, tensor.type) for tensor in outputs),
        weight_bytes=sum(bytes_of(tensor.elements, tensor.type) for tensor in constants),
        element_type=main_input(node, graph).type,
        weight_type=heaviest.type if heaviest is not None else "",
        batch=first[0] if len(first) > 1 else 1,
        fused=tuple(node.fused),
        fusable_into=node.fusable_into,
    )


def _with_traffic(layer: NetworkLayer, part: Part, turns: int) -> NetworkLayer:
    """Put in the traffic that a part has of its own, and count what is moved at each turn."""
    changes: dict[str, Any] = {}
    for elements, size, kind in (
        ("elements_read", "bytes_read", layer.element_type),
        ("elements_written", "bytes_written", layer.element_type),
        ("parameters", "weight_bytes", layer.weight_type),
    ):
        own = getattr(part, elements)
        if own is not None and own != getattr(layer, elements):
            changes[elements], changes[size] = own, bytes_of(own, kind)
    if turns != 1:
        for name in ("elements_read", "elements_written", "bytes_read", "bytes_written"):
            changes[name] = changes.get(name, getattr(layer, name)) * turns
    return replace(layer, **changes) if changes else layer
