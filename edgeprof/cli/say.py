"""What commands say to people."""

from __future__ import annotations

import click

from edgeprof.base.text import printable


def say(text: str, *, err: bool = False) -> None:
    """Print lines, with control characters as escapes: names in them may come from any file."""
    click.echo(printable(text, keep="\n"), err=err)
