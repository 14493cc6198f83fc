"""OFA's 128-D encoding of subnets, which its accuracy predictor and the paper's MLP read.

Source: mit-han-lab/once-for-all, ``AccuracyPredictor`` of its tutorial.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import SearchError
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.spaces.staged import StagedSpace

OFA_INPUTS = 128
_KERNELS = (3, 5, 7)
_EXPANDS = (3, 4, 6)
_SLOTS = 20
_FIRST_RESOLUTION = 112
_RESOLUTION_STEP = 16
_RESOLUTIONS = tuple(range(112, 225, 16))


class OfaEncoding:
    """OFA's 128 inputs: 20 x one-hot kernel, 20 x one-hot expand, one-hot resolution.

    Slots that the depth leaves out are all zero.

    Raises:
        SearchError: if the space is not one of 20 slots with kernels 3, 5, 7 and expands 3, 4, 6.
    """

    def __init__(self, space: SearchSpace) -> None:
        if not isinstance(space, StagedSpace) or not _is_ofa_mbv3(space):
            raise SearchError(
                f"space {space.id}: OFA's encoding is of 20 slots with kernel 3, 5 or 7 and "
                f"expand 3, 4 or 6; use an accuracy model fitted for this space"
            )
        self.resolutions = tuple(r for r in space.resolutions if r in _RESOLUTIONS)
        # Inputs set by each code of each slot; slots left out set one more input, which is dropped.
        self._set_inputs = np.full((_SLOTS, max(space.cardinalities), 2), OFA_INPUTS, dtype=np.intp)
        for stage, part in zip(space.stages, space.stage_slices, strict=True):
            for slot in range(part.start, part.stop):
                for code in range(1, space.cardinalities[slot]):
                    kernel, expand = stage.choice(code)
                    self._set_inputs[slot, code] = (
                        slot * 3 + _KERNELS.index(kernel),
                        60 + slot * 3 + _EXPANDS.index(expand),
                    )
        self._resolution_input = np.full(len(space.resolutions), OFA_INPUTS, dtype=np.intp)
        for index, r in enumerate(space.resolutions):
            if r in _RESOLUTIONS:
                offset = (r - _FIRST_RESOLUTION) // _RESOLUTION_STEP
                self._resolution_input[index] = 120 + offset

    def __call__(self, codes: Codes) -> NDArray[np.float32]:
        """Return OFA's input of each row, float32 (n, 128)."""
        n = len(codes)
        inputs = np.zeros((n, OFA_INPUTS + 1), dtype=np.float32)
        slots = self._set_inputs[np.arange(_SLOTS)[None], codes[:, :-1]].reshape(n, -1)
        inputs[np.arange(n)[:, None], slots] = 1
        inputs[np.arange(n), self._resolution_input[codes[:, -1]]] = 1
        return inputs[:, :OFA_INPUTS]


def _is_ofa_mbv3(space: StagedSpace) -> bool:
    values_known = all(
        set(stage.kernels) <= set(_KERNELS) and set(stage.expands) <= set(_EXPANDS)
        for stage in space.stages
    )
    return space.n_slots == _SLOTS and values_known
