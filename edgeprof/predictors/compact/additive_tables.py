"""The additive part of a compact predictor: what each choice costs, at each resolution.

Owns: a low-rank form of one cost table per resolution, fitted by alternating least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.extras import optional

Array = NDArray[np.float64]

_ALTERNATIONS = 40
_RIDGE = 1e-2
_FACTOR_RIDGE = 1e-3


@dataclass(frozen=True)
class AdditiveTables:
    """cost(choice, resolution) = rows[choice] . scale[resolution], plus shift[resolution].

    Attributes:
        rows: (n_choices, n_factors).
        scale: (n_resolutions, n_factors), of orthogonal columns, so that no two terms cancel.
        shift: (n_resolutions,).
    """

    rows: Array
    scale: Array
    shift: Array

    def predict(self, choices: NDArray[np.float32], resolution: NDArray[np.int64]) -> Array:
        """Return the sum for each one-hot row of ``choices``, shape (n,)."""
        terms = (choices @ self.rows) * self.scale[resolution]
        total: Array = terms.sum(axis=1) + self.shift[resolution]
        return total


@dataclass(frozen=True)
class _Moments:
    """Centred second moments of choices and target, one entry per resolution."""

    gram: Array  # (n_resolutions, n_choices, n_choices)
    cross: Array  # (n_resolutions, n_choices)
    mean_choices: Array  # (n_resolutions, n_choices)
    mean_target: Array  # (n_resolutions,)


def fit_additive_tables(
    choices: NDArray[np.float32],
    resolution: NDArray[np.int64],
    target: Array,
    pixel_share: Array,
    n_factors: int,
) -> AdditiveTables:
    """Fit the tables to ``target`` by alternating least squares.

    Args:
        choices: one-hot, (n, n_choices).
        resolution: index per row, (n,).
        target: (n,).
        pixel_share: pixels of each resolution as a share of the largest, the first guess.
        n_factors: rank; one per distinct way in which a cost grows with the resolution.
    """
    moments = _moments(choices, resolution, target, len(pixel_share))
    scale = _first_guess(pixel_share, n_factors)
    rows = _solve_rows(moments, scale)
    for _ in range(_ALTERNATIONS):
        scale = _orthogonal(_solve_scale(moments, rows, scale))
        rows = _solve_rows(moments, scale)
    costs = np.einsum("rc,cj,rj->r", moments.mean_choices, rows, scale, optimize=True)
    return AdditiveTables(rows, scale, moments.mean_target - costs)


def _moments(
    choices: NDArray[np.float32],
    resolution: NDArray[np.int64],
    target: Array,
    n_resolutions: int,
) -> _Moments:
    n_choices = choices.shape[1]
    moments = _Moments(
        np.zeros((n_resolutions, n_choices, n_choices)),
        np.zeros((n_resolutions, n_choices)),
        np.zeros((n_resolutions, n_choices)),
        np.full(n_resolutions, target.mean()),
    )
    for index in np.unique(resolution):
        here = resolution == index
        taken, wanted = choices[here].astype(np.float64), target[here]
        moments.mean_choices[index] = taken.mean(axis=0)
        moments.mean_target[index] = wanted.mean()
        taken -= moments.mean_choices[index]
        moments.gram[index] = taken.T @ taken
        moments.cross[index] = taken.T @ wanted
    return moments


def _first_guess(pixel_share: Array, n_factors: int) -> Array:
    """Return columns 1, pixels, and ever finer waves over the resolutions."""
    position = np.linspace(0, 1, len(pixel_share))
    waves = [np.cos(np.pi * order * position) for order in range(2, n_factors)]
    return np.stack([np.ones_like(pixel_share), pixel_share, *waves][:n_factors], axis=1)


def _solve_rows(moments: _Moments, scale: Array) -> Array:
    """Return the costs that fit best, given the factors."""
    with optional("training"):
        from scipy.linalg import cho_factor, cho_solve

    n_factors, n_choices = scale.shape[1], moments.gram.shape[1]
    left = np.einsum("rj,rk,rab->jakb", scale, scale, moments.gram, optimize=True)
    left = left.reshape(n_factors * n_choices, n_factors * n_choices)
    right = np.einsum("rj,ra->ja", scale, moments.cross).ravel()
    left.flat[:: len(left) + 1] += _RIDGE
    factor = cho_factor(left, overwrite_a=True, check_finite=False)
    solution = cho_solve(factor, right, check_finite=False)
    return np.asarray(solution.reshape(n_factors, n_choices).T)


def _solve_scale(moments: _Moments, rows: Array, scale: Array) -> Array:
    """Return the factors that fit best, given the costs; kept where a resolution has no rows."""
    left = np.einsum("aj,rab,bk->rjk", rows, moments.gram, rows, optimize=True)
    right = moments.cross @ rows
    left += _FACTOR_RIDGE * np.eye(rows.shape[1])
    right += _FACTOR_RIDGE * scale
    return np.asarray(np.linalg.solve(left, right[..., np.newaxis])[..., 0])


def _orthogonal(scale: Array) -> Array:
    """Return factors that span the same with orthogonal columns of mean square 1."""
    left, _, _ = np.linalg.svd(scale, full_matrices=False)
    return np.asarray(left * np.sqrt(len(scale)))
