"""One board's steps through a run: open, work, leave.

Owns: the loop over batches, and what earlier interruptions left on the board. Errors are raised,
not dealt with: what follows from them is ``run.py``'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from edgeprof.boards.batch import Batch, Item
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.session import BoardSession, Leftover
from edgeprof.records.campaign_samples import LINK_PREFIX
from edgeprof.runs.connection import BoardConnection
from edgeprof.runs.context import RunContext
from edgeprof.runs.intake import Intake, Trouble
from edgeprof.runs.queue import WorkQueue
from edgeprof.runs.summary import Activity, BoardProgress

_PATIENCE_MARGIN_S = 30.0


class BoardLoop:
    """A board in a run.

    Attributes:
        connection: to the board.
        trouble: what has gone wrong lately; who decides by it is ``run.py``.
    """

    def __init__(self, spec: BoardSpec, context: RunContext) -> None:
        self.spec = spec
        self.progress = BoardProgress(spec.name, spec.device)
        self.connection = BoardConnection(spec, context)
        self.trouble = Trouble()
        self._intake = Intake(spec, self.progress, self.trouble, context)
        self._context = context
        self._leftovers: list[Leftover] = []

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self.connection.session is not None

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do here."""
        return self._context.results.is_finished(self.spec.device) and not self._leftovers

    @property
    def must_restore(self) -> bool:
        """Whether the board is not yet as it was found."""
        return bool(self._intake.stored) or self.connection.is_prepared

    @property
    def _queue(self) -> WorkQueue:
        return self._context.results.queue(self.spec.device)

    def show(
        self,
        activity: Activity,
        details: str = "",
        *,
        since_s: float | None = None,
        lasts_s: float | None = None,
    ) -> None:
        """Tell the listener what the board is doing, since when, and for how long at most."""
        progress = self.progress
        progress.activity = f"{activity.value} {details}".rstrip()
        progress.since_s = time.monotonic() if since_s is None else since_s
        progress.until_s = None if lasts_s is None else progress.since_s + lasts_s
        progress.under_way = sum(map(len, self._intake.held.values()))
        if self._context.results.has_queue(self.spec.device):
            self.progress.left = self._queue.unfinished
        self._context.listener.changed(self.progress)

    def give_back(self) -> None:
        """Let the other boards have what this one holds."""
        if self._context.results.has_queue(self.spec.device):
            self._intake.give_back()

    # --- connecting and leaving ------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, deploy, and learn what the board still holds of this run."""
        self.show(Activity.CONNECTING)
        software = await self.connection.open()
        try:
            queue = await self._context.results.add_board(self.spec, software, self._show_plan)
            session = self._session()
            self.show(Activity.DEPLOYING)
            await session.deploy()
            self._leftovers = [_own(leftover) for leftover in await session.leftovers()]
        except BaseException:
            await self.connection.close()
            raise
        if self._leftovers:
            self.connection.expect_prepared()  # by whoever left them
        for leftover in self._leftovers:
            if leftover.name not in self._intake.held and leftover.name not in self._intake.stored:
                self._intake.hold(leftover.name, queue.claim(leftover.job_ids))

    def _show_plan(self, step: str) -> None:
        progress = self.progress
        progress.activity, progress.since_s, progress.until_s = step, time.monotonic(), None
        self._context.listener.changed(self.progress)

    def _session(self) -> BoardSession:
        assert self.connection.session is not None
        return self.connection.session

    async def leave(self) -> None:
        """Stop what runs, keep its records, restore the board's state."""
        session, intake = self._session(), self._intake
        self.show(Activity.RESTORING)
        try:
            for name in list(intake.held):
                intake.keep(name, await session.stop(name))
            if intake.is_failing:
                intake.stored.extend(intake.held)  # nobody wants them: their items are given back
        finally:
            if note := await self.connection.restore():
                self._context.listener.note(note)
        # Last: a batch that is found there tells the next run that the board may be prepared.
        await session.forget(intake.stored)
        intake.stored.clear()

    # --- working ---------------------------------------------------------------------------------

    async def work(self, sharing: Callable[[], int]) -> None:
        """Measure until the queue is finished.

        Args:
            sharing: how many boards take from the queue.
        """
        await self._work_off_leftovers()
        while self._queue.unfinished:
            limit, now_s = self._context.options.batch_size, time.monotonic()
            items = self._queue.take(limit, sharing(), now_s, self.spec.name)
            if items:
                await self._work_off(items)
            else:
                await self._wait_for_items()

    async def _work_off(self, items: list[Item]) -> None:
        name = self._context.new_batch_name()
        self._intake.hold(name, items)
        campaign = self._context.options.campaign
        every = [*items, *(self._queue.links_beside(items) if campaign else ())]
        await self._prepare(len(every))
        self.show(Activity.SENDING, str(len(items)))
        start_s = time.monotonic()
        how = None if campaign is None else campaign(len(every))
        batch = Batch(name, tuple(every), self.spec.environment, how)
        self._context.results.store.keep()  # the batch will be on the board: the next run asks
        await self._session().submit(batch, self._intake.stored)
        self._intake.stored.clear()
        await self._collect(name)
        self.progress.busy_s += time.monotonic() - start_s

    async def _wait_for_items(self) -> None:
        """Sleep until an item's pause is over, or another board gave one back or finished."""
        changed = self._context.results.changed
        changed.clear()
        ready_s = self._queue.next_ready_s()
        pause_s = None if ready_s is None else max(ready_s - time.monotonic(), 0.0)
        if pause_s is None:
            self.show(Activity.WAITING_FOR_ITEMS)
        else:
            counts = self._queue.paused().items()
            why = ", ".join(f"{count} ({reason})" for reason, count in counts)
            self.show(Activity.WAITING_TO_RETRY, why, lasts_s=pause_s)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(changed.wait(), pause_s)

    async def _work_off_leftovers(self) -> None:
        """Bring batches of before to their end: of a lost connection, or of a killed controller."""
        intake, session = self._intake, self._session()
        there = {leftover.name: leftover for leftover in self._leftovers}
        for name in [name for name in intake.held if name not in there]:
            intake.forget(name)  # never arrived
        for name, leftover in there.items():
            if name in intake.stored:
                continue
            missing = set(leftover.job_ids)
            if missing != set(intake.held.get(name, ())) and not self._context.is_ours(name):
                # Part of it is done or no longer wanted; what has been measured is kept.
                collected = await session.stop(name)
                intake.keep(name, collected)
                missing -= collected.records.keys()
                if not missing or not missing <= intake.held[name].keys():
                    intake.finish(name)
                    continue
            await self._prepare(len(missing))
            await session.resume(name)
            await self._collect(name)
        self._leftovers = []

    async def _collect(self, name: str) -> None:
        """Wait for a batch, however often its worker has to be started again."""
        self.trouble.busy_since_s = None
        while True:
            missing = len(self._intake.held[name])
            self.show(Activity.MEASURING, str(missing), lasts_s=missing * self._item_s)
            deadline_s = self._patience_s(missing)
            self.trouble.silences += 1
            collected = await self._session().collect(name, deadline_s=deadline_s)
            self.trouble.silences = 0
            is_done = self._intake.take_in(name, collected)
            self.show(Activity.MEASURING, str(len(self._intake.held[name])))
            if is_done:
                self._intake.finish(name)
                return
            await self._session().resume(name)

    def _patience_s(self, items: int) -> float:
        """Seconds of silence to tolerate: three times what a batch should take.

        Twice as long after each silence in vain. Too short costs no more than a new connection:
        the board goes on with its work.
        """
        return float(_PATIENCE_MARGIN_S + 3.0 * items * self._item_s * 2.0**self.trouble.silences)

    @property
    def _item_s(self) -> float:
        """Seconds that an item should take, by those before."""
        rate = self.progress.per_minute
        return self._context.options.item_typical_s if rate is None else 60.0 / rate

    async def _prepare(self, n_items: int) -> None:
        if self.connection.prepares:
            self.show(Activity.PREPARING)
        if reason := await self.connection.prepare(n_items):
            note = f"board {self.spec.name}: measured as it is: {reason}"
            if note not in self.progress.notes:
                self.progress.notes.append(note)
                self._context.listener.note(note)


def _own(leftover: Leftover) -> Leftover:
    """Return a leftover without its links: nobody waits for these."""
    return replace(
        leftover, job_ids=tuple(k for k in leftover.job_ids if not k.startswith(LINK_PREFIX))
    )
