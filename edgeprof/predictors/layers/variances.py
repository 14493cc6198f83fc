"""Fitting the variances of a linear model whose weights have priors by group.

Owns: the most probable variances given the data, each with a prior of its own, so that a handful
of rows moves them little. Does not own: the groups, the columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprof.base.extras import optional
from edgeprof.predictors.layers.prior import Expected
from edgeprof.predictors.layers.quantities import Floats

_STEPS = 60


def fit_variances(
    grams: Sequence[Floats], fixed: Floats, target: Floats, expected: Sequence[Expected]
) -> Floats:
    """Return the most probable variance of each group.

    Args:
        grams: (n, n) per group, of variance 1.
        fixed: (n, n), covariance that is known.
        target: (n,), of mean 0 under the prior.
        expected: prior of each group's variance.
    """
    with optional("training"):
        from scipy.linalg.lapack import dpotrf, dpotri
        from scipy.optimize import fmin_l_bfgs_b

    stacked = np.stack(grams)
    centre = np.log([group.variance for group in expected])
    deviation = np.array([group.deviation for group in expected])

    def negative_log(theta: Floats) -> tuple[float, Floats]:
        variances = np.exp(theta)
        factor, failed = dpotrf(fixed + np.tensordot(variances, stacked, 1), lower=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        inverse, _ = dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse @ target
        offset = (theta - centre) / deviation
        value = 0.5 * target @ weights + np.log(np.diag(factor)).sum() + 0.5 * offset @ offset
        slope = inverse - np.outer(weights, weights)
        gradient = 0.5 * variances * np.tensordot(stacked, slope, 2) + offset / deviation
        return float(value), gradient

    theta, _, _ = fmin_l_bfgs_b(negative_log, centre, maxiter=_STEPS)
    variances: Floats = np.exp(theta)
    return variances
