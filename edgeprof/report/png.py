"""Plots as PNG files, drawn by matplotlib without a display."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeprof.base.extras import optional
from edgeprof.base.files import atomic_write, make_folder
from edgeprof.report.figure import BARS, COLOURS, LINE, Figure, Series

_DPI = 150


def write_png(figure: Figure, folder: Path) -> Path:
    """Draw one plot into ``folder`` under its id; returns the file.

    Raises:
        MissingDependency: without matplotlib.
        OutputError: if it cannot be written.
    """
    with optional("a PNG plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(7.2, 4.4), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots()
    for index, series in enumerate(figure.series):
        _draw(axes, series, index, len(figure.series))
    if figure.diagonal:
        axes.plot(figure.diagonal_ends, figure.diagonal_ends, ":", color="#999999", linewidth=1)
    axes.set(title=figure.title, xlabel=figure.x_title, ylabel=figure.y_title)
    # Setting a scale resets the ticks, and with them the names of bars: only where it changes.
    for axis, logarithmic in ((axes.xaxis, figure.x_log), (axes.yaxis, figure.y_log)):
        if logarithmic:
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("{x:g}")
    axes.grid(color="#e6e6e6")
    axes.set_axisbelow(True)
    if len(figure.series) > 1:
        canvas.legend(frameon=False, loc="outside lower center", ncols=2)
    path = make_folder(folder) / f"{figure.id}.png"
    with atomic_write(path, binary=True) as stream:
        canvas.savefig(stream, dpi=_DPI, format="png")
    return path


def _draw(axes: Any, series: Series, index: int, n_series: int) -> None:
    colour = COLOURS[index % len(COLOURS)]
    if series.form == BARS:
        width = 0.8 / n_series
        places = [i + index * width for i in range(len(series.x))]
        axes.bar(places, series.y, width, color=colour, label=series.name)
        middles = [i + 0.4 - width / 2 for i in range(len(series.x))]
        axes.set_xticks(middles, [str(x) for x in series.x])
        return
    if series.low:
        spans = [
            [y - low for low, y in zip(series.low, series.y, strict=True)],
            [high - y for high, y in zip(series.high, series.y, strict=True)],
        ]
        axes.errorbar(series.x, series.y, yerr=spans, fmt="none", ecolor=colour, alpha=0.6)
    style = "o-" if series.form == LINE else "o"
    axes.plot(series.x, series.y, style, color=colour, markersize=4, label=series.name)
