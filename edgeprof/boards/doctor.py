"""What would spoil a measurement: on this machine, in a captured tree, on a board.

Owns: ``edgeprof.doctor``. Does not own: what the findings mean (``measuring.machine``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprof.base.errors import BoardSetupError
from edgeprof.base.notebook import html_table
from edgeprof.boards.each_board import check_boards
from edgeprof.boards.inventory import BoardSpec, read_inventory
from edgeprof.measuring import machine
from edgeprof.measuring.machine import Finding


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What was found.

    >>> import edgeprof
    >>> edgeprof.doctor()
    <Diagnosis ...>

    Attributes:
        state: facts about the machine.
        findings: what would spoil a measurement, worst first.
    """

    state: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def misleading(self) -> bool:
        """Whether a measurement in this state should not be trusted."""
        return machine.would_mislead(self.findings)

    @property
    def verdict(self) -> str:
        """What the findings come to, in one line."""
        return machine.verdict(self.findings)

    def __repr__(self) -> str:
        found = ", ".join(finding.id for finding in self.findings)
        return f"<Diagnosis {machine.describe(self.state)}: {found or 'nothing found'}>"

    def _repr_html_(self) -> str:
        facts = [(f"{f.severity.value}: {f.found}", f.remedy) for f in self.findings]
        return html_table(f"{machine.describe(self.state)}: {self.verdict}", facts)


def doctor(
    board: str | None = None,
    *,
    boards: str | os.PathLike[str] = "boards.yaml",
    root: str | Path | None = None,
    cpus: Sequence[int] | None = None,
    threads: int | None = None,
) -> Diagnosis:
    """Say what would spoil a measurement, as ``edgeprof doctor`` does. Changes nothing.

    >>> import edgeprof
    >>> diagnosis = edgeprof.doctor()
    >>> isinstance(diagnosis.misleading, bool)
    True

    Args:
        board: name of a board of the inventory; this machine if ``None``.
        boards: the inventory.
        root: a captured tree to judge in place of this machine.
        cpus: the CPUs that will run the model; all that the process may use if ``None``.
        threads: of the runtime; unknown if ``None``.

    Raises:
        BoardSetupError: the board or the tree cannot be read.
        InventoryError: there is no such inventory.
    """
    if board is not None and root is not None:
        raise BoardSetupError("doctor: a board and a root exclude each other")
    if board is None:
        state = machine.machine_state(root or "/")
    else:
        chosen = read_inventory(Path(boards)).select([board])
        if len(chosen) != 1:
            raise BoardSetupError(f"{boards}: {board} names {len(chosen)} boards, want one")
        state = state_of_board(chosen[0])
    return Diagnosis(state, tuple(machine.findings(state, cpus, threads)))


def state_of_board(board: BoardSpec) -> dict[str, Any]:
    """Return the machine state of a board.

    Raises:
        BoardSetupError: its state cannot be read.
        EdgeprofError: why the board cannot be reached.
    """
    [report] = check_boards([board])
    if report.state is None:
        raise report.error or BoardSetupError(
            f"board {board.name}: its state was not read; see edgeprof boards check"
        )
    return report.state
