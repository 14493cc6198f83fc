"""What every accuracy model can do.

Owns: the interface between accuracy models and the search.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import Codes

Accuracies = NDArray[np.float64]
"""Top-1 accuracies in [0, 1], shape (n_subnets,)."""

ACCURACY_DEVICE = "accuracy"
"""The subject of a predictor file that predicts accuracies: not the name of a device."""


@runtime_checkable
class AccuracyModel(Protocol):
    """Predicts the top-1 accuracy of subnets of one space.

    Attributes:
        name: what it is, for reports.
        is_proxy: whether the values are no accuracies and only their order means something.
        resolutions: those it can tell apart, in pixels.
    """

    name: str
    is_proxy: bool
    resolutions: tuple[int, ...]

    def predict_codes(self, codes: Codes) -> Accuracies:
        """Return the top-1 of each row of codes (see ``SearchSpace.encode``)."""
