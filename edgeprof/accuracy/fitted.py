"""Accuracy models made by edgeprof: fitted from measured accuracies, or distilled to be small.

Owns: the rows of measured top-1, and their files: a Gaussian process (``.host.npz``) or the compact
form (``.edgp``). Such a file has ``accuracy`` as its subject, so that none is taken for a latency
predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeprof.accuracy.base import ACCURACY_DEVICE, Accuracies, AccuracyModel
from edgeprof.base.errors import (
    DatasetError,
    OutputError,
    PredictorFormatError,
    SearchError,
)
from edgeprof.base.table_files import read_table
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes, SearchSpace
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors import load_predictor
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.compact.distil import Teacher, distil
from edgeprof.predictors.examples import Examples
from edgeprof.predictors.gp.model import GaussianProcess
from edgeprof.predictors.save import save_host
from edgeprof.records.row_values import InvalidRow, subnet_of_row

_COLUMNS = ("space", "resolution", "ks", "e", "d", "top1")
_CHECKED_ROWS = 4000
_FLOAT32 = 4


class FittedAccuracy:
    """A Gaussian process or an ``.edgp`` asked for accuracies."""

    is_proxy = False

    def __init__(
        self, predictor: LatencyPredictor, resolutions: tuple[int, ...], *, name: str
    ) -> None:
        self.name = name
        self.resolutions = resolutions
        self._predictor = predictor

    def predict_codes(self, codes: Codes) -> Accuracies:
        """See ``AccuracyModel``."""
        return self._predictor.predict_codes(codes)


def load_fitted(path: Path, space: SearchSpace) -> FittedAccuracy:
    """Load what ``fit_accuracy`` or ``compact_accuracy`` wrote.

    Raises:
        PredictorFormatError: if it is no such file, predicts latency, or is of another space.
    """
    predictor = load_predictor(path)
    if predictor.device != ACCURACY_DEVICE:
        raise PredictorFormatError(
            f"{path}: predicts the latency of {predictor.device}, no accuracy; "
            f"`edgeprof accuracy` makes accuracy models"
        )
    if predictor.space != space.id:
        raise PredictorFormatError(
            f"{path}: is an accuracy model of space {predictor.space}, want {space.id}"
        )
    provenance: Mapping[str, object] = getattr(predictor, "provenance", {})
    known = provenance.get("resolutions")
    resolutions = tuple(known) if isinstance(known, list) else space.resolutions
    return FittedAccuracy(predictor, resolutions, name=path.name)


# --- fitting ------------------------------------------------------------------------------------


def fit_accuracy(path: Path, output: Path, *, seed: int = 0) -> Examples:
    """Fit an accuracy model to a CSV of measured subnets and write it (``.host.npz``).

    Args:
        path: columns ``space,resolution,ks,e,d,top1`` (lists as JSON, top-1 as a fraction), and
            ``w`` for spaces that have widths.
        output: the file to write; its name ends in ``.host.npz``, by which it is known again.
        seed: of the fit.

    Returns:
        The rows it learned from.

    Raises:
        DatasetError: naming the line that cannot be learned from.
        OutputError: for another ending.
    """
    if not output.name.endswith(".host.npz"):
        raise OutputError(f"{output}: want a name that ends in .host.npz")
    examples = read_accuracies(path)
    save_host(output, GaussianProcess(seed=seed).fit(examples))
    return examples


def read_accuracies(path: Path) -> Examples:
    """Read measured top-1 accuracies; see ``fit_accuracy``."""
    rows = [_parse_row(values, f"{path}, {place}") for place, values in read_table(path, _COLUMNS)]
    if not rows:
        raise DatasetError(f"{path}: has no rows")
    spaces = sorted({subnet.space for subnet, _ in rows})
    if len(spaces) > 1:
        raise DatasetError(f"{path}: rows of spaces {', '.join(spaces)}; learn from one")
    subnets = [subnet for subnet, _ in rows]
    return Examples(
        spaces[0],
        ACCURACY_DEVICE,
        get_space(spaces[0]).encode(subnets),
        np.array([top1 for _, top1 in rows]),
        np.zeros(len(rows)),
        np.arange(len(rows)),
        str(path),
    )


def _parse_row(row: Mapping[str, object], place: str) -> tuple[Subnet, float]:
    try:
        top1 = float(str(row["top1"]))
    except ValueError:
        top1 = float("nan")
    if not 0 < top1 <= 1:
        raise DatasetError(
            f"{place}, column top1: {row['top1']!r}, want a fraction above 0 and up to 1"
        )
    try:
        return subnet_of_row(row), top1
    except InvalidRow as error:
        raise DatasetError(f"{place}, column {error.column}: {error}") from error


# --- distilling ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompactReport:
    """How well the small form repeats its model, on subnets it was not fitted to.

    Attributes:
        n: subnets compared.
        rmse: root mean square difference of top-1 (fraction).
        largest: largest difference.
        file_bytes: size of the file.
    """

    n: int
    rmse: float
    largest: float
    file_bytes: int


def _at_known_resolutions(model: AccuracyModel, space: SearchSpace) -> Teacher:
    """Return the model as a function of all codes; resolutions unknown to it are rounded."""
    known = np.array(model.resolutions)
    nearest = np.array(
        [space.resolutions.index(known[np.abs(known - r).argmin()]) for r in space.resolutions],
        dtype=np.uint8,
    )

    def predict(codes: Codes) -> Accuracies:
        rounded = codes.copy()
        rounded[:, -1] = nearest[codes[:, -1]]
        return model.predict_codes(rounded)

    return predict


def compact_accuracy(
    model: AccuracyModel,
    space: SearchSpace,
    output: Path,
    *,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> CompactReport:
    """Distil an accuracy model into an ``.edgp`` file for searches at full speed.

    Args:
        model: any but the proxy.
        space: the space that will be searched.
        output: the file to write.
        seed: of the subnets it is fitted to and compared on.
        progress: called with steps as they are done, ``distil.N_STEPS`` in all.

    Raises:
        SearchError: for a proxy, which must stay labelled as one.
        OutputError: for another ending than ``.edgp``.
    """
    if output.suffix != ".edgp":
        raise OutputError(f"{output}: want a name that ends in .edgp")
    if model.is_proxy:
        raise SearchError(f"{model.name} is no accuracy model; there is nothing to make compact")
    teacher, how = _at_known_resolutions(model, space), {"seed": seed, "value_bytes": _FLOAT32}
    student = distil(teacher, space, ACCURACY_DEVICE, progress=progress, **how)
    rows = space.sample_codes(_CHECKED_ROWS, np.random.default_rng(seed + 1), model.resolutions)
    difference = student.predict_codes(rows) - model.predict_codes(rows)
    rmse = float(np.sqrt(np.mean(difference**2)))
    named = {"kind": "accuracy", "model": model.name, "resolutions": list(model.resolutions)}
    student.with_provenance({**named, "rmse": rmse, "n": _CHECKED_ROWS}).save(output)
    return CompactReport(
        _CHECKED_ROWS, rmse, float(np.abs(difference).max()), output.stat().st_size
    )
