"""``edgeprof doctor``: what would spoil a measurement here."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.cli import options
from edgeprof.cli.say import say

if TYPE_CHECKING:
    from edgeprof.measuring.machine import Finding


@dataclass(frozen=True)
class DoctorArguments:
    """What ``edgeprof doctor`` is asked for."""

    boards: tuple[str, ...] = options.board_names()
    inventory: Path = options.inventory()
    root: str | None = options.option(
        "--root",
        type=click.Path(exists=True, file_okay=False),
        help="Judge a captured tree (collect_board_info.sh), not this machine.",
    )
    cpus: tuple[int, ...] = options.cpus()
    threads: int | None = options.threads(default=None)
    as_json: bool = options.as_json()

    def state(self) -> dict[str, Any]:
        """Return the state of what is to be judged."""
        from edgeprof.measuring.machine import machine_state

        if self.boards and self.root:
            raise click.UsageError("--board and --root exclude each other")
        return self._board_state() if self.boards else machine_state(self.root or "/")

    def _board_state(self) -> dict[str, Any]:
        from edgeprof.boards.doctor import state_of_board
        from edgeprof.boards.inventory import read_inventory

        boards = read_inventory(self.inventory).select(self.boards)
        if len(boards) != 1:
            names = ", ".join(self.boards)
            raise click.BadParameter(f"{names} names {len(boards)} boards", param_hint="--board")
        return state_of_board(boards[0])


@click.command()
@options.takes(DoctorArguments)
def doctor(arguments: DoctorArguments) -> None:
    """Say what would spoil a measurement on this machine or a board, and what to do about it.

    Changes nothing. Exits 1 when a measurement would be misleading.

    \b
    Example:
      edgeprof doctor
      edgeprof doctor --board rpi4-01 --cpus 0-3
      edgeprof doctor --root tests/data/boards/rpi4b-throttled
    """
    from edgeprof.measuring.machine import findings, would_mislead

    state = arguments.state()
    found = findings(state, list(arguments.cpus) or None, arguments.threads)
    if arguments.as_json:
        document = {
            "misleading": would_mislead(found),
            "findings": [finding.as_dict() for finding in found],
            "machine": state,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        _print(state, found)
    sys.exit(1 if would_mislead(found) else 0)


def _print(state: dict[str, Any], found: list[Finding]) -> None:
    from edgeprof.measuring.machine import describe, remedy_note, verdict

    say(describe(state), wrap=True)
    for finding in found:
        say(f"{finding.severity.value}: {finding.found} [{finding.id}]", wrap=True)
        say(f"    {finding.consequence}", wrap=True)
        say(f"    remedy: {finding.remedy}")
    say(verdict(found), wrap=True)
    if note := remedy_note(found):
        say(note, wrap=True)
