"""Where a workload is measured: this machine, or the boards of one device.

Owns: the difference between the two, for commands that measure at one place.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeprof.boards.doctor import state_of_board
from edgeprof.boards.inventory import BoardSpec, find_boards
from edgeprof.boards.this_machine import this_machine
from edgeprof.measuring.machine import machine_state
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.start import measure_here, measure_on
from edgeprof.runs.summary import Listener, RunSummary
from edgeprof.runs.workload import Workload


@dataclass(frozen=True)
class Place:
    """This machine, or boards.

    Attributes:
        boards: of one device; none for this machine.
        name: of this machine in stores.
    """

    boards: tuple[BoardSpec, ...] = ()
    name: str = field(default_factory=socket.gethostname)

    @classmethod
    def of(cls, on_board: str | None, inventory: Path, name: str | None = None) -> Place:
        """Return the boards of a name, tag or group, or at ``user@host``; or this machine.

        Raises:
            InventoryError, BoardSetupError: see ``find_boards``.
        """
        boards = () if on_board is None else find_boards(on_board, inventory)
        return cls(boards, name or socket.gethostname())

    @property
    def device(self) -> str:
        """Name that measurements are filed under."""
        return self.board.device

    @property
    def board(self) -> BoardSpec:
        """The first of the boards; this machine as one."""
        return self.boards[0] if self.boards else this_machine(self.name, "")

    def state(self, settings: ProfileSettings) -> dict[str, Any]:
        """Return the state of the machine, as ``edgeprof doctor`` reads it.

        Raises:
            EdgeprofError: why the board cannot be reached, or its state not be read.
        """
        return state_of_board(settings.applied_to(self.board)) if self.boards else machine_state()

    def measure(self, workload: Workload[Any], listener: Listener | None = None) -> RunSummary:
        """Measure a workload there; see ``measure_here`` and ``measure_on``."""
        if self.boards:
            return measure_on(workload, self.boards, listener=listener)
        return measure_here(workload, self.name, listener=listener)
