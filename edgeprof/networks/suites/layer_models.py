"""The small models of the suite of layers: each function appends one to a recipe.

Owns: what stands in each. Their shapes are chosen in ``layers``.
"""

# ruff: noqa: D103 - names say what a model has; only those that need more say more.

from __future__ import annotations

from edgeprof.networks.suites.recipe import Node, Recipe


def stem(net: Recipe, out: int, size: int, kernel: int, stride: int) -> str:
    return net.conv(net.input(1, 3, size, size), out, kernel, stride, act="Relu")


def conv(
    net: Recipe, channels: int, out: int, size: int, kernel: int, stride: int, act: str | None
) -> str:
    return net.conv(net.input(1, channels, size, size), out, kernel, stride, act=act)


def conv_pair(net: Recipe, channels: int, out: int, size: int, kernel: int) -> str:
    x = net.conv(net.input(1, channels, size, size), out, kernel, act="Relu")
    return net.conv(x, channels, kernel)


def depthwise(
    net: Recipe, channels: int, size: int, kernel: int, stride: int, act: str | None
) -> str:
    return net.depthwise(net.input(1, channels, size, size), kernel, stride, act=act)


def bottleneck(net: Recipe, channels: int, expansion: int, size: int, kernel: int) -> str:
    x = net.conv(net.input(1, channels, size, size), expansion * channels, act="Relu6")
    return net.conv(net.depthwise(x, kernel, act="Relu6"), channels)


