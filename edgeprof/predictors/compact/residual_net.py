"""The rest of a compact predictor: a small network for what is not additive.

Owns: its parameters and their fit by L-BFGS, in float32 on all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.extras import optional

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]

_ITERATIONS = 300
_OPTIONS = {"maxiter": _ITERATIONS, "maxcor": 20, "ftol": 1e-5}
_WEIGHT_DECAY = 1e-7


class ResidualNet(NamedTuple):
    """a = softsign(scale[r] * sum of rows + shift[r]); see ``predictor.py`` for the rest.

    Attributes:
        rows: (n_choices, n_hidden).
        scale, shift: (n_resolutions, n_hidden).
        hidden_weights: (n_hidden, n_inner).
        hidden_bias, inner_out: (n_inner,).
        hidden_out: (n_hidden,).
        constant: (1,).
    """

    rows: Array
    scale: Array
    shift: Array
    hidden_weights: Array
    hidden_bias: Array
    inner_out: Array
    hidden_out: Array
    constant: Array

    def scaled(self, factor: float) -> ResidualNet:
        """Return the network whose output is ``factor`` times this one's."""
        return self._replace(
            inner_out=self.inner_out * factor,
            hidden_out=self.hidden_out * factor,
            constant=self.constant * factor,
        )


def fit_residual_net(
    choices: Array32,
    resolution: NDArray[np.int64],
    target: Array,
    pixel_share: Array,
    n_hidden: int,
    n_inner: int,
    rng: np.random.Generator,
    *,
    progress: Callable[[int], object] | None = None,
    n_steps: int = 50,
) -> ResidualNet:
    """Fit the network to ``target``; with ``n_hidden`` 0 it is the constant 0.

    Args:
        choices: one-hot float32 (n, n_choices).
        resolution: index per row, (n,).
        target: what the additive part leaves over, (n,).
        pixel_share: pixels of each resolution as a share of the largest, the first scale.
        n_hidden: number of inputs learned per choice.
        n_inner: units of the layer after them.
        rng: draws the start.
        progress: called with a number of steps as they are done.
        n_steps: how many of them in all.
    """
    with optional("training"):
        from scipy.optimize import minimize

    advance = _Advance(progress, n_steps)
    size = float(target.std())
    if n_hidden == 0 or size == 0:
        advance.finish()
        return _start(choices, pixel_share, 0, 0, rng)
    start = _start(choices, pixel_share, n_hidden, n_inner, rng)
    shapes = [parameter.shape for parameter in start]
    loss = _Loss(choices, resolution, (target / size).astype(np.float32), shapes)
    flat = np.concatenate([parameter.ravel() for parameter in start])
    fitted = minimize(loss, flat, jac=True, method="L-BFGS-B", callback=advance, options=_OPTIONS)
    advance.finish()
    return ResidualNet(*_split(fitted.x, shapes)).scaled(size)


class _Advance:
    """Turns iterations of the optimiser into steps of a progress bar."""

    def __init__(self, progress: Callable[[int], object] | None, n_steps: int) -> None:
        self._progress = progress or (lambda _steps: None)
        self._n_steps = n_steps
        self._iterations = 0
        self._done = 0

    def __call__(self, _parameters: Array) -> None:
        """Count one iteration."""
        self._iterations += 1
        self._report(min(self._iterations, _ITERATIONS) * self._n_steps // _ITERATIONS)

    def finish(self) -> None:
        """Report what is left; the optimiser may stop early."""
        self._report(self._n_steps)

    def _report(self, done: int) -> None:
        if done > self._done:
            self._progress(done - self._done)
            self._done = done


def _start(
    choices: Array32, pixel_share: Array, n_hidden: int, n_inner: int, rng: np.random.Generator
) -> ResidualNet:
    rows = rng.normal(size=(choices.shape[1], n_hidden)) * 0.2
    scale = np.repeat((0.5 + 0.5 * pixel_share)[:, np.newaxis], n_hidden, axis=1)
    centre = choices.mean(axis=0).astype(np.float64) @ rows
    return ResidualNet(
        rows,
        scale,
        -centre * scale,
        rng.normal(size=(n_hidden, n_inner)) / np.sqrt(max(n_hidden, 1)),
        rng.normal(size=n_inner) * 0.1,
        rng.normal(size=n_inner) * 0.3,
        rng.normal(size=n_hidden) * 0.3,
        np.zeros(1),
    )


class _Loss:
    """Mean squared error over all rows, and its gradient."""

    def __init__(
        self,
        choices: Array32,
        resolution: NDArray[np.int64],
        target: Array32,
        shapes: list[tuple[int, ...]],
    ) -> None:
        self._choices = choices
        self._resolution = resolution
        self._target = target
        self._shapes = shapes
        n_resolutions = shapes[1][0]
        self._at_resolution = np.eye(n_resolutions, dtype=np.float32)[resolution]

    def __call__(self, parameters: Array) -> tuple[float, Array]:
        net = _split(parameters.astype(np.float32), self._shapes)
        rows, scale, shift, hidden_weights, hidden_bias, inner_out, hidden_out, constant = net
        total = self._choices @ rows
        factor = scale.take(self._resolution, axis=0)
        z = total * factor + shift.take(self._resolution, axis=0)
        a, da_dz = _softsign(z)
        v, dv_du = _softsign(a @ hidden_weights + hidden_bias)
        error = v @ inner_out + a @ hidden_out + constant - self._target
        g = error * np.float32(2 / len(error))
        g_u = g[:, np.newaxis] * inner_out * dv_du
        g_z = (g_u @ hidden_weights.T + g[:, np.newaxis] * hidden_out) * da_dz
        gradient = (
            self._choices.T @ (g_z * factor),
            self._at_resolution.T @ (g_z * total),
            self._at_resolution.T @ g_z,
            a.T @ g_u,
            g_u.sum(axis=0),
            v.T @ g,
            a.T @ g,
            g.sum(keepdims=True),
        )
        flat = np.concatenate([part.ravel() for part in gradient]).astype(np.float64)
        decay = _WEIGHT_DECAY * parameters
        loss = float(error @ error) / len(error) + float(parameters @ decay)
        return loss, flat + 2 * decay


def _softsign(x: Array32) -> tuple[Array32, Array32]:
    """Return x / (1 + abs(x)) and its derivative."""
    inverse = np.reciprocal(1 + np.abs(x))
    return x * inverse, inverse * inverse


def _split(flat: NDArray[Any], shapes: list[tuple[int, ...]]) -> list[NDArray[Any]]:
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
