"""From measurements to the two files of a predictor: fit, distil, check, save.

Owns: the order of these steps, the provenance that goes into the files, and where the files of a
base are found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.executors import map_through
from edgeprof.base.files import atomic_write, remove_file, sha256_of
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.base_models import check_base
from edgeprof.predictors.compact.distil import N_STEPS, distil
from edgeprof.predictors.compact.predictor import CompactPredictor, read_predictor_bytes
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.hardware.devices import Device, other_hardware
from edgeprof.predictors.host_file import HostModel, host_bytes, load_host
from edgeprof.predictors.load import EdgpPredictor, load_predictor
from edgeprof.predictors.lut.model import LutModel
from edgeprof.predictors.lut.tables import LookupTables
from edgeprof.predictors.metrics import (
    Metrics,
    metrics_of,
    trivial_cross_validated,
    trivial_facts,
)
from edgeprof.predictors.models import cross_validated, fit_across, fit_model, folds_of
from edgeprof.predictors.residual_interval import ResidualInterval, relative_errors
from edgeprof.records.dataset import Dataset

N_TRAINING_STEPS = N_STEPS + 20
"""Steps reported while training: one part for the fit, the rest for the distillation."""

_CHECKED_SUBNETS = 2000
_ACCEPTED_DISTILLATION_MAPE = 0.005
_SUFFIX = ".edgp"
_HOST_SUFFIX = ".host.npz"


@dataclass(frozen=True)
class Training:
    """What came out of training.

    Attributes:
        host: the fitted model.
        student: what is shipped.
        cross_validated: errors of the host model on rows it has not seen; None below 3 rows.
        trivial: errors of the trivial predictors on rows they have not seen, in the same folds.
        distillation_mape: how far the student is from the host model, on fresh subnets.
        files: what was written.
    """

    host: HostModel
    student: CompactPredictor
    cross_validated: Metrics | None
    trivial: dict[str, Metrics]
    distillation_mape: float
    files: tuple[Path, ...] = ()

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
    output: Path | None = None,
    *,
    model: str = "gp",
    bases: Sequence[LatencyPredictor] = (),
    seed: int = 0,
    keep_host: bool = True,
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Training:
    """Fit a model to measurements, distil it and save both.

    Args:
        data: the measurements.
        output: ``P.edgp``; ``P.host.npz`` is written beside it. None writes nothing.
        model: a name of ``models.MODELS``.
        bases: predictors of other devices to transfer from.
        seed: of everything that is drawn.
        keep_host: whether to write the host model.
        progress: called with a number of steps as they are done, ``N_TRAINING_STEPS`` in all.
        executor: fits the models of cross-validation (``edgeprof.base.executors``); this process by
            default.

    Raises:
        PredictorFormatError: on an unknown model, a base of another space, another suffix.
        OutputError: if a file cannot be written.
    """
    _check_suffix(output)
    advance = progress or (lambda _steps: None)
    host = fit_model(model, data, bases, seed=seed)
    advance(N_TRAINING_STEPS - N_STEPS)
    unseen = cross_validated(model, host, data, bases, seed=seed, executor=executor)
    errors, trivial = None, {}
    if unseen is not None:
        errors = metrics_of(unseen, data.latency_ms)
        trivial = trivial_cross_validated(data, folds_of(host, len(data), seed))
        if isinstance(host, ResidualInterval):
            host.relative_errors = relative_errors(unseen, data.latency_ms)
    student = distil(host, get_space(data.space), seed=seed, progress=advance)
    loss = _distillation_mape(host, student, seed)
    student = student.with_provenance(_provenance(data, model, bases, seed, errors, loss))
    files = () if output is None else save_predictor(output, host if keep_host else None, student)
    return Training(host, student, errors, trivial, loss, files)


def train_across(
    measured: Sequence[tuple[Device, Dataset]],
    target: Device,
    output: Path | None = None,
    *,
    model: str = "gp",
    space: str | None = None,
    seed: int = 0,
    keep_host: bool = True,
    progress: Callable[[int], object] | None = None,
) -> Training:
    """Predict a device without measurements of it, from others and their data sheets.

    Args:
        measured: devices and their measurements; rows of the target's hardware are left out.
        target: the device to predict.
        output: see ``train``.
        model: a name of ``models.ACROSS_MODELS``.
        space: to predict in; may be left out where all rows are of one.
        seed: of everything that is drawn.
        keep_host: whether to write the host model.
        progress: as for ``train``.

    Raises:
        DatasetError: if no other hardware has rows, or they are of several spaces.
    """
    _check_suffix(output)
    advance = progress or (lambda _steps: None)
    host = fit_across(model, measured, target, space=space, seed=seed)
    advance(N_TRAINING_STEPS - N_STEPS)
    student = distil(host, get_space(host.space), seed=seed, progress=advance)
    loss = _distillation_mape(host, student, seed)
    others = other_hardware(measured, target)
    provenance = {
        "edgeprof_version": version("edgeprof"),
        "model": f"{model} across devices",
        "data_sha256": [data.sha256 for _, data in others],
        "n": 0,
        "seed": seed,
        "trained_on": [device.name for device, _ in others],
        "distillation_mape": loss,
    }
    student = student.with_provenance(provenance)
    files = () if output is None else save_predictor(output, host if keep_host else None, student)
    return Training(host, student, None, {}, loss, files)


def leave_one_device_out(
    measured: Sequence[tuple[Device, Dataset]],
    *,
    model: str = "gp",
    seed: int = 0,
    executor: Executor | None = None,
) -> dict[str, Metrics]:
    """Return the errors on each device as other hardware predicts it; none where all is alike."""
    if len({device.group for device, _ in measured}) < 2:
        return {}
    names = [device.name for device, _ in measured]
    judge = partial(_errors_across, measured, model, seed)
    return dict(zip(names, map_through(executor, judge, range(len(measured))), strict=True))


def _errors_across(
    measured: Sequence[tuple[Device, Dataset]], model: str, seed: int, index: int
) -> Metrics:
    device, data = measured[index]
    target = fit_across(model, measured, device, space=data.space, seed=seed)
    return metrics_of(target.predict_codes(data.codes), data.latency_ms)


def load_base(path: Path, space: str | None = None) -> LatencyPredictor:
    """Load a base: the host model beside ``P.edgp`` where there is one, else the file itself.

    Raises:
        PredictorFormatError: if it is none, the two do not belong together, or it cannot serve
            ``space``; naming the file.
    """
    has_host = path.suffix == _SUFFIX and host_path(path).exists()
    base = _load_beside(path) if has_host else load_predictor(path)
    if isinstance(base, LookupTables):
        base = LutModel(base, base.device)  # which can be kept, and knows every resolution
    if space is not None:
        check_base(base, space, str(path))
    return base


def load_host_model(path: Path) -> GaussianProcess:
    """Load the Gaussian process of ``P.edgp`` or ``P.host.npz``.

    Raises:
        PredictorFormatError: if there is none, or the host model is of another kind.
    """
    at = host_path(path) if path.suffix == _SUFFIX else path
    model = _load_beside(path) if at != path and path.exists() else load_host(at)
    if not isinstance(model, GaussianProcess):
        raise PredictorFormatError(f"{at}: is a {model.kind} model; want gp, which has intervals")
    return model


def host_path(path: Path) -> Path:
    """Return where the host model of ``P.edgp`` stands."""
    return path.with_name(path.name.removesuffix(_SUFFIX) + _HOST_SUFFIX)


def _load_beside(path: Path) -> HostModel:
    """Load the host model beside ``P.edgp``, if it is the one that this file was distilled from."""
    at = host_path(path)
    model = load_host(at)
    wanted = EdgpPredictor(read_predictor_bytes(path), str(path)).provenance.get("host_sha256")
    if sha256_of(at) != wanted:
        raise PredictorFormatError(
            f"{at}: is not the host model that {path} was distilled from; remove it to use the "
            "latter alone, or train it anew"
        )
    return model


def _check_suffix(output: Path | None) -> None:
    if output is not None and output.suffix != _SUFFIX:
        raise PredictorFormatError(f"{output}: want a file name that ends in {_SUFFIX}")


def save_predictor(
    output: Path, host: HostModel | None, student: CompactPredictor
) -> tuple[Path, ...]:
    """Write ``P.edgp`` and, beside it, the host model; without one, none stays there.

    Returns:
        The files that were written.

    Raises:
        OutputError: if a file cannot be written.
    """
    beside = host_path(output)
    if host is None:
        student.save(output)
        remove_file(beside)  # of the predictor that was replaced
        return (output,)
    content = host_bytes(host)
    named = {**student.provenance, "host_sha256": hashlib.sha256(content).hexdigest()}
    student.with_provenance(named).save(output)
    with atomic_write(beside, binary=True) as stream:
        stream.write(content)
    return output, beside


def _distillation_mape(host: LatencyPredictor, student: LatencyPredictor, seed: int) -> float:
    # A stream of its own: the student was fitted on subnets drawn with the seed itself.
    rng = np.random.default_rng([seed, 1])
    codes = get_space(host.space).sample_codes(_CHECKED_SUBNETS, rng)
    return metrics_of(student.predict_codes(codes), host.predict_codes(codes)).mape


def _provenance(
    data: Dataset,
    model: str,
    bases: Sequence[LatencyPredictor],
    seed: int,
    errors: Metrics | None,
    distillation_mape: float,
) -> dict[str, object]:
    return {
        "edgeprof_version": version("edgeprof"),
        "model": model,
        "data_sha256": data.sha256,
        "n": len(data),
        "seed": seed,
        "bases": [f"{base.device} ({base.space})" for base in bases],
        "cross_validated": None if errors is None else errors.to_dict(),
        "distillation_mape": distillation_mape,
        "trivial": trivial_facts(data),
    }
