"""Networks for small machines: MobileNet, EfficientNet-Lite, SqueezeNet, ShuffleNet.

Owns: their layers as published, at any width and resolution. Sources: MobileNet v1 to v3
(arXiv 1704.04861, 1801.04381, 1905.02244), EfficientNet (1905.11946) in the Lite form of its
authors, SqueezeNet 1.1 (1602.07360), ShuffleNet v2 (1807.11164).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from edgeprof.networks.suites.recipe import Recipe

CLASSES = 1000

_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
_V2_LAST = (6, 320, 1, 1)

# Kernel, expanded channels, output channels, squeeze-and-excitation, activation, stride.
_V3_LARGE = (
    (3, 16, 16, False, "Relu", 1),
    (3, 64, 24, False, "Relu", 2),
    (3, 72, 24, False, "Relu", 1),
    (5, 72, 40, True, "Relu", 2),
    (5, 120, 40, True, "Relu", 1),
    (5, 120, 40, True, "Relu", 1),
    (3, 240, 80, False, "HardSwish", 2),
    (3, 200, 80, False, "HardSwish", 1),
    (3, 184, 80, False, "HardSwish", 1),
    (3, 184, 80, False, "HardSwish", 1),
    (3, 480, 112, True, "HardSwish", 1),
    (3, 672, 112, True, "HardSwish", 1),
    (5, 672, 160, True, "HardSwish", 2),
    (5, 960, 160, True, "HardSwish", 1),
    (5, 960, 160, True, "HardSwish", 1),
)
_V3_SMALL = (
    (3, 16, 16, True, "Relu", 2),
    (3, 72, 24, False, "Relu", 2),
    (3, 88, 24, False, "Relu", 1),
    (5, 96, 40, True, "HardSwish", 2),
    (5, 240, 40, True, "HardSwish", 1),
    (5, 240, 40, True, "HardSwish", 1),
    (5, 120, 48, True, "HardSwish", 1),
    (5, 144, 48, True, "HardSwish", 1),
    (5, 288, 96, True, "HardSwish", 2),
    (5, 576, 96, True, "HardSwish", 1),
    (5, 576, 96, True, "HardSwish", 1),
)

# Expansion, output channels, blocks, stride, kernel.
_EFFICIENT = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def rounded(channels: float, step: int = 8) -> int:
    """Return a multiple of ``step`` near so many channels, at least 90 % of them."""
    near = max(step, int(channels + step / 2) // step * step)
    return near if near >= 0.9 * channels else near + step


def mobilenet_v1(width: float = 1.0, size: int = 224) -> Recipe:
    """Return MobileNet v1."""
    net = Recipe(f"mobilenet-v1-{width:g}-{size}")
    x = net.conv(net.input(1, 3, size, size), rounded(32 * width), 3, 2, act="Relu6")
    stages = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5)
    for channels, stride in (*stages, (1024, 2), (1024, 1)):
        x = net.depthwise(x, 3, stride, act="Relu6")
        x = net.conv(x, rounded(channels * width), act="Relu6")
    return _classified(net, x)


def mobilenet_v2(width: float = 1.0, size: int = 224) -> Recipe:
    """Return MobileNet v2."""
    net = Recipe(f"mobilenet-v2-{width:g}-{size}")
    x = net.conv(net.input(1, 3, size, size), rounded(32 * width), 3, 2, act="Relu6")
    for expansion, channels, count, stride in (*_V2, _V2_LAST):
        for index in range(count):
            mid, step = expansion * net.shapes[x][1], 1 if index else stride
            x = _bottleneck(net, x, mid, rounded(channels * width), 3, step, "Relu6")
    x = net.conv(x, rounded(1280 * max(width, 1.0)), act="Relu6")
    return _classified(net, x)


def mobilenet_v3(
    form: str = "large",
    width: float = 1.0,
    size: int = 224,
    *,
    minimalistic: bool = False,
    hard_swish: str = "HardSwish",
) -> Recipe:
    """Return MobileNet v3, ``"large"`` or ``"small"``; ``minimalistic``: 3x3, ReLU and no SE."""
    variant = "-minimalistic" * minimalistic + "-in-parts" * (hard_swish != "HardSwish")
    net = Recipe(f"mobilenet-v3-{form}{variant}-{width:g}-{size}")
    rows: Sequence[tuple[int, int, int, bool, str, int]]
    rows, hidden = (_V3_LARGE, 1280) if form == "large" else (_V3_SMALL, 1024)
    smooth = "Relu" if minimalistic else hard_swish
    if minimalistic:
        rows = [(3, mid, out, False, "Relu", stride) for _, mid, out, _, _, stride in rows]
    x = net.conv(net.input(1, 3, size, size), rounded(16 * width), 3, 2, act=smooth)
    before = 16
    for kernel, mid, out, has_se, act, stride in rows:
        expanded, channels = rounded(net.shapes[x][1] * mid / before), rounded(out * width)
        used = smooth if act == "HardSwish" else act
        x = _bottleneck(net, x, expanded, channels, kernel, stride, used, has_se=has_se)
        before = out
    x = net.conv(x, 6 * net.shapes[x][1], act=smooth)
    x = net.linear(net.flatten(net.global_pool(x)), rounded(hidden * max(width, 1.0)))
    net.linear(net.activation(x, smooth), CLASSES)
    return net


def efficientnet_lite(width: float = 1.0, depth: float = 1.0, size: int = 224) -> Recipe:
    """Return EfficientNet-Lite 0; 1 is (1.0, 1.1, 240), 2 is (1.1, 1.2, 260)."""
    net = Recipe(f"efficientnet-lite-{width:g}-{depth:g}-{size}")
    x = net.conv(net.input(1, 3, size, size), 32, 3, 2, act="Relu6")
    for number, (expansion, channels, count, stride, kernel) in enumerate(_EFFICIENT):
        is_end = number in (0, len(_EFFICIENT) - 1)
        for index in range(count if is_end else ceil(count * depth)):
            mid, step = expansion * net.shapes[x][1], 1 if index else stride
            x = _bottleneck(net, x, mid, rounded(channels * width), kernel, step, "Relu6")
    return _classified(net, net.conv(x, 1280, act="Relu6"))


def squeezenet(width: float = 1.0, size: int = 224) -> Recipe:
    """Return SqueezeNet 1.1."""
    net = Recipe(f"squeezenet-{width:g}-{size}")
    x = net.conv(net.input(1, 3, size, size), rounded(64 * width), 3, 2, padding=0, act="Relu")
    for squeeze, has_pool in (
        (16, 1),
        (16, 0),
        (32, 1),
        (32, 0),
        (48, 1),
        (48, 0),
        (64, 0),
        (64, 0),
    ):
        if has_pool:
            x = net.pool("MaxPool", x, 3, 2, ceil=1)
        x = net.conv(x, rounded(squeeze * width), act="Relu")
        out = rounded(4 * squeeze * width)
        x = net.concat(net.conv(x, out, act="Relu"), net.conv(x, out, 3, act="Relu"))
    net.flatten(net.global_pool(net.conv(x, CLASSES, act="Relu")))
    return net


def shufflenet_v2(width: float = 1.0, size: int = 224) -> Recipe:
    """Return ShuffleNet v2 at a published width: 0.5, 1.0 or 1.5."""
    net = Recipe(f"shufflenet-v2-{width:g}-{size}")
    first = {0.5: 48, 1.0: 116, 1.5: 176}[width]
    x = net.conv(net.input(1, 3, size, size), 24, 3, 2, act="Relu")
    x = net.pool("MaxPool", x, 3, 2, 1)
    for channels, count in ((first, 4), (2 * first, 8), (4 * first, 4)):
        half = channels // 2
        for index in range(count):
            kept, taken = (x, x) if index == 0 else net.halves(x)
            stride = 2 if index == 0 else 1
            if index == 0:
                kept = net.conv(net.depthwise(kept, 3, 2), half, act="Relu")
            taken = net.depthwise(net.conv(taken, half, act="Relu"), 3, stride)
            x = _shuffled(net, net.concat(kept, net.conv(taken, half, act="Relu")))
    return _classified(net, net.conv(x, 1024, act="Relu"))


def _bottleneck(
    net: Recipe,
    x: str,
    mid: int,
    out: int,
    kernel: int,
    stride: int,
    act: str,
    *,
    has_se: bool = False,
) -> str:
    """Append an inverted bottleneck."""
    channels = net.shapes[x][1]
    y = x if mid == channels else net.conv(x, mid, act=act)
    y = net.depthwise(y, kernel, stride, act=act)
    if has_se:
        y = net.squeeze_excite(y, rounded(mid / 4))
    y = net.conv(y, out)
    return net.binary("Add", y, x) if stride == 1 and channels == out else y


def _shuffled(net: Recipe, x: str) -> str:
    """Append a shuffle of the channels of two groups."""
    batch, channels, height, width = net.shapes[x]
    apart = net.reshape(x, batch, 2, channels // 2, height, width)
    return net.reshape(net.transpose(apart, 0, 2, 1, 3, 4), batch, channels, height, width)


def _classified(net: Recipe, x: str) -> Recipe:
    net.linear(net.flatten(net.global_pool(x)), CLASSES)
    return net
