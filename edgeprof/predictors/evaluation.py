"""A predictor judged on measurements, beside the trivial predictors.

Owns: what ``edgeprof evaluate`` reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import DatasetError, UnsupportedModel
from edgeprof.predictors.base import (
    IntervalPredictor,
    Latencies,
    LatencyInterval,
    LatencyPredictor,
    Origin,
    is_of_any_space,
)
from edgeprof.predictors.examples import Examples, Judged, NetworkExamples
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.metrics import (
    Metrics,
    macs_of,
    metrics_of,
    trivial_facts,
    trivial_latencies,
)
from edgeprof.predictors.verdict import Verdict, judge
from edgeprof.records.dataset import Dataset
from edgeprof.records.network_rows import NetworkRows

Rows = TypeVar("Rows", Dataset, NetworkRows)


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
        predicted_ms: what it says of each row.
        interval: its 90 % intervals; None where it has none.
    """

    metrics: Metrics
    trivial: dict[str, Metrics]
    trivial_fitted_to: str
    coverage_90pct: float | None
    verdict: Verdict
    n_learned: int | None
    predicted_ms: Latencies
    interval: LatencyInterval | None

    def to_dict(self) -> dict[str, object]:
        """Return the metrics by name, with the other fields beside them."""
        out: dict[str, object] = dict(self.metrics.to_dict())
        out["trivial"] = {name: metrics.to_dict() for name, metrics in self.trivial.items()}
        out["trivial_fitted_to"] = self.trivial_fitted_to
        if self.coverage_90pct is not None:
            out["coverage_90pct"] = self.coverage_90pct
        out |= {"noise_floor": self.verdict.noise_floor, "beats_macs": self.verdict.beats_macs}
        return {**out, "n_learned_from": self.n_learned}


def learned_rows(
    predictor: LatencyPredictor, data: Dataset | NetworkRows
) -> NDArray[np.bool_] | None:
    """Return which rows a predictor has learned from; None where its files do not say."""
    origin = _origin_of(predictor)
    if origin.learned is not None:
        if not len(origin.learned):
            return np.zeros(len(data), dtype=np.bool_)
        return np.isin(_examples_of(predictor, data).hashes, origin.learned)
    if isinstance(data, Dataset) and origin.provenance.get("data_sha256") == data.sha256:
        return np.ones(len(data), dtype=np.bool_)
    return None


def unseen_rows(predictor: LatencyPredictor, data: Rows) -> Rows:
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


def evaluate_predictor(predictor: LatencyPredictor, data: Dataset | NetworkRows) -> Evaluation:
    """Judge a predictor on measurements, those that it has learned from included.

    Raises:
        DatasetError: if they are subnets of another space than the predictor.
        UnsupportedModel: if they are networks of any kind, and it predicts subnets only.
    """
    rows, macs = _examples_and_macs(predictor, data)
    facts = _trivial_of_training(predictor)
    trivial = trivial_latencies(facts or trivial_facts(macs, data.latency_ms), macs)
    learned = learned_rows(predictor, data)
    predicted_ms, interval = _predictions(predictor, data)
    coverage = None
    if interval is not None:
        inside = (interval.low_ms <= data.latency_ms) & (data.latency_ms <= interval.high_ms)
        coverage = float(inside.mean())
    return Evaluation(
        metrics_of(predicted_ms, data.latency_ms),
        {name: metrics_of(said_ms, data.latency_ms) for name, said_ms in trivial.items()},
        "training rows" if facts else "these rows",
        coverage,
        judge(predicted_ms, trivial["macs"], rows),
        None if learned is None else int(learned.sum()),
        predicted_ms,
        interval,
    )


def _examples_of(predictor: LatencyPredictor, data: Dataset | NetworkRows) -> Judged:
    """Return rows with the hashes that the predictor keeps of what it learned from."""
    if isinstance(data, NetworkRows) or is_of_any_space(predictor):
        return NetworkExamples.of(data)
    return Examples.of(data)


def _examples_and_macs(
    predictor: LatencyPredictor, data: Dataset | NetworkRows
) -> tuple[Judged, Floats]:
    if isinstance(data, NetworkRows):
        if not is_of_any_space(predictor):
            raise UnsupportedModel(
                f"{data.source}: rows of networks of any kind, but {predictor!r} predicts subnets "
                f"of {predictor.space} only"
            )
        networks = NetworkExamples.of(data)
        return networks, networks.macs
    if predictor.space != data.space:
        raise DatasetError(
            f"{data.source}, column space: rows of {data.space}, "
            f"but the predictor is of {predictor.space}",
            column="space",
        )
    return Examples.of(data), macs_of(data.space, data.codes)


def _predictions(
    predictor: LatencyPredictor, data: Dataset | NetworkRows
) -> tuple[Latencies, LatencyInterval | None]:
    """Return what a predictor says of rows, with its 90 % intervals where it has some."""
    if isinstance(data, Dataset):
        interval = None
        if isinstance(predictor, IntervalPredictor):
            interval = predictor.predict_interval(data.codes)
        return predictor.predict_codes(data.codes), interval
    if not isinstance(predictor, IntervalPredictor):
        return predictor.predict(data.networks), None
    found: LatencyInterval = predictor.predict_networks(data.networks)  # type: ignore[attr-defined]
    return found.mean_ms, found


def _trivial_of_training(predictor: LatencyPredictor) -> Mapping[str, float] | None:
    """Return what the trivial predictors know of the rows that the predictor learned from."""
    facts = _origin_of(predictor).provenance.get("trivial")
    if facts is None and isinstance(predictor, GaussianProcess):
        learned = predictor.examples_
        facts = trivial_facts(macs_of(learned.space, learned.codes), learned.values)
    return facts if isinstance(facts, Mapping) else None


def _origin_of(predictor: LatencyPredictor) -> Origin:
    origin: Origin = getattr(predictor, "origin", Origin())
    return origin
