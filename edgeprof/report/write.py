"""Writing the page.

Owns: which parts stand in it and in which order: the answer, then plots from what is wanted to what
it rests on, at the end the state of machines and the warnings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeprof.base.files import write_whole
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.report.answer import answers
from edgeprof.report.data import Device, read_stores
from edgeprof.report.figure import Figure
from edgeprof.report.found import FrontPoint, read_results
from edgeprof.report.judging import Judged, judge_predictors
from edgeprof.report.kinds import times_by_kind
from edgeprof.report.page import Page, render_page
from edgeprof.report.plots import (
    boards_figure,
    latency_figure,
    macs_figure,
    speed_figure,
    spread_figure,
)
from edgeprof.report.png import write_png
from edgeprof.report.prediction_plots import (
    front_figures,
    learning_curve_figure,
    prediction_figures,
)
from edgeprof.report.tables import (
    Table,
    boards_table,
    device_table,
    findings_table,
    kinds_table,
    network_table,
    predictor_table,
    warnings_table,
)


@dataclass(frozen=True)
class Contents:
    """What a report is made from.

    Attributes:
        stores: where the measurements are.
        predictors: labels and predictors to set beside the measurements.
        device_of: by label, the device to compare a predictor with, where it names another.
        results: files of ``edgeprof search --json``.
        learning_curve: train on parts of the rows to see what more would bring (seconds a device).
    """

    stores: Sequence[Path]
    predictors: Sequence[tuple[str, LatencyPredictor]] = ()
    device_of: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[Path] = ()
    learning_curve: bool = True

    def page(self) -> Page:
        """Read everything, and return what stands in the page.

        Raises:
            StoreError: no store, or none with results.
            PredictorFormatError: a predictor of a device or space that the stores do not hold.
            SearchError: a results file that is none.
        """
        devices = read_stores(self.stores)
        judged = judge_predictors(self.predictors, devices, self.device_of)
        found = read_results(self.results, devices)
        state = findings_table(devices)
        parts = [
            *self._parts(devices, judged, found),
            network_table(devices),
            state,
            warnings_table(devices),
        ]
        return Page(
            _title(devices),
            f"From {', '.join(path.name for path in self.stores)}",
            answers(devices, found, judged, state),
            [part for part in parts if part is not None],
        )

    def _parts(
        self, devices: Sequence[Device], judged: Sequence[Judged], found: Sequence[FrontPoint]
    ) -> list[Figure | Table | None]:
        return [
            *front_figures(found),
            *prediction_figures(judged),
            predictor_table(judged),
            latency_figure(devices),
            macs_figure(devices),
            kinds_table(times_by_kind(devices, self.predictors)),
            boards_figure(devices),
            boards_table(devices),
            learning_curve_figure(devices) if self.learning_curve else None,
            speed_figure(devices),
            spread_figure(devices),
            device_table(devices),
        ]


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


def write_report(contents: Contents, output: Path, *, png_folder: Path | None = None) -> Report:
    """Write the report.

    Args:
        contents: what it is made from.
        output: the page to write.
        png_folder: draw each plot as a PNG file here, too.

    Raises:
        StoreError, PredictorFormatError, SearchError: see ``Contents.page``.
        MissingDependency: matplotlib for PNG files.
        OutputError: it cannot be written.
    """
    page = contents.page()
    figures = [part for part in page.parts if isinstance(part, Figure)]
    write_whole(output, render_page(page))
    png_paths = [write_png(figure, png_folder) for figure in figures] if png_folder else []
    return Report(output, tuple(figure.id for figure in figures), tuple(png_paths))


def _title(devices: Sequence[Device]) -> str:
    names = list(dict.fromkeys(device.device for device in devices))
    more = f" and {len(names) - 2} more" if len(names) > 3 else ""
    return f"Latencies on {', '.join(names[:2] if more else names)}{more}"
