"""What a Gaussian process knows after its rows, from one factorisation of their covariance.

Owns: means, variances and leaving one row out. All values are relative to the mean of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.extras import optional
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.kernels import Component, weighted_alone, weighted_between


@dataclass(frozen=True)
class Posterior:
    """A process given rows.

    Attributes:
        components: terms of the covariance, the noise among them.
        log_variances: of the components.
        columns: of the rows, (n, width).
        target: of the rows, (n,).
        factor: lower Cholesky factor of their covariance.
        weights: the covariance's inverse times the target.
    """

    components: Sequence[Component]
    log_variances: Floats
    columns: Floats
    target: Floats
    factor: Floats
    weights: Floats

    @classmethod
    def of(
        cls,
        components: Sequence[Component],
        log_variances: Floats,
        columns: Floats,
        target: Floats,
        row_variances: Floats,
    ) -> Posterior:
        """Condition on rows; ``row_variances`` (n,) is the noise of each beside the common one."""
        gram = weighted_between(components, log_variances, columns, columns)
        np.fill_diagonal(gram, weighted_alone(components, log_variances, columns) + row_variances)
        factor = _robust_cholesky(gram)
        half = _solve_lower(factor, target)
        weights = _solve_lower(factor, half, transposed=True)
        return cls(components, log_variances, columns, target, factor, weights)

    @property
    def noise(self) -> float:
        """Variance of a measurement beside what is known of single rows."""
        return float(np.exp(self.log_variances[-1]))

    def mean(self, columns: Floats) -> Floats:
        """Return the mean of further rows: (n,)."""
        mean: Floats = self._with_rows(columns) @ self.weights
        return mean

    def variance(self, columns: Floats) -> Floats:
        """Return the variance of a measurement of each further row: (n,)."""
        prior = weighted_alone(self.components, self.log_variances, columns)
        reduced = _solve_lower(self.factor, self._with_rows(columns).T)
        variance: Floats = np.maximum(prior - (reduced**2).sum(axis=0), 0.0)
        return variance

    def covariance(self, columns: Floats) -> Floats:
        """Return the covariance of further rows without noise: (n, n)."""
        prior = noise_free_covariance(self.components, self.log_variances, columns)
        reduced = _solve_lower(self.factor, self._with_rows(columns).T)
        covariance: Floats = prior - reduced.T @ reduced
        return covariance

    def left_out(self) -> tuple[Floats, Floats]:
        """Return mean and variance of each row as the others predict it, (n,) both."""
        half = _solve_lower(self.factor, np.eye(len(self.target)))
        precision = (half**2).sum(axis=0)
        return self.target - self.weights / precision, 1 / precision

    def _with_rows(self, columns: Floats) -> Floats:
        return weighted_between(self.components, self.log_variances, columns, self.columns)


def noise_free_covariance(
    components: Sequence[Component], log_variances: Floats, columns: Floats
) -> Floats:
    """Return the prior covariance of rows among themselves, without noise: (n, n)."""
    total = np.zeros((len(columns), len(columns)))
    for component, log_variance in zip(components, log_variances, strict=True):
        if component.form != "noise":
            total += np.exp(log_variance) * component.among(columns)
    return total


def _robust_cholesky(gram: Floats) -> Floats:
    """Return the lower factor; jitter grows until the matrix is positive definite."""
    jitter = 1e-9 * float(np.trace(gram)) / len(gram)
    for _ in range(8):
        try:
            return np.asarray(np.linalg.cholesky(gram + jitter * np.eye(len(gram))))
        except np.linalg.LinAlgError:  # noqa: PERF203 - each try is another matrix
            jitter *= 10
    raise PredictorFormatError("covariance of the training rows is not positive definite")


def _solve_lower(factor: Floats, right: Floats, *, transposed: bool = False) -> Floats:
    with optional("predicting with a Gaussian process"):
        from scipy.linalg import solve_triangular  # slow to import: not where nothing is predicted

    solution = solve_triangular(factor, right, lower=True, trans="T" if transposed else "N")
    return np.asarray(solution, dtype=np.float64)
