"""The Once-For-All ProxylessNAS space at width 1.3 (``ofa-proxyless-w1.3``).

Blocks of MobileNetV2 (ReLU6, no squeeze-and-excitation): five stages of 2 to 4, and a last one of
a single block; 21 slots, kernel 3, 5 or 7, expand ratio 3, 4 or 6. Subnets have six depths, of
which the last is 1.

Source: ``OFAProxylessNASNets`` in mit-han-lab/once-for-all with the stage widths of ProxylessNAS;
1.3 is the width that is published.
"""

from __future__ import annotations

from edgeprof.networks.layers import Network, Op, PlacedBlock, Shape
from edgeprof.networks.spaces.blocks import (
    classifier_block,
    conv_block,
    inverted_bottleneck,
    make_divisible,
    pool_block,
)
from edgeprof.networks.spaces.ofa_mbv3 import CLASSES
from edgeprof.networks.spaces.staged import StageChoices, StagedSpace
from edgeprof.networks.subnet import Subnet

_WIDTH = 1.3
_STRIDES = (2, 2, 2, 1, 2, 1)
_STEM, _FIRST, *_STAGES, _FEATURE_MIX = (
    make_divisible(width * _WIDTH) for width in (32, 16, 24, 40, 80, 96, 192, 320, 1280)
)
_KERNELS, _EXPANDS = (3, 5, 7), (3, 4, 6)


class OfaProxyless(StagedSpace):
    """OFA-ProxylessNAS."""

    def __init__(self) -> None:
        elastic = StageChoices(_KERNELS, _EXPANDS, depths=(2, 3, 4))
        single = StageChoices(_KERNELS, _EXPANDS, depths=(1,))
        super().__init__(
            "ofa-proxyless-w1.3",
            [elastic] * 5 + [single],
            resolutions=range(128, 225, 4),
            sampled_resolutions=range(160, 225, 16),
        )

    def layers(self, subnet: Subnet) -> Network:
        """See the interface; stage 0 is stem and first block, 1..6 the stages, 7 the head."""
        act = Op.RELU6
        stem = conv_block("stem", Shape(3, subnet.r, subnet.r), _STEM, 3, 2, activation=act)
        first = inverted_bottleneck(stem.out_shape, _FIRST, 3, 1, 1, act)
        placed = [PlacedBlock("stem", 0, stem), PlacedBlock("first", 0, first)]
        shape = first.out_shape
        for index, part in enumerate(self.stage_slices):
            for position in range(subnet.d[index]):
                slot = part.start + position
                stride = _STRIDES[index] if position == 0 else 1
                block = inverted_bottleneck(
                    shape, _STAGES[index], subnet.ks[slot], stride, subnet.e[slot], act
                )
                label = f"stage{index + 1}.block{position + 1}"
                placed.append(PlacedBlock(label, index + 1, block))
                shape = block.out_shape
        head = len(_STRIDES) + 1
        mix = conv_block("feature_mix", shape, _FEATURE_MIX, activation=act)
        pool = pool_block(mix.out_shape)
        classifier = classifier_block(pool.out_shape, CLASSES)
        placed += [
            PlacedBlock("feature_mix", head, mix),
            PlacedBlock("pool", head, pool),
            PlacedBlock("classifier", head, classifier),
        ]
        return Network(f"{self.id}-{subnet.id}", tuple(placed))
