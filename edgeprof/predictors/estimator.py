"""The host models in the form of scikit-learn: fit, predict, score, get_params, set_params.

Owns: that form. It needs no scikit-learn; its model selection (``cross_val_score``,
``GridSearchCV``, ``clone``) takes these estimators as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeprof.base.errors import DatasetError, PredictorFormatError
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import Latencies
from edgeprof.predictors.models import fit_model
from edgeprof.records.dataset import Dataset


class LatencyRegressor:
    """Predicts latencies of the subnets of one space.

    ``X`` is a sequence of subnets, or their codes: uint8 (n, slots), see ``SearchSpace.encode``.

    >>> from edgeprof import LatencyRegressor, get_space
    >>> import numpy as np
    >>> space = get_space("ofa-mbv3-w1.0")
    >>> subnets = space.sample(12, np.random.default_rng(0))
    >>> macs = np.array([space.layers(subnet).macs for subnet in subnets])
    >>> model = LatencyRegressor(model="linear").fit(subnets[:10], macs[:10] / 1e8)
    >>> model.predict(subnets[10:]).shape
    (2,)
    >>> model.get_params()
    {'model': 'linear', 'seed': 0, 'space': 'ofa-mbv3-w1.0'}

    Args:
        space: id of the space.
        model: name of a model that learns from rows alone: ``gp``, ``linear``, ``paper-mlp``.
        seed: of everything that is drawn.

    Attributes:
        host_model_: what was fitted.
        n_features_in_: columns of the codes.
    """

    _estimator_type = "regressor"

    def __init__(self, space: str = "ofa-mbv3-w1.0", *, model: str = "gp", seed: int = 0) -> None:
        self.space = space
        self.model = model
        self.seed = seed

    def fit(
        self,
        X: Sequence[Subnet] | Codes,  # noqa: N803 - scikit-learn's name
        y: ArrayLike,
        latency_se_ms: ArrayLike | None = None,
    ) -> LatencyRegressor:
        """Learn latencies in ms, one per row of ``X``, and return itself.

        Raises:
            DatasetError: not as many positive latencies as subnets.
            PredictorFormatError: an unknown model.
        """
        codes, latency_ms = self._codes(X), np.asarray(y, dtype=np.float64)
        if latency_ms.shape != (len(codes),) or not len(codes):
            raise DatasetError(
                f"{len(codes)} subnets and latencies {latency_ms.shape}; want as many"
            )
        if not (np.isfinite(latency_ms) & (latency_ms > 0)).all():
            raise DatasetError("a latency is no positive number of milliseconds")
        errors = None if latency_se_ms is None else np.asarray(latency_se_ms, dtype=np.float64)
        data = Dataset(
            space=self.space,
            device="",
            subnets=tuple(get_space(self.space).decode(codes)),
            codes=codes,
            latency_ms=latency_ms,
            rows=np.arange(len(codes)),
            source="fit",
            latency_se_ms=errors,
        )
        self.host_model_ = fit_model(self.model, data, seed=self.seed)
        self.n_features_in_ = codes.shape[1]
        return self

    def predict(self, X: Sequence[Subnet] | Codes) -> Latencies:  # noqa: N803
        """Return ms, float64 (n,).

        Raises:
            PredictorFormatError: nothing was learned yet.
        """
        if not hasattr(self, "host_model_"):
            raise _not_fitted(f"{self!r}: nothing was learned yet; call fit first")
        return self.host_model_.predict_codes(self._codes(X))

    def score(self, X: Sequence[Subnet] | Codes, y: ArrayLike) -> float:  # noqa: N803
        """Return the coefficient of determination (R2); 1 is perfect, the mean has 0."""
        measured: NDArray[np.float64] = np.asarray(y, dtype=np.float64)
        left = float(((measured - self.predict(X)) ** 2).sum())
        whole = float(((measured - measured.mean()) ** 2).sum())
        if whole == 0.0:
            return float(left == 0.0)
        return 1.0 - left / whole

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - scikit-learn's
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in _parameters()}

    def set_params(self, **parameters: Any) -> LatencyRegressor:
        """Set parameters by name and return itself.

        Raises:
            ValueError: an unknown name.
        """
        for name, value in parameters.items():
            if name not in _parameters():
                raise ValueError(f"no parameter {name!r}; there are {', '.join(_parameters())}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({given})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "host_model_")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator; called by scikit-learn alone."""
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True),
            regressor_tags=RegressorTags(),
            input_tags=InputTags(two_d_array=True, categorical=True),
        )

    def _codes(self, given: Sequence[Subnet] | Codes) -> Codes:
        space = get_space(self.space)
        if len(given) and all(isinstance(item, Subnet) for item in given):
            return space.encode([item for item in given if isinstance(item, Subnet)])
        codes = np.asarray(given)
        if codes.ndim != 2 or codes.shape[1] != len(space.cardinalities):
            raise DatasetError(
                f"codes {codes.shape}, want (n, {len(space.cardinalities)}) of {self.space}"
            )
        if (
            (codes != np.floor(codes)).any()
            or (codes < 0).any()
            or (codes >= space.cardinalities).any()
        ):
            raise DatasetError(f"codes that are no choices of {self.space}")
        return codes.astype(np.uint8)


def _not_fitted(message: str) -> PredictorFormatError:
    """Return an error that is scikit-learn's, too, where that is installed."""
    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        return PredictorFormatError(message)
    kind: type[PredictorFormatError] = type("NotFitted", (PredictorFormatError, NotFittedError), {})
    return kind(message)


def _parameters() -> list[str]:
    signature = inspect.signature(LatencyRegressor.__init__)
    return sorted(name for name in signature.parameters if name != "self")
