"""What is to be done, and what has come of it.

Owns: one queue for each kind of board, and the way of a record: judged, then stored, queued again
or written down as failed. Knows no connections.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from edgeprof.base.errors import BoardSetupError
from edgeprof.boards.batch import Item
from edgeprof.boards.deploy import Software
from edgeprof.boards.inventory import BoardSpec
from edgeprof.measuring.machine import findings
from edgeprof.runs.queue import RetryPolicy, Verdict, WorkQueue, verdict_of
from edgeprof.runs.summary import BoardProgress, temperature_of


class RecordSink(Protocol):
    """Where records go; what it has, is done."""

    def append(self, item: Item, board: BoardSpec, record: Mapping[str, Any]) -> bool:
        """Keep a measurement; returns ``False`` if the item has one already."""

    def append_failure(self, item: Item, board: BoardSpec, record: Mapping[str, Any]) -> None:
        """Keep the record of an item that failed for good."""


@dataclass(frozen=True)
class Plan:
    """What one kind of board has to do.

    Attributes:
        items: still to be measured.
        found_done: how many were done before.
    """

    items: Sequence[Item]
    found_done: int = 0


class Outcome(Enum):
    """What came of a record."""

    FINAL = "final"
    """The item has its measurement, or has failed for good."""
    SPOILED = "spoiled"
    """It comes again; the board should rest."""
    FAILED_HERE = "failed here"
    """It comes again, on another board where there is one."""


Planner = Callable[[BoardSpec, Software], Awaitable[Plan]]
"""Says what the boards of a device have to do; asked once per device."""


class Ledger:
    """The queues of a run and the fate of its items.

    Attributes:
        failures: records of items that failed for good.
        duplicates: records that the sink had already.
        news: set when items come back to a queue or finish.
    """

    def __init__(self, plan: Planner, sink: RecordSink, policy: RetryPolicy) -> None:
        self._plan = plan
        self._sink = sink
        self._policy = policy
        self._queues: dict[str, WorkQueue] = {}
        self._conditions: dict[str, tuple[str, str]] = {}
        self._planning = asyncio.Lock()
        self.found_done = 0
        self.duplicates = 0
        self.failures: list[Mapping[str, Any]] = []
        self.news = asyncio.Event()

    @property
    def unfinished(self) -> int:
        """Items of all queues that are neither measured nor failed."""
        return sum(queue.unfinished for queue in self._queues.values())

    def has_queue(self, device: str) -> bool:
        """Whether a board of this device has been reached."""
        return device in self._queues

    def queue(self, device: str) -> WorkQueue:
        """Return the queue of a device."""
        return self._queues[device]

    def is_finished(self, device: str) -> bool:
        """Whether nothing is left to do for a device."""
        return device in self._queues and self._queues[device].unfinished == 0

    async def enrol(self, board: BoardSpec, software: Software) -> WorkQueue:
        """Return the queue that a board takes from; the first of its device has it planned.

        Raises:
            BoardSetupError: it would measure under other conditions than the others of the queue.
        """
        mine = _conditions(board, software)
        first, theirs = self._conditions.setdefault(board.device, (board.name, mine))
        if theirs != mine:
            raise BoardSetupError(
                f"board {board.name}: would measure with {mine}, but {first} of the same queue "
                f"{board.device!r} with {theirs}; give it a tag of its own",
                board=board.name,
            )
        async with self._planning:
            if board.device not in self._queues:
                plan = await self._plan(board, software)
                self.found_done += plan.found_done
                self._queues[board.device] = WorkQueue(plan.items, self._policy)
        return self._queues[board.device]

    def enter(
        self, board: BoardSpec, progress: BoardProgress, item: Item, record: dict[str, Any]
    ) -> Outcome:
        """Take in the record of an item.

        Raises:
            StoreError: it cannot be stored; the record is still on the board then.
        """
        if "model" in record and item.model is not None:
            record["model"]["path"] = item.model.name  # the path on the board helps nobody
        record["board"] = board.name
        machine = record.get("machine")
        finding_ids = {found.id for found in findings(machine)} if machine else ()
        verdict = verdict_of(record, self._policy, finding_ids)
        progress.temp_mdegc = temperature_of(record) or progress.temp_mdegc
        queue = self._queues[board.device]
        if self._comes_again(queue, item, verdict, board.name):
            progress.retried += 1
            self.news.set()
            return Outcome.SPOILED if verdict is Verdict.SPOILED else Outcome.FAILED_HERE
        if "error" in record:
            self._sink.append_failure(item, board, record)
            self.failures.append(record)
            progress.failed += queue.finish(item)
        else:
            self.duplicates += not self._sink.append(item, board, record)
            progress.measured += queue.finish(item)
        return Outcome.FINAL

    @staticmethod
    def _comes_again(queue: WorkQueue, item: Item, verdict: Verdict, board: str) -> bool:
        now_s = time.monotonic()
        if verdict is Verdict.DOUBTFUL:
            return queue.doubt(item, board, now_s)
        return verdict in (Verdict.SPOILED, Verdict.PASSING) and queue.retry(item, now_s)


def _conditions(board: BoardSpec, software: Software) -> str:
    library = software.library
    runtime = "no library" if library is None else f"{library.source.name} {library.sha256[:12]}"
    cores = ",".join(map(str, board.cores)) or "any"
    conditions = f"{runtime}, {board.threads or 1} threads on cores {cores}"
    if board.environment:
        # Names and a digest: values may be secrets.
        text = json.dumps(dict(sorted(board.environment.items())))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        conditions += f", environment {', '.join(sorted(board.environment))} ({digest})"
    return conditions
