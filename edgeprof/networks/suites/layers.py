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

from edgeprof.networks.suites import layer_models as models
from edgeprof.networks.suites.recipe import Recipe

MAX_MACS = 120_000_000
MAX_ELEMENTS = 2_000_000
MIN_WORK = 16_384
"""Bounds of one model: all of them take ten minutes on a small board, and none takes no time."""

_NARROW = (8, 16, 24, 32, 40, 48, 64, 80, 96, 120, 128, 160, 192, 240)
_CHANNELS = (*_NARROW, 256, 320, 384, 512, 672, 768, 960, 1280)
_SIZES = (4, 7, 8, 10, 14, 16, 20, 28, 32, 40, 56, 64, 80, 112)
_LARGE_SIZES = (160, 224, 320)
_ROWS = (1, 1, 4, 16, 49, 64, 128, 197, 256)
_FEATURES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1280, 2048)

Make = Callable[..., str]
"""Appends layers to a recipe and returns the last value."""


def layer_suite() -> list[Recipe]:
    """Return the models in float32, each under a name of its own."""
    return [
        recipe
        for group in (_convolutions, _products, _maps, _large_maps, _tokens)
        for recipe in group()
    ]


def quantised_layers() -> list[Recipe]:
    """Return those that are measured in int8 beside the float32 ones."""
    acts = ("Relu", "Relu6", None)
    return [
        *_spread(
            "conv-q", 10, models.conv, _NARROW[:13], _NARROW[:13], _SIZES, (3, 5), (1, 2), acts
        ),
        *_spread("pointwise-q", 12, models.conv, _CHANNELS, _CHANNELS, _SIZES, (1,), (1,), acts),
        *_spread("depthwise-q", 10, models.depthwise, _CHANNELS, _SIZES, (3, 5), (1, 2), acts),
        *_spread("linear-q", 6, models.classify, _FEATURES, _FEATURES),
        *_spread("add-q", 4, models.residual, _CHANNELS[:16], _SIZES),
        *_spread(
            "pool-q", 4, models.pool, ("MaxPool", "AveragePool"), _CHANNELS, _SIZES, (2, 3), (2,)
        ),
    ]


def _convolutions() -> Iterator[Recipe]:
    acts = ("Relu", "Relu", "Relu6", None)
    yield from _spread(
        "stem", 6, models.stem, (16, 24, 32, 48, 64), (64, 112, 160, 224), (3, 5, 7), (2, 1)
    )
    yield from _spread(
        "conv", 22, models.conv, _NARROW, _NARROW, _SIZES, (3, 3, 5, 7), (1, 1, 2), acts
    )
    yield from _spread("conv-pair", 10, models.conv_pair, _NARROW, _NARROW, _SIZES, (3,))
    yield from _spread(
        "pointwise", 26, models.conv, _CHANNELS, _CHANNELS, _SIZES, (1,), (1, 1, 2), acts
    )
    yield from _spread("pointwise-pair", 10, models.conv_pair, _CHANNELS, _CHANNELS, _SIZES, (1,))
    yield from _spread(
        "depthwise", 24, models.depthwise, _CHANNELS, _SIZES, (3, 3, 5, 7), (1, 1, 2), acts
    )
    yield from _spread("bottleneck", 12, models.bottleneck, _NARROW, (2, 4, 6), _SIZES, (3, 5))
    yield from _spread(
        "grouped", 12, models.grouped, (32, 64, 96, 128, 192, 256), (2, 4, 8, 16), _SIZES
    )
    yield from _spread("dilated", 4, models.dilated, _NARROW[:10], _SIZES, (2, 4))
    yield from _spread(
        "transposed", 12, models.transposed, _NARROW, _NARROW, _SIZES[:11], (2, 3, 4)
    )
    yield from _spread("squeeze-excite", 6, models.squeeze, _CHANNELS[4:], _SIZES)
    yield from _spread("gated", 5, models.gated_conv, _CHANNELS, _CHANNELS, _SIZES)
    yield from _spread("affine", 5, models.affine_conv, _CHANNELS, _CHANNELS, _SIZES)


def _products() -> Iterator[Recipe]:
    yield from _spread("linear", 18, models.linear, _ROWS, _FEATURES, _FEATURES)
    yield from _spread("classifier", 8, models.classify, _FEATURES, _FEATURES)
    yield from _spread("mlp", 6, models.mlp, _ROWS, _FEATURES[:7], ("Relu", "Gelu", "Silu"))
    yield from _spread(
        "matmul", 10, models.matmul, (1, 2, 4, 8), _ROWS[2:], (32, 64, 128), _ROWS[2:]
    )
    yield from _spread(
        "attention", 10, models.attention, _ROWS[3:], (64, 128, 192, 256, 384), (32, 64)
    )
    recurrent = ("LSTM", "GRU", "RNN")
    cells = (recurrent, (1, 8, 32), _FEATURES[:5], (32, 128, 512))
    yield from _spread("recurrent", 12, models.recurrent, *cells)


