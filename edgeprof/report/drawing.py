"""Plots as HTML: paths in SVG that stretches, texts as texts that do not.

Owns: the form of a plot in the page. The drawing has no texts and no sizes of its own: it fills its
box, dots and lines keep their widths, and labels are as large on a phone as on a desk. Colours are
the style sheet's, so that plots follow its theme. Whatever a plot shows is there without the
script, which only says what is under the pointer.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from edgeprof.base.text import printable
from edgeprof.report.figure import DOTS, LINE, SPAN, Axis, Figure, Panel, Series
from edgeprof.report.scale import LENGTH, Scale, tick_text

ROW_HEIGHT_PX = 26
_LOW, _SINGLE, _SMALL, _SMALLEST = 180, 320, 230, 190
_FEW = 4
"""So many panels stand two in a row, more of them three."""
_HIDDEN = 12
"""Intervals up to this length, of ``LENGTH``, are no longer than a dot is wide."""


@dataclass
class Names:
    """What the points of a page say: the name of each, and the words of a series, kept once."""

    numbers: dict[str, int] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """Return the number of a name."""
        return self.numbers.setdefault(printable(name, keep="\n"), len(self.numbers))

    def once(self, words: str) -> str:
        """Return the attributes of a series' words: themselves, or where they stand already."""
        if words in self.said:
            return f" data-as=w{self.said[words]}"
        number = self.said.setdefault(words, len(self.said))
        return f" id=w{number} {words}"

    def to_json(self) -> str:
        """Return the names as JSON that cannot end, or hide the end of, a script element."""
        return json.dumps(list(self.numbers), ensure_ascii=False).replace("<", r"\u003c")


def escaped(text: str) -> str:
    """Return a text from anywhere as HTML: it is no markup, and hides or turns round nothing."""
    return html.escape(printable(text, keep="\n"))


def figure_html(figure: Figure, names: Names) -> str:
    """Return a figure as a section of the page."""
    panels = "".join(_panel(figure, panel, names) for panel in figure.panels)
    several = " several" * (len(figure.panels) > 1) + " many" * (len(figure.panels) > _FEW)
    return (
        f'<section id="{figure.id}"><div class=about><h2>{escaped(figure.title)}</h2>'
        f"<p>{escaped(figure.caption)}</p>{_legend(figure)}</div>"
        f'<div class="panels{several}">{panels}</div></section>'
    )


def _legend(figure: Figure) -> str:
    shown = {
        series.label: series for panel in figure.panels for series in panel.series if series.label
    }
    if not shown:
        return ""
    items = "".join(
        f'<li><svg viewBox="0 0 16 10" aria-hidden="true"><path class="{series.role} {series.form}"'
        f' d="{_SAMPLE[series.form]}"/></svg>{escaped(label)}'
        for label, series in shown.items()
    )
    return f"<ul class=legend>{items}</ul>"


_SAMPLE = {DOTS: "M8 5h0", LINE: "M1 5h14", SPAN: "M3 5h10"}


def _panel(figure: Figure, panel: Panel, names: Names) -> str:
    x = Scale.around(figure.x_values(panel), log=figure.x.log)
    y = Scale.around(figure.y_values(panel), log=figure.y.log)
    if panel.rows:
        y = Scale(len(panel.rows) - 0.5, -0.5)
    title = f"<figcaption>{escaped(panel.title)}</figcaption>" if panel.title else ""
    y_title = "" if panel.rows else f"<div class=yt>{escaped(figure.y.title)}</div>"
    label = escaped(f"{figure.title}{': ' if panel.title else ''}{panel.title}")
    drawn = "".join(_series(series, x, y, names) for series in panel.series)
    return (
        f'<figure>{title}{y_title}<div class=plot style="height:{_height(figure, panel)}px">'
        f'<div class="ys{" rows" if panel.rows else ""}">{_y_labels(figure.y, panel, y)}</div>'
        f'<svg viewBox="0 0 {LENGTH} {LENGTH}" preserveAspectRatio="none" role="img" tabindex="0" '
        f'aria-label="{label}">{_grid(figure, panel, x, y)}{drawn}</svg>'
        f"<div class=xs>{_x_labels(figure.x, x)}</div></div>"
        f"<div class=xt>{escaped(figure.x.title)}</div></figure>"
    )


def _height(figure: Figure, panel: Panel) -> int:
    if panel.rows:
        return ROW_HEIGHT_PX * len(panel.rows) + 34
    if all(series.form != DOTS for series in panel.series):
        return _LOW
    if len(figure.panels) > _FEW:
        return _SMALLEST
    return _SINGLE if len(figure.panels) == 1 else _SMALL


