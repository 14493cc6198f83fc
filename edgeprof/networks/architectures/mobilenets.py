"""MobileNet v1, v2, v3 and EfficientNet-Lite as layer lists.

Owns: the tables of the papers (Howard 2017, Sandler 2018, Howard 2019; EfficientNet-Lite: the
repository of EfficientNet, 2020). All classify 1,001 classes, as the files that TensorFlow
published do. Does not own: weights, model files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import ceil

from edgeprof.base.errors import InvalidModel
from edgeprof.networks.layers import Block, Network, Op, PlacedBlock, Shape
from edgeprof.networks.spaces.blocks import (
    LayerChain,
    classifier_block,
    conv_block,
    inverted_bottleneck,
    make_divisible,
    pool_block,
)

_CLASSES = 1001

# repeats, out channels, stride of the first
_V1 = ((1, 64, 1), (2, 128, 2), (2, 256, 2), (6, 512, 2), (2, 1024, 2))

# expansion, out channels, repeats, stride of the first
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
       (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip

# kernel, expanded channels, out channels, squeeze-and-excitation, activation, stride
_RE, _HS = Op.RELU, Op.H_SWISH
_V3 = {
    "large": ((3, 16, 16, 0, _RE, 1), (3, 64, 24, 0, _RE, 2), (3, 72, 24, 0, _RE, 1),
              (5, 72, 40, 1, _RE, 2), (5, 120, 40, 1, _RE, 1), (5, 120, 40, 1, _RE, 1),
              (3, 240, 80, 0, _HS, 2), (3, 200, 80, 0, _HS, 1), (3, 184, 80, 0, _HS, 1),
              (3, 184, 80, 0, _HS, 1), (3, 480, 112, 1, _HS, 1), (3, 672, 112, 1, _HS, 1),
              (5, 672, 160, 1, _HS, 2), (5, 960, 160, 1, _HS, 1), (5, 960, 160, 1, _HS, 1)),
    "small": ((3, 16, 16, 1, _RE, 2), (3, 72, 24, 0, _RE, 2), (3, 88, 24, 0, _RE, 1),
              (5, 96, 40, 1, _HS, 2), (5, 240, 40, 1, _HS, 1), (5, 240, 40, 1, _HS, 1),
              (5, 120, 48, 1, _HS, 1), (5, 144, 48, 1, _HS, 1), (5, 288, 96, 1, _HS, 2),
              (5, 576, 96, 1, _HS, 1), (5, 576, 96, 1, _HS, 1)),
}  # fmt: skip
_V3_HEAD = {"large": 1280, "small": 1024}

# kernel, expansion, out channels, repeats, stride of the first
_LITE = ((3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2), (5, 6, 112, 3, 1),
         (5, 6, 192, 4, 2), (3, 6, 320, 1, 1))  # fmt: skip
_LITE_SCALES = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300))


class _Chain:
    """Blocks in a row, each of the shape that the one before it gives."""

    def __init__(self, name: str, resolution: int) -> None:
        self.name, self.shape = name, Shape(3, resolution, resolution)
        self.blocks: list[PlacedBlock] = []

    def add(self, block: Block) -> None:
        self.blocks.append(PlacedBlock(f"block{len(self.blocks)}", 0, block))
        self.shape = block.out_shape

    def conv(self, channels: int, kernel: int, stride: int, activation: Op | None) -> None:
        self.add(conv_block("conv", self.shape, channels, kernel, stride, activation=activation))

    def bottleneck(
        self, channels: int, kernel: int, stride: int, expand: float, activation: Op,
        *, se: bool = False,
    ) -> None:  # fmt: skip
        self.add(
            inverted_bottleneck(self.shape, channels, kernel, stride, expand, activation, se=se)
        )

    def network(self) -> Network:
        self.add(classifier_block(self.shape, _CLASSES))
        return Network(self.name, tuple(self.blocks))


def mobilenet_v1(width: float = 1.0, resolution: int = 224) -> Network:
    """Return MobileNet v1 of this width."""
    chain = _Chain(f"mobilenet-v1-{width}-{resolution}", resolution)
    chain.conv(int(32 * width), 3, 2, Op.RELU6)
    for repeats, channels, first_stride in _V1:
        for number in range(repeats):
            layers = LayerChain(chain.shape)
            stride = first_stride if number == 0 else 1
            layers.conv(
                "depthwise", chain.shape.channels, 3, stride, depthwise=True, activation=Op.RELU6
            )
            layers.conv("pointwise", int(channels * width), activation=Op.RELU6)
            chain.add(Block("separable", tuple(layers.layers), kernel=3, stride=stride))
    chain.add(pool_block(chain.shape))
    return chain.network()


def mobilenet_v2(width: float = 1.0, resolution: int = 224) -> Network:
    """Return MobileNet v2 of this width."""
    chain = _Chain(f"mobilenet-v2-{width}-{resolution}", resolution)
    chain.conv(make_divisible(32 * width), 3, 2, Op.RELU6)
    for expand, channels, repeats, first_stride in _V2:
        for number in range(repeats):
            stride = first_stride if number == 0 else 1
            chain.bottleneck(make_divisible(channels * width), 3, stride, expand, Op.RELU6)
    chain.conv(make_divisible(1280 * max(width, 1.0)), 1, 1, Op.RELU6)
    chain.add(pool_block(chain.shape))
    return chain.network()


def mobilenet_v3(
    size: str = "large", width: float = 1.0, resolution: int = 224, *, minimalistic: bool = False
) -> Network:
    """Return MobileNet v3 ``"large"`` or ``"small"``; ``minimalistic``: 3x3, ReLU and no SE."""
    variant = "-minimalistic" if minimalistic else ""
    chain = _Chain(f"mobilenet-v3-{size}{variant}-{width}-{resolution}", resolution)
    act = Op.RELU if minimalistic else Op.H_SWISH
    chain.conv(16, 3, 2, act)
    before = 16
    for kernel, expanded, channels, se, activation, stride in _V3[size]:
        chain.bottleneck(
            make_divisible(channels * width),
            3 if minimalistic else kernel,
            stride,
            expanded / before,
            Op.RELU if minimalistic else activation,
            se=bool(se) and not minimalistic,
        )
        before = channels
    chain.conv(make_divisible(chain.shape.channels * 6), 1, 1, act)
    chain.add(pool_block(chain.shape))
    chain.conv(make_divisible(_V3_HEAD[size] * max(width, 1.0)), 1, 1, act)
    return chain.network()


def efficientnet_lite(number: int = 0) -> Network:
    """Return EfficientNet-Lite 0 to 4."""
    width, depth, resolution = _LITE_SCALES[number]
    chain = _Chain(f"efficientnet-lite{number}", resolution)
    chain.conv(32, 3, 2, Op.RELU6)
    for place, (kernel, expand, channels, repeats, first_stride) in enumerate(_LITE):
        is_end = place in (0, len(_LITE) - 1)
        for index in range(repeats if is_end else ceil(repeats * depth)):
            stride = first_stride if index == 0 else 1
            chain.bottleneck(make_divisible(channels * width), kernel, stride, expand, Op.RELU6)
    chain.conv(1280, 1, 1, Op.RELU6)
    chain.add(pool_block(chain.shape))
    return chain.network()


_NAMES: tuple[tuple[str, Callable[[re.Match[str]], Network]], ...] = (
    (r"mobilenet-v1-([\d.]+)-(\d+)", lambda m: mobilenet_v1(float(m[1]), int(m[2]))),
    (r"mobilenet-v2-([\d.]+)-(\d+)", lambda m: mobilenet_v2(float(m[1]), int(m[2]))),
    (
        r"mobilenet-v3-(large|small)(-minimalistic)?-([\d.]+)-(\d+)",
        lambda m: mobilenet_v3(m[1], float(m[3]), int(m[4]), minimalistic=bool(m[2])),
    ),
    (r"efficientnet-lite([0-4])", lambda m: efficientnet_lite(int(m[1]))),
)


def mobilenet_by_name(name: str) -> Network:
    """Return one of these networks by the name that it has here.

    Raises:
        InvalidModel: if there is none of that name.
    """
    for pattern, build in _NAMES:
        if found := re.fullmatch(pattern, name):
            return build(found)
    raise InvalidModel(f"{name}: is no MobileNet v1 to v3 or EfficientNet-Lite by its name")
