"""What commands say to people."""

from __future__ import annotations

import shutil
import sys
import textwrap

import click

from edgeprof.base.text import printable
from edgeprof.cli.progress_bar import without_bar

_NARROWEST, _WIDEST = 40, 100
_LIKE_A_TABLE = "   "


def say(text: str, *, err: bool = False, wrap: bool = False) -> None:
    """Print lines, with control characters as escapes: names in them may come from any file.

    Args:
        text: the lines.
        err: print on standard error.
        wrap: on a terminal, break sentences between words, but no table. Not for commands that are
            to be copied. Elsewhere every line stays whole, for whoever searches in it.
    """
    lines = printable(text, keep="\n").split("\n")
    if wrap and (sys.stderr if err else sys.stdout).isatty():
        lines = [part for line in lines for part in wrapped(line, columns())]
    with without_bar():
        click.echo("\n".join(lines), err=err)


def columns() -> int:
    """Return how many columns lines may take: those of the terminal within reason, or 80."""
    if not (sys.stdout.isatty() or sys.stderr.isatty()):
        return 80
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def wrapped(line: str, width: int) -> list[str]:
    """Break a sentence between words, further lines indented by two; tables stay as they are."""
    words = line.lstrip(" ")
    indent = " " * (len(line) - len(words))
    if len(line) <= width or _LIKE_A_TABLE in words:
        return [line]
    return textwrap.wrap(
        words,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
