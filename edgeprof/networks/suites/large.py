"""Larger networks: VGG, ResNet, ConvNeXt, ViT, and detectors in the manner of YOLO.

Owns: their layers as published, at several widths. Sources: VGG (arXiv 1409.1556), ResNet
(1512.03385, with the stride in the 3x3 convolution), ConvNeXt (2201.03545), ViT (2010.11929). The
detector has the parts of YOLO (C2f, fast pyramid pooling, two resolutions merged), the segmenter
those of a feature pyramid (1612.03144) that ends in marks at full resolution; both are nobody's.
"""

from __future__ import annotations

from edgeprof.networks.suites.mobile import CLASSES, rounded
from edgeprof.networks.suites.recipe import Recipe

_VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3)}
_RESNET = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def vgg(layers: int = 16, width: float = 1.0, size: int = 224) -> Recipe:
    """Return VGG of 11, 13 or 16 layers."""
    net = Recipe(f"vgg{layers}-{width:g}-{size}")
    x = net.input(1, 3, size, size)
    for channels, count in zip((64, 128, 256, 512, 512), _VGG[layers], strict=True):
        for _ in range(count):
            x = net.conv(x, rounded(channels * width), 3, act="Relu")
        x = net.pool("MaxPool", x, 2, 2)
    x = net.flatten(x)
    for _ in range(2):
        x = net.activation(net.linear(x, rounded(4096 * width)), "Relu")
    net.linear(x, CLASSES)
    return net


def resnet(layers: int = 18, width: float = 1.0, size: int = 224) -> Recipe:
    """Return ResNet of 10, 18, 34 or 50 layers."""
    net = Recipe(f"resnet{layers}-{width:g}-{size}")
    x = net.conv(net.input(1, 3, size, size), rounded(64 * width), 7, 2, act="Relu")
    x = net.pool("MaxPool", x, 3, 2, 1)
    for stage, count in enumerate(_RESNET[layers]):
        channels = rounded(64 * width) * 2**stage
        for index in range(count):
            stride = 2 if stage and index == 0 else 1
            x = _residual(net, x, channels, stride, expansion=4 if layers >= 50 else 1)
    net.linear(net.flatten(net.global_pool(x)), CLASSES)
    return net


def _residual(net: Recipe, x: str, channels: int, stride: int, expansion: int) -> str:
    """Append a residual block: two 3x3 convolutions, or one between two 1x1."""
    out = channels * expansion
    if expansion == 1:
        y = net.conv(net.conv(x, channels, 3, stride, act="Relu"), out, 3)
    else:
        y = net.conv(x, channels, act="Relu")
        y = net.conv(net.conv(y, channels, 3, stride, act="Relu"), out)
    is_same = stride == 1 and net.shapes[x][1] == out
    return net.activation(
        net.binary("Add", y, x if is_same else net.conv(x, out, 1, stride)), "Relu"
    )


def convnext(channels: int = 96, depths: tuple[int, ...] = (3, 3, 9, 3), size: int = 224) -> Recipe:
    """Return ConvNeXt; as it stands the Tiny one."""
    net = Recipe(f"convnext-{channels}-{sum(depths)}-{size}")
    x = net.conv(net.input(1, 3, size, size), channels, 4, 4, padding=0)
    x = _channel_norm(net, x)
    for stage, depth in enumerate(depths):
        out = channels * 2**stage
        if stage:
            x = net.conv(_channel_norm(net, x), out, 2, 2, padding=0)
        for _ in range(depth):
            y = net.transpose(net.depthwise(x, 7), 0, 2, 3, 1)
            y = net.norm("LayerNormalization", y)
            y = net.linear(net.activation(net.linear(y, 4 * out), "Gelu"), out)
            x = net.binary("Add", net.transpose(y, 0, 3, 1, 2), x)
    x = net.flatten(net.global_pool(x))
    net.linear(net.norm("LayerNormalization", x), CLASSES)
    return net


def _channel_norm(net: Recipe, x: str) -> str:
    """Append a layer norm over the channels of a map."""
    y = net.norm("LayerNormalization", net.transpose(x, 0, 2, 3, 1))
    return net.transpose(y, 0, 3, 1, 2)


