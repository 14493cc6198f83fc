"""Plots as PNG files, drawn by matplotlib without a display."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.base.extras import optional
from edgeprof.base.files import atomic_write, make_folder
from edgeprof.report.figure import LINE, SPAN, Axis, Figure, Panel, Series
from edgeprof.report.scale import tick_text

_DPI = 150
_COLUMNS = 3
_COLOURS = {"main": "#0a5fb8", "soft": "#8f8d86", "sure": "#b4480c"}


def write_png(figure: Figure, folder: Path) -> Path:
    """Draw one plot into ``folder`` under its id; returns the file.

    Raises:
        MissingDependency: without matplotlib.
        OutputError: if it cannot be written.
    """
    with optional("a PNG plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas

    columns = min(len(figure.panels), _COLUMNS)
    rows = math.ceil(len(figure.panels) / columns)
    size = (7.2, 4.4) if len(figure.panels) == 1 else (4.0 * columns, 3.2 * rows)
    canvas = Canvas(figsize=size, layout="constrained")
    FigureCanvasAgg(canvas)
    grid = canvas.subplots(
        rows, columns, squeeze=False, sharex=figure.x.is_shared, sharey=figure.y.is_shared
    ).ravel()
    for axes, panel in zip(grid, figure.panels, strict=False):
        _draw_panel(axes, figure, panel)
    for axes in grid[len(figure.panels) :]:
        axes.set_axis_off()
    canvas.suptitle(figure.title)
    path = make_folder(folder) / f"{figure.id}.png"
    with atomic_write(path, binary=True) as stream:
        canvas.savefig(stream, dpi=_DPI, format="png")
    return path


def _draw_panel(axes: Any, figure: Figure, panel: Panel) -> None:
    for series in panel.series:
        _draw(axes, series)
    if figure.diagonal:
        values = [*figure.x_values(panel), *figure.y_values(panel)]
        ends = [min(values), max(values)]
        axes.plot(ends, ends, ":", color=_COLOURS["soft"], linewidth=1)
    axes.set(xlabel=figure.x.title, ylabel=figure.y.title)
    axes.set_title(panel.title, fontsize=10, parse_math=False)
    _scale(axes.xaxis, axes.set_xscale, figure.x)
    if panel.rows:
        axes.set_yticks(range(len(panel.rows)), panel.rows, parse_math=False)
        axes.invert_yaxis()
    else:
        _scale(axes.yaxis, axes.set_yscale, figure.y)
    axes.grid(color="#e4e3df")
    axes.set_axisbelow(True)
    if any(series.label for series in panel.series):
        axes.legend(frameon=False, fontsize=8)


def _scale(axis: Any, set_scale: Any, of: Axis) -> None:
    if of.log:
        set_scale("log")

    def text(value: float, _place: int) -> str:
        return tick_text(value, has_prefixes=of.has_prefixes)

    axis.set_major_formatter(text)
    if of.log:
        axis.set_minor_formatter(text)
        axis.set_tick_params(which="both", labelsize=7)


def _draw(axes: Any, series: Series) -> None:
    colour, label = _COLOURS[series.role], series.label or None
    if series.form == SPAN:
        axes.hlines(series.y, series.x, series.high, color=colour, linewidth=series.width)
        return
    if series.form == LINE:
        axes.plot(series.x, series.y, color=colour, linewidth=series.width, label=label)
        return
    if len(series.low):
        middle = np.asarray(series.x if series.along_x else series.y)
        spans = [middle - np.asarray(series.low), np.asarray(series.high) - middle]
        errors = {"xerr" if series.along_x else "yerr": np.maximum(spans, 0)}
        axes.errorbar(series.x, series.y, fmt="none", ecolor=colour, alpha=0.5, **errors)
    axes.plot(series.x, series.y, "o", color=colour, markersize=4, label=label)
