"""From measurements to a predictor: fit, judge on unseen rows, distil. Writes no file.

Owns: the order of these steps, and the provenance that goes into the shipped predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np

from edgeprof.base.notebook import html_table
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import Latencies, LatencyPredictor, Origin
from edgeprof.predictors.compact.distil import N_STEPS, distil
from edgeprof.predictors.compact.predictor import CompactPredictor
from edgeprof.predictors.examples import Examples
from edgeprof.predictors.gp.contradictions import (
    Contradicted,
    find_contradicted,
    fit_robustly,
    nothing_contradicted,
)
from edgeprof.predictors.host_file import HostModel
from edgeprof.predictors.metrics import (
    Metrics,
    macs_of,
    metrics_of,
    trivial_facts,
    trivial_metrics,
    trivial_unseen,
)
from edgeprof.predictors.models import cross_validated, fit_model, folds_of
from edgeprof.predictors.residual_interval import ResidualInterval, relative_errors
from edgeprof.predictors.verdict import Verdict, judge
from edgeprof.records.dataset import Dataset

N_TRAINING_STEPS = N_STEPS + 20
"""Steps reported while training: one part for the fit, the rest for the distillation."""

_CHECKED_SUBNETS = 2000
_ACCEPTED_DISTILLATION_MAPE = 0.005
_MOST_LISTED = 5
_MOST_NAMED = 50
"""Rows left out that are kept in the shipped file, whose size is bounded."""

Progress = Callable[[int], object]
"""Is called with a number of steps as they are done."""


@dataclass(frozen=True)
class LeftOutRow:
    """A row that the others contradict: its number, its subnet, and both latencies."""

    row: int
    subnet: Subnet
    latency_ms: float
    expected_ms: float

    def to_dict(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return {**asdict(self), "subnet": self.subnet.to_dict()}

    def __str__(self) -> str:
        return f"row {self.row} ({self.latency_ms:.3g} ms, the others say {self.expected_ms:.3g})"


@dataclass(frozen=True)
class Judged:
    """A model on rows that it has not seen.

    Attributes:
        metrics: its errors.
        trivial: those of the trivial predictors on rows they have not seen, in the same folds.
        verdict: whether it is worth using.
    """

    metrics: Metrics
    trivial: dict[str, Metrics]
    verdict: Verdict


@dataclass(frozen=True, repr=False)
class Training:
    """What came out of training.

    Attributes:
        host: the fitted model.
        student: what is shipped.
        distillation_mape: how far the student is from the host model, on fresh subnets.
        cross_validated: the host model on rows it has not seen; None below 3 rows.
        left_out: rows that the others contradict, and that nothing was learned from.
    """

    host: HostModel
    student: CompactPredictor
    distillation_mape: float
    cross_validated: Judged | None = None
    left_out: tuple[LeftOutRow, ...] = ()

    def __repr__(self) -> str:
        judged = self.cross_validated
        error = f", cross-validated MAPE {judged.metrics.mape:.2%}" if judged else ""
        return f"<Training {self.host!r}{error}, {len(self.left_out)} rows left out>"

    def _repr_html_(self) -> str:
        judged = self.cross_validated
        facts = {
            "device": self.host.device,
            "space": self.host.space,
            "cross-validated MAPE": f"{judged.metrics.mape:.2%}" if judged else "too few rows",
            "verdict": judged.verdict if judged else "none",
            "rows left out": len(self.left_out),
            "notes": "; ".join(self.notes) or "none",
        }
        return html_table("training", facts.items())

    @property
    def predictor(self) -> HostModel:
        """What predicts, with intervals: the host model."""
        return self.host

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know: of the fit, bad rows, a student that falls short."""
        notes: tuple[str, ...] = getattr(self.host, "notes", ())
        if self.left_out:
            listed = ", ".join(map(str, self.left_out[:_MOST_LISTED]))
            more = ", ..." * (len(self.left_out) > _MOST_LISTED)
            note = (
                f"{len(self.left_out)} of the rows contradict the others and are left out: "
                f"{listed}{more}; `edgeprof suggest --again` lists them to measure again"
            )
            notes = (*notes, note)
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
    host, left_out = _fitted(model, data, bases, seed)
    rejected, given = _described(left_out, data), Examples.of(data)
    data = data.take(left_out.rest(len(data)))
    unseen = cross_validated(model, host, data, bases, seed=seed, executor=executor)
    judged = None if unseen is None else _judged(host, data, unseen, seed)
    provenance = {
        "model": model,
        "data_sha256": data.sha256,
        "n": len(data),
        "bases": [f"{base.device} ({base.space})" for base in bases],
        "cross_validated": judged and judged.metrics.to_dict(),
        "trivial": trivial_facts(macs_of(data.space, data.codes), data.latency_ms),
        "left_out": [row.to_dict() for row in rejected[:_MOST_NAMED]],
    }
    student, loss = distilled(host, provenance, seed, progress)
    host.origin = Origin(student.provenance, given.hashes)
    return Training(host, student, loss, judged, rejected)


def _fitted(
    model: str, data: Dataset, bases: Sequence[LatencyPredictor], seed: int
) -> tuple[HostModel, Contradicted]:
    """Fit a model without the rows that the others contradict; lookup tables learn from none."""
    if model == "gp":
        return fit_robustly(Examples.of(data), bases, seed=seed)
    left_out = nothing_contradicted()
    if model != "lut":
        left_out = find_contradicted(Examples.of(data))
    return fit_model(model, data.take(left_out.rest(len(data))), bases, seed=seed), left_out


def _described(left_out: Contradicted, data: Dataset) -> tuple[LeftOutRow, ...]:
    return tuple(
        LeftOutRow(int(data.rows[at]), data.subnets[at], float(data.latency_ms[at]), float(ms))
        for at, ms in zip(left_out.positions, left_out.expected, strict=True)
    )


def _judged(host: HostModel, data: Dataset, unseen: Latencies, seed: int) -> Judged:
    if isinstance(host, ResidualInterval):
        host.relative_errors = relative_errors(unseen, data.latency_ms)
    trivial = trivial_unseen(data, folds_of(host, len(data), seed))
    return Judged(
        metrics_of(unseen, data.latency_ms),
        trivial_metrics(trivial, data.latency_ms),
        judge(unseen, trivial["macs"], Examples.of(data)),
    )


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
