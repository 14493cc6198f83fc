"""TFLite files as graphs, read in place: no weight is copied.

Owns: the flatbuffer's tables, signatures and subgraphs, options of operators. The schema is the one
that ``ai-edge-litert`` carries; its interpreter works out the shapes where others are asked for.
"""

from __future__ import annotations

import mmap
import shlex
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidModel
from edgeprof.base.extras import optional
from edgeprof.networks.graphs.graph import (
    RUN_TIME_BRANCH,
    TURNS_UNKNOWN,
    Graph,
    Node,
    Step,
    Tensor,
    in_order,
)


def read_tflite_graph(
    path: Path, shapes: Mapping[str, Sequence[int]] | None = None, batch: int | None = None
) -> Graph:
    """Read the graph of a TFLite file: of its first signature, or its first subgraph.

    Args:
        path: the model.
        shapes: shapes of inputs by name; other than the file's they need the interpreter.
        batch: leading dimension of the inputs.

    Raises:
        InvalidModel: no TFLite model; or an input's shape is open: the message proposes one.
        MissingDependency: if the package ai-edge-litert is not installed.
    """
    schema = _schema(path)
    try:
        with path.open("rb") as stream:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidModel(f"{path}: cannot be read: {reason}") from error
    if data[:4] == b"PK\x03\x04":
        raise InvalidModel(f"{path}: is a zip archive, want a TFLite model; unpack it first")
    if data[4:8] != b"TFL3":
        raise InvalidModel(f"{path}: is no valid TFLite model: it does not begin with TFL3")
    try:
        return _Reader(path, schema, schema.Model.GetRootAs(data, 0)).read(shapes or {}, batch)
    except (struct.error, IndexError, TypeError, AttributeError, ValueError) as error:
        raise InvalidModel(f"{path}: is no valid TFLite model: truncated or damaged") from error


def _schema(path: Path) -> Any:
    with optional(f"{path}: reading a TFLite model"):
        from ai_edge_litert import schema_py_generated
    return schema_py_generated


@cache
def _names(enumeration: Any) -> dict[int, str]:
    return {code: name for name, code in vars(enumeration).items() if name.isupper()}


