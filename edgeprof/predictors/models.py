"""The models that can be chosen by name, and how each is fitted.

Owns: the table behind ``edgeprof train --model``. Does not own: the models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.base.executors import map_through
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import Latencies, LatencyPredictor
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.hardware.devices import Device
from edgeprof.predictors.hardware.model import HardwareModel
from edgeprof.predictors.host_file import HostModel
from edgeprof.predictors.lut.model import LutModel
from edgeprof.predictors.metrics import Rows
from edgeprof.predictors.paper.linear import LinearModel
from edgeprof.predictors.paper.mlp import PaperMlp, fit_fine_tuned
from edgeprof.records.dataset import Dataset

Fit = Callable[[Dataset, Sequence[LatencyPredictor], int], HostModel]
FitAcross = Callable[[Sequence[tuple[Device, Dataset]], Device, "str | None", int], HostModel]

FOLDS = 5
"""Of cross-validation, where leaving out one row at a time would take too long."""


MODELS: dict[str, Fit] = {
    "gp": lambda data, bases, seed: GaussianProcess(bases, seed=seed).fit(data),
    "linear": lambda data, _bases, _seed: LinearModel.fit(data),
    "lut": lambda data, bases, _seed: LutModel.fit(data, bases),
    "paper-finetune": lambda data, bases, _seed: fit_fine_tuned(data, bases),
    "paper-mlp": lambda data, _bases, seed: PaperMlp.fit(data, seed=seed),
}
"""Name -> fit(data, bases, seed)."""

WITHOUT_BASES = frozenset({"linear", "paper-mlp"})
"""Names of models that learn from the data alone."""


ACROSS_MODELS: dict[str, FitAcross] = {
    "gp": lambda measured, target, space, seed: HardwareModel.fit(
        measured, target, space=space, seed=seed
    ),
    "paper-gpu": lambda measured, target, space, seed: PaperMlp.fit_across(
        measured, target, space=space, seed=seed
    ),
}
"""Name -> fit(measured devices, the device to predict, its space, seed): zero measurements."""


def fit_across(
    name: str,
    measured: Sequence[tuple[Device, Dataset]],
    target: Device,
    *,
    space: str | None = None,
    seed: int = 0,
) -> HostModel:
    """Fit a model of a device from the measurements of other hardware (see ``other_hardware``).

    Raises:
        DatasetError: if there are no others, or if they are of several spaces and none is given.
        PredictorFormatError: if there is no such model.
    """
    _check_known(name, ACROSS_MODELS)
    return ACROSS_MODELS[name](measured, target, space, seed)


def _check_known(name: str, table: Mapping[str, object]) -> None:
    if name not in table:
        raise PredictorFormatError(f"unknown model {name!r}; known: {', '.join(sorted(table))}")


def fit_model(
    name: str, data: Dataset, bases: Sequence[LatencyPredictor] = (), *, seed: int = 0
) -> HostModel:
    """Fit a model by its name.

    Raises:
        PredictorFormatError: if there is no such model (the message lists those there are), or if
            it cannot use the bases.
    """
    _check_known(name, MODELS)
    if bases and name in WITHOUT_BASES:
        raise PredictorFormatError(f"{name}: learns from DATA alone, want no base")
    return MODELS[name](data, bases, seed)


def folds_of(model: LatencyPredictor, n: int, seed: int) -> list[Rows]:
    """Return the rows that ``cross_validated`` leaves out together."""
    order = np.random.default_rng(seed).permutation(n)
    return np.array_split(order, n if isinstance(model, GaussianProcess) else min(FOLDS, n))


def cross_validated(
    name: str,
    model: LatencyPredictor,
    data: Dataset,
    bases: Sequence[LatencyPredictor] = (),
    *,
    seed: int = 0,
    executor: Executor | None = None,
) -> Latencies | None:
    """Return each row as a model that has not seen it predicts it; None for fewer than 3 rows.

    The Gaussian process leaves one row out at a time, which costs nothing; others are fitted
    anew on folds, through the executor where there is one.
    """
    if len(data) < 3:
        return None
    if isinstance(model, GaussianProcess):
        return model.leave_one_out()
    predicted = np.empty(len(data))
    folds = folds_of(model, len(data), seed)
    rests = [data.take(np.setdiff1d(np.arange(len(data)), fold)) for fold in folds]
    fold_codes = [data.codes[fold] for fold in folds]
    predict = partial(_predicted, name, bases, seed)
    for fold, latency_ms in zip(
        folds, map_through(executor, predict, rests, fold_codes), strict=True
    ):
        predicted[fold] = latency_ms
    return predicted


def _predicted(
    name: str, bases: Sequence[LatencyPredictor], seed: int, data: Dataset, codes: Codes
) -> Latencies:
    return fit_model(name, data, bases, seed=seed).predict_codes(codes)
