"""OFA's accuracy predictor: its MLP in numpy.

Weights come from ``weights.py``. Source: mit-han-lab/once-for-all, ``AccuracyPredictor`` of its
tutorial.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprof.accuracy.base import Accuracies
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.spaces.ofa_encoding import OfaEncoding

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights (outputs, inputs) and bias (outputs,) of a fully connected layer."""


class OfaMlp:
    """OFA's accuracy MLP (128-400-400-400-1 as published; any widths), evaluated in float32.

    Args:
        layers: weights and biases, first to last.
        space: the space whose codes it is asked about.
        offset: added to the output (some files keep the mean accuracy apart).
        name: for reports.
    """

    is_proxy = False

    def __init__(
        self, layers: Sequence[Layer], space: SearchSpace, *, offset: float = 0.0, name: str
    ) -> None:
        self.name = name
        self._encode = OfaEncoding(space)
        self.resolutions = self._encode.resolutions
        self._weights = [np.ascontiguousarray(weights.T) for weights, _ in layers]
        self._biases = [bias for _, bias in layers]
        self._offset = offset

    def predict_codes(self, codes: Codes) -> Accuracies:
        """See ``AccuracyModel``."""
        values = self._encode(codes)
        last = len(self._weights) - 1
        for index, (weights, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            values = values @ weights
            values += bias
            if index < last:
                np.maximum(values, 0, out=values)
        return values[:, 0].astype(np.float64) + self._offset
