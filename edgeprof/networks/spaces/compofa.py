"""The CompOFA spaces: OFA-MobileNetV3 with depth and expand ratio tied.

A stage of depth 2, 3 or 4 has expand ratio 3, 4 or 6 in all its blocks. Kernel sizes are fixed
per stage (``compofa-mbv3-w1.0``: 3, 5, 3, 3, 5) or chosen per block (the ``elastic`` ones).

Source: Sahni et al., CompOFA, ICLR 2021, and gatech-sysml/CompOFA.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidSubnet
from edgeprof.networks.spaces.ofa_mbv3 import OfaMobileNetV3
from edgeprof.networks.spaces.staged import StageChoices
from edgeprof.networks.subnet import Subnet

_FIXED_KERNELS = (3, 5, 3, 3, 5)
_ELASTIC_KERNELS = (3, 5, 7)
_EXPANDS = (3, 4, 6)
_DEPTHS = (2, 3, 4)
_EXPAND_OF_DEPTH = dict(zip(_DEPTHS, _EXPANDS, strict=True))


class CompOfa(OfaMobileNetV3):
    """CompOFA at one width multiplier, with fixed or elastic kernel sizes."""

    def __init__(self, width: str, kernels: Literal["fixed", "elastic"]) -> None:
        stages = tuple(
            StageChoices((fixed,) if kernels == "fixed" else _ELASTIC_KERNELS, _EXPANDS, _DEPTHS)
            for fixed in _FIXED_KERNELS
        )
        name = "compofa-mbv3" if kernels == "fixed" else "compofa-mbv3-elastic"
        super().__init__(width, f"{name}-w{width}", stages)

    def validate(self, subnet: Subnet) -> None:
        """See the interface."""
        super().validate(subnet)
        for stage, (depth, part) in enumerate(zip(subnet.d, self.stage_slices, strict=True)):
            wanted = _EXPAND_OF_DEPTH[depth]
            for slot in range(part.start, part.start + depth):
                if subnet.e[slot] != wanted:
                    raise InvalidSubnet(
                        f"subnet e[{slot}] is {subnet.e[slot]}, space {self.id} wants {wanted} "
                        f"where d[{stage}] is {depth}",
                        field="e",
                    )

    def _slot_codes(self, index: int, depth: int) -> tuple[int, ...]:
        stage = self.stages[index]
        return tuple(stage.code(kernel, _EXPAND_OF_DEPTH[depth]) for kernel in stage.kernels)

    def _fit(
        self, stage: int, slots: NDArray[np.integer], depths: NDArray[np.int64]
    ) -> NDArray[np.integer]:
        """Keep the kernel of each slot and take the expand ratio of the depth."""
        kernels = np.maximum(slots.astype(np.int64) - 1, 0) // len(_EXPANDS)
        expands = np.searchsorted(_DEPTHS, depths)[:, np.newaxis]
        return super()._fit(stage, 1 + kernels * len(_EXPANDS) + expands, depths)
