"""The default model: a Gaussian process over what a network asks of the hardware.

Owns: learning and predicting, transfer from base predictors, and what of it is kept in a file.

Source of the idea: physical inputs and transfer as a prior, in place of the one-hot inputs and
the re-trained last layer of Syed and Srinivasan (arXiv 2101.00732).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from edgeprof.base.errors import PredictorFormatError, UnsupportedModel
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import (
    Latencies,
    LatencyInterval,
    LatencyPredictor,
    Origin,
    PredictsCodes,
    check_base,
)
from edgeprof.predictors.examples import Examples
from edgeprof.predictors.features import FEATURES_VERSION, Floats
from edgeprof.predictors.gp.components import components_of
from edgeprof.predictors.gp.fast_mean import FastMean
from edgeprof.predictors.gp.feature_map import FeatureMap, Scales
from edgeprof.predictors.gp.kernels import Component
from edgeprof.predictors.gp.posterior import Posterior, noise_free_covariance
from edgeprof.predictors.gp.variances import expected_log_variances, fit_log_variances
from edgeprof.predictors.host_file import Arrays, Meta, predictor_from_bytes, predictor_to_bytes
from edgeprof.records.dataset import Dataset

_FITTED_ROWS = 700
"""The variances are fitted on this many rows at most; all rows are learned from."""

_SMALLEST_FIT = 3
_LEAST_FRACTION = 0.01
"""A prediction is at least this fraction of the smallest value seen: never 0 or negative."""


class GaussianProcess(PredictsCodes):
    """Predicts one device, or accuracies, with intervals.

    Args:
        bases: predictors of other devices whose predictions are inputs; the choices of their
            space are those of the rows' space.
        seed: of the rows that the variances are fitted on where there are many.

    Attributes:
        space: id of the space; known once fitted.
        device: name of the device, or ``accuracy``; known once fitted.
        examples_: what it learned from.
        features_: the columns of the space.
        base_scales_: unit of each base's column, in ms.
        posterior_: what it knows.
        notes: what a user should know about this fit.
    """

    kind: ClassVar[str] = "gp"

    device: str
    examples_: Examples
    features_: FeatureMap
    base_scales_: Floats
    posterior_: Posterior

    def __init__(self, bases: Sequence[LatencyPredictor] = (), *, seed: int = 0) -> None:
        self.bases = tuple(bases)
        self.seed = seed
        self.notes: tuple[str, ...] = ()

    # --- learning -------------------------------------------------------------------------------

    def fit(self, rows: Dataset | Examples) -> GaussianProcess:
        """Learn from rows and return itself.

        Args:
            rows: at least one; constant values and repeated subnets are fine.

        Raises:
            PredictorFormatError: if a base is of another kind of space.
        """
        examples = rows if isinstance(rows, Examples) else Examples.of(rows)
        for base in self.bases:
            check_base(base, examples.space)
        self._take(examples, Scales.of_space(get_space(examples.space)))
        based = [base.predict_codes(examples.codes).mean() for base in self.bases]
        self.base_scales_ = np.array(based, dtype=np.float64)
        columns = self.columns_of_codes(examples.codes)
        log_variances = expected_log_variances(self._components)
        self.notes = ()
        if len(examples) < _SMALLEST_FIT:
            self.notes = (_note_on_few(len(examples), self.bases),)
        else:
            chosen = np.random.default_rng(self.seed).permutation(len(examples))[:_FITTED_ROWS]
            target, noise = self._target[chosen], self._row_variances[chosen]
            log_variances = fit_log_variances(self._components, columns[chosen], target, noise)
        self._condition(log_variances, columns)
        return self

    def _take(self, examples: Examples, scales: Scales) -> None:
        self.examples_, self.space, self.device = examples, examples.space, examples.subject
        self.origin = Origin(learned=examples.hashes)
        self.features_ = FeatureMap.fit(get_space(examples.space), examples.codes, scales)

    def _condition(self, log_variances: Floats, columns: Floats) -> None:
        self.posterior_ = Posterior.of(
            self._components, log_variances, columns, self._target, self._row_variances
        )
        self._fast_mean = FastMean.of(self.features_, self.posterior_)

    @property
    def _components(self) -> tuple[Component, ...]:
        return components_of(self.features_.groups, len(self.bases))

    @property
    def unit(self) -> float:
        """What covariances are relative to: the mean of the values learned from."""
        return float(self.examples_.values.mean())

    @property
    def _target(self) -> Floats:
        return self.examples_.values / self.unit

    @property
    def _row_variances(self) -> Floats:
        return np.square(self.examples_.standard_errors / self.unit)

    # --- predicting -----------------------------------------------------------------------------

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        return self._with_unit(self._fast_mean(codes, self._base_columns(codes)))

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
        columns = [self.features_.of_networks(networks)]
        for base, scale in zip(self.bases, self.base_scales_, strict=True):
            if not hasattr(base, "predict_networks"):
                raise UnsupportedModel(
                    f"host model of {self.device}: its base of {base.device} predicts subnets of "
                    f"{base.space} only; adapt from a base with a .host.npz, or STORE.db:DEVICE"
                )
            columns.append(base.predict(networks)[:, None] / scale)
        return self._interval(np.concatenate(columns, axis=1), confidence)

    def leave_one_out(self) -> Floats:
        """Return each row as the others predict it, the variances kept."""
        return self.posterior_.left_out()[0] * self.unit

    def prior_covariance(self, codes: Codes) -> Floats:
        """Return the covariance of subnets before any row, without noise: (n, n)."""
        columns, variances = self.columns_of_codes(codes), self.posterior_.log_variances
        return noise_free_covariance(self._components, variances, columns)

    def columns_of_codes(self, codes: Codes) -> Floats:
        """Return the inputs of the process for subnets."""
        return np.concatenate([self.features_.of_codes(codes), self._base_columns(codes)], axis=1)

    def _base_columns(self, codes: Codes) -> Floats:
        based = [base.predict_codes(codes) for base in self.bases]
        columns: Floats = np.array(based).reshape(len(based), len(codes)).T / self.base_scales_
        return columns

    def _with_unit(self, relative: Floats) -> Floats:
        least = _LEAST_FRACTION * float(self.examples_.values.min())
        return np.maximum(relative * self.unit, least)

    def _interval(self, columns: Floats, confidence: float) -> LatencyInterval:
        mean = self._with_unit(self.posterior_.mean(columns))
        reach = NormalDist().inv_cdf(0.5 + confidence / 2)
        half = reach * np.sqrt(self.posterior_.variance(columns)) * self.unit
        least = _LEAST_FRACTION * self.examples_.values.min()
        return LatencyInterval(mean, np.maximum(mean - half, least), mean + half)

    # --- keeping --------------------------------------------------------------------------------

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``: the rows and the variances; the posterior is worked out again."""
        examples, scales = self.examples_, self.features_.scales
        meta = {
            "features_version": FEATURES_VERSION,
            "space": self.space,
            "device": self.device,
            "source": examples.source,
            "data_sha256": examples.sha256,
            "components": [component.name for component in self._components],
            "notes": list(self.notes),
            "n_bases": len(self.bases),
        }
        arrays: Arrays = {
            "codes": examples.codes,
            "latency_ms": examples.values,
            "standard_errors": examples.standard_errors,
            "rows": examples.rows,
            "log_variances": self.posterior_.log_variances,
            "base_scales_ms": self.base_scales_,
            "totals": scales.totals,
            "work": scales.work,
            "inducing": scales.inducing,
        }
        for index, base in enumerate(self.bases):
            arrays[f"base{index}"] = np.frombuffer(predictor_to_bytes(base), dtype=np.uint8)
        return meta, arrays

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> GaussianProcess:
        """See ``host_file``."""
        if meta["features_version"] != FEATURES_VERSION:
            raise PredictorFormatError(
                f"host model of {meta['device']}: features version {meta['features_version']}, "
                f"want {FEATURES_VERSION}: train it anew"
            )
        values = arrays["latency_ms"]
        model = cls(
            [
                predictor_from_bytes(arrays[f"base{index}"].tobytes(), "base within a host model")
                for index in range(meta["n_bases"])
            ]
        )
        examples = Examples(
            meta["space"],
            meta["device"],
            arrays["codes"],
            values,
            arrays.get("standard_errors", np.zeros(len(values))),
            arrays["rows"],
            meta["source"],
        )
        model._take(examples, Scales(arrays["totals"], arrays["work"], arrays["inducing"]))
        model.base_scales_ = arrays["base_scales_ms"]
        model.notes = tuple(meta["notes"])
        model._condition(arrays["log_variances"], model.columns_of_codes(arrays["codes"]))
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as a file does; what follows from it is worked out there."""
        return type(self).from_arrays, self.to_arrays()


def prior_covariance(
    space_id: str, codes: Codes, bases: Sequence[LatencyPredictor] = ()
) -> tuple[Floats, float]:
    """Return what is uncertain about subnets on a device nothing has been measured on.

    Returns:
        Covariance of their latencies relative to the mean, (n, n), and variance of a measurement.
    """
    space = get_space(space_id)
    features = FeatureMap.fit(space, codes, Scales.of_space(space))
    components = components_of(features.groups, len(bases))
    columns = [features.of_codes(codes)]
    for base in bases:
        predicted = base.predict_codes(codes)
        columns.append((predicted / predicted.mean())[:, None])
    expected = expected_log_variances(components)
    covariance = noise_free_covariance(components, expected, np.concatenate(columns, axis=1))
    return covariance, float(np.exp(expected[-1]))


def _note_on_few(n: int, bases: Sequence[LatencyPredictor]) -> str:
    what = (
        "the predictions of " + ", ".join(base.device for base in bases)
        if bases
        else "the networks' work (MACs, memory traffic, layers)"
    )
    return f"only {n} sample{'s' * (n > 1)}: nothing is fitted, {what} are scaled to it"
