"""The Once-For-All MobileNetV3 space (``ofa-mbv3-w1.0`` and ``ofa-mbv3-w1.2``).

Five stages of 2 to 4 inverted bottlenecks, kernel 3, 5 or 7, expand ratio 3, 4 or 6; resolutions
128..224 step 4 (those of OFA's training), of which 160..224 step 16 are drawn by default (those
of its tutorial).

Source: ``OFAMobileNetV3`` in mit-han-lab/once-for-all.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeprof.networks.layers import Network, Op, PlacedBlock, Shape
from edgeprof.networks.spaces.blocks import (
    classifier_block,
    conv_block,
    inverted_bottleneck,
    pool_block,
)
from edgeprof.networks.spaces.staged import StageChoices, StagedSpace
from edgeprof.networks.subnet import Subnet

CLASSES = 1000
_ELASTIC = StageChoices(kernels=(3, 5, 7), expands=(3, 4, 6), depths=(2, 3, 4))


@dataclass(frozen=True)
class _Stage:
    stride: int
    activation: Op
    se: bool


_STAGES = (
    _Stage(2, Op.RELU, se=False),
    _Stage(2, Op.RELU, se=True),
    _Stage(2, Op.H_SWISH, se=False),
    _Stage(1, Op.H_SWISH, se=True),
    _Stage(2, Op.H_SWISH, se=True),
)


@dataclass(frozen=True)
class Channels:
    """Output channels of each part at one width multiplier."""

    stem: int
    stages: tuple[int, ...]
    final_expand: int
    feature_mix: int


CHANNELS_BY_WIDTH = {
    "1.0": Channels(16, (24, 40, 80, 112, 160), 960, 1280),
    "1.2": Channels(24, (32, 48, 96, 136, 192), 1152, 1536),
}


class OfaMobileNetV3(StagedSpace):
    """OFA-MobileNetV3 at one width multiplier."""

    def __init__(
        self,
        width: str,
        space_id: str | None = None,
        stages: tuple[StageChoices, ...] = (_ELASTIC,) * len(_STAGES),
    ) -> None:
        super().__init__(
            space_id or f"ofa-mbv3-w{width}",
            stages,
            resolutions=range(128, 225, 4),
            sampled_resolutions=range(160, 225, 16),
        )
        self.width = width
        self._channels = CHANNELS_BY_WIDTH[width]

    def layers(self, subnet: Subnet) -> Network:
        """See the interface; stage 0 is stem and first block, 1..5 the stages, 6 the head."""
        stem = conv_block(
            "stem", Shape(3, subnet.r, subnet.r), self._channels.stem, 3, 2, activation=Op.H_SWISH
        )
        first = inverted_bottleneck(
            stem.out_shape, self._channels.stem, kernel=3, stride=1, expand=1, activation=Op.RELU
        )
        placed = [PlacedBlock("stem", 0, stem), PlacedBlock("first", 0, first)]
        shape = first.out_shape
        for index, part in enumerate(self.stage_slices):
            stage = _STAGES[index]
            for position in range(subnet.d[index]):
                block = inverted_bottleneck(
                    shape,
                    self._channels.stages[index],
                    subnet.ks[part.start + position],
                    stage.stride if position == 0 else 1,
                    subnet.e[part.start + position],
                    stage.activation,
                    se=stage.se,
                )
                label = f"stage{index + 1}.block{position + 1}"
                placed.append(PlacedBlock(label, index + 1, block))
                shape = block.out_shape
        placed += self._head(shape)
        return Network(f"{self.id}-{subnet.id}", tuple(placed))

    def _head(self, shape: Shape) -> list[PlacedBlock]:
        stage = len(_STAGES) + 1
        expand = conv_block(
            "final_expand", shape, self._channels.final_expand, activation=Op.H_SWISH
        )
        pool = pool_block(expand.out_shape)
        mix = conv_block(
            "feature_mix",
            pool.out_shape,
            self._channels.feature_mix,
            bias=False,
            activation=Op.H_SWISH,
        )
        classifier = classifier_block(mix.out_shape, CLASSES)
        return [
            PlacedBlock("final_expand", stage, expand),
            PlacedBlock("pool", stage, pool),
            PlacedBlock("feature_mix", stage, mix),
            PlacedBlock("classifier", stage, classifier),
        ]
