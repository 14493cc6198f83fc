"""The suite of layers: small models that span kinds of layers and their shapes.

Owns: which shapes. They come of a sequence that fills the space of choices evenly and never changes
(R. Roberts' generalisation of the golden ratio), so the suite is the same everywhere. Convolutions
and products are measured alone and in pairs: networks have the costs between layers as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from math import prod
from typing import Any

from edgeprof.networks.suites.recipe import Node, Recipe

MAX_MACS = 120_000_000
MAX_ELEMENTS = 2_000_000
MIN_WORK = 16_384
"""Bounds of one model: all of them take ten minutes on a small board, and none takes no time."""

_NARROW = (8, 16, 24, 32, 40, 48, 64, 80, 96, 120, 128, 160, 192, 240)
_CHANNELS = (*_NARROW, 256, 320, 384, 512, 672, 768, 960, 1280)
_SIZES = (4, 7, 8, 10, 14, 16, 20, 28, 32, 40, 56, 64, 80, 112)
_ROWS = (1, 1, 4, 16, 49, 64, 128, 197, 256)
_FEATURES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1280, 2048)

Make = Callable[..., str]
"""Appends layers to a recipe and returns the last value."""


def layer_suite() -> list[Recipe]:
    """Return the models in float32, each under a name of its own."""
    return [recipe for group in (_convolutions, _products, _maps, _tokens) for recipe in group()]


def quantised_layers() -> list[Recipe]:
    """Return those that are measured in int8 beside the float32 ones."""
    acts = ("Relu", "Relu6", None)
    return [
        *_spread("conv-q", 10, _conv, _NARROW[:13], _NARROW[:13], _SIZES, (3, 5), (1, 2), acts),
        *_spread("pointwise-q", 12, _conv, _CHANNELS, _CHANNELS, _SIZES, (1,), (1,), acts),
        *_spread("depthwise-q", 10, _depthwise, _CHANNELS, _SIZES, (3, 5), (1, 2), acts),
        *_spread("linear-q", 6, _classify, _FEATURES, _FEATURES),
        *_spread("add-q", 4, _residual, _CHANNELS[:16], _SIZES),
        *_spread("pool-q", 4, _pool, ("MaxPool", "AveragePool"), _CHANNELS, _SIZES, (2, 3), (2,)),
    ]


def _convolutions() -> Iterator[Recipe]:
    acts = ("Relu", "Relu", "Relu6", None)
    yield from _spread(
        "stem", 6, _stem, (16, 24, 32, 48, 64), (64, 112, 160, 224), (3, 5, 7), (2, 1)
    )
    yield from _spread("conv", 22, _conv, _NARROW, _NARROW, _SIZES, (3, 3, 5, 7), (1, 1, 2), acts)
    yield from _spread("conv-pair", 10, _conv_pair, _NARROW, _NARROW, _SIZES, (3,))
    yield from _spread("pointwise", 26, _conv, _CHANNELS, _CHANNELS, _SIZES, (1,), (1, 1, 2), acts)
    yield from _spread("pointwise-pair", 10, _conv_pair, _CHANNELS, _CHANNELS, _SIZES, (1,))
    yield from _spread(
        "depthwise", 24, _depthwise, _CHANNELS, _SIZES, (3, 3, 5, 7), (1, 1, 2), acts
    )
    yield from _spread("bottleneck", 12, _bottleneck, _NARROW, (2, 4, 6), _SIZES, (3, 5))
    yield from _spread("grouped", 12, _grouped, (32, 64, 96, 128, 192, 256), (2, 4, 8, 16), _SIZES)
    yield from _spread("dilated", 4, _dilated, _NARROW[:10], _SIZES, (2, 4))
    yield from _spread("transposed", 12, _transposed, _NARROW, _NARROW, _SIZES[:11], (2, 3, 4))
    yield from _spread("squeeze-excite", 6, _squeeze, _CHANNELS[4:], _SIZES)


def _products() -> Iterator[Recipe]:
    yield from _spread("linear", 18, _linear, _ROWS, _FEATURES, _FEATURES)
    yield from _spread("classifier", 8, _classify, _FEATURES, _FEATURES)
    yield from _spread("mlp", 6, _mlp, _ROWS, _FEATURES[:7], ("Relu", "Gelu", "Silu"))
    yield from _spread("matmul", 10, _matmul, (1, 2, 4, 8), _ROWS[2:], (32, 64, 128), _ROWS[2:])
    yield from _spread("attention", 10, _attention, _ROWS[3:], (64, 128, 192, 256, 384), (32, 64))
    recurrent = ("LSTM", "GRU", "RNN")
    cells = (recurrent, (1, 8, 32), _FEATURES[:5], (32, 128, 512))
    yield from _spread("recurrent", 12, _recurrent, *cells)


def _maps() -> Iterator[Recipe]:
    """Yield what works on feature maps without weights to speak of."""
    maps = (_CHANNELS, _SIZES)
    yield from _spread("add", 8, _arithmetic, ("Add",), *maps)
    yield from _spread("arithmetic", 10, _arithmetic, ("Mul", "Sub", "Div", "Max"), *maps)
    constants = ("Add", "Mul", "Sub", "Div", "Pow")
    yield from _spread("by-scalar", 10, _by_scalar, constants, *maps)
    yield from _spread("by-channel", 6, _by_channel, constants[:2], *maps)
    yield from _spread("gate-in-parts", 4, _gate_in_parts, *maps)
    yield from _spread("scale", 6, _scale, *maps)
    yield from _spread(
        "activation", 8, _activation, ("Relu", "Relu6", "HardSwish", "LeakyRelu"), *maps
    )
    smooth = ("Sigmoid", "Tanh", "Silu", "Gelu", "Exp", "Softplus")
    yield from _spread("smooth", 14, _activation, smooth, *maps)
    yield from _spread("unary", 6, _activation, ("Sqrt", "Abs", "Neg", "Floor"), *maps)
    norms = ("BatchNormalization", "InstanceNormalization")
    yield from _spread("map-norm", 6, _normalised, norms, *maps)
    pools = ("MaxPool", "AveragePool")
    yield from _spread("pool", 14, _pool, pools, _CHANNELS, _SIZES, (2, 3, 3, 5), (1, 2, 2))
    yield from _spread("global-pool", 6, _global_pool, *maps)
    modes = ("nearest", "linear")
    yield from _spread("resize", 10, _resize, _NARROW, _SIZES[:11], (2, 4), modes)
    yield from _spread("concat", 6, _concat, *maps)
    yield from _spread("slice", 5, _slice, *maps)
    yield from _spread("pad", 4, _pad, *maps)
    yield from _spread(
        "transpose", 8, _transpose, ((0, 2, 3, 1), (0, 2, 1, 3), (0, 3, 1, 2)), *maps
    )
    yield from _spread("shuffle", 4, _shuffle, *maps)
    yield from _spread("depth-to-space", 4, _depth_to_space, _CHANNELS[1::2], _SIZES[:11])
    yield from _spread("cast", 4, _cast, *maps)


def _tokens() -> Iterator[Recipe]:
    """Yield what works on the features of tokens."""
    tokens = (_ROWS[2:], _FEATURES)
    yield from _spread("layer-norm", 10, _layer_norm, *tokens)
    yield from _spread("softmax", 10, _softmax, (1, 4, 12), *tokens)
    yield from _spread("mean", 5, _mean, (1, 2), *tokens)
    yield from _spread("gather", 5, _gather, (64, 256, 1024), _FEATURES)
    yield from _spread("top-k", 3, _top_k, (1, 16), (1024, 8192, 65536))


def _spread(name: str, number: int, make: Make, *choices: Sequence[Any]) -> Iterator[Recipe]:
    """Yield recipes of distinct choices that keep the bounds, spread evenly; operators in turn."""
    seen: set[tuple[Any, ...]] = set()
    n_made = 0
    for point in _points(len(choices)):
        chosen = tuple(
            options[
                n_made % len(options) if isinstance(options[0], str) else int(part * len(options))
            ]
            for part, options in zip(point, choices, strict=True)
        )
        if chosen in seen:
            continue
        seen.add(chosen)
        recipe = Recipe("-".join([name, *map(_text, chosen)]).lower())
        make(recipe, *chosen)
        if _is_within_bounds(recipe):
            yield recipe
            n_made += 1
        if n_made == number:
            return


def _text(choice: Any) -> str:
    return "".join(map(str, choice)) if isinstance(choice, tuple) else str(choice)


def _points(dimensions: int) -> Iterator[list[float]]:
    """Yield points of the unit cube that fill it evenly."""
    root = 1.5
    for _ in range(64):
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = [root ** -(axis + 1) for axis in range(dimensions)]
    for index in count(1):
        if index > 20_000:
            raise ValueError("fewer shapes within the bounds than were asked for")
        yield [(0.5 + index * step) % 1 for step in steps]


def _is_within_bounds(recipe: Recipe) -> bool:
    """Whether a model keeps the bounds; its work is told by weights and outputs."""
    macs = 0
    for node in recipe.nodes:
        fans = [w.fan_in for w in map(recipe.weights.get, node.inputs) if w is not None]
        shape = recipe.shapes[node.outputs[0]]
        fan_in = max(fans, default=0)
        if node.operator == "MatMul" and not fan_in:
            fan_in = recipe.shapes[node.inputs[0]][-1]
        macs += prod(shape) * max(fan_in, 0)
    constants = sum(prod(weight.shape) for weight in recipe.weights.values())
    largest = max(prod(shape) for shape in recipe.shapes.values())
    is_worth_it = macs + largest >= MIN_WORK
    return is_worth_it and macs <= MAX_MACS and max(constants, largest) <= MAX_ELEMENTS


# --- the models -----------------------------------------------------------------------------------


def _stem(net: Recipe, out: int, size: int, kernel: int, stride: int) -> str:
    return net.conv(net.input(1, 3, size, size), out, kernel, stride, act="Relu")


def _conv(
    net: Recipe, channels: int, out: int, size: int, kernel: int, stride: int, act: str | None
) -> str:
    return net.conv(net.input(1, channels, size, size), out, kernel, stride, act=act)


def _conv_pair(net: Recipe, channels: int, out: int, size: int, kernel: int) -> str:
    x = net.conv(net.input(1, channels, size, size), out, kernel, act="Relu")
    return net.conv(x, channels, kernel)


def _depthwise(
    net: Recipe, channels: int, size: int, kernel: int, stride: int, act: str | None
) -> str:
    return net.depthwise(net.input(1, channels, size, size), kernel, stride, act=act)


def _bottleneck(net: Recipe, channels: int, expansion: int, size: int, kernel: int) -> str:
    x = net.conv(net.input(1, channels, size, size), expansion * channels, act="Relu6")
    return net.conv(net.depthwise(x, kernel, act="Relu6"), channels)


def _grouped(net: Recipe, channels: int, groups: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    return net.conv(x, channels, 3, groups=groups, act="Relu")


def _dilated(net: Recipe, channels: int, size: int, dilation: int) -> str:
    x = net.input(1, channels, size, size)
    return net.conv(x, channels, 3, dilation=dilation, act="Relu")


def _transposed(net: Recipe, channels: int, out: int, size: int, kernel: int) -> str:
    return net.conv_transpose(net.input(1, channels, size, size), out, kernel, 2)


def _squeeze(net: Recipe, channels: int, size: int) -> str:
    return net.squeeze_excite(net.input(1, channels, size, size), max(channels // 4, 8))


def _residual(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    return net.binary("Add", net.conv(x, channels), x)


def _linear(net: Recipe, rows: int, features: int, out: int) -> str:
    return net.linear(net.input(1, rows, features), out)


def _classify(net: Recipe, features: int, out: int) -> str:
    return net.linear(net.flatten(net.input(1, features, 1, 1)), out)


def _mlp(net: Recipe, rows: int, features: int, act: str) -> str:
    y = net.linear(net.input(1, rows, features), 4 * features)
    return net.linear(net.activation(y, act), features)


def _matmul(net: Recipe, heads: int, rows: int, features: int, columns: int) -> str:
    a, b = net.input(1, heads, rows, features), net.input(1, heads, features, columns)
    return net.matmul(a, b)


def _attention(net: Recipe, rows: int, features: int, size: int) -> str:
    return net.attention(net.input(1, rows, features), features // size)


def _recurrent(net: Recipe, operator: str, steps: int, features: int, hidden: int) -> str:
    return net.recurrent(operator, net.input(steps, 1, features), hidden)


def _arithmetic(net: Recipe, operator: str, channels: int, size: int) -> str:
    a, b = (net.input(1, channels, size, size) for _ in range(2))
    return net.binary(operator, a, b)


def _by_scalar(net: Recipe, operator: str, channels: int, size: int) -> str:
    return net.by_scalar(operator, net.input(1, channels, size, size), 2.0)


def _by_channel(net: Recipe, operator: str, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    return net.node(operator, x, net.weight("channels", channels, 1, 1), shape=net.shapes[x])


def _gate_in_parts(net: Recipe, channels: int, size: int) -> str:
    """Append HardSwish as exporters without that operator write it."""
    x = net.input(1, channels, size, size)
    gate = net.activation(net.by_scalar("Add", x, 3.0), "Relu6")
    return net.by_scalar("Div", net.binary("Mul", x, gate), 6.0)


def _scale(net: Recipe, channels: int, size: int) -> str:
    return net.binary("Mul", net.input(1, channels, size, size), net.input(1, channels, 1, 1))


def _activation(net: Recipe, operator: str, channels: int, size: int) -> str:
    return net.activation(net.input(1, channels, size, size), operator)


def _normalised(net: Recipe, operator: str, channels: int, size: int) -> str:
    return net.norm(operator, net.input(1, channels, size, size))


def _pool(net: Recipe, operator: str, channels: int, size: int, kernel: int, stride: int) -> str:
    return net.pool(operator, net.input(1, channels, size, size), kernel, stride, (kernel - 1) // 2)


def _global_pool(net: Recipe, channels: int, size: int) -> str:
    return net.global_pool(net.input(1, channels, size, size))


def _resize(net: Recipe, channels: int, size: int, factor: int, mode: str) -> str:
    return net.resize(net.input(1, channels, size, size), factor, mode)


def _concat(net: Recipe, channels: int, size: int) -> str:
    return net.concat(*(net.input(1, channels, size, size) for _ in range(2)))


def _slice(net: Recipe, channels: int, size: int) -> str:
    return net.slice(net.input(1, channels, size, size), 0, channels // 2)


def _pad(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    margins = net.constant("pads", [0, 0, 1, 1, 0, 0, 1, 1])
    return net.node("Pad", x, margins, shape=(1, channels, size + 2, size + 2))


def _transpose(net: Recipe, order: tuple[int, ...], channels: int, size: int) -> str:
    return net.transpose(net.input(1, channels, size, size), *order)


def _shuffle(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    apart = net.reshape(x, 1, 2, channels // 2, size, size)
    return net.reshape(net.transpose(apart, 0, 2, 1, 3, 4), 1, channels, size, size)


def _depth_to_space(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, 4 * channels, size, size)
    shape = (1, channels, 2 * size, 2 * size)
    return net.node("DepthToSpace", x, shape=shape, blocksize=2)


def _cast(net: Recipe, channels: int, size: int) -> str:
    """Append the way to float16 and back; 10 and 1 are ONNX's numbers of the types."""
    x = net.unary("Cast", net.input(1, channels, size, size), to=10)
    return net.unary("Cast", x, to=1)


def _layer_norm(net: Recipe, rows: int, features: int) -> str:
    return net.norm("LayerNormalization", net.input(1, rows, features))


def _softmax(net: Recipe, heads: int, rows: int, features: int) -> str:
    return net.unary("Softmax", net.input(1, heads, rows, features), axis=-1)


def _mean(net: Recipe, axis: int, rows: int, features: int) -> str:
    return net.mean(net.input(1, rows, features), axis)


def _gather(net: Recipe, rows: int, features: int) -> str:
    x = net.input(rows, features)
    index = net.constant("index", [(7 * i) % rows for i in range(rows // 2)])
    return net.node("Gather", x, index, shape=(rows // 2, features), axis=0)


def _top_k(net: Recipe, rows: int, features: int) -> str:
    k = net.constant("k", [32])
    x = net.input(rows, features)
    net.shapes[y := f"topk{len(net.nodes)}"] = (rows, 32)
    net.nodes.append(Node("TopK", (x, k), (y, f"{y}.index"), {"axis": -1}))
    return y
