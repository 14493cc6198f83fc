"""The default model: a Gaussian process over what a network asks of the hardware.

Owns: which components the process has, their expected sizes, transfer from base predictors, and
prediction with intervals. Latencies are learned as they are, not as logarithms: a network's
latency is a sum over its layers, and sums stay sums.

Source of the idea: physical inputs and transfer as a prior, in place of the one-hot inputs and
the re-trained last layer of Syed and Srinivasan (arXiv 2101.00732).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from edgeprof.base.errors import PredictorFormatError, UnsupportedModel
from edgeprof.base.extras import optional
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import Latencies, LatencyInterval, LatencyPredictor
from edgeprof.predictors.base_models import base_from_bytes, base_to_bytes, check_base
from edgeprof.predictors.features import FEATURES_VERSION, QUANTITIES, Floats
from edgeprof.predictors.gp.fast_mean import FastMean
from edgeprof.predictors.gp.feature_map import FeatureMap, Groups, Scales
from edgeprof.predictors.gp.kernels import Component, weighted_alone, weighted_between
from edgeprof.predictors.host_file import Arrays, Meta
from edgeprof.records.dataset import Dataset

_FITTED_ROWS = 700
"""The variances are fitted on this many rows at most; all rows are learned from."""

_SMALLEST_FIT = 3
_LEAST_FRACTION = 0.01
"""A prediction is at least this fraction of the fastest latency seen: never 0 or negative."""

# Quantities between which the cost may curve: large networks use caches and cores otherwise.
_CURVED = (
    "pointwise_macs",
    "depthwise_macs",
    "dense_macs",
    "linear_macs",
    "vector_macs",
    "conv_elements_read",
)

# Expected log variance of each component, of latencies relative to their mean: near what 700
# samples of measured GPUs fit to, with and without a base (no test rows).
_EXPECTED = {
    "work": -4.5,
    "levels": -8.0,
    "layers": -3.1,
    "blocks": -8.8,
    "curvature": -6.3,
    "launch": -5.5,
    "bases": -1.2,
    "noise": -8.3,
}


def components_of(groups: Groups, n_bases: int) -> tuple[Component, ...]:
    """Return the terms of the covariance for these columns."""
    totals = groups.columns["totals"].start
    curved = tuple(totals + QUANTITIES.index(name) for name in _CURVED)

    def term(
        name: str, form: Any, columns: Iterable[int] = (), tail: int | None = None
    ) -> Component:
        return Component(name, form, tuple(columns), tail, _EXPECTED[name])

    def group(name: str) -> range:
        part = groups.columns[name]
        return range(part.start, part.stop)

    terms = [
        term("work", "linear", group("totals")),
        term("levels", "linear", group("levels")),
        term("layers", "linear", group("layers"), groups.tails["layers"]),
        term("blocks", "linear", group("blocks"), groups.tails["blocks"]),
        term("curvature", "smooth", curved),
        term("launch", "constant"),
    ]
    if n_bases:
        terms.append(term("bases", "linear", range(groups.width, groups.width + n_bases)))
    return (*terms, term("noise", "noise"))


@dataclass
class GaussianProcess:
    """The Gaussian process of one device.

    Attributes:
        data: what it learned from.
        features: the columns of its space.
        bases: predictors of other devices whose predictions are inputs.
        base_scales_ms: unit of each base's column.
        log_variances: of the components.
        notes: what a user should know about this fit.
    """

    kind: ClassVar[str] = "gp"

    data: Dataset
    features: FeatureMap
    bases: tuple[LatencyPredictor, ...]
    base_scales_ms: Floats
    log_variances: Floats
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.space = self.data.space
        self.device = self.data.device
        self.components = components_of(self.features.groups, len(self.bases))
        self._unit_ms = float(self.data.latency_ms.mean())
        self._columns = self.columns_of_codes(self.data.codes)
        self._condition()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as the fields: what follows from them is worked out there."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    # --- learning -------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls, data: Dataset, bases: Sequence[LatencyPredictor] = (), *, seed: int = 0
    ) -> GaussianProcess:
        """Learn from measurements, with predictions of other devices as inputs where given.

        Args:
            data: at least one row; constant latencies and repeated subnets are fine.
            bases: predictors whose space has the same choices as the data's.
            seed: of the rows that the variances are fitted on where there are many.

        Raises:
            PredictorFormatError: if a base is of another kind of space.
        """
        for base in bases:
            check_base(base, data.space)
        space = get_space(data.space)
        features = FeatureMap.fit(space, data.codes, Scales.of_space(space))
        scales = np.array([base.predict_codes(data.codes).mean() for base in bases])
        components = components_of(features.groups, len(bases))
        expected = np.array([component.prior_log_variance for component in components])
        model = cls(data, features, tuple(bases), scales, expected)
        if len(data) < _SMALLEST_FIT:
            model.notes = (_note_on_few(len(data), bases),)
        else:
            model._fit_variances(seed)
        return model

    def _fit_variances(self, seed: int) -> None:
        from edgeprof.predictors.gp.variances import fit_log_variances  # scikit-learn: only to fit

        rows = np.random.default_rng(seed).permutation(len(self.data))[:_FITTED_ROWS]
        self.log_variances = fit_log_variances(
            self.components, self._columns[rows], self._target[rows]
        )
        self._condition()

    @property
    def _target(self) -> Floats:
        return self.data.latency_ms / self._unit_ms

    def _condition(self) -> None:
        """Work out the posterior from data and variances."""
        gram = weighted_between(self.components, self.log_variances, self._columns, self._columns)
        np.fill_diagonal(gram, weighted_alone(self.components, self.log_variances, self._columns))
        self._factor = _robust_cholesky(gram)
        half = _solve_triangular(self._factor, self._target, lower=True)
        self._weights = _solve_triangular(self._factor.T, half, lower=False)
        self._fast_mean = FastMean.of(
            self.features, self.components, self.log_variances, self._columns, self._weights
        )

    # --- predicting -----------------------------------------------------------------------------

    def predict(self, subnets: Sequence[Subnet]) -> Latencies:
        """See the interface."""
        return self.predict_codes(self.features.space.encode(subnets))

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        based = [base.predict_codes(codes) for base in self.bases]
        columns = np.array(based).reshape(len(based), len(codes)).T / self.base_scales_ms
        return self._in_ms(self._fast_mean(codes, columns))

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """See the interface."""
        return self._interval(self.columns_of_codes(codes), confidence)

    def predict_networks(
        self, networks: Sequence[Network], confidence: float = 0.9
    ) -> LatencyInterval:
        """Predict networks of any kind, in the space or not, with their intervals.

        Raises:
            UnsupportedModel: if a base can predict subnets of its space only.
        """
        columns = [self.features.of_networks(networks)]
        for base, scale_ms in zip(self.bases, self.base_scales_ms, strict=True):
            if not isinstance(base, GaussianProcess):
                raise UnsupportedModel(
                    f"host model of {self.device}: its base of {base.device} predicts subnets of "
                    f"{base.space} only; adapt from a base with a .host.npz"
                )
            columns.append(base.predict_networks(networks).mean_ms[:, None] / scale_ms)
        return self._interval(np.concatenate(columns, axis=1), confidence)

    def leave_one_out(self) -> Latencies:
        """Return each training row as the others predict it, in ms, the variances kept."""
        half = _solve_triangular(self._factor, np.eye(len(self.data)), lower=True)
        precision = (half**2).sum(axis=0)
        left_out: Latencies = (self._target - self._weights / precision) * self._unit_ms
        return left_out

    def columns_of_codes(self, codes: Codes) -> Floats:
        """Return the inputs of the process for subnets."""
        columns = [self.features.of_codes(codes)]
        for base, scale_ms in zip(self.bases, self.base_scales_ms, strict=True):
            columns.append(base.predict_codes(codes)[:, None] / scale_ms)
        return np.concatenate(columns, axis=1)

    def posterior_covariance(self, codes: Codes) -> tuple[Floats, float]:
        """Return what is still uncertain about subnets, and the variance of a measurement.

        Both are of latencies relative to the training mean, the first (n, n) without noise.
        """
        columns = self.columns_of_codes(codes)
        prior = _noise_free_covariance(self.components, self.log_variances, columns)
        covariance = self._covariance_with_data(columns)
        reduced = _solve_triangular(self._factor, covariance.T, lower=True)
        return prior - reduced.T @ reduced, float(np.exp(self.log_variances[-1]))

    def _covariance_with_data(self, columns: Floats) -> Floats:
        return weighted_between(self.components, self.log_variances, columns, self._columns)

    def _mean_ms(self, columns: Floats) -> Latencies:
        return self._in_ms(self._covariance_with_data(columns) @ self._weights)

    def _in_ms(self, relative: Floats) -> Latencies:
        mean_ms: Latencies = relative * self._unit_ms
        least_ms = _LEAST_FRACTION * float(self.data.latency_ms.min())
        return np.maximum(mean_ms, least_ms)

    def _interval(self, columns: Floats, confidence: float) -> LatencyInterval:
        mean_ms = self._mean_ms(columns)
        covariance = self._covariance_with_data(columns)
        reduced = _solve_triangular(self._factor, covariance.T, lower=True)
        variance = weighted_alone(self.components, self.log_variances, columns)
        variance = np.maximum(variance - (reduced**2).sum(axis=0), 0.0)
        reach = NormalDist().inv_cdf(0.5 + confidence / 2)
        half_ms = reach * np.sqrt(variance) * self._unit_ms
        least_ms = _LEAST_FRACTION * self.data.latency_ms.min()
        return LatencyInterval(mean_ms, np.maximum(mean_ms - half_ms, least_ms), mean_ms + half_ms)

    # --- keeping --------------------------------------------------------------------------------

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``: the data and the variances; the posterior is worked out again."""
        meta = {
            "features_version": FEATURES_VERSION,
            "space": self.space,
            "device": self.device,
            "source": self.data.source,
            "data_sha256": self.data.sha256,
            "components": [component.name for component in self.components],
            "notes": list(self.notes),
            "n_bases": len(self.bases),
        }
        scales = self.features.scales
        arrays: Arrays = {
            "codes": self.data.codes,
            "latency_ms": self.data.latency_ms,
            "rows": self.data.rows,
            "log_variances": self.log_variances,
            "base_scales_ms": self.base_scales_ms,
            "totals": scales.totals,
            "work": scales.work,
            "inducing": scales.inducing,
        }
        for index, base in enumerate(self.bases):
            arrays[f"base{index}"] = np.frombuffer(base_to_bytes(base), dtype=np.uint8)
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> GaussianProcess:
        """See ``host_file``."""
        if meta["features_version"] != FEATURES_VERSION:
            raise PredictorFormatError(
                f"host model of {meta['device']}: features version {meta['features_version']}, "
                f"want {FEATURES_VERSION}: train it anew"
            )
        space = get_space(meta["space"])
        scales = Scales(arrays["totals"], arrays["work"], arrays["inducing"])
        data = Dataset(
            meta["space"],
            meta["device"],
            tuple(space.decode(arrays["codes"])),
            arrays["codes"],
            arrays["latency_ms"],
            arrays["rows"],
            meta["source"],
        )
        return cls(
            data,
            FeatureMap.fit(space, data.codes, scales),
            tuple(base_from_bytes(arrays[f"base{i}"].tobytes()) for i in range(meta["n_bases"])),
            arrays["base_scales_ms"],
            arrays["log_variances"],
            tuple(meta["notes"]),
        )