def _grid(figure: Figure, panel: Panel, x: Scale, y: Scale) -> str:
    rows = range(len(panel.rows)) if panel.rows else y.ticks()
    lines = [f"M{at} 0V{LENGTH}" for at in x.at(x.ticks()).tolist()]
    lines += [f"M0 {LENGTH - at}H{LENGTH}" for at in y.at(list(rows)).tolist()]
    drawn = f'<path class=grid d="{"".join(lines)}"/>'
    if figure.diagonal:
        ends = [max(x.low, y.low), min(x.high, y.high)]
        drawn += f'<path class="soft line" d="{_joined(_places(ends, ends, x, y))}"/>'
    return drawn


def _x_labels(axis: Axis, x: Scale) -> str:
    ticks = x.ticks()
    return "".join(
        f'<span style="left:{at / 10:g}%">{tick_text(value, has_prefixes=axis.has_prefixes)}</span>'
        for value, at in zip(ticks, x.at(ticks).tolist(), strict=True)
    )


def _y_labels(axis: Axis, panel: Panel, y: Scale) -> str:
    """Return the labels; the longest stands there once more, unseen, and makes the width."""
    if panel.rows:
        texts, places = list(panel.rows), list(range(len(panel.rows)))
        ats = y.at(places).tolist()
    else:
        ticks = y.ticks()
        texts = [tick_text(value, has_prefixes=axis.has_prefixes) for value in ticks]
        ats = y.at(ticks).tolist()
    widest = escaped(max(texts, key=_width, default=""))
    labels = "".join(
        f'<span style="bottom:{at / 10:g}%"{_title(text)}>{escaped(text)}</span>'
        for text, at in zip(texts, ats, strict=True)
    )
    return f"<i aria-hidden=true>{widest}</i>{labels}"


def _width(text: str) -> float:
    """Return about how wide a label is: points and signs are narrow."""
    return sum(0.5 if character in ".,-" else 1.0 for character in text)


def _title(text: str) -> str:
    return f' title="{escaped(text)}"' if len(text) > 12 else ""


def _series(series: Series, x: Scale, y: Scale, names: Names) -> str:
    places = _places(series.x, series.y, x, y)
    style = "" if series.form == DOTS else f' style="stroke-width:{series.width:g}px"'
    if series.form == SPAN:
        ends = x.at(series.high).tolist()
        return _path(
            series,
            "".join(f"M{at} {b}H{e}" for (at, b), e in zip(places, ends, strict=True)),
            style,
        )
    if series.form == LINE:
        return _path(series, _joined(places), style)
    drawn = "".join(_interval_path(series, places, x, y)) if len(series.low) else ""
    numbers = [names.number(name) for name in series.names]
    order = sorted(range(len(numbers)), key=numbers.__getitem__) or range(len(places))
    dots = "".join(f"M{places[i][0]} {places[i][1]}h0" for i in order)
    said = names.once(_words(series, sorted(numbers), order)) if series.names else ""
    return drawn + _path(series, dots, said)


def _path(series: Series, d: str, further: str) -> str:
    return f'<path class="{series.role} {series.form}"{further} d="{d}"/>'


def _words(series: Series, numbers: Sequence[int], order: Iterable[int]) -> str:
    """Return what the script shows of each point: words for its values, the number of its name.

    Numbers that follow each other are one run: most devices measure the same networks.
    """
    values = "|".join(" ".join(map(_word, series.values[i])) for i in order)
    return (
        f'data-n="{" ".join(_runs(numbers))}" data-w="{escaped(series.wording)}"'
        f' data-v="{html.escape(values)}"'
    )


def _word(text: str) -> str:
    """Return a text without the characters between words and between points."""
    return text.replace(" ", "\u00a0").replace("|", "/")


def _runs(numbers: Sequence[int]) -> Iterator[str]:
    """Yield ascending numbers as ``"3"`` and ``"5-9"``."""
    first = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            is_one = at - first == 1
            yield f"{numbers[first]}" if is_one else f"{numbers[first]}-{numbers[at - 1]}"
            first = at


def _interval_path(
    series: Series, places: Iterable[tuple[int, int]], x: Scale, y: Scale
) -> Iterator[str]:
    scale = x if series.along_x else y
    lows, highs = scale.at(series.low).tolist(), scale.at(series.high).tolist()
    yield f'<path class="{series.role} interval" d="'
    for (at, up), low, high in zip(places, lows, highs, strict=True):
        if high - low < _HIDDEN:  # beneath its dot
            continue
        if series.along_x:
            yield f"M{low} {up}H{high}"
        else:
            yield f"M{at} {LENGTH - low}V{LENGTH - high}"
    yield '"/>'


def _places(xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale) -> list[tuple[int, int]]:
    return list(zip(x.at(xs).tolist(), (LENGTH - y.at(ys)).tolist(), strict=True))


def _joined(places: Sequence[tuple[int, int]]) -> str:
    return "M" + "L".join(f"{at} {up}" for at, up in chain(places))
