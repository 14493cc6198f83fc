"""Blocks that several search spaces are built of.

Owns: how a convolution, an inverted bottleneck and a head become layers. Each builder is cached:
equal arguments give the same ``Block`` object, and sums over a block's layers are made once.

Source: the layers of mit-han-lab/once-for-all (``ofa/utils/layers.py``), batch normalisation
folded into the convolutions.
"""

from __future__ import annotations

from functools import cache

from edgeprof.networks.layers import INPUT, Block, Layer, Op, Shape

CHANNEL_DIVISOR = 8


def make_divisible(channels: float, divisor: int = CHANNEL_DIVISOR) -> int:
    """Round to the nearest multiple of ``divisor`` that does not fall below 90 %."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class LayerChain:
    """Collects the layers of one block; each reads the one before it unless another input is given.

    Attributes:
        layers: what was added so far.
        last: name of the layer that the next one reads.
        shape: its output shape.
    """

    def __init__(self, in_shape: Shape) -> None:
        self.layers: list[Layer] = []
        self.shape = in_shape
        self.last = INPUT

    def restart(self, name: str, shape: Shape) -> None:
        """Let the next layer read ``name`` (a branch)."""
        self.last, self.shape = name, shape

    def conv(
        self,
        name: str,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        depthwise: bool = False,
        bias: bool = True,
        activation: Op | None = None,
    ) -> None:
        """Add a convolution with padding ``kernel // 2`` and, if given, its activation."""
        padding = kernel // 2
        self._add(
            name,
            Op.DEPTHWISE_CONV if depthwise else Op.CONV,
            self._window_shape(out_channels, kernel, stride, padding),
            kernel=kernel,
            stride=stride,
            padding=padding,
            groups=out_channels if depthwise else 1,
            bias=bias,
        )
        if activation is not None:
            self.elementwise(f"{name}_act", activation)

    def elementwise(self, name: str, op: Op) -> None:
        """Add an activation."""
        self._add(name, op, self.shape)

    def pool(
        self, name: str, op: Op, kernel: int, stride: int, padding: int = 0, *, ceil: bool = False
    ) -> None:
        """Add an average or maximum pool.

        With ``ceil`` a last window that reaches beyond the input counts, over the pixels there are.
        """
        slack = stride - 1 if ceil else 0
        out_shape = self._window_shape(self.shape.channels, kernel, stride, padding, slack)
        self._add(name, op, out_shape, kernel=kernel, stride=stride, padding=padding)

    def global_avg_pool(self, name: str) -> None:
        """Add the mean over all pixels of each channel."""
        self._add(name, Op.GLOBAL_AVG_POOL, Shape(self.shape.channels, 1, 1))

    def linear(self, name: str, out_features: int) -> None:
        """Add a fully connected layer with bias."""
        self._add(name, Op.LINEAR, Shape(out_features, 1, 1), bias=True)

    def add(self, name: str, other: str) -> None:
        """Add the sum with the output of layer ``other`` (of the same shape)."""
        self._add(name, Op.ADD, self.shape, inputs=(self.last, other))

    def squeeze_excite(self) -> None:
        """Add global pool, reduction by 4, relu, expansion, h_sigmoid, and the scaling."""
        source, shape = self.last, self.shape
        self.global_avg_pool("se_pool")
        self.conv("se_reduce", make_divisible(shape.channels // 4), activation=Op.RELU)
        self.conv("se_expand", shape.channels, activation=Op.H_SIGMOID)
        factors = self.last
        self.restart(source, shape)
        self._add("se_scale", Op.SCALE, shape, inputs=(source, factors))

    def _window_shape(
        self, channels: int, kernel: int, stride: int, padding: int, slack: int = 0
    ) -> Shape:
        _, height, width = self.shape
        return Shape(
            channels,
            (height + 2 * padding - kernel + slack) // stride + 1,
            (width + 2 * padding - kernel + slack) // stride + 1,
        )

    def _add(
        self,
        name: str,
        op: Op,
        out_shape: Shape,
        *,
        inputs: tuple[str, ...] | None = None,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        self.layers.append(
            Layer(
                name=name,
                op=op,
                inputs=inputs or (self.last,),
                in_shape=self.shape,
                out_shape=out_shape,
                kernel=kernel,
                stride=stride,
                padding=padding,
                groups=groups,
                bias=bias,
            )
        )
        self.restart(name, out_shape)


@cache
def conv_block(
    kind: str,
    in_shape: Shape,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    bias: bool = True,
    activation: Op | None = None,
) -> Block:
    """Return one convolution with its activation as a block."""
    chain = LayerChain(in_shape)
    chain.conv("conv", out_channels, kernel, stride, bias=bias, activation=activation)
    return Block(kind, tuple(chain.layers), kernel=kernel, stride=stride, activation=activation)


@cache
def inverted_bottleneck(
    in_shape: Shape,
    out_channels: int,
    kernel: int,
    stride: int,
    expand: float,
    activation: Op,
    *,
    se: bool = False,
) -> Block:
    """Return a mobile inverted bottleneck; residual where stride is 1 and channels are kept.

    1x1 expansion (left out at ratio 1) -> depthwise -> (SE) -> linear 1x1 projection.
    """
    mid_channels = make_divisible(round(in_shape.channels * expand))
    chain = LayerChain(in_shape)
    if expand != 1:
        chain.conv("expand", mid_channels, activation=activation)
    chain.conv("depthwise", mid_channels, kernel, stride, depthwise=True, activation=activation)
    if se:
        chain.squeeze_excite()
    chain.conv("project", out_channels)
    residual = stride == 1 and in_shape.channels == out_channels
    if residual:
        chain.add("residual", INPUT)
    return Block(
        "inverted_bottleneck",
        tuple(chain.layers),
        mid_channels=mid_channels,
        kernel=kernel,
        stride=stride,
        residual=residual,
        se=se,
        activation=activation,
    )


@cache
def pool_block(in_shape: Shape) -> Block:
    """Return the global average pool of a head."""
    chain = LayerChain(in_shape)
    chain.global_avg_pool("pool")
    return Block("global_avg_pool", tuple(chain.layers))


@cache
def classifier_block(in_shape: Shape, classes: int) -> Block:
    """Return the fully connected classifier of a head."""
    chain = LayerChain(in_shape)
    chain.linear("linear", classes)
    return Block("classifier", tuple(chain.layers))
