"""A bulk run: every item measured on a board of its kind, exactly once, whatever breaks.

Owns: what follows from each kind of error: another try, a pause, or a board set aside. A board's
own steps are ``board_loop.py``'s, the order of items and the retry rules ``queue.py``'s.

Where the truth is at any moment: an item is done when the store has it; until then its batch lies
on a board, or it is in the queue. A batch is deleted on the board only after the store has its
records. So each process may be killed between any two steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from edgeprof.base.errors import (
    BoardBusy,
    BoardSetupError,
    EdgeprofError,
    StoreError,
    TransientError,
)
from edgeprof.boards.check import Connect
from edgeprof.boards.claim import Owner
from edgeprof.boards.deploy import SoftwareSource
from edgeprof.boards.inventory import BoardSpec
from edgeprof.runs.board_loop import BoardLoop
from edgeprof.runs.context import RunContext, RunOptions
from edgeprof.runs.results import Results
from edgeprof.runs.summary import (
    Activity,
    Listener,
    RunSummary,
    SilentListener,
    group_failures,
)
from edgeprof.runs.workload import Workload

_LEAVE_DEADLINE_S = 90.0
_LOOKS_AT_A_BUSY_BOARD = 20
_GRACE_S = 5.0


class _Run:
    def __init__(self, boards: Sequence[BoardSpec], context: RunContext) -> None:
        self._context = context
        self._policy = context.options.policy
        self._loops = [BoardLoop(board, context) for board in boards]
        self._unasked = len(self._loops)
        self._all_asked = asyncio.Event()

    async def run(self) -> RunSummary:
        start_s = time.monotonic()
        boards = [asyncio.ensure_future(self._serve(loop)) for loop in self._loops]
        try:
            await asyncio.gather(*boards)
        except asyncio.CancelledError:
            # gather has cancelled all and waited for the first: the others still restore boards.
            await asyncio.wait(boards)
            raise
        except BaseException:
            for board in boards:
                board.cancel()
            await asyncio.wait(boards)
            for board in boards:
                _ = board.cancelled() or board.exception()  # heard: one error is raised
            raise
        return self._summary(time.monotonic() - start_s)

    async def _serve(self, loop: BoardLoop) -> None:
        """See a board through the run."""
        try:
            await self._try(loop, lambda: self._ask(loop))
            # What other boards hold of an earlier run is not to be measured twice; but none waits
            # long for a board that does not answer.
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._all_asked.wait(), _GRACE_S)
            while loop.progress.error is None and not loop.is_finished:
                if loop.is_open or await self._try(loop, loop.open):
                    await self._try(loop, lambda: loop.work(lambda: self._sharing(loop)))
            await self._leave_as_found(loop)
        finally:
            await self._leave(loop)  # once more after Ctrl-C
            loop.give_back()
        loop.show(Activity.SET_ASIDE if loop.progress.error else Activity.DONE)

    async def _ask(self, loop: BoardLoop) -> None:
        """Connect to a board for the first time."""
        try:
            await loop.open()
        finally:
            self._unasked -= 1
            if self._unasked == 0:
                self._all_asked.set()

    async def _try(self, loop: BoardLoop, step: Callable[[], Awaitable[None]]) -> bool:
        """Do a step; after an error, leave and pause, or set the board aside."""
        try:
            await step()
            return True
        except StoreError:
            raise  # no board's fault, and nothing is lost: the records lie on the boards
        except BoardBusy as error:
            await self._leave(loop)
            await self._wait_for_owner(loop, error)
        except TransientError as error:
            await self._leave(loop)
            await self._back_off(loop, error)
        except EdgeprofError as error:
            await self._leave(loop)
            self._set_aside(loop, error)
        except Exception as error:  # whatever a board or a library does, the others go on
            await self._leave(loop)
            what = f"board {loop.spec.name}: {type(error).__name__}: {error}"
            self._set_aside(loop, BoardSetupError(what, board=loop.spec.name))
        return False

    async def _wait_for_owner(self, loop: BoardLoop, error: BoardBusy) -> None:
        now_s = time.monotonic()
        if loop.trouble.busy_since_s is None:
            loop.trouble.busy_since_s = now_s
            self._context.listener.note(f"{error}; waiting")
        if now_s - loop.trouble.busy_since_s >= self._policy.busy_limit_s:
            self._set_aside(loop, error)
            return
        loop.show(
            Activity.WAITING_FOR_OWNER,
            str(error.evidence.get("holder")),
            since_s=loop.trouble.busy_since_s,
            lasts_s=self._policy.busy_limit_s,
        )
        pause_s = self._policy.busy_limit_s / _LOOKS_AT_A_BUSY_BOARD
        await asyncio.sleep(min(pause_s, self._policy.busy_look_s))

    async def _back_off(self, loop: BoardLoop, error: TransientError) -> None:
        loop.trouble.lost_connections += 1
        if loop.trouble.lost_connections >= self._policy.board_failures:
            self._set_aside(loop, error)
            return
        self._context.listener.note(str(error))
        lost, most = loop.trouble.lost_connections, self._policy.board_failures
        pause_s = self._policy.backoff_after(lost)
        loop.show(Activity.RECONNECTING, f"(try {lost + 1} of {most})", lasts_s=pause_s)
        await asyncio.sleep(pause_s)

    def _set_aside(self, loop: BoardLoop, error: EdgeprofError) -> None:
        loop.progress.error = error
        loop.give_back()
        if len(self._loops) > 1:  # else it is the end of the run, and told there
            self._context.listener.note(f"{error}; the board is set aside")

    async def _leave_as_found(self, loop: BoardLoop) -> None:
        """Leave a board, and connect again for it if the connection breaks meanwhile."""
        for failures in range(1, self._policy.board_failures + 1):
            await self._leave(loop)
            if not loop.must_restore or loop.progress.error is not None:
                return
            pause_s = self._policy.backoff_after(failures)
            loop.show(Activity.RECONNECTING, "to restore it", lasts_s=pause_s)
            await asyncio.sleep(pause_s)
            await self._try(loop, loop.open)

    async def _leave(self, loop: BoardLoop) -> None:
        """Restore and disconnect, as far as the connection allows; the board's watchdog follows."""
        if not loop.is_open:
            return
        try:
            await asyncio.wait_for(loop.leave(), _LEAVE_DEADLINE_S)
        except TransientError:
            pass  # said already, or tried again
        except StoreError:
            raise
        except Exception as error:
            self._context.listener.note(str(error) or f"board {loop.spec.name}: left in a hurry")
        finally:
            await loop.connection.close()

    def _sharing(self, loop: BoardLoop) -> int:
        """How many boards take from a loop's queue."""
        return sum(
            other.progress.error is None and other.spec.device == loop.spec.device
            for other in self._loops
        )

    def _summary(self, wall_s: float) -> RunSummary:
        results = self._context.results
        boards = [loop.progress for loop in self._loops]
        return RunSummary(
            measured=sum(board.measured for board in boards),
            failed=sum(board.failed for board in boards),
            found_done=results.found_done,
            failed_before=results.failed_before,
            unfinished=results.unfinished,
            unreached=sorted({b.device for b in boards if not results.has_queue(b.device)}),
            duplicates=results.duplicates,
            sent_bytes=sum(loop.connection.sent_bytes for loop in self._loops),
            wall_s=wall_s,
            boards=boards,
            failures=group_failures(results.failures),
        )


async def run(
    workload: Workload[Any],
    boards: Sequence[BoardSpec],
    *,
    connect: Connect,
    find_software: SoftwareSource,
    owner: Owner,
    options: RunOptions | None = None,
    listener: Listener | None = None,
) -> RunSummary:
    """Measure a workload on these boards.

    An error of a board sets that board aside; it stands in the summary and is not raised.

    Raises:
        StoreError: records cannot be stored; those not stored yet stay on the boards.
    """
    options = options or RunOptions()
    results = Results(workload, options.policy)
    context = RunContext(
        connect, find_software, results, owner, options, listener or SilentListener()
    )
    return await _Run(boards, context).run()