class _Reader:
    """Reads one model's subgraphs into one graph."""

    def __init__(self, path: Path, schema: Any, model: Any) -> None:
        self._path, self._schema, self._model = path, schema, model
        self._graph = Graph(path, channels_last=True)
        self._operators = [
            self._operator_name(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())
        ]
        self._types = _names(schema.TensorType)
        self._called: dict[str, str] = {}

    def read(self, shapes: Mapping[str, Sequence[int]], batch: int | None) -> Graph:
        index = self._choose()
        subgraph = self._model.Subgraphs(index)
        tensors = self._read_tensors(subgraph, "")
        inputs = [tensors[i] for i in subgraph.InputsAsNumpy()] if subgraph.InputsLength() else []
        self._called = self._names_of_signature(index, tensors)
        own = {name: tensor for tensor, name in self._called.items()}
        given = {own.get(name, name): shape for name, shape in shapes.items()}
        wanted = self._wanted(subgraph, tensors, inputs, given, batch)
        if wanted:
            self._resize(tensors, wanted, index)
        self._graph.inputs = inputs
        self._graph.outputs = [
            tensors[subgraph.Outputs(i)] for i in range(subgraph.OutputsLength())
        ]
        self._read_operators(subgraph, tensors, inputs, turns=1, doubt="")
        return self._graph

    def _keep_outputs(self, subgraph: Any, tensors: Sequence[str]) -> None:
        for index in range(subgraph.OutputsLength()):
            self._graph.outputs.append(tensors[subgraph.Outputs(index)])

    def _choose(self) -> int:
        """Return the subgraph to read, and note the choice where there is one."""
        model = self._model
        keys = [
            (model.SignatureDefs(i).SignatureKey().decode(), model.SignatureDefs(i).SubgraphIndex())
            for i in range(model.SignatureDefsLength())
        ]
        if len(keys) > 1:
            names = ", ".join(repr(key) for key, _ in keys)
            self._graph.notes.append(f"read signature {keys[0][0]!r}, the first of {names}")
            return int(keys[0][1])
        if not keys and model.SubgraphsLength() > 1:
            self._graph.notes.append(f"read the first of {model.SubgraphsLength()} subgraphs")
        return int(keys[0][1]) if keys else 0

    def _names_of_signature(self, index: int, tensors: Sequence[str]) -> dict[str, str]:
        """Return a signature's names of its input tensors, by which runtimes know the inputs."""
        for number in range(self._model.SignatureDefsLength()):
            read = self._model.SignatureDefs(number)
            if read.SubgraphIndex() == index:
                inputs = [read.Inputs(i) for i in range(read.InputsLength())]
                return {tensors[one.TensorIndex()]: (one.Name() or b"").decode() for one in inputs}
        return {}

    def _operator_name(self, code: Any) -> str:
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        name = _names(self._schema.BuiltinOperator).get(number, f"builtin::{number}")
        if name == "CUSTOM":
            return f"custom::{(code.CustomCode() or b'').decode(errors='replace')}"
        return name

    def _read_tensors(self, subgraph: Any, prefix: str) -> list[str]:
        """Add a subgraph's tensors; return their names by index."""
        names: list[str] = []
        for index in range(subgraph.TensorsLength()):
            read = subgraph.Tensors(index)
            name = prefix + ((read.Name() or b"").decode(errors="replace") or f"tensor{index}")
            if name in self._graph.tensors:
                name = f"{name}#{index}"
            shape = tuple(int(size) for size in read.ShapeAsNumpy()) if read.ShapeLength() else ()
            kind = self._types.get(read.Type(), "float32").lower()
            buffer = self._model.Buffers(read.Buffer())
            is_constant = buffer.DataLength() > 0 or buffer.Size() > 0
            if buffer.DataLength():
                buffer.DataAsNumpy()  # a view: fails where the file ends before the data
            sizes = tuple(max(size, 1) if size < 0 else size for size in shape)
            self._graph.tensors[name] = Tensor(name, sizes, kind, is_constant)
            names.append(name)
        return names

    def _wanted(
        self,
        subgraph: Any,
        tensors: Sequence[str],
        inputs: Sequence[str],
        shapes: Mapping[str, Sequence[int]],
        batch: int | None,
    ) -> dict[str, tuple[int, ...]]:
        """Return the shapes that differ from the file's; refuse what is left open."""
        for name in shapes:
            if name not in inputs:
                raise InvalidModel(
                    f"{self._path}: has no input {name!r} to give a shape; its inputs are "
                    f"{', '.join(self._called.get(one, one) for one in inputs)}"
                )
        wanted, is_open = {}, []
        for name in inputs:
            read, stored = subgraph.Tensors(tensors.index(name)), self._graph.tensors[name].shape
            signature = read.ShapeSignatureAsNumpy() if read.ShapeSignatureLength() else stored
            shape = tuple(shapes.get(name, stored))
            if batch and shape and name not in shapes and signature[0] in (-1, 1):
                shape = (batch, *shape[1:])
            elif name not in shapes and (min(signature, default=1) < 0):
                option = f"{self._called.get(name, name)}={','.join(map(str, stored))}"
                is_open.append(f"--shape {shlex.quote(option)}")
            if shape != stored:
                wanted[name] = shape
        if is_open:
            raise InvalidModel(
                f"{self._path}: the shape of its input is open; for example {' '.join(is_open)}"
            )
        return wanted

    def _resize(
        self, tensors: Sequence[str], wanted: Mapping[str, tuple[int, ...]], index: int
    ) -> None:
        """Take all shapes from the interpreter, given other inputs."""
        from ai_edge_litert import interpreter as litert

        if index:
            raise InvalidModel(f"{self._path}: only its first subgraph can take other shapes")
        plain = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        asked = " ".join(f"{name}={','.join(map(str, s))}" for name, s in wanted.items())
        try:
            running = litert.Interpreter(str(self._path), experimental_op_resolver_type=plain)
            for name, shape in wanted.items():
                running.resize_tensor_input(tensors.index(name), shape, strict=False)
            running.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise InvalidModel(f"{self._path}: does not take the shape {asked}") from error
        for details in running.get_tensor_details():
            if details["index"] < len(tensors):
                tensor = self._graph.tensors[tensors[details["index"]]]
                tensor.shape = tuple(int(size) for size in details["shape"])

    def _read_operators(
        self, subgraph: Any, tensors: Sequence[str], known: Sequence[str], turns: int, doubt: str
    ) -> None:
        names = [*tensors, ""]  # -1 is an input that is left out
        steps = []
        for index in range(subgraph.OperatorsLength()):
            read = subgraph.Operators(index)
            reads = tuple(names[i] for i in read.InputsAsNumpy()) if read.InputsLength() else ()
            writes = tuple(names[i] for i in read.OutputsAsNumpy()) if read.OutputsLength() else ()
            operator = self._operators[read.OpcodeIndex()]
            steps.append(Step(f"{index} ({operator})", reads, writes, (operator, read)))
        computed = {name for step in steps for name in step.writes}
        there = {*known, *(name for name in tensors if name not in computed)}
        for step in in_order(self._path, steps, there):
            operator, read = step.source
            if operator in ("IF", "WHILE"):
                self._read_body(operator, read, step, turns)
            else:
                self._read_operator(operator, read, step, turns, doubt)

    def _read_operator(self, operator: str, read: Any, step: Step, turns: int, doubt: str) -> None:
        given = [self._graph.tensors[name] for name in step.reads if name]
        if given and all(tensor.constant for tensor in given):  # weights of another type, mostly
            for name in step.writes:
                self._graph.tensors[name].constant = True
                self._graph.tensors[name].type = given[0].type
            return
        attributes = _attributes(self._schema, read)
        fused = attributes.pop("fused", "")
        node = Node(
            operator,
            step.writes[0] if step.writes else step.label,
            list(step.reads),
            list(step.writes),
            attributes,
            turns,
            doubt,
        )
        if fused:
            node.fused.append(fused)
            node.fused_operations = self._graph.tensor(step.writes[0]).elements
        self._graph.nodes.append(node)

    def _read_body(self, operator: str, read: Any, step: Step, turns: int) -> None:
        """Read the costlier branch of a condition, or a loop's condition and body once."""
        options = _options(self._schema, read)
        indices = (
            [options.ThenSubgraphIndex(), options.ElseSubgraphIndex()]
            if operator == "IF"
            else [options.CondSubgraphIndex(), options.BodySubgraphIndex()]
        )
        nodes, bodies = self._graph.nodes, []
        for index in indices:
            self._graph.nodes = []
            body = self._model.Subgraphs(index)
            tensors = self._read_tensors(body, f"{step.writes[0] if step.writes else ''}/{index}/")
            inputs = [tensors[i] for i in body.InputsAsNumpy()] if body.InputsLength() else []
            doubt = RUN_TIME_BRANCH if operator == "IF" else TURNS_UNKNOWN
            self._keep_outputs(body, tensors)
            self._read_operators(body, tensors, inputs, turns, doubt)
            bodies.append(self._graph.nodes)
        if operator == "IF":
            bodies = [max(bodies, key=self._written)]
        self._graph.nodes = nodes + [node for body in bodies for node in body]

    def _written(self, nodes: Sequence[Node]) -> int:
        return sum(self._graph.tensor(name).elements for node in nodes for name in node.outputs)