def _maps() -> Iterator[Recipe]:
    """Yield what works on feature maps without weights to speak of."""
    maps = (_CHANNELS, _SIZES)
    yield from _spread("add", 8, models.arithmetic, ("Add",), *maps)
    yield from _spread("arithmetic", 10, models.arithmetic, ("Mul", "Sub", "Div", "Max"), *maps)
    constants = ("Add", "Mul", "Sub", "Div", "Pow")
    yield from _spread("by-scalar", 10, models.by_scalar, constants, *maps)
    yield from _spread("by-channel", 6, models.by_channel, constants[:2], *maps)
    yield from _spread("gate-in-parts", 4, models.gate_in_parts, *maps)
    yield from _spread("scale", 6, models.scale, *maps)
    yield from _spread(
        "activation", 8, models.activation, ("Relu", "Relu6", "HardSwish", "LeakyRelu"), *maps
    )
    smooth = ("Sigmoid", "Tanh", "Silu", "Gelu", "Exp", "Softplus")
    yield from _spread("smooth", 14, models.activation, smooth, *maps)
    yield from _spread("unary", 6, models.activation, ("Sqrt", "Abs", "Neg", "Floor"), *maps)
    norms = ("BatchNormalization", "InstanceNormalization")
    yield from _spread("map-norm", 6, models.normalised, norms, *maps)
    yield from _spread("response-norm", 4, models.response_norm, *maps)
    pools = ("MaxPool", "AveragePool")
    yield from _spread("pool", 14, models.pool, pools, _CHANNELS, _SIZES, (2, 3, 3, 5), (1, 2, 2))
    yield from _spread("global-pool", 6, models.global_pool, *maps)
    modes = ("nearest", "linear")
    yield from _spread("resize", 10, models.resize, _NARROW, _SIZES[:11], (2, 4), modes)
    yield from _spread("concat", 6, models.concat, *maps)
    yield from _spread("slice", 5, models.first_half, *maps)
    yield from _spread("pad", 4, models.pad, *maps)
    yield from _spread(
        "transpose", 8, models.transpose, ((0, 2, 3, 1), (0, 2, 1, 3), (0, 3, 1, 2)), *maps
    )
    yield from _spread("shuffle", 4, models.shuffle, *maps)
    yield from _spread("depth-to-space", 4, models.depth_to_space, _CHANNELS[1::2], _SIZES[:11])
    yield from _spread("cast", 4, models.cast, *maps)


def _large_maps() -> Iterator[Recipe]:
    """Yield what detectors and segmenters do at 640 pixels, where maps do not stay in caches."""
    few = _NARROW[:9]
    maps = (few, _LARGE_SIZES)
    yield from _spread("large-conv", 5, models.conv, few, *maps, (3,), (1, 2), ("Relu", None))
    yield from _spread("large-pointwise", 5, models.conv, few, *maps, (1,), (1,), ("Relu", None))
    yield from _spread(
        "large-depthwise", 5, models.depthwise, *maps, (3, 5), (1, 2), ("Relu", None)
    )
    yield from _spread("large-transposed", 3, models.transposed, few, *maps, (2, 4))
    yield from _spread("large-arithmetic", 4, models.arithmetic, ("Add", "Mul"), *maps)
    yield from _spread("large-gate", 4, models.gated_conv, few, *maps)
    yield from _spread("large-affine", 2, models.affine_conv, few, *maps)
    yield from _spread(
        "large-activation", 4, models.activation, ("Relu", "Sigmoid", "HardSwish"), *maps
    )
    yield from _spread(
        "large-pool", 2, models.pool, ("MaxPool", "AveragePool"), *maps, (2, 3), (2,)
    )
    yield from _spread("large-resize", 3, models.resize, *maps, (2,), ("nearest", "linear"))
    yield from _spread("large-concat", 2, models.concat, *maps)
    yield from _spread("large-slice", 2, models.first_half, *maps)


def _tokens() -> Iterator[Recipe]:
    """Yield what works on the features of tokens."""
    tokens = (_ROWS[2:], _FEATURES)
    yield from _spread("layer-norm", 10, models.layer_norm, *tokens)
    yield from _spread("softmax", 10, models.softmax, (1, 4, 12), *tokens)
    yield from _spread("mean", 5, models.mean, (1, 2), *tokens)
    yield from _spread("gather", 5, models.gather, (64, 256, 1024), _FEATURES)
    yield from _spread("top-k", 3, models.top_k, (1, 16), (1024, 8192, 65536))


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
