"""What commands say to people."""

from __future__ import annotations

import click

from edgeprof.base.text import printable
from edgeprof.cli.progress_bar import without_bar


def say(text: str, *, err: bool = False) -> None:
    """Print lines, with control characters as escapes: names in them may come from any file."""
    with without_bar():
        click.echo(printable(text, keep="\n"), err=err)
