"""ONNX files as graphs: shapes inferred, constants folded, weights left where they are.

Owns: loading, the sizes of dynamic inputs, the walk through nodes and bodies of loops.

Shape inference and folding are those of the package ``onnx``, a node at a time: one pass gives
each node the values that are known before it, so shapes that a graph computes (``Shape``,
``Gather``, ``Concat``, ``Reshape``) come out without rounds over the whole model, and no weight is
ever read. Simplifiers (onnx-simplifier, onnxslim) were passed over: they want the weights, or
write a new model, or lack wheels for boards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import onnx
from onnx import helper, inliner

from edgeprof.base.errors import InvalidModel
from edgeprof.networks.graphs.graph import (
    RUN_TIME_BRANCH,
    TURNS_UNKNOWN,
    WEIGHTS_ARE_INPUTS,
    Graph,
    Node,
    Step,
    in_order,
)
from edgeprof.networks.graphs.onnx_inputs import input_shapes
from edgeprof.networks.graphs.onnx_types import TypeInference, tensor_type

_LARGEST_BYTES = 2**31 - 1
_INPUTS_CHANGE_WEIGHTS = 4
"""Since this version of the format, an initializer among the inputs is no constant."""
_RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli"}
)


def read_onnx_graph(
    path: Path, shapes: Mapping[str, Sequence[int]] | None = None, batch: int | None = None
) -> Graph:
    """Read the graph of an ONNX file; files of external weights may be missing.

    Args:
        path: the model.
        shapes: shapes of inputs by name, where the file leaves them open.
        batch: leading dimension of the inputs, where it is open or 1.

    Raises:
        InvalidModel: no ONNX model; or an input's shape is open: the message proposes one.
    """
    model = _load(path)
    return input_shapes(
        path,
        model.graph,
        {name: tuple(shape) for name, shape in (shapes or {}).items()},
        batch,
        lambda fixed, is_strict: _Walk(path, model, is_strict).read(fixed),
    )


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InvalidModel(
                f"{path}: {path.stat().st_size / 1e9:.1f} GB, and an ONNX file ends at 2 GB; save "
                "it with its weights as external data"
            )
        with path.open("rb") as stream:
            if stream.read(4) == b"PK\x03\x04":
                raise InvalidModel(f"{path}: is a zip archive, want an ONNX model; unpack it first")
        model = onnx.load(str(path), load_external_data=False)
        if not model.graph.node:
            raise InvalidModel(f"{path}: is no valid ONNX model: it has no nodes")
        if not all(isinstance(text, str) for text in _texts(model.graph)):
            raise InvalidModel(f"{path}: is no valid ONNX model: a name is no text")
        return inliner.inline_local_functions(model) if model.functions else model
    except InvalidModel:
        raise
    except OSError as error:
        raise InvalidModel(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf and onnx raise types of their own
        raise InvalidModel(f"{path}: is no valid ONNX model: {error}") from error


def _texts(graph: Any) -> Iterator[Any]:
    """Yield the names in a graph; one that is no UTF-8 comes as bytes."""
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for value in graph.input:
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for named in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from (one.name for one in named)


class _Scope:
    """Names of tensors inside a body: its own, else those around it."""

    def __init__(self, prefix: str = "", outer: _Scope | None = None) -> None:
        self.prefix = prefix
        self._names: dict[str, str] = dict(outer._names) if outer else {"": ""}

    def define(self, name: str) -> str:
        """Return the name in the whole graph of a tensor that is new here."""
        self._names[name] = self.prefix + name if name else ""
        return self._names[name]

    def alias(self, name: str, tensor: str) -> None:
        """Let a name stand for a tensor of the whole graph."""
        self._names[name] = tensor

    def __getitem__(self, name: str) -> str:
        return self._names[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)


class _Walk:
    """Goes through the nodes once and keeps what is known of each tensor."""

    def __init__(self, path: Path, model: Any, is_strict: bool) -> None:
        self._path, self._model = path, model
        self._types = TypeInference(path, model, is_strict)
        self._graph = Graph(path, channels_last=False)
        self._changeable: set[str] = set()
        if model.ir_version >= _INPUTS_CHANGE_WEIGHTS:
            inputs = {value.name for value in model.graph.input}
            self._changeable = inputs.intersection(t.name for t in model.graph.initializer)

    def read(self, shapes: Mapping[str, tuple[int, ...]]) -> Graph:
        proto, scope = self._model.graph, _Scope()
        for value in proto.input:
            if value.name in shapes:
                kind = value.type.tensor_type.elem_type
                self._types.set(scope.define(value.name), tensor_type(kind, shapes[value.name]))
                self._graph.inputs.append(value.name)
        self._walk(proto, scope, turns=1, doubt="")
        self._graph.outputs += [scope[value.name] for value in proto.output if value.name in scope]
        self._graph.tensors = {name: self._types.tensor(name) for name in self._types.names}
        return self._graph

    def _walk(self, proto: Any, scope: _Scope, turns: int, doubt: str) -> None:
        for initializer in proto.initializer:
            self._types.set_constant(scope.define(initializer.name), initializer)
        for sparse in proto.sparse_initializer:
            name = scope.define(sparse.values.name)
            self._types.set(name, tensor_type(sparse.values.data_type, sparse.dims), constant=True)
        self._types.declare({scope.prefix + v.name: v.type for v in proto.value_info})
        self._types.declare({scope.prefix + v.name: v.type for v in proto.output})
        steps = [
            Step(
                f"{node.name or node.output[0]!r} ({node.op_type})",
                tuple(_reads(node)),
                tuple(node.output),
                node,
            )
            for node in proto.node
            if node.output
        ]
        for step in in_order(self._path, steps, scope):
            self._read(step.source, scope, turns, doubt)

    def _read(self, proto: Any, scope: _Scope, turns: int, doubt: str) -> None:
        if proto.op_type in self._bodies and not proto.domain:
            self._bodies[proto.op_type](self, proto, scope, turns, doubt)
            return
        inputs = [scope[name] for name in proto.input]
        outputs = [scope.define(name) for name in proto.output]
        if self._types.fold(proto, inputs, outputs):
            self._types.note_storage(proto, inputs, outputs[0])
            return
        shape_doubt = self._types.infer(proto, inputs, outputs)
        given = [name for name in inputs if name]
        if all(self._types.is_constant(name) for name in given) and proto.op_type not in _RANDOM:
            for name in outputs:
                self._types.mark_constant(name)
            self._types.note_storage(proto, inputs, outputs[0])
            return
        if not self._changeable.isdisjoint(proto.input):
            doubt = doubt or WEIGHTS_ARE_INPUTS
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}::"
        self._graph.nodes.append(
            Node(
                domain + proto.op_type,
                proto.name or outputs[0],
                inputs,
                outputs,
                _attributes(proto),
                turns,
                doubt or shape_doubt,
            )
        )

    def _read_if(self, proto: Any, scope: _Scope, turns: int, doubt: str) -> None:
        branches = _attributes(proto)
        condition = self._types.value(scope[proto.input[0]])
        chosen = [branches["then_branch"], branches["else_branch"]]
        if condition is not None:
            chosen = [chosen[0 if condition.any() else 1]]
        nodes, read, refused = self._graph.nodes, [], None
        doubt = doubt or (RUN_TIME_BRANCH if len(chosen) > 1 else "")
        for index, branch in enumerate(chosen):
            self._graph.nodes = []
            inner = _Scope(f"{scope.prefix}{proto.output[0]}/{index}/", scope)
            try:
                self._walk(branch, inner, turns, doubt)
            except InvalidModel as error:  # with these shapes it is not the one that runs
                refused = error
                continue
            read.append((self._graph.nodes, inner, branch))
        if not read and refused is not None:
            raise refused
        costliest = max(read, key=lambda one: self._written(one[0]))
        self._graph.nodes = nodes + costliest[0]
        for name, inner_output in zip(proto.output, costliest[2].output, strict=False):
            scope.alias(name, costliest[1][inner_output.name])

    def _written(self, nodes: Sequence[Node]) -> int:
        return sum(self._types.tensor(name).elements for node in nodes for name in node.outputs)

    def _read_loop(self, proto: Any, scope: _Scope, turns: int, doubt: str) -> None:
        body = _attributes(proto)["body"]
        limit = self._types.value(scope[proto.input[0]]) if proto.input[0] else None
        known = limit is not None and int(limit.reshape(-1)[0]) < 2**31
        count = max(int(limit.reshape(-1)[0]), 0) if known and limit is not None else 1
        inner = _Scope(f"{scope.prefix}{proto.output[0]}/", scope)
        unchanged = _unchanged(body)
        for index, value in enumerate(body.input):
            name = inner.define(value.name)
            outer = scope[proto.input[index]] if index >= 2 else ""
            self._types.set(name, self._types.type(outer) if outer else value.type)
            if outer:
                self._graph.sources[name] = outer
                if index in unchanged and self._types.is_constant(outer):
                    self._types.mark_constant(name)
        self._walk(body, inner, turns * count, doubt if known else TURNS_UNKNOWN)
        self._graph.outputs += [inner[value.name] for value in body.output]  # for the next turn
        n_states = len(body.input) - 2
        for index, name in enumerate(proto.output):
            result = inner[body.output[index + 1].name]
            if index < n_states:
                scope.alias(name, result)
            else:
                self._types.set(scope.define(name), self._stacked(result, count))
                self._graph.sources[scope[name]] = result
                if not known:
                    self._types.mark_guess(scope[name])

    def _read_scan(self, proto: Any, scope: _Scope, turns: int, doubt: str) -> None:
        attributes = _attributes(proto)
        body, n_scanned = attributes["body"], attributes["num_scan_inputs"]
        n_states = len(body.input) - n_scanned
        given = [scope[name] for name in proto.input][-len(body.input) :]
        axes = attributes.get("scan_input_axes", [0] * n_scanned)
        inner, count = _Scope(f"{scope.prefix}{proto.output[0]}/", scope), 1
        for index, (value, outer) in enumerate(zip(body.input, given, strict=True)):
            outer_type = self._types.tensor(outer)
            shape = list(outer_type.shape)
            if index >= n_states and shape:
                count = shape.pop(axes[index - n_states])
            kind = self._types.type(outer).tensor_type.elem_type
            self._types.set(inner.define(value.name), tensor_type(kind, shape))
            self._graph.sources[inner[value.name]] = outer
        self._walk(body, inner, turns * count, doubt)
        self._graph.outputs += [inner[value.name] for value in body.output]
        for index, name in enumerate(proto.output):
            result = inner[body.output[index].name]
            if index < n_states:
                scope.alias(name, result)
            else:
                self._types.set(scope.define(name), self._stacked(result, count))
                self._graph.sources[scope[name]] = result

    def _stacked(self, name: str, count: int) -> Any:
        shape = (count, *self._types.tensor(name).shape)
        return tensor_type(self._types.type(name).tensor_type.elem_type, shape)

    _bodies: ClassVar[dict[str, Callable[..., None]]] = {
        "If": _read_if,
        "Loop": _read_loop,
        "Scan": _read_scan,
    }


def _reads(node: Any) -> Iterator[str]:
    """Yield the names that a node reads, those that its bodies take from around it included."""
    yield from node.input
    for attribute in node.attribute:
        for body in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            own = {value.name for value in (*body.input, *body.initializer)}
            own.update(name for inner in body.node for name in inner.output)
            for inner in body.node:
                yield from (name for name in _reads(inner) if name not in own)
            yield from (value.name for value in body.output if value.name not in own)


def _unchanged(body: Any) -> set[int]:
    """Return which inputs of a loop's body have the same values at every turn."""
    same = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity"}
    found = set()
    for index, value in enumerate(body.input[2:], start=2):
        name = body.output[index - 1].name
        while name in same:
            name = same[name]
        if name == value.name:
            found.add(index)
    return found


def _attributes(node: Any) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
