"""A plot as data, drawn by two back ends: Plotly in the page, matplotlib for PNG files.

Owns: what can stand in a plot, and the colours. Does not own: what is plotted (``sections.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
"""Okabe and Ito's, which colour-blind readers can distinguish; used in turn."""

MARKERS, LINE, BARS = "markers", "line", "bars"


@dataclass(frozen=True)
class Series:
    """One named set of points.

    Attributes:
        name: for the legend.
        x: numbers, or texts for bars.
        y: numbers.
        hover: per point what is shown beside its values; lines separated by a newline.
        form: ``MARKERS``, ``LINE`` (with markers) or ``BARS``.
        low, high: ends of the interval around each y, where there is one.
    """

    name: str
    x: Sequence[float] | Sequence[str]
    y: Sequence[float]
    hover: Sequence[str] = ()
    form: str = MARKERS
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        id: name of its element and of its PNG file.
        title: what it shows.
        caption: how to read it, in a sentence or two.
        x_title, y_title: of the axes, with units.
        series: what is drawn.
        x_log, y_log: logarithmic axes.
        diagonal: draw y = x (predicted against measured).
    """

    id: str
    title: str
    caption: str
    x_title: str
    y_title: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False
    diagonal: bool = False

    @property
    def diagonal_ends(self) -> tuple[float, float]:
        """Smallest and largest value of either axis."""
        values = [float(v) for s in self.series for v in (*s.x, *s.y)]
        return min(values), max(values)
