"""Fitting the variances of a Gaussian process with scikit-learn.

Owns: the bridge from ``kernels.Component`` to scikit-learn's kernel interface, and the prior that
keeps a handful of samples from over-fitting: log variances are normal around each component's
expectation (maximum a posteriori instead of maximum likelihood).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgeprof.base.extras import optional
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.kernels import Component, weighted_alone, weighted_between

with optional("training"):
    from scipy.optimize import fmin_l_bfgs_b
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

PRIOR_DEVIATION = 1.0
"""Standard deviation of the log variances around their expectation."""

_BOUND = 16.0
JITTER = 1e-9


class GroupKernel(Kernel):  # type: ignore[misc]  # scikit-learn has no types
    """A weighted sum of components; its hyper-parameters are the log variances."""

    def __init__(self, components: Sequence[Component], variances: Floats) -> None:
        self.components = components
        self.variances = variances
        self._seen: Floats | None = None
        self._grams: Floats = np.zeros(0)

    @property
    def hyperparameter_variances(self) -> Hyperparameter:
        """The variances, as scikit-learn wants to see them."""
        expected = np.array([component.prior_log_variance for component in self.components])
        bounds = np.exp(np.stack([expected - _BOUND, expected + _BOUND], axis=1))
        return Hyperparameter("variances", "numeric", bounds, len(self.components))

    def __call__(
        self,
        X: Floats,  # noqa: N803 - scikit-learn's names
        Y: Floats | None = None,  # noqa: N803
        eval_gradient: bool = False,
    ) -> Floats | tuple[Floats, Floats]:
        """Return the covariance, and its gradient by the log variances where asked for."""
        if Y is not None:
            return weighted_between(self.components, np.log(self.variances), X, Y)
        if self._seen is not X:  # the same X comes at every step of the fit
            self._grams = np.stack([c.among(X) for c in self.components], axis=-1)
            self._seen = X
        gram: Floats = self._grams @ self.variances
        return (gram, self._grams * self.variances) if eval_gradient else gram

    def diag(self, X: Floats) -> Floats:  # noqa: N803 - scikit-learn's name
        """Return the variance of each row."""
        return weighted_alone(self.components, np.log(self.variances), X)

    def is_stationary(self) -> bool:
        """Return that it is not."""
        return False


def fit_log_variances(components: Sequence[Component], columns: Floats, target: Floats) -> Floats:
    """Return the log variances that are most probable given the data and the prior.

    Args:
        components: terms of the covariance.
        columns: (n, width).
        target: (n,), latencies relative to their mean.
    """
    expected = np.array([component.prior_log_variance for component in components])

    def optimize(
        objective: Callable[[Floats], tuple[float, Floats]], start: Floats, bounds: Floats
    ) -> tuple[Floats, float]:
        def penalised(theta: Floats) -> tuple[float, Floats]:
            value, gradient = objective(theta)
            offset = (theta - expected) / PRIOR_DEVIATION
            return value + 0.5 * offset @ offset, gradient + offset / PRIOR_DEVIATION

        theta, value, _ = fmin_l_bfgs_b(penalised, start, bounds=bounds, maxiter=200)
        return theta, float(value)

    kernel = GroupKernel(components, np.exp(expected))
    process = GaussianProcessRegressor(kernel, alpha=JITTER, optimizer=optimize)
    process.fit(columns, target)
    theta: Floats = process.kernel_.theta
    return theta
