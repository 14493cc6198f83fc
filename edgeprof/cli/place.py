"""The options of commands that measure at one place: a board, or this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeprof.cli import options

if TYPE_CHECKING:
    from edgeprof.records.store import Store
    from edgeprof.runs.place import Place


@dataclass(frozen=True)
class PlaceArguments:
    """Where something is measured."""

    on_board: str | None = options.on_board()
    inventory: Path = options.inventory()
    device: str | None = options.this_device()

    def place(self) -> Place:
        """Return the board, or this machine.

        Raises:
            InventoryError, BoardSetupError: there is no such board.
        """
        from edgeprof.runs.place import Place

        return Place.of(self.on_board, self.inventory, self.device)


@contextmanager
def kept_or_not(path: Path | None) -> Iterator[Store]:
    """Open the store, or one for the time being."""
    from edgeprof.records.store import Store

    with (
        tempfile.TemporaryDirectory(prefix="edgeprof-") as folder,
        Store(path or Path(folder) / "measured.db") as store,
    ):
        yield store
