"""The report in one call, with predictors from files.

Owns: ``edgeprof.report``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgeprof.report.write import Report, write_report
from edgeprof.search.sources import load_latency

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
    return write_report(
        [Path(store) for store in listed],
        Path(output),
        predictors=[(Path(file).name, load_latency(Path(file))) for file in predictors],
        results=[Path(result) for result in results],
        learning_curve=learning_curve,
    )
