"""Types, shapes and small values of the tensors of an ONNX graph, one node at a time.

Owns: what is known of each tensor, by ``onnx.shape_inference`` and ``onnx.reference``, and what is
assumed where they cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, defs, helper
from onnx.checker import ValidationError
from onnx.numpy_helper import from_array, to_array
from onnx.reference import ReferenceEvaluator
from onnx.shape_inference import InferenceError, infer_node_outputs

from edgeprof.base.errors import InvalidModel
from edgeprof.networks.graphs.graph import RUN_TIME_SHAPE, SMALL, UNKNOWN_OPERATOR, Tensor, Value
from edgeprof.networks.graphs.onnx_contributed import contributed_shape, is_contributed, stand_in

_GROWING = frozenset(
    {"ConstantOfShape", "EyeLike", "Expand", "OneHot", "Pad", "Range", "Resize", "Tile"}
)
"""Operators whose output may be far larger than their inputs."""


_KEEPS_VALUES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def tensor_type(element_type: int, shape: Iterable[int]) -> Any:
    """Return the type of a tensor of a known shape."""
    return helper.make_tensor_type_proto(element_type, list(shape))


def element_type_name(element_type: int) -> str:
    """Return numpy's name of an element type of ONNX."""
    name: str = TensorProto.DataType.Name(element_type).lower()
    return {"float": "float32", "double": "float64", "undefined": "float32"}.get(name, name)


def known_shape(value_type: Any) -> tuple[int | None, ...] | None:
    """Return the sizes of a tensor's type, None for an open one; None of unknown rank."""
    while value_type.HasField("sequence_type") or value_type.HasField("optional_type"):
        inner = "sequence_type" if value_type.HasField("sequence_type") else "optional_type"
        value_type = getattr(value_type, inner).elem_type
    if not value_type.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None
        for dim in value_type.tensor_type.shape.dim
    )


