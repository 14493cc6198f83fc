"""What is to be done, and what has come of it.

Owns: one queue for each kind of board, and the counts over all boards. Knows no connections.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from edgeprof.boards.deploy import Software
from edgeprof.boards.inventory import BoardSpec
from edgeprof.runs.queue import RetryPolicy, WorkQueue
from edgeprof.runs.workload import Show, Workload


class Results:
    """The queues of a run and the fate of its items.

    Attributes:
        store: where records go.
        found_done: items that were in the store before.
        failed_before: items that failed for good in an earlier run and are left out.
        failures: records of items that failed for good.
        duplicates: records of items that had one already.
        changed: set when items come back to a queue or finish.
    """

    def __init__(self, workload: Workload[Any], policy: RetryPolicy) -> None:
        self.store = workload.store
        self._workload = workload
        self._policy = policy
        self._queues: dict[str, WorkQueue] = {}
        self._conditions: dict[str, tuple[str, str]] = {}
        self._planning = asyncio.Lock()
        self.found_done = 0
        self.failed_before = 0
        self.duplicates = 0
        self.failures: list[Mapping[str, Any]] = []
        self.changed = asyncio.Event()

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

    async def add_board(self, board: BoardSpec, software: Software, show: Show) -> WorkQueue:
        """Return the queue that a board takes from; the first of its device has it planned.

        Raises:
            BoardSetupError: it would measure under other conditions than the others of the queue.
        """
        mine = _conditions(board, software)
        first, theirs = self._conditions.setdefault(board.device, (board.name, mine))
        if theirs != mine:
            raise board.error(
                f"would measure with {mine}, but {first} of the same queue "
                f"{board.device!r} with {theirs}; give it a tag of its own"
            )
        async with self._planning:
            if board.device not in self._queues:
                plan = await self._workload.plan(board, software, show)
                self.found_done += plan.found_done
                self.failed_before += plan.failed_before
                self._queues[board.device] = WorkQueue(plan.items, self._policy, plan.links)
        return self._queues[board.device]


def _conditions(board: BoardSpec, software: Software) -> str:
    library = software.library
    runtime = "no library" if library is None else f"{library.source.name} {library.sha256[:12]}"
    cores = ",".join(map(str, board.cores)) or "any"
    conditions = f"{runtime}, {board.threads or 1} threads on cores {cores}"
    if board.options:
        conditions += f", options {json.dumps(dict(sorted(board.options.items())))}"
    if board.environment:
        # Names and a digest: values may be secrets.
        text = json.dumps(dict(sorted(board.environment.items())))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        conditions += f", environment {', '.join(sorted(board.environment))} ({digest})"
    return conditions
