"""Covariance functions that act on named groups of columns.

Owns: the components of the Gaussian process and their Gram matrices, in plain numpy, so that a
saved model predicts without scikit-learn. Does not own: fitting (``variances.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgeprof.predictors.features import Floats

Form = Literal["linear", "smooth", "constant", "noise"]


@dataclass(frozen=True)
class Component:
    """One term of the covariance: ``variance * form(columns)``.

    Attributes:
        name: of the group it acts on, or what it stands for.
        form: ``linear`` = inner product; ``smooth`` = squared exponential of length 1;
            ``constant`` = 1 everywhere; ``noise`` = 1 for a measurement with itself.
        columns: those it reads.
        tail: column of variance that belongs to each row alone, see ``feature_map``.
        prior_log_variance: where its variance is expected, of latencies relative to their mean.
    """

    name: str
    form: Form
    columns: tuple[int, ...] = ()
    tail: int | None = None
    prior_log_variance: float = 0.0

    def between(self, a: Floats, b: Floats) -> Floats:
        """Return the covariance of distinct rows: (n_a, n_b)."""
        if self.form == "constant":
            return np.ones((len(a), len(b)))
        if self.form == "noise":
            return np.zeros((len(a), len(b)))
        left, right = a[:, self.columns], b[:, self.columns]
        products: Floats = left @ right.T
        if self.form == "linear":
            return products
        squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
        smooth: Floats = np.exp(np.minimum(products - 0.5 * squares, 0.0))
        return smooth

    def alone(self, a: Floats) -> Floats:
        """Return the variance of each row: (n,)."""
        if self.form == "linear":
            variance: Floats = (a[:, self.columns] ** 2).sum(axis=1)
            return variance if self.tail is None else variance + a[:, self.tail]
        return np.ones(len(a))

    def among(self, a: Floats) -> Floats:
        """Return the covariance of rows with themselves: (n, n)."""
        gram = self.between(a, a)
        np.fill_diagonal(gram, self.alone(a))
        return gram


def weighted_between(
    components: Sequence[Component], log_variances: Floats, a: Floats, b: Floats
) -> Floats:
    """Return the sum of all components between distinct rows."""
    total = np.zeros((len(a), len(b)))
    for component, log_variance in zip(components, log_variances, strict=True):
        if component.form != "noise":
            total += np.exp(log_variance) * component.between(a, b)
    return total


def weighted_alone(components: Sequence[Component], log_variances: Floats, a: Floats) -> Floats:
    """Return the sum of all components for each row, measurement noise included."""
    total = np.zeros(len(a))
    for component, log_variance in zip(components, log_variances, strict=True):
        total += np.exp(log_variance) * component.alone(a)
    return total