def vit(features: int = 192, depth: int = 12, patch: int = 16, size: int = 224) -> Recipe:
    """Return a vision transformer with heads of 64 features; as it stands the Tiny one."""
    net = Recipe(f"vit-{features}-{depth}-p{patch}-{size}")
    x = net.conv(net.input(1, 3, size, size), features, patch, patch, padding=0)
    number = (size // patch) ** 2
    x = net.transpose(net.reshape(x, 1, features, number), 0, 2, 1)
    x = _with_class(net, x)
    for _ in range(depth):
        y = net.attention(net.norm("LayerNormalization", x), features // 64)
        x = net.binary("Add", x, y)
        y = net.linear(net.norm("LayerNormalization", x), 4 * features)
        x = net.binary("Add", x, net.linear(net.activation(y, "Gelu"), features))
    x = net.norm("LayerNormalization", net.reshape(net.slice(x, 0, 1), 1, features))
    net.linear(x, CLASSES)
    return net


def _with_class(net: Recipe, x: str) -> str:
    """Append the class token before the others, and the embedding of positions."""
    batch, number, features = net.shapes[x]
    token = net.weight("class", batch, 1, features)
    shape = (batch, number + 1, features)
    joined = net.node("Concat", token, x, shape=shape, axis=1)
    return net.node("Add", joined, net.weight("position", *shape), shape=shape)


def detector(width: float = 0.25, depth: int = 1, size: int = 320, act: str = "Silu") -> Recipe:
    """Return a detector of 80 classes at two resolutions."""
    net = Recipe(f"detector-{act.lower()}-{width:g}-{depth}-{size}")
    channels = [rounded(value * width) for value in (64, 128, 256, 512)]
    x = net.conv(net.input(1, 3, size, size), channels[0], 3, 2, act=act)
    maps = []
    for out in (*channels[1:], channels[-1]):
        x = _branches(net, net.conv(x, out, 3, 2, act=act), out, depth, act)
        maps.append(x)
    x = _pyramid_pool(net, maps[-1], act)
    near = net.concat(net.resize(x, 2), maps[-2])
    near = _branches(net, near, channels[2], depth, act)
    far = net.concat(net.conv(near, channels[2], 3, 2, act=act), x)
    far = _branches(net, far, channels[3], depth, act)
    found = [_head(net, level, channels[2], act) for level in (near, far)]
    net.activation(net.concat(*found, axis=2), "Sigmoid")
    return net


def _branches(net: Recipe, x: str, out: int, depth: int, act: str) -> str:
    """Append a block whose halves go different ways and are joined again."""
    parts = list(net.halves(net.conv(x, out, act=act)))
    for _ in range(depth):
        y = net.conv(net.conv(parts[-1], out // 2, 3, act=act), out // 2, 3, act=act)
        parts.append(net.binary("Add", y, parts[-1]))
    return net.conv(net.concat(*parts), out, act=act)


def _pyramid_pool(net: Recipe, x: str, act: str) -> str:
    """Append pools of three reaches, joined."""
    channels = net.shapes[x][1]
    parts = [net.conv(x, channels // 2, act=act)]
    for _ in range(3):
        parts.append(net.pool("MaxPool", parts[-1], 5, 1, 2))
    return net.conv(net.concat(*parts), channels, act=act)


def _head(net: Recipe, x: str, channels: int, act: str) -> str:
    """Append boxes and classes of one resolution: (1, 84, positions)."""
    y = net.conv(net.conv(x, channels, 3, act=act), 84)
    batch, features, height, width = net.shapes[y]
    return net.reshape(y, batch, features, height * width)


def segmenter(width: float = 0.5, size: int = 320, act: str = "HardSwishInParts") -> Recipe:
    """Return a feature pyramid on inverted bottlenecks that marks pixels."""
    net = Recipe(f"segmenter-{act.lower()}-{width:g}-{size}")
    x = net.conv(net.input(1, 3, size, size), rounded(16 * width), 3, 2, act=act)
    maps = []
    for channels, depth in ((24, 1), (40, 2), (80, 2), (160, 2)):
        for index in range(depth):
            stride, out = 1 if index else 2, rounded(channels * width)
            y = net.depthwise(net.conv(x, 4 * net.shapes[x][1], act=act), 3, stride, act=act)
            y = net.conv(y, out)
            x = net.binary("Add", y, x) if index else y
        maps.append(x)
    common = rounded(96 * width)
    levels = [net.conv(level, common) for level in maps]
    for coarse, fine in ((3, 2), (2, 1), (1, 0)):
        levels[fine] = net.binary("Add", levels[fine], net.resize(levels[coarse], 2))
    parts = [
        net.resize(y, 2**number) if number else y
        for number, y in enumerate(net.conv(level, common // 4, 3) for level in levels)
    ]
    x = net.conv(net.concat(*parts), common // 4, 3, act="Relu")
    x = net.activation(net.conv_transpose(x, common // 4), "Relu")
    net.activation(net.conv_transpose(x, 1), "Sigmoid")
    return net
