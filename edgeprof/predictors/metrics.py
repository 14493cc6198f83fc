"""How good predictions are, with the names the field uses, beside the trivial predictors.

Owns: the definitions. MAE is the mean of absolute errors and RMSE the root of the mean of squared
errors (the first was once published under the name of the second). Fractions, not percent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import DatasetError
from edgeprof.base.extras import optional
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import (
    IntervalPredictor,
    Latencies,
    LatencyPredictor,
    PredictsCodes,
)
from edgeprof.predictors.features import Floats
from edgeprof.records.dataset import Dataset

Rows: TypeAlias = NDArray[np.int64]
"""Positions of rows."""


@dataclass(frozen=True)
class Metrics:
    """Errors of predictions on ``n`` measurements.

    Attributes:
        n: number of measurements.
        mae_ms: mean absolute error.
        rmse_ms: root mean squared error.
        mape: mean absolute error relative to the measurement.
        within_5pct, within_10pct: share of predictions that close to their measurement.
        spearman: rank correlation; None where ranks do not differ.
        kendall_tau: tau-b; None where ranks do not differ.
    """

    n: int
    mae_ms: float
    rmse_ms: float
    mape: float
    within_5pct: float
    within_10pct: float
    spearman: float | None
    kendall_tau: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the fields by name."""
        return asdict(self)


def metrics_of(predicted_ms: Latencies, measured_ms: Latencies) -> Metrics:
    """Compare predictions with measurements, (n,) each.

    Raises:
        DatasetError: if there are none, or their numbers differ.
    """
    if len(predicted_ms) != len(measured_ms) or not len(measured_ms):
        raise DatasetError(
            f"{len(predicted_ms)} predictions for {len(measured_ms)} measurements; want as many, "
            "and at least one"
        )
    error_ms = np.abs(predicted_ms - measured_ms)
    relative = error_ms / measured_ms
    return Metrics(
        n=len(measured_ms),
        mae_ms=float(error_ms.mean()),
        rmse_ms=float(np.sqrt((error_ms**2).mean())),
        mape=float(relative.mean()),
        within_5pct=float((relative <= 0.05).mean()),
        within_10pct=float((relative <= 0.10).mean()),
        spearman=_rank_correlation(predicted_ms, measured_ms, "spearmanr"),
        kendall_tau=_rank_correlation(predicted_ms, measured_ms, "kendalltau"),
    )


def _rank_correlation(a: Latencies, b: Latencies, name: str) -> float | None:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None  # one value has no ranks; a number here would mean something else
    with optional("a rank correlation"):
        from scipy import stats

    correlation: Callable[[Latencies, Latencies], tuple[float, float]] = getattr(stats, name)
    return float(correlation(a, b)[0])


def interval_coverage(model: IntervalPredictor, data: Dataset, confidence: float = 0.9) -> float:
    """Return the share of measurements inside the model's intervals."""
    interval = model.predict_interval(data.codes, confidence)
    inside = (interval.low_ms <= data.latency_ms) & (data.latency_ms <= interval.high_ms)
    return float(inside.mean())


@dataclass
class MeanPredictor(PredictsCodes):
    """Predicts the mean of the training latencies: what knows nothing reaches."""

    space: str
    device: str
    mean_ms: float

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        return np.full(len(codes), self.mean_ms)


@dataclass
class MacsPredictor(PredictsCodes):
    """Predicts latencies in proportion to MACs: what needs no learning reaches."""

    space: str
    device: str
    ms_per_mac: float

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        return self.ms_per_mac * macs_of(self.space, codes)


def macs_of(space_id: str, codes: Codes) -> Floats:
    """Return the multiply-accumulates of each row of codes."""
    space = get_space(space_id)
    subnets = space.decode(codes)
    return np.array([space.layers(subnet).macs for subnet in subnets], dtype=np.float64)


def trivial_predictors(data: Dataset) -> dict[str, LatencyPredictor]:
    """Return the predictors that any other must beat, fitted to the data."""
    facts = trivial_facts(macs_of(data.space, data.codes), data.latency_ms)
    return {
        "mean": MeanPredictor(data.space, data.device, facts["mean_ms"]),
        "macs": MacsPredictor(data.space, data.device, facts["ms_per_mac"]),
    }


def trivial_facts(macs: Floats, latency_ms: Latencies) -> dict[str, float]:
    """Return all that the trivial predictors know of the rows that they are fitted to."""
    return {
        "mean_ms": float(latency_ms.mean()),
        "ms_per_mac": float(latency_ms.sum()) / max(float(macs.sum()), 1.0),
    }


def trivial_latencies(facts: Mapping[str, float], macs: Floats) -> dict[str, Latencies]:
    """Return what the trivial predictors of ``trivial_facts`` say of networks, in ms."""
    return {"mean": np.full(len(macs), facts["mean_ms"]), "macs": facts["ms_per_mac"] * macs}


def trivial_unseen(data: Dataset, folds: Sequence[Rows]) -> dict[str, Latencies]:
    """Return each row as the trivial predictors, not fitted to it, predict it.

    Args:
        data: the rows.
        folds: positions of rows that are left out together; each row stands in one of them.
    """
    macs, latency_ms = macs_of(data.space, data.codes), data.latency_ms
    mean_ms, scaled_ms = np.empty(len(data)), np.empty(len(data))
    for fold in folds:
        rest_ms = np.delete(latency_ms, fold)
        mean_ms[fold] = rest_ms.mean()
        scaled_ms[fold] = macs[fold] * rest_ms.sum() / np.delete(macs, fold).sum()
    return {"mean": mean_ms, "macs": scaled_ms}


def trivial_metrics(unseen: Mapping[str, Latencies], latency_ms: Latencies) -> dict[str, Metrics]:
    """Return the errors of ``trivial_unseen``."""
    found = {name: metrics_of(predicted_ms, latency_ms) for name, predicted_ms in unseen.items()}
    # The mean of the others falls as the row left out rises: that order means nothing.
    found["mean"] = replace(found["mean"], spearman=None, kendall_tau=None)
    return found


def evaluate(model: LatencyPredictor, data: Dataset) -> Metrics:
    """Return the metrics of a predictor on measurements."""
    return metrics_of(model.predict_codes(data.codes), data.latency_ms)
