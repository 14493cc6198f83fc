"""One HTML file that needs nothing else and, but for what is under the pointer, no script.

Owns: the page's frame, tables and card. Every text goes through ``escaped``, or into JSON
without ``<``, so that none from outside becomes markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from edgeprof.base.files import packaged
from edgeprof.base.parse import ENCODING
from edgeprof.report.answer import Answer
from edgeprof.report.drawing import Names, escaped, figure_html
from edgeprof.report.figure import Figure
from edgeprof.report.tables import Cell, Table

_TITLE_LENGTH = 80
_SHORT, _LONG = 20, 40
"""Texts that stand beside their name, and texts that are broken into lines."""


@dataclass(frozen=True)
class Page:
    """What stands in the page.

    Attributes:
        title: what it is about.
        lead: where it comes from.
        answers: the card.
        parts: plots and tables, in their order; folded tables are the last.
    """

    title: str
    lead: str
    answers: Sequence[Answer]
    parts: Sequence[Figure | Table]


def render_page(page: Page) -> str:
    """Return the page's HTML."""
    names = Names()
    now = datetime.now(timezone.utc)
    folded = [part for part in page.parts if isinstance(part, Table) and part.is_folded]
    shown = [part for part in page.parts if part not in folded]
    sections = [
        figure_html(part, names) if isinstance(part, Figure) else _table_section(part)
        for part in shown
    ]
    title = escaped(page.title[:_TITLE_LENGTH])
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
            f"<title>{title} - edgeprof report</title><style>{_packed('page.css')}</style></head>",
            f"<body><main><h1>{escaped(page.title)}</h1>",
            f"<p class=lead>{escaped(page.lead)}</p>",
            f"<div class=answer>{''.join(map(_answer, page.answers))}</div>",
            f"<nav>{' '.join(map(_link, page.parts))}</nav>",
            *sections,
            *map(_folded, folded),
            f"<footer>Written by edgeprof on {now:%Y-%m-%d %H:%M} UTC.</footer></main>",
            "<div id=tip role=status hidden></div>",
            f"<script type=application/json id=names>{names.to_json()}</script>",
            f"<script>{_packed('page.js')}</script></body></html>\n",
        ]
    )


def _packed(name: str) -> str:
    return packaged(f"report/{name}").read_text(encoding=ENCODING)


def _link(part: Figure | Table) -> str:
    return f'<a href="#{part.id}">{escaped(part.title)}</a>'


def _answer(block: Answer) -> str:
    lines = "".join(_line(name, text) for name, text in block.lines)
    poor = " class=poor" if block.is_alarming else ""
    return (
        f"<div><h3>{escaped(block.question)}</h3><strong{poor}>{escaped(block.answer)}"
        f"</strong>{_bars(block)}<ul>{lines}</ul></div>"
    )


def _line(name: str, text: str) -> str:
    if not name:
        return f"<li>{escaped(text)}"
    pair = " class=pair" if 0 < len(text) <= _SHORT else ""
    return f"<li{pair}><b>{escaped(name)}</b> <span>{escaped(text)}</span>"


def _bars(block: Answer) -> str:
    if not block.bars:
        return ""
    longest = max(bar.value for bar in block.bars) or 1.0
    rows = "".join(
        f"<span>{escaped(bar.name)}</span>"
        f'<i{" class=main" if bar.is_main else ""} style="width:{100 * bar.value / longest:.1f}%">'
        f"</i><span>{escaped(bar.text)}</span>"
        for bar in block.bars
    )
    return f"<div class=bars>{rows}</div>"


def _table_section(table: Table) -> str:
    return (
        f'<section id="{table.id}"><div class=about><h2>{escaped(table.title)}</h2>'
        f"<p>{escaped(table.caption)}</p></div>{_table(table)}</section>"
    )


def _folded(table: Table) -> str:
    count = f"{len(table.rows):,} row{'' if len(table.rows) == 1 else 's'}"
    return (
        f'<details id="{table.id}"><summary>{escaped(table.title)}<span>{count}</span>'
        f"</summary><p>{escaped(table.caption)}</p>{_table(table)}</details>"
    )


def _table(table: Table) -> str:
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in table.rows]
    # The largest table is all numbers but for its names: to say so once is an eighth of a page.
    only_numbers = all(cell.is_number and cell.bar is None for row in cells for cell in row[1:])
    form = " class=numbers" if only_numbers else ""
    head = "".join(
        f"<th{' class=n' if cells and cells[0][at].is_number and not form else ''}>{escaped(name)}"
        for at, name in enumerate(table.columns)
    )
    rows = "\n".join(
        f"<tr{' class=alarm' if index in table.alarming else ''}>"
        + "".join(_cell(cell, is_marked=not form) for cell in row)
        for index, row in enumerate(cells)
    )
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{escaped(table.title)}">'
        f"<table{form}><thead><tr>{head}<tbody>{rows}</table></div>"
    )


def _cell(cell: Cell, *, is_marked: bool) -> str:
    """Return a cell; ``is_marked``: whether it says itself that it is a number."""
    text = escaped(cell.text)
    if cell.bar is not None:
        width = f"{100 * cell.bar:.0f}%"
        return f'<td><div><span>{text}</span><i style="width:{width}"></i></div>'
    form = " class=n" if cell.is_number and is_marked else ""
    form = " class=t" if len(text) > _LONG else form
    hint = f' title="{escaped(cell.hint)}"' if cell.hint else ""
    return f"<td{form}{hint}>{text}"
