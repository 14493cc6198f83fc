"""How good predictions are, with the names the field uses, beside the trivial predictors.

Owns: the definitions. MAE is the mean of absolute errors and RMSE the root of the mean of squared
errors (the first was once published under the name of the second). Fractions, not percent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from edgeprof.dataset import Dataset
from edgeprof.errors import DatasetError
from edgeprof.extras import extra
from edgeprof.predictors.base import IntervalPredictor, Latencies, LatencyPredictor
from edgeprof.predictors.features import Floats
from edgeprof.spaces import get_space
from edgeprof.spaces.base import Codes
from edgeprof.subnet import Subnet


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
    with extra("host"):
        from scipy import stats

    correlation: Callable[[Latencies, Latencies], tuple[float, float]] = getattr(stats, name)
    return float(correlation(a, b)[0])


def interval_coverage(model: IntervalPredictor, data: Dataset, confidence: float = 0.9) -> float:
    """Return the share of measurements inside the model's intervals."""
    interval = model.predict_interval(data.codes, confidence)
    inside = (interval.low_ms <= data.latency_ms) & (data.latency_ms <= interval.high_ms)
    return float(inside.mean())


@dataclass
class MeanPredictor:
    """Predicts the mean of the training latencies: what knows nothing reaches."""

    space: str
    device: str
    mean_ms: float

    def predict(self, subnets: Sequence[Subnet]) -> Latencies:
        """See the interface."""
        return np.full(len(subnets), self.mean_ms)

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        return np.full(len(codes), self.mean_ms)


class MacsPredictor:
    """Predicts latencies in proportion to MACs: what needs no learning reaches."""

    def __init__(self, data: Dataset) -> None:
        self.space, self.device = data.space, data.device
        self.ms_per_mac = float(data.latency_ms.sum() / _macs(data.space, data.codes).sum())

    def predict(self, subnets: Sequence[Subnet]) -> Latencies:
        """See the interface."""
        return self.predict_codes(get_space(self.space).encode(subnets))

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        return self.ms_per_mac * _macs(self.space, codes)


def _macs(space_id: str, codes: Codes) -> Floats:
    space = get_space(space_id)
    subnets = space.decode(codes)
    return np.array([space.layers(subnet).macs for subnet in subnets], dtype=np.float64)


def trivial_predictors(data: Dataset) -> dict[str, LatencyPredictor]:
    """Return the predictors that any other must beat, fitted to the data."""
    mean = MeanPredictor(data.space, data.device, float(data.latency_ms.mean()))
    return {"mean": mean, "macs": MacsPredictor(data)}


def evaluate(model: LatencyPredictor, data: Dataset) -> Metrics:
    """Return the metrics of a predictor on measurements."""
    return metrics_of(model.predict_codes(data.codes), data.latency_ms)
