"""The same thing done to several boards at once, each for itself.

Owns: the event loop and the network of a command that is no profiling run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from edgeprof.base.errors import EdgeprofError
from edgeprof.boards.check import CheckReport, Connect, check_board
from edgeprof.boards.claim import Owner, owner_name
from edgeprof.boards.deploy import SoftwareSource, find_software
from edgeprof.boards.facts import BoardFacts, read_facts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.prepared import PreparedState, prepare, restore
from edgeprof.boards.session import clean_board, stop_worker
from edgeprof.boards.transport import Transport
from edgeprof.boards.transport.ssh import SshNetwork

T = TypeVar("T")


def on_each_board(
    boards: Sequence[BoardSpec], action: Callable[[BoardSpec, Connect], Awaitable[T]]
) -> list[T | EdgeprofError]:
    """Run an action for every board at the same time; an error stays with its board.

    Returns:
        In the order of the boards: the action's result, or the error it raised.
    """

    async def one(board: BoardSpec, connect: Connect) -> T | EdgeprofError:
        try:
            return await action(board, connect)
        except EdgeprofError as error:
            return error

    async def every() -> list[T | EdgeprofError]:
        async with SshNetwork() as network:
            return list(await asyncio.gather(*(one(board, network.connect) for board in boards)))

    return asyncio.run(every())


def check_boards(
    boards: Sequence[BoardSpec], find: SoftwareSource = find_software
) -> list[CheckReport]:
    """Look at every board; see :func:`edgeprof.boards.check.check_board`."""

    async def check(board: BoardSpec, connect: Connect) -> CheckReport:
        return await check_board(board, connect, find)

    return [
        report if isinstance(report, CheckReport) else CheckReport(board, report)
        for board, report in zip(boards, on_each_board(boards, check), strict=True)
    ]


def setup_boards(
    boards: Sequence[BoardSpec], *, restore_after_s: float
) -> list[PreparedState | EdgeprofError]:
    """Prepare every board; each restores itself after so many seconds."""

    async def setup(transport: Transport, board: BoardSpec, facts: BoardFacts) -> PreparedState:
        return await prepare(transport, board, facts, _by_hand(), lease_s=restore_after_s)

    return on_each_board(boards, _connected(setup))


def restore_boards(boards: Sequence[BoardSpec]) -> list[PreparedState | EdgeprofError]:
    """Take back on every board what was prepared."""

    async def undo(transport: Transport, board: BoardSpec, facts: BoardFacts) -> PreparedState:
        return await restore(transport, board, facts, _by_hand())

    return on_each_board(boards, _connected(undo))


def clean_boards(boards: Sequence[BoardSpec]) -> list[PreparedState | EdgeprofError]:
    """Restore every board and remove all that edgeprof put there."""

    async def clean(transport: Transport, board: BoardSpec, facts: BoardFacts) -> PreparedState:
        await stop_worker(transport, board)
        state = await restore(transport, board, facts, _by_hand())
        await clean_board(transport, board)
        return state

    return on_each_board(boards, _connected(clean))


def _by_hand() -> Owner:
    return Owner(owner_name(), "by-hand")


def _connected(
    action: Callable[[Transport, BoardSpec, BoardFacts], Awaitable[T]],
) -> Callable[[BoardSpec, Connect], Awaitable[T]]:
    async def connected(board: BoardSpec, connect: Connect) -> T:
        transport = await connect(board)
        try:
            return await action(transport, board, await read_facts(transport, board))
        finally:
            await transport.close()

    return connected
