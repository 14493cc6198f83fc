"""A plot as data, drawn twice: as SVG in the page, and by matplotlib for PNG files.

Owns: what can stand in a plot. Does not own: what is plotted (``plots``, ``prediction_plots``), and
how (``drawing``, ``png``). Several devices are several panels side by side, not colours in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DOTS, LINE, SPAN = "dots", "line", "span"
"""Forms of a series: points, points joined by a line, and horizontal bars from x to ``high``."""

MAIN, SOFT, SURE = "main", "soft", "sure"
"""Roles of a series: what the plot is about, what it is compared with, what was verified."""


@dataclass(frozen=True)
class Series:
    """One set of points.

    Attributes:
        x, y: of each point.
        names: per point what it is; lines separated by a newline.
        values: per point the words that take the places of ``#`` in ``wording``, in order.
        wording: what is shown of a point above its name, such as ``"# ms"``.
        low, high: ends of the interval around each point, where there is one.
        along_x: whether the intervals are those of x; of y otherwise.
        form: ``DOTS``, ``LINE`` or ``SPAN``.
        role: ``MAIN``, ``SOFT`` or ``SURE``.
        label: for the legend; a series without one is not in it.
        width: of lines and spans, in pixels.
    """

    x: Sequence[float]
    y: Sequence[float]
    names: Sequence[str] = ()
    values: Sequence[tuple[str, ...]] = ()
    wording: str = ""
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    along_x: bool = False
    form: str = DOTS
    role: str = MAIN
    label: str = ""
    width: float = 1.5


@dataclass(frozen=True)
class Panel:
    """One plot of a figure.

    Attributes:
        title: what is different from the other panels: a device, a predictor.
        series: what is drawn, the first at the back.
        rows: names of the rows, top to bottom, where y counts them; y is a number otherwise.
    """

    title: str
    series: tuple[Series, ...]
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Axis:
    """An axis of all panels of a figure.

    Attributes:
        title: with the unit.
        log: whether it is logarithmic.
        has_prefixes: whether its numbers have SI prefixes, such as ``200 M``.
        is_shared: whether all panels have the same range.
        least: (low, high) that is always in the range.
    """

    title: str
    log: bool = False
    has_prefixes: bool = False
    is_shared: bool = False
    least: tuple[float, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A plot, or several of one kind side by side.

    Attributes:
        id: name of its element and of its PNG file.
        title: what it shows.
        caption: how to read it, in a sentence or two.
        x, y: the axes.
        panels: at least one.
        diagonal: whether y = x is drawn, and both axes have one range.
    """

    id: str
    title: str
    caption: str
    x: Axis
    y: Axis
    panels: tuple[Panel, ...]
    diagonal: bool = False

    def x_values(self, panel: Panel) -> list[float]:
        """Return what the x axis of a panel must hold."""
        return self._values(panel, self.x, along_x=True)

    def y_values(self, panel: Panel) -> list[float]:
        """Return what the y axis of a panel must hold."""
        return self._values(panel, self.y, along_x=False)

    def _values(self, panel: Panel, axis: Axis, *, along_x: bool) -> list[float]:
        values = list(axis.least)
        for one in self.panels if axis.is_shared else [panel]:
            values += _of_axis(one, along_x=along_x)
            if self.diagonal:
                values += _of_axis(one, along_x=not along_x)
        return values


def _of_axis(panel: Panel, *, along_x: bool) -> Iterator[float]:
    for series in panel.series:
        yield from series.x if along_x else series.y
        if series.along_x == along_x:
            yield from series.low
            yield from series.high
