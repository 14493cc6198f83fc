"""One board's part in a run.

Owns: its connection, what it holds, and the steps of its work: open, work, leave. Errors are
raised, not dealt with: what follows from them is ``run.py``'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edgeprof.base.errors import BoardBusy, BoardSetupError
from edgeprof.boards.batch import Batch, Item
from edgeprof.boards.claim import refuse_others
from edgeprof.boards.facts import read_facts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.prepared import prepare, restore
from edgeprof.boards.session import BoardSession, Collected, Leftover
from edgeprof.runs.context import Office
from edgeprof.runs.queue import RetryPolicy, WorkQueue
from edgeprof.runs.results import Outcome
from edgeprof.runs.summary import BoardProgress

_STALLS_PER_ITEM = 3
_LEASE_MARGIN_S = 600.0
_PATIENCE_MARGIN_S = 30.0
_LOOKS_AT_OWN_COMMAND = 60
_LOOK_INTERVAL_S = 0.5


class Member:
    """A board in a run.

    Attributes:
        held: items by batch on the board whose records have not been taken in.
        failures: of the connection in a row, without a record of use between them.
        busy_since_s: since when another owner measures there.
    """

    def __init__(self, spec: BoardSpec, office: Office) -> None:
        self.spec = spec
        self.progress = BoardProgress(spec.name, spec.device)
        self.held: dict[str, dict[str, Item]] = {}
        self.failures = 0
        self.busy_since_s: float | None = None
        self.sent_bytes = 0
        self._office = office
        self._session: BoardSession | None = None
        self._stored: list[str] = []  # batches to be forgotten on the board
        self._leftovers: list[Leftover] = []
        self._is_prepared = False
        self._spoiled_batches = 0
        self._failed_in_a_row = 0
        self._last_failure = ""
        self._silences = 0

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self._session is not None

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to do here."""
        return self._office.ledger.is_finished(self.spec.device) and not self._leftovers

    @property
    def owes(self) -> bool:
        """Whether the board is not yet as it was found."""
        return bool(self._stored) or self._is_prepared

    @property
    def _queue(self) -> WorkQueue:
        return self._office.ledger.queue(self.spec.device)

    def show(self, activity: str) -> None:
        """Tell the listener what the board is doing."""
        self.progress.activity = activity
        self._tell()

    def _tell(self) -> None:
        if self._office.ledger.has_queue(self.spec.device):
            self.progress.left = self._queue.unfinished
        self._office.listener.changed(self.progress)

    def give_back(self) -> None:
        """Let the other boards have what this one holds."""
        for items in self.held.values():
            self._queue.put_back(items.values())
        self.held.clear()
        self._office.ledger.news.set()

    # --- connecting and leaving ------------------------------------------------------------------

    async def open(self) -> None:
        """Connect, deploy, and learn what the board still holds of this run."""
        self.show("connecting")
        office = self._office
        transport = await office.connect(self.spec)
        try:
            facts = await read_facts(transport, self.spec)
            # Before anything heavy is done there. A batch of our own may be running: what it needs
            # is there, and so nothing is sent.
            refuse_others(self.spec, facts.holders, office.owner.session)
            async with office.finding.setdefault(facts.architecture, asyncio.Lock()):
                # In a thread: it may compile a program or fetch a library.
                software = await asyncio.to_thread(office.find_software, self.spec, facts)
            session = BoardSession(transport, self.spec, facts, software, office.owner)
            queue = await office.ledger.enrol(self.spec, software)
            self.show("deploying")
            await session.deploy()
            self._leftovers = await session.leftovers()
        except BaseException:
            self.sent_bytes += transport.sent_bytes
            await transport.close()
            raise
        self._session = session
        if self._leftovers and office.options.prepare and self.spec.prepare:
            self._is_prepared = True  # by whoever left them
        for leftover in self._leftovers:
            if leftover.name not in self.held and leftover.name not in self._stored:
                claimed = queue.claim(leftover.job_ids)
                self.held[leftover.name] = {item.key: item for item in claimed}

    async def leave(self) -> None:
        """Stop what runs, keep its records, restore the board's state."""
        session = self._session
        assert session is not None
        self.show("restoring")
        try:
            for name in list(self.held):
                self._take_in(name, await session.stop(name))
            if self._is_failing:
                self._stored.extend(self.held)  # nobody wants them: their items are given back
        finally:
            if self._is_prepared:
                await self._restore(session)
                self._is_prepared = False
        # Last: a batch that is found there tells the next run that the board may be prepared.
        await session.forget(self._stored)
        self._stored.clear()

    async def _restore(self, session: BoardSession) -> None:
        owner, error = self._office.owner, None
        for _ in range(_LOOKS_AT_OWN_COMMAND):
            try:
                await restore(session.transport, self.spec, session.facts, owner)
                return
            except BoardBusy as busy:
                error = busy
                if busy.evidence["session"] != owner.session:
                    break
            # A command of ours that was interrupted here is still at its work there.
            await asyncio.sleep(_LOOK_INTERVAL_S)
        # Another measures in the state that is set, and has renewed its lease if he wanted it.
        self._office.listener.note(f"{error}; what is set there lasts as long as its lease")

    async def disconnect(self) -> None:
        """Let the connection go; never raises."""
        session, self._session = self._session, None
        if session is not None:
            self.sent_bytes += session.transport.sent_bytes
            await session.transport.close()

    # --- working ---------------------------------------------------------------------------------

    async def work(self, sharing: Callable[[], int]) -> None:
        """Measure until the queue is finished.

        Args:
            sharing: how many boards take from the queue.
        """
        session, queue, office = self._session, self._queue, self._office
        assert session is not None
        await self._work_off_leftovers(session)
        while queue.unfinished:
            now_s = time.monotonic()
            items = queue.take(office.options.batch_size, sharing(), now_s, self.spec.name)
            if items:
                await self._work_off(session, items)
            else:
                await self._wait_for_items()

    async def _work_off(self, session: BoardSession, items: list[Item]) -> None:
        office = self._office
        name = f"{office.owner.session}.{office.run_id}.{next(office.numbers):06}"
        self.held[name] = {item.key: item for item in items}
        await self._prepare(session, len(items))
        self.show(f"sending {len(items)}")
        start_s = time.monotonic()
        batch = Batch(name, tuple(items), self.spec.environment)
        await session.submit(batch, self._stored)
        self.busy_since_s = None
        self._stored.clear()
        await self._collect(session, name)
        self.progress.busy_s += time.monotonic() - start_s
        await self._cool_down()

    async def _wait_for_items(self) -> None:
        """Sleep until an item's pause is over, or another board gave one back or finished."""
        self.show("waiting for items")
        self._office.ledger.news.clear()
        ready_s = self._queue.next_ready_s()
        pause_s = None if ready_s is None else max(ready_s - time.monotonic(), 0.0)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._office.ledger.news.wait(), pause_s)

    async def _work_off_leftovers(self, session: BoardSession) -> None:
        """Bring batches of before to their end: of a lost connection, or of a killed controller."""
        there = {leftover.name: leftover for leftover in self._leftovers}
        for name in [name for name in self.held if name not in there]:
            self._queue.put_back(self.held.pop(name).values())  # never arrived
        for name, leftover in there.items():
            if name in self._stored:
                continue
            is_own = self._office.run_id in name.split(".")
            if is_own or set(leftover.job_ids) == set(self.held.get(name, ())):
                await self._prepare(session, len(leftover.job_ids))
                await session.resume(name)
                self.busy_since_s = None
                await self._collect(session, name)
            else:
                # Part of it is done or no longer wanted; what has been measured is kept.
                self._take_in(name, await session.stop(name))
                self._finish_batch(name)
        self._leftovers = []

    async def _collect(self, session: BoardSession, name: str) -> None:
        """Wait for a batch, however often its worker has to be started again."""
        stalls = 0
        while True:
            missing = len(self.held[name])
            self.show(f"measuring {missing}")
            self._silences += 1
            collected = await session.collect(name, deadline_s=self._patience_s(missing))
            self._silences = 0
            stalls = 0 if self._take_in(name, collected) else stalls + 1
            self._refuse_to_fail_on()
            if stalls >= _STALLS_PER_ITEM and self.held[name]:
                self._give_up_first(name, collected)
            elif collected.is_there and self.held[name]:
                await session.resume(name)
                continue
            self._finish_batch(name)
            return

    def _finish_batch(self, name: str) -> None:
        self._queue.put_back(self.held.pop(name, {}).values())
        self._stored.append(name)
        self._office.ledger.news.set()

    def _give_up_first(self, name: str, collected: Collected) -> None:
        """Blame the job that the worker was at each time it died."""
        key, item = next(iter(self.held[name].items()))
        words = f": {collected.last_words}" if collected.last_words else ""
        error = {
            "kind": "HarnessCrashed",
            "message": f"the board program ended {_STALLS_PER_ITEM} times at this model{words}",
            "transient": True,
        }
        del self.held[name][key]
        self._enter(item, {"record_version": 1, "job_id": key, "error": error})

    def _patience_s(self, items: int) -> float:
        """Seconds of silence to bear: three times what a batch should take.

        Twice as long after each silence in vain. Too short costs no more than a new connection:
        the board goes on with its work.
        """
        rate = self.progress.per_minute
        item_s = self._office.options.item_typical_s if rate is None else 60.0 / rate
        return float(_PATIENCE_MARGIN_S + 3.0 * items * item_s * 2.0 ** (self._silences - 1))

    async def _prepare(self, session: BoardSession, items: int) -> None:
        """Set the board's state for a batch: again each time, since others may take turns there."""
        office = self._office
        if not (office.options.prepare and self.spec.prepare):
            return
        self.show("preparing")
        self._is_prepared = True  # before the first write: whatever happens, it is restored
        lease_s = items * office.options.item_limit_s + _LEASE_MARGIN_S
        try:
            state = await prepare(
                session.transport, self.spec, session.facts, office.owner, lease_s=lease_s
            )
        except BoardBusy as error:
            if error.evidence["session"] == office.owner.session:
                return  # the batch is being measured already, in the state set for it
            raise
        if state.reason is not None:
            self._note_once(f"board {self.spec.name}: measured as it is: {state.reason}")

    def _note_once(self, note: str) -> None:
        if note not in self.progress.notes:
            self.progress.notes.append(note)
            self._office.listener.note(note)

    async def _cool_down(self) -> None:
        if self._spoiled_batches:
            pause_s = self._policy.cool_down_after(self._spoiled_batches)
            self.show(f"cooling down {pause_s:.0f} s")
            await asyncio.sleep(pause_s)

    @property
    def _policy(self) -> RetryPolicy:
        return self._office.options.policy

    # --- records ---------------------------------------------------------------------------------

    def _take_in(self, name: str, collected: Collected) -> int:
        """Enter what is new of a batch; returns how much that was."""
        items = self.held.get(name, {})
        outcomes = []
        for key, record in collected.records.items():
            if key in items and not self._is_failing:
                outcomes.append(self._enter(items[key], record))
                del items[key]
        if outcomes:
            is_spoiled = Outcome.SPOILED in outcomes
            self._spoiled_batches = self._spoiled_batches + 1 if is_spoiled else 0
        self._tell()
        return len(outcomes)

    def _enter(self, item: Item, record: dict[str, Any]) -> Outcome:
        outcome = self._office.ledger.enter(self.spec, self.progress, item, record)
        if outcome is Outcome.FAILED_HERE:
            self._failed_in_a_row += 1
            self._last_failure = str(record["error"]["message"])
        else:
            self.failures = 0
            if "error" not in record:  # a failure for good says nothing for the board
                self._failed_in_a_row = 0
        return outcome

    @property
    def _is_failing(self) -> bool:
        return self._failed_in_a_row >= self._policy.failed_in_a_row

    def _refuse_to_fail_on(self) -> None:
        """Raise ``BoardSetupError`` when too many models in a row have failed here."""
        if self._is_failing:
            raise BoardSetupError(
                f"board {self.spec.name}: {self._failed_in_a_row} models in a row failed there, "
                f"the last so: {self._last_failure}",
                board=self.spec.name,
            )
