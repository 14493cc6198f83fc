#!/usr/bin/env python3
"""Record a command in a terminal as an SVG file that plays by itself.

    python tools/terminal_picture.py -o docs/measure.svg "edgeprof measure *.onnx"

The command runs in a shell in a pseudo-terminal, and what it printed is what is shown, at the times
when it was printed (a pause of more than a second is cut to one). Where a picture does not move, as
in print, its last screen stands. Needs `pip install 'edgeprof[test]'` (pyte).
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

import pyte

FRAME_S = 0.2  # between two screens, at least
SETTLED_S = 0.05  # without anything new: the program has drawn all of it
LONGEST_PAUSE_S = 1.0
TYPING_S = 1.0  # that the command stands there before it runs
LAST_S = 6.0  # that the last screen stays

FONT_PX, LINE_PX, MARGIN_PX, BAR_PX = 14, 19, 18, 34
CELL_PX = 8.43
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
BACKGROUND, FOREGROUND, DIM = "#16181d", "#d7dae0", "#8a919e"
COLOURS = {
    "default": FOREGROUND,
    "black": "#565c68",
    "red": "#f27a82",
    "green": "#8fce85",
    "brown": "#e5c07b",
    "blue": "#74b3f2",
    "magenta": "#cf9bea",
    "cyan": "#63c5cf",
    "white": "#d7dae0",
}

WORDS = re.compile(r"\S+(?: \S+)*")

Span = tuple[int, str, str, bool]
"""First column, text, colour, bold."""
Line = tuple[Span, ...]


@dataclass(frozen=True)
class Showing:
    """One line of the screen, and when it stands there, in seconds; ``None`` is to the end."""

    row: int
    line: Line
    start_s: float
    end_s: float | None


def record(command: str, columns: int, rows: int) -> tuple[list[tuple[float, bytes]], int]:
    """Run a command in a terminal; return what it printed and when, and its exit status."""
    child, terminal = pty.fork()
    if child == 0:
        there = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        there.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.execvpe("sh", ["sh", "-c", command], there)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    told, start_s = [], time.monotonic()
    while True:
        select.select([terminal], [], [])
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux tells the end so
            part = b""
        if not part:
            break
        told.append((time.monotonic() - start_s, part))
    return told, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def screens(
    typed: str, told: list[tuple[float, bytes]], columns: int, rows: int
) -> list[tuple[float, list[Line]]]:
    """Return each screen that differs from the one before, and when it came."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    stream.feed(f"\x1b[32m$\x1b[0m \x1b[1m{typed}\x1b[0m\r\n".encode())
    found = [(0.0, _lines(screen))]
    now_s, last_s = TYPING_S, 0.0
    for index, (at_s, part) in enumerate(told):
        now_s += min(at_s - last_s, LONGEST_PAUSE_S) if index else 0.0
        last_s = at_s
        stream.feed(part)
        is_last = index == len(told) - 1
        if not is_last and told[index + 1][0] - at_s < SETTLED_S:
            continue
        lines = _lines(screen)
        if lines != found[-1][1] and (is_last or now_s - found[-1][0] >= FRAME_S):
            found.append((now_s, lines))
    return found


def _lines(screen: pyte.Screen) -> list[Line]:
    return [_line(screen, row) for row in range(screen.lines)]


def _line(screen: pyte.Screen, row: int) -> Line:
    cells = [screen.buffer[row][column] for column in range(screen.columns)]
    spans: list[Span] = []
    column = 0
    for (foreground, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
        text = "".join(cell.data for cell in run)
        colour = COLOURS.get(foreground, f"#{foreground}")
        # Of spaces that follow each other, a picture shows one.
        spans += [(column + w.start(), w.group(), colour, bold) for w in WORDS.finditer(text)]
        column += len(text)
    return tuple(spans)


def showings(found: list[tuple[float, list[Line]]]) -> list[Showing]:
    """Return the lines of all screens, each once for as long as it stays."""
    shown = []
    for row in range(len(found[0][1])):
        for line, group in groupby(enumerate(found), key=lambda one, row=row: one[1][1][row]):
            indices = [index for index, _ in group]
            after = indices[-1] + 1
            end_s = found[after][0] if after < len(found) else None
            if line:
                shown.append(Showing(row, line, found[indices[0]][0], end_s))
    return shown


def to_svg(shown: list[Showing], columns: int, rows: int, length_s: float, title: str) -> str:
    """Return the picture: a window with a title, whose lines come and go in a loop."""
    width = round(columns * CELL_PX + 2 * MARGIN_PX)
    height = BAR_PX + rows * LINE_PX + MARGIN_PX
    dots = "".join(
        f'<circle cx="{20 + 18 * i}" cy="17" r="5.5" fill="{colour}"/>'
        for i, colour in enumerate(("#e0696f", "#dfb25f", "#7fb973"))
    )
    size = f'width="{width}" height="{height}"'
    box = f'viewBox="0 0 {width} {height}" {size}'
    name = f'<text x="{width / 2:.0f}" y="22" fill="{DIM}" text-anchor="middle"'
    loop = f'<animate id="loop" attributeName="x" dur="{length_s:.1f}s" begin="0s;loop.end"/>'
    font = f'fill="{FOREGROUND}" font-family="{escape(FONTS)}" font-size="{FONT_PX}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect {size} rx="9" fill="{BACKGROUND}"/>{dots}',
        f'{name} font-family="system-ui, sans-serif" font-size="13">{escape(title)}</text>',
        f'<rect width="0" height="0">{loop}</rect>',
        f"<g {font}>",
        *(_text(one) for one in shown),
        "</g></svg>\n",
    ]
    return "\n".join(parts)


def _text(one: Showing) -> str:
    y = BAR_PX + (one.row + 0.75) * LINE_PX
    spans = "".join(_span(*span) for span in one.line)
    if one.end_s is not None:
        start = "loop.begin" if one.start_s == 0 else f"loop.begin+{one.start_s:.1f}s"
        timing = (
            f'<set attributeName="visibility" to="visible" begin="{start}" '
            f'dur="{one.end_s - one.start_s:.1f}s"/>'
        )
        return f'<text y="{y:.0f}" visibility="hidden">{spans}{timing}</text>'
    if one.start_s == 0:
        return f'<text y="{y:.0f}">{spans}</text>'
    timing = (
        f'<set attributeName="visibility" to="hidden" begin="loop.begin" dur="{one.start_s:.1f}s"/>'
    )
    return f'<text y="{y:.0f}">{spans}{timing}</text>'


def _span(column: int, text: str, colour: str, bold: bool) -> str:
    weight = ' font-weight="bold"' if bold else ""
    fill = "" if colour == FOREGROUND else f' fill="{colour}"'
    # As wide as in a terminal, whatever the font.
    return (
        f'<tspan x="{MARGIN_PX + column * CELL_PX:.1f}" textLength="{len(text) * CELL_PX:.1f}"'
        f"{fill}{weight}>{escape(text, quote=False)}</tspan>"
    )


def main() -> int:
    """Record the command and write the picture; the exit status is the command's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="SVG file to write")
    parser.add_argument("--title", default="edgeprof", help="of the window")
    parser.add_argument("--columns", type=int, default=80, help="of the terminal")
    parser.add_argument("--rows", type=int, default=18, help="of the terminal")
    parser.add_argument("command", help="what to run, as it is typed")
    arguments = parser.parse_args()
    columns, rows = arguments.columns, arguments.rows
    told, status = record(arguments.command, columns, rows)
    found = screens(arguments.command, told, columns, rows)
    most = max(row for _, lines in found for row, line in enumerate(lines) if line)
    length_s = found[-1][0] + LAST_S
    picture = to_svg(showings(found), columns, most + 1, length_s, arguments.title)
    arguments.output.write_text(picture, encoding="utf-8")
    print(f"{arguments.output}: {len(found)} screens, {len(picture) / 1024:.0f} KiB")
    return status


if __name__ == "__main__":
    sys.exit(main())
