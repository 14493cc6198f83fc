"""Smooth functions of what networks consist of, which say what sums over layers cannot.

Owns: how alike networks are, and the columns that such functions are made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgeprof.predictors.bank.terms import Floats, Terms, correlation

LENGTHS = (0.15, 0.5)
_JITTER = 1e-6


@dataclass(frozen=True)
class Smooth:
    """Smooth functions of what networks consist of, as columns.

    Attributes:
        points: (n_points, n_likeness), the networks that span the others.
    """

    points: Floats

    @cached_property
    def _whitening(self) -> Floats:
        gram = alike(self.points, self.points) + _JITTER * np.eye(len(self.points))
        whitening: Floats = np.linalg.inv(np.linalg.cholesky(gram)).T
        return whitening

    def columns(self, terms: Terms) -> Floats:
        """Return the columns of networks: (n_networks, n_points); rows have length 1 at most."""
        return alike(terms.likeness, self.points) @ self._whitening

    def values(self, terms: Terms, weights: Floats) -> Floats:
        """Return ``columns(terms) @ weights`` in a fraction of the time."""
        found: Floats = alike(terms.likeness, self.points) @ (self._whitening @ weights)
        return found


def alike(a: Floats, b: Floats) -> Floats:
    """Return the correlation of the smooth function at networks: (n_a, n_b)."""
    total: Floats = sum(
        (correlation(a, b, length) for length in LENGTHS), start=np.zeros((len(a), len(b)))
    )
    return total / len(LENGTHS)
