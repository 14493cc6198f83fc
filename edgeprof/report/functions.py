"""The report in one call, with predictors from files.

Owns: ``edgeprof.report``, and how predictors are loaded for a report.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgeprof.accuracy.base import ACCURACY_DEVICE
from edgeprof.base.errors import PredictorFormatError
from edgeprof.predictors.base import LatencyPredictor, is_of_any_space
from edgeprof.predictors.load import load_predictor
from edgeprof.report.write import Contents, Report, write_report

FilePath = str | os.PathLike[str]


def report(
    stores: FilePath | Sequence[FilePath],
    output: FilePath = "report.html",
    *,
    predictors: Sequence[FilePath] = (),
    results: Sequence[FilePath] = (),
    learning_curve: bool = True,
) -> Report:
    """Write one HTML page about stores, as ``edgeprof report`` does.

    >>> import edgeprof
    >>> edgeprof.report("here.db", "here.html", learning_curve=False).path.name
    'here.html'

    Args:
        stores: where the measurements are.
        output: the page to write.
        predictors: files of predictors to set beside the measurements of their devices.
        results: files of ``edgeprof search --json``.
        learning_curve: train on parts of the rows to see what more would bring.

    Raises:
        StoreError, PredictorFormatError, SearchError: a file that is none of its kind.
        OutputError: the page cannot be written.
    """
    listed = [stores] if isinstance(stores, (str, os.PathLike)) else list(stores)
    contents = Contents(
        [Path(store) for store in listed],
        [load_for_report(Path(file)) for file in predictors],
        results=[Path(result) for result in results],
        learning_curve=learning_curve,
    )
    return write_report(contents, Path(output))


def load_for_report(path: Path, space: str | None = None) -> tuple[str, LatencyPredictor]:
    """Load a predictor, of subnets or of any network; returns its label and it.

    Args:
        path: the file or folder, or a device in a store (``lab.db:rpi5``).
        space: id of the space, for lookup tables that do not name it.

    Raises:
        PredictorFormatError: if it is none, or predicts accuracies.
    """
    predictor = load_predictor(path, space=space)
    if predictor.device == ACCURACY_DEVICE:
        raise PredictorFormatError(f"{path}: is an accuracy model; want a latency predictor")
    if space is not None and predictor.space != space and not is_of_any_space(predictor):
        raise PredictorFormatError(
            f"{path}: is a predictor of space {predictor.space}, want {space}"
        )
    return path.name, predictor