def prior_covariance(
    space_id: str, codes: Codes, bases: Sequence[LatencyPredictor] = ()
) -> tuple[Floats, float]:
    """Return what is uncertain about subnets on a device nothing has been measured on.

    As ``GaussianProcess.posterior_covariance``.
    """
    space = get_space(space_id)
    features = FeatureMap.fit(space, codes, Scales.of_space(space))
    components = components_of(features.groups, len(bases))
    columns = [features.of_codes(codes)]
    for base in bases:
        predicted = base.predict_codes(codes)
        columns.append((predicted / predicted.mean())[:, None])
    expected = np.array([component.prior_log_variance for component in components])
    covariance = _noise_free_covariance(components, expected, np.concatenate(columns, axis=1))
    return covariance, float(np.exp(expected[-1]))


def _noise_free_covariance(
    components: Sequence[Component], log_variances: Floats, columns: Floats
) -> Floats:
    return sum(
        (
            np.exp(log_variance) * component.among(columns)
            for component, log_variance in zip(components, log_variances, strict=True)
            if component.form != "noise"
        ),
        start=np.zeros((len(columns), len(columns))),
    )


def _note_on_few(n: int, bases: Sequence[LatencyPredictor]) -> str:
    what = (
        "the predictions of " + ", ".join(base.device for base in bases)
        if bases
        else "the networks' work (MACs, memory traffic, layers)"
    )
    return f"only {n} sample{'s' * (n > 1)}: nothing is fitted, {what} are scaled to it"


def _robust_cholesky(gram: Floats) -> Floats:
    """Return the lower factor; jitter grows until the matrix is positive definite."""
    jitter = 1e-9 * float(np.trace(gram)) / len(gram)
    for _ in range(8):
        factor = _cholesky(gram + jitter * np.eye(len(gram)))
        if factor is not None:
            return factor
        jitter *= 10
    raise PredictorFormatError("covariance of the training rows is not positive definite")


def _cholesky(gram: Floats) -> Floats | None:
    try:
        return np.asarray(np.linalg.cholesky(gram), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None


def _solve_triangular(factor: Floats, right: Floats, *, lower: bool) -> Floats:
    with optional("predicting with a host model"):  # slow to import: not where nothing is predicted
        from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(factor, right, lower=lower), dtype=np.float64)
