"""Rows of a dataset on the command line: the options that select them, and reading them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgeprof.records.dataset import Dataset

Command = Callable[..., Any]


def rows_options(command: Command) -> Command:
    """Add the options that select rows of a dataset."""
    for option in (
        click.option(
            "--drop-invalid", is_flag=True, help="Leave invalid rows out and say how many."
        ),
        click.option(
            "--seed",
            default=0,
            show_default=True,
            type=click.IntRange(0),
            help="Seed of everything drawn.",
        ),
        click.option(
            "-n", "count", type=click.IntRange(1), help="Draw this many of the rows  [default: all]"
        ),
        click.option("--rows", metavar="A:B", help="Use the rows A to B - 1  [default: all]"),
        click.option("--device", help="Device, where DATA has rows of several."),
    ):
        command = option(command)
    return command


def read_rows(
    data: Path,
    device: str | None,
    rows: str | None,
    count: int | None,
    seed: int,
    *,
    drop_invalid: bool,
) -> Dataset:
    """Read the selected rows; say on stderr what was dropped."""
    from edgeprof.records.dataset import parse_rows, read_dataset

    selected = read_dataset(
        data,
        device=device,
        rows=None if rows is None else parse_rows(rows),
        n=count,
        seed=seed,
        drop_invalid=drop_invalid,
    )
    if selected.dropped:
        reasons = ", ".join(f"{column}: {n}" for column, n in selected.dropped.items())
        click.echo(f"{data}: dropped {sum(selected.dropped.values())} rows ({reasons})", err=True)
    return selected
