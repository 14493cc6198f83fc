"""Values that are known only up to a common constant, and their variances.

Owns: the algebra that the fit of one process and that over processes share.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from edgeprof.measuring.estimate.samples import Floats


def inverse_on_contrasts(matrix: Floats) -> Floats:
    """Return the inverse of a symmetric matrix whose rows sum to zero, on what sums to zero."""
    n = len(matrix)
    size = _size(matrix)
    if not size > 0:
        return np.zeros_like(matrix)
    inverse = np.linalg.inv(_regular(matrix, size)) - 1.0 / (n * size)
    return np.asarray(inverse, dtype=np.float64)


def solve_on_contrasts(matrix: Floats, right: Floats) -> Floats:
    """Solve with the inverse of ``inverse_on_contrasts``, where one right side is enough."""
    size = _size(matrix)
    if not size > 0:
        return np.zeros(len(matrix))
    solution: Floats = np.linalg.solve(_regular(matrix, size), right - right.mean())
    return solution


def _size(matrix: Floats) -> float:
    return float(np.trace(matrix)) / max(len(matrix), 1)


def _regular(matrix: Floats, size: float) -> Floats:
    """The constant makes it regular; the diagonal does where items were never near each other."""
    n = len(matrix)
    regular: Floats = matrix + size * (np.full((n, n), 1.0 / n) + 1e-10 * np.eye(n))
    return regular


def quasi_variances(covariance: Floats) -> Floats:
    """Return a variance per value such that that of a difference is the sum of two.

    Best over all differences (least squares); never negative.
    """
    n = len(covariance)
    own: Floats = np.diag(covariance)
    if n < 2:
        return np.zeros(n)
    of_pairs = own[:, None] + own - 2 * covariance
    per_value: Floats = of_pairs.sum(axis=1)
    if n == 2:
        half: Floats = per_value / 2
        return half
    quasi: Floats = (per_value - per_value.sum() / (2 * (n - 1))) / (n - 2)
    smallest: Floats = 0.05 * (of_pairs + np.diag(np.full(n, np.inf))).min(axis=1)
    return np.maximum(quasi, smallest)


def t_quantile(level: float, dof: float) -> float:
    """Return the half width, in standard errors, of an interval of Student's t.

    Args:
        level: of the interval, e.g. 0.95.
        dof: degrees of freedom, 1 or more.
    """
    p = 0.5 + level / 2
    if dof <= 1:
        return math.tan(math.pi * (p - 0.5))
    if dof <= 2:
        two = (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
        one = math.tan(math.pi * (p - 0.5))
        return float(one ** (2 - dof) * two ** (dof - 1))
    z = NormalDist().inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / dof**power for power, term in enumerate(terms, start=1))
