"""A predictor judged on measurements, beside the trivial predictors.

Owns: what ``edgeprof evaluate`` reports.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeprof.dataset import Dataset
from edgeprof.errors import DatasetError
from edgeprof.predictors.base import IntervalPredictor, LatencyPredictor
from edgeprof.predictors.metrics import Metrics, evaluate, interval_coverage, trivial_predictors


@dataclass(frozen=True)
class Evaluation:
    """Errors on held-out measurements.

    Attributes:
        metrics: of the predictor.
        trivial: of the trivial predictors, fitted to the same measurements.
        coverage_90pct: share of measurements in the predictor's 90 % intervals; None where it
            has none.
    """

    metrics: Metrics
    trivial: dict[str, Metrics]
    coverage_90pct: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the metrics by name, with ``trivial`` and ``coverage_90pct`` beside them."""
        out: dict[str, object] = dict(self.metrics.to_dict())
        out["trivial"] = {name: metrics.to_dict() for name, metrics in self.trivial.items()}
        if self.coverage_90pct is not None:
            out["coverage_90pct"] = self.coverage_90pct
        return out


def evaluate_predictor(predictor: LatencyPredictor, data: Dataset) -> Evaluation:
    """Judge a predictor on measurements.

    Raises:
        DatasetError: if they are of another space than the predictor.
    """
    if predictor.space != data.space:
        raise DatasetError(
            f"{data.source}, column space: rows of {data.space}, "
            f"but the predictor is of {predictor.space}",
            column="space",
        )
    trivial = {
        name: evaluate(trivial_predictor, data)
        for name, trivial_predictor in trivial_predictors(data).items()
    }
    coverage = None
    if isinstance(predictor, IntervalPredictor):
        coverage = interval_coverage(predictor, data)
    return Evaluation(evaluate(predictor, data), trivial, coverage)
