"""Intervals of models that have none of their own: as wide as their errors on unseen rows.

Owns: how errors of cross-validation become an interval (split conformal prediction: the share of
unseen rows within a relative error is the confidence that the next one is).
"""

from __future__ import annotations

import numpy as np

from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import Latencies, LatencyInterval, PredictsCodes
from edgeprof.predictors.features import Floats

_MOST_KEPT = 200


def nothing_known() -> Floats:
    """Return the relative errors of a model nobody has judged: as large as the prediction."""
    return np.ones(1)


def relative_errors(unseen_ms: Latencies, measured_ms: Latencies) -> Floats:
    """Return relative errors of predictions of unseen rows, ascending: few, evenly chosen."""
    errors = np.sort(np.abs(measured_ms / np.maximum(unseen_ms, 1e-9) - 1))
    chosen = np.linspace(0, len(errors) - 1, min(len(errors), _MOST_KEPT)).round().astype(int)
    return np.asarray(errors[chosen], dtype=np.float64)


class ResidualInterval(PredictsCodes):
    """A predictor whose interval comes from its errors on rows it had not seen.

    Attributes:
        relative_errors: of such rows, ascending.
    """

    relative_errors: Floats

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """Return the predictions and their central intervals."""
        mean_ms = self.predict_codes(codes)
        n = len(self.relative_errors)
        # The one more is the row that is yet to come: with few rows, the largest error is wanted.
        at = min(int(np.ceil(confidence * (n + 1))), n) - 1
        reach_ms = self.relative_errors[at] * np.abs(mean_ms)
        return LatencyInterval(mean_ms, np.maximum(mean_ms - reach_ms, 0.0), mean_ms + reach_ms)