def grouped(net: Recipe, channels: int, groups: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    return net.conv(x, channels, 3, groups=groups, act="Relu")


def dilated(net: Recipe, channels: int, size: int, dilation: int) -> str:
    x = net.input(1, channels, size, size)
    return net.conv(x, channels, 3, dilation=dilation, act="Relu")


def transposed(net: Recipe, channels: int, out: int, size: int, kernel: int) -> str:
    return net.conv_transpose(net.input(1, channels, size, size), out, kernel, 2)


def squeeze(net: Recipe, channels: int, size: int) -> str:
    return net.squeeze_excite(net.input(1, channels, size, size), max(channels // 4, 8))


def residual(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    return net.binary("Add", net.conv(x, channels), x)


def linear(net: Recipe, rows: int, features: int, out: int) -> str:
    return net.linear(net.input(1, rows, features), out)


def classify(net: Recipe, features: int, out: int) -> str:
    return net.linear(net.flatten(net.input(1, features, 1, 1)), out)


def mlp(net: Recipe, rows: int, features: int, act: str) -> str:
    y = net.linear(net.input(1, rows, features), 4 * features)
    return net.linear(net.activation(y, act), features)


def matmul(net: Recipe, heads: int, rows: int, features: int, columns: int) -> str:
    a, b = net.input(1, heads, rows, features), net.input(1, heads, features, columns)
    return net.matmul(a, b)


def attention(net: Recipe, rows: int, features: int, size: int) -> str:
    return net.attention(net.input(1, rows, features), features // size)


def recurrent(net: Recipe, operator: str, steps: int, features: int, hidden: int) -> str:
    return net.recurrent(operator, net.input(steps, 1, features), hidden)


def arithmetic(net: Recipe, operator: str, channels: int, size: int) -> str:
    a, b = (net.input(1, channels, size, size) for _ in range(2))
    return net.binary(operator, a, b)


def by_scalar(net: Recipe, operator: str, channels: int, size: int) -> str:
    return net.by_scalar(operator, net.input(1, channels, size, size), 2.0)


def by_channel(net: Recipe, operator: str, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    return net.node(operator, x, net.weight("channels", channels, 1, 1), shape=net.shapes[x])


def gate_in_parts(net: Recipe, channels: int, size: int) -> str:
    return net.activation(net.input(1, channels, size, size), "HardSwishInParts")


def gated_conv(net: Recipe, channels: int, out: int, size: int) -> str:
    """Append the gate between convolutions, whose runtime may lay out values in another order."""
    x = net.conv(net.input(1, channels, size, size), out, act="HardSwishInParts")
    return net.conv(x, channels)


def affine_conv(net: Recipe, channels: int, out: int, size: int) -> str:
    """Append a factor and a sum of one value with an axis, which stay apart from convolutions."""
    x = net.conv(net.input(1, channels, size, size), out)
    for operator in ("Mul", "Add"):
        x = net.node(operator, x, net.weight("value", 1, fan_in=-1), shape=net.shapes[x])
    return net.conv(x, channels)


def scale(net: Recipe, channels: int, size: int) -> str:
    return net.binary("Mul", net.input(1, channels, size, size), net.input(1, channels, 1, 1))


def activation(net: Recipe, operator: str, channels: int, size: int) -> str:
    return net.activation(net.input(1, channels, size, size), operator)


def normalised(net: Recipe, operator: str, channels: int, size: int) -> str:
    return net.norm(operator, net.input(1, channels, size, size))


def response_norm(net: Recipe, channels: int, size: int) -> str:
    return net.unary("LRN", net.input(1, channels, size, size), size=5)


def pool(net: Recipe, operator: str, channels: int, size: int, kernel: int, stride: int) -> str:
    return net.pool(operator, net.input(1, channels, size, size), kernel, stride, (kernel - 1) // 2)


def global_pool(net: Recipe, channels: int, size: int) -> str:
    return net.global_pool(net.input(1, channels, size, size))


def resize(net: Recipe, channels: int, size: int, factor: int, mode: str) -> str:
    return net.resize(net.input(1, channels, size, size), factor, mode)


def concat(net: Recipe, channels: int, size: int) -> str:
    return net.concat(*(net.input(1, channels, size, size) for _ in range(2)))


def first_half(net: Recipe, channels: int, size: int) -> str:
    return net.slice(net.input(1, channels, size, size), 0, channels // 2)


def pad(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    margins = net.constant("pads", [0, 0, 1, 1, 0, 0, 1, 1])
    return net.node("Pad", x, margins, shape=(1, channels, size + 2, size + 2))


def transpose(net: Recipe, order: tuple[int, ...], channels: int, size: int) -> str:
    return net.transpose(net.input(1, channels, size, size), *order)


def shuffle(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, channels, size, size)
    apart = net.reshape(x, 1, 2, channels // 2, size, size)
    return net.reshape(net.transpose(apart, 0, 2, 1, 3, 4), 1, channels, size, size)


def depth_to_space(net: Recipe, channels: int, size: int) -> str:
    x = net.input(1, 4 * channels, size, size)
    shape = (1, channels, 2 * size, 2 * size)
    return net.node("DepthToSpace", x, shape=shape, blocksize=2)


def cast(net: Recipe, channels: int, size: int) -> str:
    """Append the way to float16 and back; 10 and 1 are ONNX's numbers of the types."""
    x = net.unary("Cast", net.input(1, channels, size, size), to=10)
    return net.unary("Cast", x, to=1)


def layer_norm(net: Recipe, rows: int, features: int) -> str:
    return net.norm("LayerNormalization", net.input(1, rows, features))


def softmax(net: Recipe, heads: int, rows: int, features: int) -> str:
    return net.unary("Softmax", net.input(1, heads, rows, features), axis=-1)


def mean(net: Recipe, axis: int, rows: int, features: int) -> str:
    return net.mean(net.input(1, rows, features), axis)


def gather(net: Recipe, rows: int, features: int) -> str:
    x = net.input(rows, features)
    index = net.constant("index", [(7 * i) % rows for i in range(rows // 2)])
    return net.node("Gather", x, index, shape=(rows // 2, features), axis=0)


def top_k(net: Recipe, rows: int, features: int) -> str:
    k = net.constant("k", [32])
    x = net.input(rows, features)
    net.shapes[y := f"topk{len(net.nodes)}"] = (rows, 32)
    net.nodes.append(Node("TopK", (x, k), (y, f"{y}.index"), {"axis": -1}))
    return y
