"""Plots as the JSON that plotly.js draws."""

from __future__ import annotations

import html
from typing import Any

from edgeprof.report.figure import BARS, COLOURS, LINE, Figure, Series

_GRID = "#e6e6e6"


def to_plotly(figure: Figure) -> dict[str, Any]:
    """Return ``{"data": [...], "layout": {...}}``."""
    traces = [
        _trace(series, COLOURS[index % len(COLOURS)]) for index, series in enumerate(figure.series)
    ]
    if figure.diagonal:
        ends = list(figure.diagonal_ends)
        line = {"color": "#999999", "dash": "dot", "width": 1}
        traces.insert(
            0,
            {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "line": line,
             "hoverinfo": "skip", "showlegend": False},
        )  # fmt: skip
    layout = {
        "margin": {"l": 64, "r": 16, "t": 16, "b": 52},
        "height": 420,
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "showlegend": len(figure.series) > 1,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "xaxis": _axis(figure.x_title, logarithmic=figure.x_log),
        "yaxis": _axis(figure.y_title, logarithmic=figure.y_log),
        "barmode": "group",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#b5bcc4", "activecolor": "#5b6876"},
    }
    return {"data": traces, "layout": layout}


def _trace(series: Series, colour: str) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "name": series.name,
        "x": list(series.x),
        "y": list(series.y),
        "type": "bar" if series.form == BARS else "scatter",
        "marker": {"color": colour, "opacity": 1.0 if series.form != "markers" else 0.75},
    }
    if series.form != BARS:
        trace["mode"] = "lines+markers" if series.form == LINE else "markers"
    if series.hover:
        trace["text"] = [html.escape(text).replace("\n", "<br>") for text in series.hover]
        trace["hovertemplate"] = "%{text}<extra></extra>"
    if series.low:
        pairs = list(zip(series.low, series.y, series.high, strict=True))
        trace["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [high - y for _, y, high in pairs],
            "arrayminus": [y - low for low, y, _ in pairs],
            "thickness": 1,
            "width": 0,
        }
    return trace


def _axis(title: str, *, logarithmic: bool) -> dict[str, Any]:
    return {
        "title": {"text": html.escape(title)},
        "type": "log" if logarithmic else "-",
        "gridcolor": _GRID,
        "zerolinecolor": "#bbbbbb",
        "automargin": True,
    }
