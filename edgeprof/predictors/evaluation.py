"""A predictor judged on measurements, beside the trivial predictors.

Owns: what ``edgeprof evaluate`` reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeprof.base.errors import DatasetError
from edgeprof.predictors.base import IntervalPredictor, LatencyPredictor
from edgeprof.predictors.compact.reader import EdgpPredictor
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.metrics import (
    Metrics,
    evaluate,
    interval_coverage,
    trivial_facts,
    trivial_from_facts,
    trivial_predictors,
)
from edgeprof.records.dataset import Dataset


@dataclass(frozen=True)
class Evaluation:
    """Errors on held-out measurements.

    Attributes:
        metrics: of the predictor.
        trivial: of the trivial predictors.
        trivial_fitted_to: ``"training rows"``, where the predictor knows them, else ``"these
            rows"``: the very measurements, which flatters them.
        coverage_90pct: share of measurements in the predictor's 90 % intervals; None where it
            has none.
    """

    metrics: Metrics
    trivial: dict[str, Metrics]
    trivial_fitted_to: str
    coverage_90pct: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the metrics by name, with the other fields beside them."""
        out: dict[str, object] = dict(self.metrics.to_dict())
        out["trivial"] = {name: metrics.to_dict() for name, metrics in self.trivial.items()}
        out["trivial_fitted_to"] = self.trivial_fitted_to
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
    trained = _trivial_of_training(predictor)
    trivial = {
        name: evaluate(trivial_predictor, data)
        for name, trivial_predictor in (trained or trivial_predictors(data)).items()
    }
    coverage = None
    if isinstance(predictor, IntervalPredictor):
        coverage = interval_coverage(predictor, data)
    fitted_to = "training rows" if trained else "these rows"
    return Evaluation(evaluate(predictor, data), trivial, fitted_to, coverage)


def _trivial_of_training(predictor: LatencyPredictor) -> dict[str, LatencyPredictor] | None:
    """Return the trivial predictors fitted to what the predictor learned from, if it says so."""
    facts: object = None
    if isinstance(predictor, GaussianProcess):
        learned = predictor.examples_
        facts = trivial_facts(learned.space, learned.codes, learned.values)
    elif isinstance(predictor, EdgpPredictor):
        facts = predictor.provenance.get("trivial")
    if not isinstance(facts, Mapping):
        return None
    return trivial_from_facts(predictor.space, predictor.device, facts)