class TypeInference:
    """What is known of the tensors of one model."""

    def __init__(self, path: Path, model: Any, is_strict: bool) -> None:
        self._path, self._is_strict = path, is_strict
        self._opsets = list(model.opset_import)
        self._versions = {opset.domain: opset.version for opset in self._opsets}
        self._versions.setdefault("", self._versions.get("ai.onnx", 1))
        self._ir_version = model.ir_version
        self._types: dict[str, Any] = {}
        self._declared: dict[str, Any] = {}
        self._constants: set[str] = set()
        self._data: dict[str, Any] = {}
        self._values: dict[str, Value] = {}
        self._guesses: set[str] = set()
        self._stored: dict[str, str] = {}
        self._schemas: dict[tuple[str, str], Any] = {}

    @property
    def names(self) -> Iterable[str]:
        """All tensors so far."""
        return self._types

    def declare(self, types: Mapping[str, Any]) -> None:
        """Take the types that the file states, for where inference has none."""
        self._declared.update(types)

    def set(self, name: str, value_type: Any, constant: bool = False) -> None:
        """Set the type of a tensor."""
        self._types[name] = value_type
        if constant:
            self._constants.add(name)

    def set_constant(self, name: str, proto: Any) -> None:
        """Set a tensor that the file holds, with its values if they are few and here."""
        self.set(name, tensor_type(proto.data_type, proto.dims), constant=True)
        if prod(proto.dims) <= SMALL and not proto.external_data:
            self._data[name] = proto

    def mark_constant(self, name: str) -> None:
        """Note that a tensor is the same in every inference."""
        self._constants.add(name)

    def note_storage(self, node: Any, inputs: Sequence[str], output: str) -> None:
        """Note that a constant is kept in the small type that it is dequantized from."""
        if node.op_type == "DequantizeLinear":
            self._stored[output] = self.tensor(inputs[0]).type
        elif node.op_type in _KEEPS_VALUES and inputs[0] in self._stored:
            self._stored[output] = self._stored[inputs[0]]

    def mark_guess(self, name: str) -> None:
        """Note that a tensor's shape is a guess; so are those that follow from it."""
        self._guesses.add(name)

    def is_constant(self, name: str) -> bool:
        """Tell whether a tensor is the same in every inference."""
        return name in self._constants

    def type(self, name: str) -> Any:
        """Return the type of a tensor as ONNX writes it."""
        return self._types[name]

    def value(self, name: str) -> Value | None:
        """Return the values of a small constant, if they are known."""
        if name not in self._values and name in self._data:
            self._values[name] = np.asarray(to_array(self._data[name]))
        return self._values.get(name)

    def _is_known(self, name: str) -> bool:
        return name in self._data or name in self._values

    def _proto(self, name: str) -> Any:
        if name not in self._data:
            self._data[name] = from_array(self._values[name])
        return self._data[name]

    def tensor(self, name: str) -> Tensor:
        """Return a tensor in the graph's form."""
        value_type = self._types[name]
        shape = known_shape(value_type) or ()
        sizes = tuple(1 if size is None else size for size in shape)
        kind = self._stored.get(name) or element_type_name(value_type.tensor_type.elem_type)
        return Tensor(name, sizes, kind, name in self._constants)

    def fold(self, node: Any, inputs: Sequence[str], outputs: Sequence[str]) -> bool:
        """Work out a node of known inputs; return whether its outputs are known now."""
        is_done = self._fold(node, inputs, outputs)
        if is_done and not self._guesses.isdisjoint(inputs):
            self._guesses.update(outputs)
        return is_done

    def _fold(self, node: Any, inputs: Sequence[str], outputs: Sequence[str]) -> bool:
        if node.op_type == "Constant":
            return self._fold_constant(node, outputs[0])
        if node.op_type == "Identity" and self.is_constant(inputs[0]):
            return self._fold_identity(inputs[0], outputs[0])
        if node.op_type in ("Shape", "Size"):
            return self._fold_shape(node, inputs[0], outputs[0])
        given = [name for name in inputs if name]
        if node.domain or not given or not all(self._is_known(name) for name in given):
            return False
        if node.op_type in _GROWING and self._grows(node, inputs):
            return False
        values = self._evaluate(node, inputs)
        for name, value in zip(outputs, values, strict=False):
            self._set_value(name, np.asarray(value))
        return bool(values)

    def _grows(self, node: Any, inputs: Sequence[str]) -> bool:
        """Tell whether a node makes more of its inputs than is worth knowing: weights, masks."""
        shapes = [known_shape(one) for one in self._inferred(node, inputs).values()]
        return any(shape and prod(size or 1 for size in shape) > SMALL for shape in shapes)

    def _fold_identity(self, given: str, output: str) -> bool:
        self.set(output, self._types[given], constant=True)
        for known in (self._data, self._values):
            if given in known:
                known[output] = known[given]
        return True

    def _fold_shape(self, node: Any, given: str, output: str) -> bool:
        shape = known_shape(self._types[given])
        if shape is None or None in shape:
            return False
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        part = shape[attributes.get("start", 0) : attributes.get("end", len(shape))]
        sizes = np.array(part, np.int64)
        self._set_value(output, sizes if node.op_type == "Shape" else sizes.prod())
        return True

    def _fold_constant(self, node: Any, output: str) -> bool:
        attribute = node.attribute[0]
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            self.set_constant(output, value)
        elif attribute.name == "sparse_value":
            self.set(output, tensor_type(value.values.data_type, value.dims), constant=True)
        elif attribute.name.startswith("value_string"):
            shape = () if attribute.name == "value_string" else (len(value),)
            self.set(output, tensor_type(TensorProto.STRING, shape), constant=True)
        else:
            dtype = np.float32 if "float" in attribute.name else np.int64
            self._set_value(output, np.array(value, dtype))
        return True

    def _set_value(self, name: str, value: Value) -> None:
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.set(name, tensor_type(kind, value.shape), constant=True)
        if value.size <= SMALL:
            self._values[name] = value

    def _evaluate(self, node: Any, inputs: Sequence[str]) -> list[Value]:
        """Run one node; nothing where the reference implementation cannot."""
        alone = helper.make_graph([node], "fold", [], [])
        try:
            running = ReferenceEvaluator(alone, opsets=self._versions)
            results = running.run(
                list(node.output),
                {
                    own: self.value(name)
                    for own, name in zip(node.input, inputs, strict=True)
                    if own
                },
            )
        except Exception:  # of any type: whatever it cannot run is inferred instead
            return []
        is_plain = all(isinstance(one, (np.ndarray, np.generic)) for one in results)
        return list(results) if is_plain else []

    def infer(self, node: Any, inputs: Sequence[str], outputs: Sequence[str]) -> str:
        """Set the types of a node's outputs.

        Returns:
            Why they are a guess, ``""`` if they are none.

        Raises:
            InvalidModel: in strict mode, if the inputs do not fit the node.
        """
        found = self._inferred(node, inputs)
        if node.op_type == "Reshape":
            self._check_reshape(node, inputs, found)
        is_guess, doubt = not self._guesses.isdisjoint(inputs), ""
        for position, (own, name) in enumerate(zip(node.output, outputs, strict=True)):
            if not name:
                continue
            candidates = [found.get(own), self._declared.get(name)]
            if is_guess:
                candidates.reverse()
            sized = next((c for c in candidates if c is not None and _is_sized(c)), None)
            if sized is not None:
                self._types[name] = sized
                if is_guess and sized is found.get(own):
                    self._guesses.add(name)
                    doubt = RUN_TIME_SHAPE
                continue
            self._guesses.add(name)
            guess = next((c for c in candidates if c is not None and c.WhichOneof("value")), None)
            self._types[name] = self._assumed(guess, inputs, position)
            if position == 0:
                doubt = RUN_TIME_SHAPE if found else UNKNOWN_OPERATOR
        return doubt

    def _check_reshape(self, node: Any, inputs: Sequence[str], found: Mapping[str, Any]) -> None:
        """Refuse a shape of another number of elements: inference lets it pass."""
        shapes = [known_shape(one) for one in (self._types[inputs[0]], *found.values())]
        sizes = [prod(s for s in shape if s is not None) for shape in shapes if shape is not None]
        is_known = len(sizes) == 2 and all(None not in (shape or ()) for shape in shapes)
        if not self._is_strict or not is_known or not self._guesses.isdisjoint(inputs):
            return
        if sizes[0] != sizes[1]:
            raise InvalidModel(
                f"{self._path}: node {node.name or node.output[0]!r} (Reshape) does not make "
                f"{shapes[1]} of {shapes[0]}"
            )

    def _inferred(self, node: Any, inputs: Sequence[str]) -> dict[str, Any]:
        inferred, is_own = _as_inferred(node), not is_contributed(node)
        if not is_own and (known := self._contributed(node, inputs)):
            return known
        schema = self._schema(inferred)
        if schema is None:
            return {}
        by_name = dict(zip(node.input, inputs, strict=True))
        types = {own: self._types[by_name[own]] for own in inferred.input if own}
        if not is_own:  # for its shapes only
            types = {own: _as_float(one) for own, one in types.items()}
        data = {own: self._proto(by_name[own]) for own in types if self._is_known(by_name[own])}
        try:
            found = infer_node_outputs(
                schema,
                inferred,
                types,
                data if is_own else {},
                opset_imports=self._opsets,
                ir_version=self._ir_version,
            )
        except (InferenceError, ValidationError, RuntimeError, ValueError) as error:
            if self._is_strict and is_own and self._guesses.isdisjoint(inputs):
                raise InvalidModel(
                    f"{self._path}: node {node.name or node.output[0]!r} ({node.op_type}) does "
                    f"not take inputs of {[known_shape(one) for one in types.values()]}"
                ) from error
            return {}
        if not is_own and node.op_type.startswith("Q"):
            kind = self._types[inputs[0]].tensor_type.elem_type
            for one in found.values():
                one.tensor_type.elem_type = kind
        return dict(found)

    def _contributed(self, node: Any, inputs: Sequence[str]) -> dict[str, Any]:
        given = [self.tensor(name) for name in inputs if name]
        try:
            shape = contributed_shape(node, [tensor.shape for tensor in given])
        except (LookupError, ValueError):
            return {}
        kind = self._types[given[0].name].tensor_type.elem_type if given else 1
        return {node.output[0]: tensor_type(kind, shape)} if shape is not None else {}

    def _schema(self, node: Any) -> Any:
        domain = "" if node.domain == "ai.onnx" else node.domain
        key = (domain, node.op_type)
        if key not in self._schemas:
            version = self._versions.get(domain, 1)
            try:
                self._schemas[key] = defs.get_schema(node.op_type, version, domain)
            except defs.SchemaError:
                self._schemas[key] = None
        return self._schemas[key]

    def _assumed(self, guess: Any, inputs: Sequence[str], position: int) -> Any:
        """Return a type for an output of which no shape is known: like its largest input."""
        given = [self.tensor(name) for name in inputs if name]
        computed = [one for one in given if not one.constant] or given
        largest = max(computed, key=lambda one: one.elements, default=Tensor("", (1,)))
        kind = guess.tensor_type.elem_type if guess is not None else 0
        if not kind and given:
            kind = self._types[given[0].name].tensor_type.elem_type
        shape = known_shape(guess) if guess is not None else None
        if position or shape is None:
            return tensor_type(kind or 1, largest.shape if not position else ())
        if len(shape) == len(largest.shape):
            return tensor_type(
                kind or 1,
                [a if a is not None else b for a, b in zip(shape, largest.shape, strict=True)],
            )
        open_sizes = sum(size is None for size in shape)
        left = max(largest.elements // max(prod(size for size in shape if size), 1), 1)
        share = max(round(left ** (1 / max(open_sizes, 1))), 1)
        return tensor_type(kind or 1, [share if size is None else size for size in shape])


def _as_float(value_type: Any) -> Any:
    shape = known_shape(value_type)
    if shape is None or None in shape:
        return value_type
    return tensor_type(TensorProto.FLOAT, [size or 0 for size in shape])


def _is_sized(value_type: Any) -> bool:
    shape = known_shape(value_type)
    return shape is not None and None not in shape


def _as_inferred(node: Any) -> Any:
    """Return the node to infer the shapes of another from, mostly itself."""
    if is_contributed(node):
        return stand_in(node)
    if node.op_type == "STFT" and not any(one.name == "onesided" for one in node.attribute):
        explicit = type(node).FromString(node.SerializeToString())
        explicit.attribute.append(helper.make_attribute("onesided", 1))
        return explicit  # onnx infers the shape of the other value than the default
    return node
