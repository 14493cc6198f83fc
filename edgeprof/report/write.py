"""Writing the page.

Owns: which parts stand in it and in which order: what needs attention first, then what was
measured, how well it is predicted, and what was found with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgeprof.base.files import write_whole
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.report.data import (
    Device,
    Evaluation,
    FrontPoint,
    evaluate_predictors,
    read_results,
    read_stores,
)
from edgeprof.report.figure import Figure
from edgeprof.report.page import render_page
from edgeprof.report.png import write_png
from edgeprof.report.sections import (
    boards_figure,
    front_figures,
    latency_figure,
    learning_curve_figure,
    prediction_figures,
    spread_figure,
)
from edgeprof.report.tables import (
    Table,
    device_table,
    findings_table,
    headline,
    predictor_table,
    warnings_table,
)

Part = TypeVar("Part")


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        path: the page.
        figure_ids: the plots in it.
        png_paths: the plots as files, where asked for.
    """

    path: Path
    figure_ids: tuple[str, ...]
    png_paths: tuple[Path, ...]


def write_report(
    stores: Sequence[Path],
    output: Path,
    *,
    predictors: Sequence[tuple[str, LatencyPredictor]] = (),
    device_of: Mapping[str, str] | None = None,
    results: Sequence[Path] = (),
    learning_curve: bool = True,
    png_folder: Path | None = None,
) -> Report:
    """Write the report.

    Args:
        stores: where the measurements are.
        output: the page to write.
        predictors: labels and predictors to set beside the measurements.
        device_of: by label, the device to compare a predictor with, where it names another.
        results: files of ``edgeprof search --json``.
        learning_curve: train on parts of the rows to see what more would bring (seconds a device).
        png_folder: draw each plot as a PNG file here, too.

    Raises:
        StoreError: no store, or none with results.
        PredictorFormatError: a predictor of a device or space that the stores do not hold.
        SearchError: a results file that is none.
        MissingDependency: plotly, or matplotlib for PNG files.
        OutputError: it cannot be written.
    """
    devices = read_stores(stores)
    evaluations = evaluate_predictors(predictors, devices, device_of)
    figures = _figures(devices, evaluations, read_results(results), learning_curve)
    page = render_page(
        lead=_lead(devices, stores),
        cards=headline(devices, evaluations),
        tables=_tables(devices, evaluations),
        figures=figures,
    )
    write_whole(output, page)
    png_paths = [write_png(figure, png_folder) for figure in figures] if png_folder else []
    return Report(output, tuple(figure.id for figure in figures), tuple(png_paths))


def _figures(
    devices: Sequence[Device],
    evaluations: Sequence[Evaluation],
    found: Sequence[FrontPoint],
    learning_curve: bool,
) -> list[Figure]:
    parts = [
        *front_figures(found),
        *prediction_figures(evaluations),
        latency_figure(devices),
        spread_figure(devices),
        boards_figure(devices),
        learning_curve_figure(devices) if learning_curve else None,
    ]
    return _present(parts)


def _tables(devices: Sequence[Device], evaluations: Sequence[Evaluation]) -> list[Table]:
    return _present(
        [
            findings_table(devices),
            device_table(devices),
            predictor_table(evaluations),
            warnings_table(devices),
        ]
    )


def _present(parts: Sequence[Part | None]) -> list[Part]:
    return [part for part in parts if part is not None]


def _lead(devices: Sequence[Device], stores: Sequence[Path]) -> str:
    names = ", ".join(device.name for device in devices[:6])
    more = f" and {len(devices) - 6} more" if len(devices) > 6 else ""
    return f"{names}{more}; from {', '.join(path.name for path in stores)}"
