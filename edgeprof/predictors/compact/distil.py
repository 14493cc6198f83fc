"""Distillation: a compact predictor that says what a teacher says.

Owns: how the tensors of ``predictor.py`` are fitted. Unlabelled subnets cost nothing, so the
student is fitted to tens of thousands of the teacher's values, in two steps:

1. the additive part by alternating least squares: what each choice costs per factor, given the
   factors of each resolution, then the factors, given the costs (a low-rank form of one cost
   table per resolution);
2. what that leaves over by a small network on learned inputs per choice (L-BFGS).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.predictors.compact.additive_tables import AdditiveTables, fit_additive_tables
from edgeprof.predictors.compact.edgp_file import CompactModel, CompactTensors
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.compact.residual_net import ResidualNet, fit_residual_net

Array = NDArray[np.float64]
Teacher = Callable[[Codes], Array]

N_UNLABELLED = 24_000
N_STEPS = 100
"""Steps that ``distil`` reports: half for the labels, half for the fit."""

N_ADDITIVE = 5
N_HIDDEN = 10
N_INNER = 8
_OUTLYING_SHARE = 6  # one subnet in six has any resolution, not only those sampled by default
_NEGLIGIBLE = 1e-4  # of the mean: below it, the additive part says all


def distil(
    teacher: Teacher,
    space: SearchSpace,
    subject: str,
    *,
    seed: int = 0,
    n_unlabelled: int = N_UNLABELLED,
    value_bytes: int = 2,
    progress: Callable[[int], object] | None = None,
) -> CompactPredictor:
    """Return the compact student of a teacher.

    Args:
        teacher: what to repeat: codes of the space -> values, (n,).
        space: the search space.
        subject: what the values are of: the name of a device (latencies in ms), or ``accuracy``.
        seed: of the unlabelled subnets and of the small network's start.
        n_unlabelled: how many subnets the teacher labels.
        value_bytes: 2 for a file of float16, 4 for float32.
        progress: called with a number of steps as they are done, ``N_STEPS`` in all.
    """
    advance = progress or (lambda _steps: None)
    rng = np.random.default_rng(seed)
    codes = draw_codes(space, n_unlabelled, rng)
    values = _label(teacher, codes, advance)
    return fit_student(
        subject, space, codes, values, rng, value_bytes=value_bytes, progress=advance
    )


def draw_codes(space: SearchSpace, n: int, rng: np.random.Generator) -> Codes:
    """Draw codes, most as the space samples them, some at every resolution."""
    outlying = n // _OUTLYING_SHARE
    usual = space.sample_codes(n - outlying, rng)
    return np.concatenate([usual, space.sample_codes(outlying, rng, space.resolutions)])


def _label(teacher: Teacher, codes: Codes, advance: Callable[[int], object]) -> Array:
    labels = []
    for part in np.array_split(codes, N_STEPS // 2):
        labels.append(teacher(part))
        advance(1)
    return np.concatenate(labels)


def one_hot(codes: Codes, cardinalities: tuple[int, ...]) -> NDArray[np.float32]:
    """Return one column per choice of each slot, 1 where it is taken; none for a slot left out."""
    parts = [
        np.eye(values, dtype=np.float32)[codes[:, column], 1:]
        for column, values in enumerate(cardinalities[:-1])
    ]
    return np.concatenate(parts, axis=1)


def fit_student(
    subject: str,
    space: SearchSpace,
    codes: Codes,
    values: Array,
    rng: np.random.Generator,
    *,
    value_bytes: int = 2,
    progress: Callable[[int], object] | None = None,
) -> CompactPredictor:
    """Return the student of labelled codes (many: some hundred per resolution).

    Args:
        subject: see ``distil``.
        space: the search space.
        codes: uint8 (n, columns).
        values: the labels, (n,).
        rng: starts the small network.
        value_bytes: 2 for a file of float16, 4 for float32.
        progress: called with a number of steps as they are done, half of ``N_STEPS`` in all.
    """
    offset, unit = float(values.mean()), float(values.std()) or 1.0
    target = (values - offset) / unit
    choices, resolution = one_hot(codes, space.cardinalities), codes[:, -1].astype(np.int64)
    tables = fit_additive_tables(choices, resolution, target, _factors(space), N_ADDITIVE)
    residual = target - tables.predict(choices, resolution)
    n_hidden = 0 if residual.std() * unit < _NEGLIGIBLE * offset else N_HIDDEN
    rows = choices, resolution, residual, _factors(space)
    net = fit_residual_net(*rows, n_hidden, N_INNER, rng, progress=progress, n_steps=N_STEPS // 2)
    numbers = unit, offset, _tensors(tables, net)
    return CompactPredictor(
        CompactModel(space.id, subject, space.cardinalities, *numbers, value_bytes=value_bytes)
    )


def _factors(space: SearchSpace) -> Array:
    """Return the pixels of each resolution as a share of the largest."""
    resolutions = np.array(space.resolutions, dtype=np.float64)
    share: Array = (resolutions / resolutions.max()) ** 2
    return share


def _tensors(tables: AdditiveTables, net: ResidualNet) -> CompactTensors:
    tensors = (
        np.concatenate([tables.rows, net.rows], axis=1),
        np.concatenate([tables.scale, net.scale], axis=1),
        np.concatenate([tables.shift[:, np.newaxis] + net.constant, net.shift], axis=1),
        net.hidden_weights,
        net.hidden_bias,
        net.inner_out,
        net.hidden_out,
    )
    return CompactTensors(*(tensor.astype(np.float32) for tensor in tensors))
