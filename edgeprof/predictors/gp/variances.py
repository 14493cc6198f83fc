"""Fitting the variances of a Gaussian process.

Owns: the likelihood and the prior that keeps a handful of samples from over-fitting: log variances
are normal around each component's expectation (maximum a posteriori, not maximum likelihood).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.base.extras import optional
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.kernels import Component

PRIOR_DEVIATION = 1.0
"""Standard deviation of the log variances around their expectation."""

_BOUND = 16.0
_JITTER = 1e-9
_MOST_STEPS = 200
_IMPOSSIBLE = 1e25
"""Stands for the negative log likelihood where the covariance is not positive definite."""


def expected_log_variances(components: Sequence[Component]) -> Floats:
    """Return the prior's centre."""
    return np.array([component.prior_log_variance for component in components])


def fit_log_variances(
    components: Sequence[Component], columns: Floats, target: Floats, row_variances: Floats
) -> Floats:
    """Return the log variances that are most probable given the rows and the prior.

    Args:
        components: terms of the covariance.
        columns: (n, width).
        target: (n,), values relative to their mean.
        row_variances: (n,), what is known of each row's own noise.
    """
    with optional("training a predictor"):
        from scipy.linalg import cho_solve
        from scipy.optimize import fmin_l_bfgs_b

    expected = expected_log_variances(components)
    grams = np.stack([component.among(columns) for component in components])
    fixed = np.diag(row_variances + _JITTER)
    identity = np.eye(len(target))

    def objective(theta: Floats) -> tuple[float, Floats]:
        variances = np.exp(theta)
        try:
            factor = np.linalg.cholesky(np.tensordot(variances, grams, axes=1) + fixed)
        except np.linalg.LinAlgError:
            return _IMPOSSIBLE, np.zeros_like(theta)
        weights = cho_solve((factor, True), target)
        misfit = cho_solve((factor, True), identity) - np.outer(weights, weights)
        offset = (theta - expected) / PRIOR_DEVIATION
        value = 0.5 * target @ weights + np.log(np.diag(factor)).sum() + 0.5 * offset @ offset
        gradient = 0.5 * variances * np.tensordot(grams, misfit, axes=2)
        return float(value), gradient + offset / PRIOR_DEVIATION

    bounds = np.stack([expected - _BOUND, expected + _BOUND], axis=1)
    theta, _, _ = fmin_l_bfgs_b(objective, expected, bounds=bounds, maxiter=_MOST_STEPS)
    return np.asarray(theta, dtype=np.float64)
