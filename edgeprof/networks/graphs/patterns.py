"""Operators that exporters write as several: gated activations and normalisations.

Owns: finding ``x * f(x)`` (GELU, SiLU, h_swish, Mish) and a normalisation by mean and variance in
an ONNX graph, and putting one node in their place, as ONNX Runtime does when it loads the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from edgeprof.networks.graphs.graph import Graph, Node

_ANCHORS = {
    "Erf": "Gelu",
    "Tanh": "Gelu",
    "Sigmoid": "Swish",
    "Softplus": "Mish",
    "HardSigmoid": "HardSwish",
    "ReduceMean": "LayerNormalization",
}
"""Operators at the heart of a pattern, and the one that stands for it."""

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Reciprocal"})
_INNER = _ARITHMETIC | frozenset(_ANCHORS)
_LARGEST = 12
_DEEPEST = 4


def join_patterns(graph: Graph) -> None:
    """Put one node in the place of each pattern."""
    finder = _Finder(graph)
    gone: set[int] = set()
    for anchor in graph.nodes:
        if anchor.operator not in _ANCHORS or id(anchor) in gone:
            continue
        region = finder.region_of(anchor)
        if region is None or any(id(node) in gone for node in region.nodes):
            continue
        last = region.nodes[-1]
        gone.update(id(node) for node in region.nodes if node is not last)
        last.fused = [node.operator for node in region.nodes]
        last.operator = _ANCHORS[anchor.operator]
        constants = [
            n for node in region.nodes for n in node.inputs if n and graph.tensor(n).constant
        ]
        last.inputs = [region.source, *(n for n in constants if graph.tensor(n).elements > 1)]
        last.attributes = {}
    graph.nodes = [node for node in graph.nodes if id(node) not in gone]


@dataclass
class _Region:
    """Nodes that compute one tensor from one other.

    Attributes:
        source: the tensor that it reads.
        nodes: in the order of execution once complete.
    """

    source: str
    nodes: list[Node] = field(default_factory=list)

    @property
    def computed(self) -> set[str]:
        return {name for node in self.nodes for name in node.outputs}


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._readers = graph.readers()
        self._producers = graph.producers()
        self._positions = {id(node): index for index, node in enumerate(graph.nodes)}
        self._outputs = {graph.source(name) for name in graph.outputs}

    def region_of(self, anchor: Node) -> _Region | None:
        """Return the smallest pattern around an anchor, with constants that follow it."""
        for source, path in self._origins(anchor):
            region = _Region(source, [*path, anchor])
            while len(region.nodes) < _LARGEST:
                if not self._grow(region):
                    break
                if self._is_complete(region, anchor):
                    self._take_constants(region)
                    region.nodes.sort(key=lambda node: self._positions[id(node)])
                    return region
        return None

    def _computed(self, node: Node) -> list[str]:
        graph = self._graph
        names = (graph.source(name) for name in node.inputs if graph.is_computed(name))
        return list(dict.fromkeys(names))

    def _origins(self, anchor: Node) -> Iterator[tuple[str, list[Node]]]:
        """Yield tensors that an anchor may be a function of, the nearest first."""
        path: list[Node] = []
        node = anchor
        for _ in range(_DEEPEST):
            inputs = self._computed(node)
            if not inputs:
                return
            origin = inputs[0]
            if len(inputs) == 1:
                yield origin, list(path)
            else:  # x + c x^3: what both come from
                for name in inputs:
                    pulled = self._pull(next(n for n in inputs if n != name), name, _DEEPEST)
                    if pulled is not None:
                        yield name, [*pulled, *path]
                return
            producer = self._producers.get(origin)
            if producer is None or producer.operator not in _ARITHMETIC:
                return
            node = producer
            path.insert(0, producer)

    def _pull(self, name: str, source: str, depth: int) -> list[Node] | None:
        """Return the nodes that compute a tensor from the source alone, None if there are none."""
        if name == source:
            return []
        producer = self._producers.get(name)
        if producer is None or producer.operator not in _INNER or depth == 0:
            return None
        nodes: list[Node] = []
        for given in self._computed(producer):
            pulled = self._pull(given, source, depth - 1)
            if pulled is None:
                return None
            nodes += pulled
        return [*nodes, producer]

    def _open(self, region: _Region) -> list[tuple[str, list[Node]]]:
        """Return the tensors of a region that are read outside, and by whom."""
        inside = {id(node) for node in region.nodes}
        found = []
        for name in region.computed:
            outside = [node for node in self._readers.get(name, []) if id(node) not in inside]
            if outside or name in self._outputs:
                found.append((name, outside))
        return found

    def _grow(self, region: _Region) -> bool:
        """Add the next reader and what else it needs; return whether there was one."""
        readers = [node for _, outside in self._open(region) for node in outside]
        if not readers:
            return False
        reader = min(readers, key=lambda node: self._positions[id(node)])
        if reader.operator not in _INNER:
            return False
        inside = {id(node) for node in region.nodes}
        for name in self._computed(reader):
            if name not in region.computed:
                pulled = self._pull(name, region.source, _DEEPEST)
                if pulled is None:
                    return False
                new = [node for node in pulled if id(node) not in inside]
                region.nodes += new
                inside.update(id(node) for node in new)
        region.nodes.append(reader)
        return True

    def _is_complete(self, region: _Region, anchor: Node) -> bool:
        last = region.nodes[-1]
        still_open = [name for name, _ in self._open(region)]
        if still_open != [last.outputs[0]] or last.operator not in ("Mul", "Div"):
            return False
        if anchor.operator == "ReduceMean":
            return any(node.operator == "Sqrt" for node in region.nodes)
        readers = [node for node in region.nodes if region.source in self._computed(node)]
        return len(readers) > 1 and len(self._computed(last)) > 1

    def _take_constants(self, region: _Region) -> None:
        """Add products and sums with constants that alone read the result."""
        while True:
            name = region.nodes[-1].outputs[0]
            readers = self._readers.get(name, [])
            if len(readers) != 1 or name in self._outputs:
                return
            reader = readers[0]
            if reader.operator not in ("Mul", "Add", "Div") or len(self._computed(reader)) != 1:
                return
            if reader.operator == "Div" and not self._graph.is_computed(reader.inputs[0]):
                return
            region.nodes.append(reader)
