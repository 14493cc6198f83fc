"""What predictors say of measured networks that they have not learned from.

Owns: which predictor is judged on which rows. A predictor of subnets is judged on the subnets of
its space, one of any network on all networks whose layers are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import PredictorFormatError
from edgeprof.predictors.base import LatencyPredictor, Origin, is_of_any_space
from edgeprof.predictors.evaluation import Evaluation, evaluate_predictor, learned_rows
from edgeprof.records.dataset import Dataset
from edgeprof.records.network_rows import NetworkRows
from edgeprof.report.data import Device, NamedModel, What


@dataclass(frozen=True)
class Judged:
    """A predictor on the rows of a device that were held out of its training.

    Attributes:
        label: the predictor's.
        device: name of the device.
        networks: what was predicted, one per row.
        measured_ms: float64 (n,).
        result: its errors on them; ``None`` where it has learned from all rows there are.
        n_learned: rows left out, which it has learned from.
        is_known: whether its files say which rows it has learned from.
        cross_validated: its mean relative error in cross-validation; ``None`` where its files do
            not say.
    """

    label: str
    device: str
    networks: tuple[What, ...]
    measured_ms: NDArray[np.float64]
    result: Evaluation | None
    n_learned: int
    is_known: bool
    cross_validated: float | None = None

    @property
    def title(self) -> str:
        """The predictor and the device."""
        return f"{self.label} on {self.device}"

    @property
    def kind_of_rows(self) -> str:
        """What the rows are, in words."""
        if self.is_known:
            return "held-out networks"
        return "networks, maybe learned from: its files do not say"


def judge_predictors(
    predictors: Iterable[tuple[str, LatencyPredictor]],
    devices: Sequence[Device],
    device_of: Mapping[str, str] | None = None,
) -> list[Judged]:
    """Set each predictor beside the measurements of its device, in each of its states.

    Args:
        predictors: labels and predictors.
        devices: the measurements.
        device_of: by label, the device to compare with, where the predictor names another.

    Raises:
        PredictorFormatError: if the stores hold nothing of its device and space.
    """
    judged = []
    for label, predictor in predictors:
        wanted = (device_of or {}).get(label, predictor.device)
        mine = [device for device in devices if device.device == wanted]
        found = [one for device in mine for one in _judged(label, predictor, device)]
        if not found:
            of = predictor.space if not is_of_any_space(predictor) else "networks"
            raise PredictorFormatError(
                f"{label}: predicts {of} on {wanted}, of which the stores "
                f"hold nothing (they hold {_contents(devices)})"
            )
        judged += found
    return judged


def _judged(label: str, predictor: LatencyPredictor, device: Device) -> Iterator[Judged]:
    """Judge a predictor on a device in one state; on nothing where there is nothing of its."""
    rows: Dataset | NetworkRows | None
    subjects: Sequence[What]
    if is_of_any_space(predictor):
        rows, subjects = device.network_rows(), [row.what for row in device.listed]
    else:
        rows = device.dataset(predictor.space)
        subjects = rows.subnets if rows is not None else ()
    if rows is None or not len(rows):
        return
    learned = learned_rows(predictor, rows)
    kept = np.arange(len(rows)) if learned is None else np.flatnonzero(~learned)
    held_out = rows.take(kept)
    yield Judged(
        label,
        device.name,
        tuple(subjects[index] for index in kept),
        held_out.latency_ms,
        evaluate_predictor(predictor, held_out) if len(kept) else None,
        len(rows) - len(kept),
        learned is not None,
        _cross_validated(predictor),
    )


def _cross_validated(predictor: LatencyPredictor) -> float | None:
    origin: Origin = getattr(predictor, "origin", Origin())
    found = origin.provenance.get("cross_validated")
    return float(found["mape"]) if isinstance(found, Mapping) and "mape" in found else None


def _contents(devices: Sequence[Device]) -> str:
    return "; ".join(f"{_kinds(device)} on {device.name}" for device in devices)


def _kinds(device: Device) -> str:
    """Say what a device's rows are of."""
    has_others = any(isinstance(row.what, NamedModel) for row in device.rows)
    return ", ".join([*device.spaces, *["other networks"] * has_others]) or "nothing"
