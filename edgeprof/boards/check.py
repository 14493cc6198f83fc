"""Looking at a board without changing it.

Owns: the report of ``edgeprof boards check``. What cannot be found out is an error of that board,
in one line; the other boards are looked at all the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from edgeprof.base.errors import EdgeprofError
from edgeprof.boards.deploy import Payload, Software, SoftwareSource, check_space
from edgeprof.boards.facts import BoardFacts, read_facts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport import Transport, script
from edgeprof.boards.transport.base import compressed
from edgeprof.measuring.machine import Finding, findings

STATE_DEADLINE_S = 60.0

Connect = Callable[[BoardSpec], Awaitable[Transport]]
"""Makes the transport to a board."""

# Parameter: the folder. The program comes in compressed and goes again; a folder that is not there
# is not made.
_RUN_STATE_ONCE = """
umask 077
set -C
place=$1
while [ ! -d "$place" ]; do place=$(dirname -- "$place"); done
program=$place/.edgeprof-state.$$
trap 'rm -f -- "$program"' EXIT
gzip -dc > "$program" && chmod 700 "$program" && "$program" state
"""


@dataclass(frozen=True)
class CheckReport:
    """What is known of a board after looking at it.

    Attributes:
        error: why it cannot be used; the other facts were found out before it was noticed.
        to_install: what a run would send first.
        state: the machine's state, as ``edgeprof doctor`` reads it.
    """

    board: BoardSpec
    error: EdgeprofError | None = None
    facts: BoardFacts | None = None
    to_install: tuple[Payload, ...] = ()
    state: dict[str, Any] | None = None

    @property
    def findings(self) -> list[Finding]:
        """What would spoil a measurement there."""
        if self.state is None:
            return []
        return findings(self.state, self.board.cores or None, self.board.threads)


async def check_board(
    board: BoardSpec, connect: Connect, find_software: SoftwareSource
) -> CheckReport:
    """Look at a board; never raises an ``EdgeprofError``."""
    facts, software, state = None, None, None
    try:
        transport = await connect(board)
        try:
            facts = await read_facts(transport, board)
            software = await asyncio.to_thread(find_software, board, facts)
            check_space(board, facts, software.missing_on(facts))
            # A board on which somebody measures is not disturbed for it.
            state = None if facts.holders else await read_state(transport, board, facts, software)
        finally:
            await transport.close()
    except EdgeprofError as error:
        to_install = software.missing_on(facts) if software and facts else ()
        return CheckReport(board, error, facts, to_install, state)
    return CheckReport(board, None, facts, software.missing_on(facts), state)


async def read_state(
    transport: Transport, board: BoardSpec, facts: BoardFacts, software: Software
) -> dict[str, Any]:
    """Return the board's machine state, with a program that is removed again if need be.

    Raises:
        BoardSetupError: if the program does not run there.
        BoardUnreachable: if the connection is lost.
    """
    program = software.program
    if program.address in facts.objects:
        completed = await transport.run(
            [program.path_on(facts), "state"], deadline_s=STATE_DEADLINE_S
        )
    else:
        completed = await transport.run(
            script(_RUN_STATE_ONCE, facts.folder),
            stdin=compressed(program.source),
            deadline_s=STATE_DEADLINE_S,
        )
    try:
        state = json.loads(completed.stdout)
    except ValueError:
        state = None
    if completed.status != 0 or not isinstance(state, dict):
        raise board.error(
            f"{program.source.name} for {facts.architecture} does not run "
            f"there: {completed.complaint}",
            status=completed.status,
        )
    return state
