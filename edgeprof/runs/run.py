"""A bulk run: every item measured on a board of its kind, exactly once, whatever breaks.

Owns: what follows from each kind of error: another try, a pause, or a board set aside. A board's
own steps are ``member.py``'s, the order of items and the retry rules ``schedule.py``'s.

Where the truth is at any moment: an item is done when the sink has it; until then its batch lies
on a board, or it is in the queue. A batch is forgotten on the board only after the sink has its
records. So each process may be killed between any two steps.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

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
from edgeprof.runs.board_loop import Member
from edgeprof.runs.context import FleetOptions, Office
from edgeprof.runs.results import Ledger, Planner, RecordSink
from edgeprof.runs.summary import FleetSummary, Listener, SilentListener, group_failures

_LEAVE_DEADLINE_S = 90.0
_LOOKS_AT_A_BUSY_BOARD = 20
_GRACE_S = 5.0


class _Run:
    def __init__(self, boards: Sequence[BoardSpec], office: Office) -> None:
        self._office = office
        self._policy = office.options.policy
        self._members = [Member(board, office) for board in boards]
        self._unasked = len(self._members)
        self._all_asked = asyncio.Event()

    async def run(self) -> FleetSummary:
        start_s = time.monotonic()
        boards = [asyncio.ensure_future(self._serve(member)) for member in self._members]
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

    async def _serve(self, member: Member) -> None:
        """See a board through the run."""
        try:
            await self._try(member, lambda: self._ask(member))
            # What other boards hold of an earlier run is not to be measured twice; but none waits
            # long for a board that does not answer.
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._all_asked.wait(), _GRACE_S)
            while member.progress.error is None and not member.is_finished:
                if member.is_open or await self._try(member, member.open):
                    await self._try(member, lambda: member.work(lambda: self._sharing(member)))
            await self._leave_as_found(member)
        finally:
            await self._leave(member)  # once more after Ctrl-C
            self._give_back(member)
        member.show("set aside" if member.progress.error else "done")

    async def _ask(self, member: Member) -> None:
        """Connect to a board for the first time."""
        try:
            await member.open()
        finally:
            self._unasked -= 1
            if self._unasked == 0:
                self._all_asked.set()

    async def _try(self, member: Member, step: Callable[[], Awaitable[None]]) -> bool:
        """Do a step; after an error, leave and pause, or set the board aside."""
        try:
            await step()
            return True
        except StoreError:
            raise  # no board's fault, and nothing is lost: the records lie on the boards
        except BoardBusy as error:
            await self._leave(member)
            await self._wait_for_owner(member, error)
        except TransientError as error:
            await self._leave(member)
            await self._back_off(member, error)
        except EdgeprofError as error:
            await self._leave(member)
            self._set_aside(member, error)
        except Exception as error:  # whatever a board or a library does, the others go on
            await self._leave(member)
            what = f"board {member.spec.name}: {type(error).__name__}: {error}"
            self._set_aside(member, BoardSetupError(what, board=member.spec.name))
        return False

    async def _wait_for_owner(self, member: Member, error: BoardBusy) -> None:
        now_s = time.monotonic()
        if member.busy_since_s is None:
            member.busy_since_s = now_s
            self._office.listener.note(f"{error}; waiting")
        if now_s - member.busy_since_s >= self._policy.busy_limit_s:
            self._set_aside(member, error)
            return
        member.show(f"waiting for {error.evidence.get('holder')}")
        await asyncio.sleep(self._policy.busy_limit_s / _LOOKS_AT_A_BUSY_BOARD)

    async def _back_off(self, member: Member, error: TransientError) -> None:
        member.failures += 1
        if member.failures >= self._policy.board_failures:
            self._set_aside(member, error)
            return
        self._office.listener.note(str(error))
        member.show("reconnecting")
        await asyncio.sleep(self._policy.backoff_after(member.failures))

    def _set_aside(self, member: Member, error: EdgeprofError) -> None:
        member.progress.error = error
        self._give_back(member)
        self._office.listener.note(f"{error}; the board is set aside")

    def _give_back(self, member: Member) -> None:
        if self._office.ledger.has_queue(member.spec.device):
            member.give_back()

    async def _leave_as_found(self, member: Member) -> None:
        """Leave a board, and connect again for it if the connection breaks meanwhile."""
        for failures in range(1, self._policy.board_failures + 1):
            await self._leave(member)
            if not member.owes or member.progress.error is not None:
                return
            await asyncio.sleep(self._policy.backoff_after(failures))
            await self._try(member, member.open)

    async def _leave(self, member: Member) -> None:
        """Restore and disconnect, as far as the connection allows; the board's watchdog follows."""
        if not member.is_open:
            return
        try:
            await asyncio.wait_for(member.leave(), _LEAVE_DEADLINE_S)
        except TransientError:
            pass  # said already, or tried again
        except StoreError:
            raise
        except Exception as error:
            self._office.listener.note(str(error) or f"board {member.spec.name}: left in a hurry")
        finally:
            await member.disconnect()

    def _sharing(self, member: Member) -> int:
        """How many boards take from a member's queue."""
        return sum(
            other.progress.error is None and other.spec.device == member.spec.device
            for other in self._members
        )

    def _summary(self, wall_s: float) -> FleetSummary:
        ledger = self._office.ledger
        boards = [member.progress for member in self._members]
        return FleetSummary(
            measured=sum(board.measured for board in boards),
            failed=sum(board.failed for board in boards),
            found_done=ledger.found_done,
            unfinished=ledger.unfinished,
            unreached=sorted({b.device for b in boards if not ledger.has_queue(b.device)}),
            duplicates=ledger.duplicates,
            sent_bytes=sum(member.sent_bytes for member in self._members),
            wall_s=wall_s,
            boards=boards,
            failures=group_failures(ledger.failures),
        )


async def run_fleet(
    boards: Sequence[BoardSpec],
    *,
    connect: Connect,
    find_software: SoftwareSource,
    plan: Planner,
    sink: RecordSink,
    owner: Owner,
    options: FleetOptions | None = None,
    listener: Listener | None = None,
) -> FleetSummary:
    """Measure what is planned on these boards.

    An error of a board sets that board aside; it stands in the summary and is not raised.

    Raises:
        StoreError: records cannot be stored; those not stored yet stay on the boards.
    """
    options = options or FleetOptions()
    office = Office(
        connect,
        find_software,
        Ledger(plan, sink, options.policy),
        owner,
        options,
        listener or SilentListener(),
        secrets.token_hex(4),
    )
    return await _Run(boards, office).run()
