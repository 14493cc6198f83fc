"""Rows that the others contradict, found before they are learned from.

Owns: the search for them. What the others say of a row is its leave-one-out prediction, from one
factorisation a round. Several bad rows at once cannot hide each other: a row's noise grows with
its residual (a Cauchy likelihood, iteratively reweighted), and the first round takes nearly
everything for noise, so that no row pulls the process towards itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.examples import Examples
from edgeprof.predictors.features import Floats
from edgeprof.predictors.gp.model import GaussianProcess, prior_covariance

Positions = NDArray[np.int64]
Covariance = Callable[[Positions], Floats]
"""Rows -> their covariance without noise, relative to the squared unit of the values."""

LEAST_ROWS = 8
"""Of fewer rows none can be told from the others."""
_MOST_TOGETHER = 700
LIMIT = 4.0
"""A row is contradicted beyond so many standard deviations of its logarithm ..."""
LEAST_RATIO = 1.2
"""... and this ratio: less than what makes repeated rows of a subnet contradict each other."""
MOST_SHARE = 0.25
"""Where more rows stand out, nobody can say which are the wrong ones: all are kept."""

ROUNDS = 15
SETTLED = 0.02
FIRST_SPREAD = 0.3
LEAST_SPREAD = 0.01
TO_DEVIATION = 1.4826  # of a normal distribution, from the median absolute deviation
WEIGHT_SCALE = 2.0


@dataclass(frozen=True)
class Contradicted:
    """Rows that the others contradict.

    Attributes:
        positions: int64 (k,), ascending.
        expected: float64 (k,), their values as the others predict them.
    """

    positions: Positions
    expected: Floats

    def __len__(self) -> int:
        return len(self.positions)

    def rest(self, n: int) -> Positions:
        """Return the positions of the other rows of ``n``."""
        return np.setdiff1d(np.arange(n), self.positions)


def nothing_contradicted() -> Contradicted:
    """Return that no row is contradicted."""
    return Contradicted(np.zeros(0, dtype=np.int64), np.zeros(0))


def find_contradicted(examples: Examples, bases: Sequence[LatencyPredictor] = ()) -> Contradicted:
    """Return the rows that the others contradict, by what is expected of any device."""
    unit = float(np.median(examples.values))
    codes = examples.codes
    return _find(
        examples, unit, lambda rows: prior_covariance(examples.space, codes[rows], bases)[0]
    )


def fit_robustly(
    examples: Examples, bases: Sequence[LatencyPredictor] = (), *, seed: int = 0
) -> tuple[GaussianProcess, Contradicted]:
    """Fit a Gaussian process without the rows that the others contradict.

    They are found twice: by what is expected of any device, and again by what has been learned
    of this one.
    """
    first = find_contradicted(examples, bases)
    model = GaussianProcess(bases, seed=seed).fit(examples.take(first.rest(len(examples))))
    second = _find(examples, model.unit, lambda rows: model.prior_covariance(examples.codes[rows]))
    if not np.array_equal(first.positions, second.positions):
        model = GaussianProcess(bases, seed=seed).fit(examples.take(second.rest(len(examples))))
    return model, second


def _find(examples: Examples, unit: float, covariance: Covariance) -> Contradicted:
    n = len(examples)
    expected, is_far = examples.values.copy(), np.zeros(n, dtype=bool)
    if n >= LEAST_ROWS:
        order = np.random.default_rng(0).permutation(n)
        for rows in np.array_split(order, -(-n // _MOST_TOGETHER)):
            values, errors = examples.values[rows] / unit, examples.standard_errors[rows] / unit
            found, is_far[rows] = _by_the_others(covariance(rows), values, errors)
            expected[rows] = found * unit
    positions = np.flatnonzero(is_far)
    if len(positions) > MOST_SHARE * n:
        positions = positions[:0]
    return Contradicted(positions, expected[positions])


def _by_the_others(
    covariance: Floats, values: Floats, errors: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what the others say of each row, and which rows are far from that."""
    expected, spread, weights = values, FIRST_SPREAD, np.ones(len(values))
    for _ in range(ROUNDS):
        noise = np.square(spread * expected) / weights + np.square(errors)
        precision = np.linalg.inv(covariance + np.diag(noise))
        alone = 1 / np.diag(precision)
        expected = np.maximum(values - precision @ values * alone, 0.05 * values)
        residuals = np.log(values / expected)
        spread = max(TO_DEVIATION * float(np.median(np.abs(residuals))), LEAST_SPREAD)
        unsure = np.maximum(alone - noise, 0) + np.square(errors)
        deviations = np.sqrt(unsure / np.square(expected) + spread**2)
        before = weights
        weights = 1 / (1 + np.square(residuals / (WEIGHT_SCALE * deviations)))
        if np.abs(weights - before).max() < SETTLED:
            break
    limits = np.maximum(LIMIT * deviations, np.log(LEAST_RATIO))
    return expected, np.abs(residuals) > limits