def _options(schema: Any, operator: Any) -> Any:
    """Return the options of an operator in their own class, None without any."""
    table = operator.BuiltinOptions()
    name = _option_names(schema).get(operator.BuiltinOptionsType())
    if table is None or name is None:
        return None
    options = getattr(schema, name)()
    options.Init(table.Bytes, table.Pos)
    return options


@cache
def _option_names(schema: Any) -> dict[int, str]:
    codes = vars(schema.BuiltinOptions).items()
    return {code: name for name, code in codes if name.endswith("Options")}


def _attributes(schema: Any, operator: Any) -> dict[str, Any]:
    """Return an operator's options by the names that ONNX gives them."""
    options = _options(schema, operator)
    if options is None:
        return {}
    found: dict[str, Any] = {}
    for name, prefix in _SIZES:
        sizes = [_size(options, prefix, axis) for axis in _AXES]
        if sizes[1] is not None and sizes[2] is not None:
            found[name] = tuple(size for size in sizes if size is not None)
    for name, method in (("transA", "AdjX"), ("transB", "AdjY")):
        if hasattr(options, method):
            found[name] = int(getattr(options, method)())
    if hasattr(options, "TimeMajor"):
        found["batch_major"] = not options.TimeMajor()
    if hasattr(options, "FusedActivationFunction"):
        function = options.FusedActivationFunction()
        if function:
            found["fused"] = _names(schema.ActivationFunctionType)[function]
    return found


_SIZES = (("strides", "Stride"), ("dilations", "Dilation"), ("kernel_shape", "Filter"))
_AXES = {"D": "Depth", "H": "Height", "W": "Width"}


def _size(options: Any, prefix: str, axis: str) -> int | None:
    for name in (prefix + axis, f"{prefix}{axis}Factor", prefix + _AXES[axis]):
        if hasattr(options, name):
            return int(getattr(options, name)())
    return None
