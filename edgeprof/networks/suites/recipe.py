"""A network as a list of operators, from which a model file can be written.

Owns: ``Recipe`` and the shapes that follow from its operators. Operators and attributes are those
of ONNX. Does not own: values of weights, file formats (``edgeprof.export.recipes``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any, NamedTuple

INPUT = "input"
"""Name of the first input."""

Dims = tuple[int, ...]
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


class Weight(NamedTuple):
    """A constant.

    Attributes:
        name: unique in its recipe.
        shape: its dimensions.
        fan_in: number of values that are summed into one output; 0 of what is added.
        values: all of them, flat, where they mean something; ``()`` if any will do.
        element_type: as numpy names it.
    """

    name: str
    shape: Dims
    fan_in: int = 0
    values: tuple[float, ...] = ()
    element_type: str = "float32"


class Node(NamedTuple):
    """One operator: its ONNX name, the values that it reads and makes, its attributes."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass
class Recipe:
    """Operators in the order of execution; its methods append some and return their output.

    Feature maps are (batch, channels, height, width), tokens (batch, number, features).

    Attributes:
        name: of the network.
        shapes: of all values, by name.
        inputs: names of the inputs, all float32.
        weights: the constants by name.
        nodes: the operators.
        outputs: names of the outputs; the last value where it is empty.
    """

    name: str
    shapes: dict[str, Dims] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Short hash of all that stands in the recipe but its name."""
        parts = {name: value for name, value in asdict(self).items() if name != "name"}
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def results(self) -> list[str]:
        """Names of the outputs."""
        return self.outputs or [self.nodes[-1].outputs[0]]

    def input(self, *shape: int) -> str:
        """Add an input."""
        name = f"{INPUT}{len(self.inputs) + 1}" if self.inputs else INPUT
        self.inputs.append(name)
        self.shapes[name] = shape
        return name

    def node(self, operator: str, *inputs: str, shape: Sequence[int], **attributes: Any) -> str:
        """Append an operator with one output of this shape."""
        output = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(Node(operator, inputs, (output,), attributes))
        self.shapes[output] = tuple(shape)
        return output

    def weight(self, label: str, *shape: int, fan_in: int = 0) -> str:
        """Add a constant of the next operator."""
        name = f"{len(self.nodes)}.{label}"
        self.weights[name] = Weight(name, shape, fan_in)
        return name

    def constant(self, label: str, values: Sequence[float], element_type: str = "int64") -> str:
        """Add a list of constant values for the next operator."""
        name = f"{len(self.nodes)}.{label}"
        self.weights[name] = Weight(name, (len(values),), 0, tuple(values), element_type)
        return name

    def conv(
        self,
        x: str,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        act: str | None = None,
    ) -> str:
        """Append a convolution with a bias, and its activation."""
        batch, channels, height, width = self.shapes[x]
        reach = dilation * (kernel - 1)
        pad = reach // 2 if padding is None else padding
        fan_in = channels // groups * kernel**2
        weights = self.weight("weight", out, channels // groups, kernel, kernel, fan_in=fan_in)
        size = [(side + 2 * pad - reach - 1) // stride + 1 for side in (height, width)]
        attributes = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [pad] * 4,
            "dilations": [dilation] * 2,
            "group": groups,
        }
        bias = self.weight("bias", out)
        y = self.node("Conv", x, weights, bias, shape=(batch, out, *size), **attributes)
        return y if act is None else self.activation(y, act)

    def depthwise(self, x: str, kernel: int = 3, stride: int = 1, *, act: str | None = None) -> str:
        """Append a depthwise convolution, and its activation."""
        channels = self.shapes[x][1]
        return self.conv(x, channels, kernel, stride, groups=channels, act=act)

    def conv_transpose(self, x: str, out: int, kernel: int = 2, stride: int = 2) -> str:
        """Append a transposed convolution that enlarges a map ``stride`` times."""
        batch, channels, height, width = self.shapes[x]
        fan_in = max(channels * kernel**2 // stride**2, 1)
        weights = self.weight("weight", channels, out, kernel, kernel, fan_in=fan_in)
        before = (kernel - stride) // 2
        pads = [before] * 2 + [kernel - stride - before] * 2
        shape = (batch, out, stride * height, stride * width)
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": pads}
        bias = self.weight("bias", out)
        return self.node("ConvTranspose", x, weights, bias, shape=shape, **attributes)

    def linear(self, x: str, out: int) -> str:
        """Append a product with a constant matrix, and a sum with a constant vector."""
        *rest, features = self.shapes[x]
        if len(rest) == 1:
            weights = self.weight("weight", out, features, fan_in=features)
            bias = self.weight("bias", out)
            return self.node("Gemm", x, weights, bias, shape=(*rest, out), transB=1)
        weights = self.weight("weight", features, out, fan_in=features)
        y = self.node("MatMul", x, weights, shape=(*rest, out))
        return self.node("Add", y, self.weight("bias", out), shape=(*rest, out))

    def matmul(self, a: str, b: str) -> str:
        """Append a product of two computed matrices, or of as many as there are before them."""
        shape = (*self.shapes[a][:-1], self.shapes[b][-1])
        return self.node("MatMul", a, b, shape=shape)

    def activation(self, x: str, name: str) -> str:
        """Append an activation: an operator of ONNX, or one of several.

        Those are ``"Relu6"``, ``"Silu"``, ``"Gelu"`` and ``"HardSwishInParts"`` (as exporters
        without that operator write it).
        """
        shape = self.shapes[x]
        if name == "Relu6":
            low, high = (self._scalar(label, v) for label, v in (("low", 0.0), ("high", 6.0)))
            return self.node("Clip", x, low, high, shape=shape)
        if name == "Silu":
            return self.binary("Mul", x, self.activation(x, "Sigmoid"))
        if name == "HardSwishInParts":
            gate = self.activation(self.by_scalar("Add", x, 3.0), "Relu6")
            return self.by_scalar("Div", self.binary("Mul", x, gate), 6.0)
        if name == "Gelu":
            y = self.by_scalar("Div", x, 2**0.5)
            y = self.by_scalar("Add", self.node("Erf", y, shape=shape), 1.0)
            return self.by_scalar("Mul", self.binary("Mul", x, y), 0.5)
        attributes = {"alpha": 1 / 6, "beta": 0.5} if name == "HardSigmoid" else {}
        return self.node(name, x, shape=shape, **attributes)

    def unary(self, operator: str, x: str, **attributes: Any) -> str:
        """Append an operator that keeps the shape."""
        return self.node(operator, x, shape=self.shapes[x], **attributes)

    def binary(self, operator: str, a: str, b: str) -> str:
        """Append arithmetic on two values; the first has the shape of the result."""
        return self.node(operator, a, b, shape=self.shapes[a])

    def by_scalar(self, operator: str, x: str, value: float) -> str:
        """Append arithmetic with a constant."""
        return self.node(operator, x, self._scalar("scalar", value), shape=self.shapes[x])

    def _scalar(self, label: str, value: float) -> str:
        name = f"{len(self.nodes)}.{label}"
        self.weights[name] = Weight(name, (), 0, (value,))
        return name

    def norm(self, operator: str, x: str, **attributes: Any) -> str:
        """Append a normalisation with its scale and shift: of layers, instances or batches."""
        if operator == "LayerNormalization":
            size, names = self.shapes[x][-1], ["scale", "shift"]
            attributes = {"axis": -1, "epsilon": 1e-6, **attributes}
        else:
            size, names = self.shapes[x][1], ["scale", "shift"]
        if operator == "BatchNormalization":
            names += ["mean", "variance"]
        constants = [
            self.weight(label, size, fan_in=-1 if label in ("scale", "variance") else 0)
            for label in names
        ]
        return self.node(operator, x, *constants, shape=self.shapes[x], **attributes)

    def pool(
        self, operator: str, x: str, kernel: int, stride: int, padding: int = 0, *, ceil: int = 0
    ) -> str:
        """Append ``"MaxPool"`` or ``"AveragePool"``."""
        *outer, height, width = self.shapes[x]
        reach = kernel - 2 * padding - (stride - 1) * ceil
        size = [(side - reach) // stride + 1 for side in (height, width)]
        attributes: dict[str, Any] = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [padding] * 4,
        }
        if ceil:
            attributes["ceil_mode"] = 1
        return self.node(operator, x, shape=(*outer, *size), **attributes)

    def global_pool(self, x: str) -> str:
        """Append the mean over height and width."""
        return self.node("GlobalAveragePool", x, shape=(*self.shapes[x][:2], 1, 1))

    def mean(self, x: str, axis: int) -> str:
        """Append the mean over an axis, which goes."""
        shape = list(self.shapes[x])
        del shape[axis]
        return self.node("ReduceMean", x, shape=shape, axes=[axis], keepdims=0)

    def flatten(self, x: str) -> str:
        """Append a flattening to (batch, features)."""
        batch, *rest = self.shapes[x]
        return self.node("Flatten", x, shape=(batch, prod(rest)))

    def reshape(self, x: str, *shape: int) -> str:
        """Append another shape of the same values."""
        return self.node("Reshape", x, self.constant("shape", shape), shape=shape)

    def transpose(self, x: str, *order: int) -> str:
        """Append another order of the axes."""
        shape = [self.shapes[x][axis] for axis in order]
        return self.node("Transpose", x, shape=shape, perm=list(order))

    def concat(self, *values: str, axis: int = 1) -> str:
        """Append values behind each other along an axis."""
        shape = list(self.shapes[values[0]])
        shape[axis] = sum(self.shapes[value][axis] for value in values)
        return self.node("Concat", *values, shape=shape, axis=axis)

    def slice(self, x: str, start: int, end: int, axis: int = 1) -> str:
        """Append the part of a value from ``start`` to ``end`` along an axis."""
        shape = list(self.shapes[x])
        shape[axis] = end - start
        bounds = {"starts": start, "ends": end, "axes": axis}
        constants = [self.constant(label, [value]) for label, value in bounds.items()]
        return self.node("Slice", x, *constants, shape=shape)

    def halves(self, x: str) -> tuple[str, str]:
        """Append the two halves of the channels."""
        channels = self.shapes[x][1]
        return self.slice(x, 0, channels // 2), self.slice(x, channels // 2, channels)

    def resize(self, x: str, factor: int, mode: str = "nearest") -> str:
        """Append an enlargement of a map."""
        *outer, height, width = self.shapes[x]
        scales = self.constant("scales", [1, 1, factor, factor], "float32")
        shape = (*outer, factor * height, factor * width)
        form = "asymmetric" if mode == "nearest" else "half_pixel"
        rounding = {"nearest_mode": "floor"} if mode == "nearest" else {}
        attributes = {"mode": mode, "coordinate_transformation_mode": form, **rounding}
        return self.node("Resize", x, "", scales, shape=shape, **attributes)

    def recurrent(self, operator: str, x: str, hidden: int) -> str:
        """Append ``"LSTM"``, ``"GRU"`` or ``"RNN"`` over (steps, batch, features)."""
        steps, batch, features = self.shapes[x]
        rows = _GATES[operator] * hidden
        weights = self.weight("weight", 1, rows, features, fan_in=features)
        back = self.weight("recurrence", 1, rows, hidden, fan_in=hidden)
        bias = self.weight("bias", 1, 2 * rows)
        shape = (steps, 1, batch, hidden)
        return self.node(operator, x, weights, back, bias, shape=shape, hidden_size=hidden)

    def attention(self, x: str, heads: int) -> str:
        """Append self-attention with its projections, over tokens."""
        batch, number, features = self.shapes[x]
        size = features // heads
        q, k, v = (
            self.transpose(
                self.reshape(self.linear(x, features), batch, number, heads, size), 0, *order
            )
            for order in ((2, 1, 3), (2, 3, 1), (2, 1, 3))
        )
        scores = self.by_scalar("Mul", self.matmul(q, k), size**-0.5)
        mixed = self.matmul(self.unary("Softmax", scores, axis=-1), v)
        joined = self.reshape(self.transpose(mixed, 0, 2, 1, 3), batch, number, features)
        return self.linear(joined, features)

    def squeeze_excite(self, x: str, mid: int, gate: str = "HardSigmoid") -> str:
        """Append squeeze-and-excitation."""
        squeezed = self.conv(self.global_pool(x), mid, act="Relu")
        return self.binary("Mul", x, self.conv(squeezed, self.shapes[x][1], act=gate))
