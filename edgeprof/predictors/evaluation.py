"""A predictor judged on measurements, beside the trivial predictors.

Owns: what ``edgeprof evaluate`` reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import DatasetError
from edgeprof.predictors.base import IntervalPredictor, LatencyPredictor, Origin
from edgeprof.predictors.examples import Examples
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.metrics import (
    Metrics,
    evaluate,
    interval_coverage,
    metrics_of,
    trivial_facts,
    trivial_from_facts,
    trivial_predictors,
)
from edgeprof.predictors.verdict import Verdict, judge
from edgeprof.records.dataset import Dataset


@dataclass(frozen=True)
class Evaluation:
    """Errors on measurements.

    Attributes:
        metrics: of the predictor.
        trivial: of the trivial predictors.
        trivial_fitted_to: ``"training rows"``, where the predictor knows them, else ``"these
            rows"``: the very measurements, which flatters them.
        coverage_90pct: share of measurements in the predictor's 90 % intervals; None where it
            has none.
        verdict: whether the predictor is worth using.
        n_learned: how many of the rows it has learned from; None where its files do not say.
    """

    metrics: Metrics
    trivial: dict[str, Metrics]
    trivial_fitted_to: str
    coverage_90pct: float | None
    verdict: Verdict
    n_learned: int | None

    def to_dict(self) -> dict[str, object]:
        """Return the metrics by name, with the other fields beside them."""
        out: dict[str, object] = dict(self.metrics.to_dict())
        out["trivial"] = {name: metrics.to_dict() for name, metrics in self.trivial.items()}
        out["trivial_fitted_to"] = self.trivial_fitted_to
        if self.coverage_90pct is not None:
            out["coverage_90pct"] = self.coverage_90pct
        out |= {"noise_floor": self.verdict.noise_floor, "beats_macs": self.verdict.beats_macs}
        return {**out, "n_learned_from": self.n_learned}


def learned_rows(predictor: LatencyPredictor, data: Dataset) -> NDArray[np.bool_] | None:
    """Return which rows a predictor has learned from; None where its files do not say."""
    origin = _origin_of(predictor)
    if origin.learned is not None:
        return np.isin(Examples.of(data).hashes, origin.learned)
    if origin.provenance.get("data_sha256") == data.sha256:
        return np.ones(len(data), dtype=np.bool_)
    return None


def unseen_rows(predictor: LatencyPredictor, data: Dataset) -> Dataset:
    """Return the rows that a predictor has not learned from, as far as its files say.

    Raises:
        DatasetError: if none are left.
    """
    learned = learned_rows(predictor, data)
    if learned is None or not learned.any():
        return data
    if learned.all():
        raise DatasetError(
            f"{data.source}: the predictor of {predictor.device} has learned from all "
            f"{len(data)} rows; judge it on others (--rows), or use --include-trained"
        )
    return data.take(np.flatnonzero(~learned))


def evaluate_predictor(predictor: LatencyPredictor, data: Dataset) -> Evaluation:
    """Judge a predictor on measurements, those that it has learned from included.

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
    trivial = trained or trivial_predictors(data)
    learned = learned_rows(predictor, data)
    predicted_ms = predictor.predict_codes(data.codes)
    macs_ms = trivial["macs"].predict_codes(data.codes)
    coverage = None
    if isinstance(predictor, IntervalPredictor):
        coverage = interval_coverage(predictor, data)
    return Evaluation(
        metrics_of(predicted_ms, data.latency_ms),
        {name: evaluate(judged, data) for name, judged in trivial.items()},
        "training rows" if trained else "these rows",
        coverage,
        judge(predicted_ms, macs_ms, Examples.of(data)),
        None if learned is None else int(learned.sum()),
    )


def _trivial_of_training(predictor: LatencyPredictor) -> dict[str, LatencyPredictor] | None:
    """Return the trivial predictors fitted to what the predictor learned from, if it says so."""
    facts = _origin_of(predictor).provenance.get("trivial")
    if facts is None and isinstance(predictor, GaussianProcess):
        learned = predictor.examples_
        facts = trivial_facts(learned.space, learned.codes, learned.values)
    if not isinstance(facts, Mapping):
        return None
    return trivial_from_facts(predictor.space, predictor.device, facts)


def _origin_of(predictor: LatencyPredictor) -> Origin:
    origin: Origin = getattr(predictor, "origin", Origin())
    return origin
