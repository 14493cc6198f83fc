"""Rows of a dataset on the command line: the options that select them, and reading them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edgeprof.cli import options
from edgeprof.cli.say import say

if TYPE_CHECKING:
    from edgeprof.records.dataset import Dataset
    from edgeprof.records.network_rows import NetworkRows

    Rows = TypeVar("Rows", Dataset, NetworkRows)


@dataclass(frozen=True)
class RowsArguments:
    """Which rows of a dataset are used."""

    device: str | None = options.device()
    rows: str | None = options.option(
        "--rows", metavar="A:B", help="Use the rows A to B - 1  [default: all]"
    )
    count: int | None = options.count(help="How many of the rows, drawn at random  [default: all]")
    seed: int = options.seed()
    drop_invalid: bool = options.drop_invalid()

    def read(self, data: Path, device: str | None = None) -> Dataset:
        """Read the selected rows; say on stderr what was dropped.

        Args:
            data: the table.
            device: whose rows, in place of ``--device``.
        """
        from edgeprof.records.dataset import read_dataset

        return self._read(read_dataset, data, device or self.device)

    def read_networks(self, data: Path) -> NetworkRows:
        """Read the selected rows of networks of any kind; say on stderr what was dropped."""
        from edgeprof.records.network_rows import read_network_rows

        return self._read(read_network_rows, data, self.device)

    def _read(self, reader: Callable[..., Rows], data: Path, device: str | None) -> Rows:
        from edgeprof.records.dataset import parse_rows

        selected = reader(
            data,
            device=device,
            rows=None if self.rows is None else parse_rows(self.rows),
            n=self.count,
            seed=self.seed,
            drop_invalid=self.drop_invalid,
        )
        if selected.dropped:
            reasons = ", ".join(f"{column}: {n}" for column, n in selected.dropped.items())
            total = sum(selected.dropped.values())
            say(f"{data}: dropped {total} rows ({reasons})", err=True)
        return selected
