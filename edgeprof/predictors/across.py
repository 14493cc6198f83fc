"""Predicting a device without measurements of it, from others and their data sheets."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

from edgeprof.base.executors import map_through
from edgeprof.predictors.base import Origin
from edgeprof.predictors.hardware.devices import Device, other_hardware
from edgeprof.predictors.metrics import Metrics, metrics_of
from edgeprof.predictors.models import fit_across
from edgeprof.predictors.train import Progress, Training, distilled
from edgeprof.records.dataset import Dataset

Measured = Sequence[tuple[Device, Dataset]]
"""Devices and their measurements."""


def train_across(
    measured: Measured,
    target: Device,
    *,
    model: str = "gp",
    space: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Training:
    """Fit a model of a device from the measurements of others, and distil it.

    Args:
        measured: rows of the target's hardware are left out.
        target: the device to predict.
        model: a name of ``models.ACROSS_MODELS``.
        space: to predict in; may be left out where all rows are of one.
        seed: of everything that is drawn.
        progress: see ``train``.

    Raises:
        DatasetError: if no other hardware has rows, or they are of several spaces.
    """
    host = fit_across(model, measured, target, space=space, seed=seed)
    others = other_hardware(measured, target)
    provenance = {
        "model": f"{model} across devices",
        "data_sha256": [data.sha256 for _, data in others],
        "n": 0,
        "trained_on": [device.name for device, _ in others],
    }
    student, loss = distilled(host, provenance, seed, progress)
    host.origin = Origin(student.provenance)  # no row of the target is learned from
    return Training(host, student, loss)


def leave_one_device_out(
    measured: Measured, *, model: str = "gp", seed: int = 0, executor: Executor | None = None
) -> dict[str, Metrics]:
    """Return the errors on each device as other hardware predicts it; none where all is alike."""
    if len({device.group for device, _ in measured}) < 2:
        return {}
    names = [device.name for device, _ in measured]
    judge = partial(_errors_across, measured, model, seed)
    return dict(zip(names, map_through(executor, judge, range(len(measured))), strict=True))


def _errors_across(measured: Measured, model: str, seed: int, index: int) -> Metrics:
    device, data = measured[index]
    target = fit_across(model, measured, device, space=data.space, seed=seed)
    return metrics_of(target.predict_codes(data.codes), data.latency_ms)
