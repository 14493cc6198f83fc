"""From measurements to a predictor: fit, judge on unseen rows, distil. Writes no file.

Owns: the order of these steps, and the provenance that goes into the shipped predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np

from edgeprof.networks.spaces import get_space
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.compact.distil import N_STEPS, distil
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.host_file import HostModel
from edgeprof.predictors.metrics import (
    Metrics,
    metrics_of,
    trivial_cross_validated,
    trivial_facts,
)
from edgeprof.predictors.models import cross_validated, fit_model, folds_of
from edgeprof.predictors.residual_interval import ResidualInterval, relative_errors
from edgeprof.records.dataset import Dataset

N_TRAINING_STEPS = N_STEPS + 20
"""Steps reported while training: one part for the fit, the rest for the distillation."""

_CHECKED_SUBNETS = 2000
_ACCEPTED_DISTILLATION_MAPE = 0.005

Progress = Callable[[int], object]
"""Is called with a number of steps as they are done."""


@dataclass(frozen=True)
class Training:
    """What came out of training.

    Attributes:
        host: the fitted model.
        student: what is shipped.
        distillation_mape: how far the student is from the host model, on fresh subnets.
        cross_validated: errors of the host model on rows it has not seen; None below 3 rows.
        trivial: errors of the trivial predictors on rows they have not seen, in the same folds.
    """

    host: HostModel
    student: CompactPredictor
    distillation_mape: float
    cross_validated: Metrics | None = None
    trivial: dict[str, Metrics] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know: of the fit, and of a student that falls short of it."""
        notes: tuple[str, ...] = getattr(self.host, "notes", ())
        if self.distillation_mape <= _ACCEPTED_DISTILLATION_MAPE:
            return notes
        note = (
            f"distillation costs {self.distillation_mape:.2%} (MAPE), more than "
            f"{_ACCEPTED_DISTILLATION_MAPE:.1%}: the host model is better than what is shipped"
        )
        return (*notes, note)


def train(
    data: Dataset,
    *,
    model: str = "gp",
    bases: Sequence[LatencyPredictor] = (),
    seed: int = 0,
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> Training:
    """Fit a model to measurements and distil it.

    Args:
        data: the measurements.
        model: a name of ``models.MODELS``.
        bases: predictors of other devices to transfer from.
        seed: of everything that is drawn.
        progress: reports ``N_TRAINING_STEPS`` in all.
        executor: fits the models of cross-validation (``edgeprof.base.executors``); this process by
            default.

    Raises:
        PredictorFormatError: on an unknown model or a base of another space.
    """
    host = fit_model(model, data, bases, seed=seed)
    unseen = cross_validated(model, host, data, bases, seed=seed, executor=executor)
    errors, trivial = None, {}
    if unseen is not None:
        errors = metrics_of(unseen, data.latency_ms)
        trivial = trivial_cross_validated(data, folds_of(host, len(data), seed))
        if isinstance(host, ResidualInterval):
            host.relative_errors = relative_errors(unseen, data.latency_ms)
    provenance = {
        "model": model,
        "data_sha256": data.sha256,
        "n": len(data),
        "bases": [f"{base.device} ({base.space})" for base in bases],
        "cross_validated": None if errors is None else errors.to_dict(),
        "trivial": trivial_facts(data.space, data.codes, data.latency_ms),
    }
    student, loss = distilled(host, provenance, seed, progress)
    return Training(host, student, loss, errors, trivial)


def distilled(
    host: HostModel, provenance: dict[str, object], seed: int, progress: Progress | None
) -> tuple[CompactPredictor, float]:
    """Return the student of a fitted model, and its MAPE against it on fresh subnets."""
    advance = progress or (lambda _steps: None)
    advance(N_TRAINING_STEPS - N_STEPS)
    space = get_space(host.space)
    student = distil(host.predict_codes, space, host.device, seed=seed, progress=advance)
    # A stream of its own: the student was fitted on subnets drawn with the seed itself.
    codes = space.sample_codes(_CHECKED_SUBNETS, np.random.default_rng([seed, 1]))
    loss = metrics_of(student.predict_codes(codes), host.predict_codes(codes)).mape
    common = {"edgeprof_version": version("edgeprof"), "seed": seed, "distillation_mape": loss}
    return student.with_provenance({**provenance, **common}), loss
