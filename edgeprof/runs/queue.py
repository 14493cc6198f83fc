"""Which item is measured next, and what becomes of one that failed.

Owns: the queue of items that boards of one kind share, and the retry policy. Pure: no connection,
no clock of its own (every method is told the time), so each rule can be tested by itself.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from edgeprof.base.errors import InvalidRecord
from edgeprof.boards.batch import Item
from edgeprof.records.campaign_samples import LINK_PREFIX


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and after which pause.

    Attributes:
        attempts: of one item that fails for a passing reason.
        backoff_s: pause of a board after a failed connection, and of an item after a failed
            attempt; doubles each time, up to ``backoff_limit_s``.
        board_failures: a board that cannot be reached so often in a row is set aside.
        failed_in_a_row: a board is set aside after so many records of failures that may be its
            own, without a measurement between them.
        busy_limit_s: how long a board that another owner measures on is waited for.
        busy_look_s: pause between two looks at such a board, at most.
    """

    attempts: int = 3
    backoff_s: float = 2.0
    backoff_limit_s: float = 120.0
    board_failures: int = 5
    failed_in_a_row: int = 10
    busy_limit_s: float = 600.0
    busy_look_s: float = 30.0

    def backoff_after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row."""
        return float(min(self.backoff_s * 2.0 ** (failures - 1), self.backoff_limit_s))


class Verdict(Enum):
    """What a record says of its item."""

    MEASURED = "measured"
    PASSING = "passing"
    """A failure that a retry may help."""
    DOUBTFUL = "doubtful"
    """A failure of the item or of the board: a second one tells."""
    FAILED = "failed"
    """A failure that no retry helps."""


_MAYBE_THE_BOARDS = frozenset({"HarnessCrashed", "OutputError", "RuntimeUnavailable"})


def verdict_of(record: Mapping[str, Any]) -> Verdict:
    """Judge a record of the board program.

    Raises:
        InvalidRecord: it is neither a measurement nor a failure.
    """
    error = record.get("error")
    if error is not None:
        if error.get("transient"):
            return Verdict.PASSING
        return Verdict.DOUBTFUL if error.get("kind") in _MAYBE_THE_BOARDS else Verdict.FAILED
    if record.get("summary") is None:
        raise InvalidRecord("the board's record has neither summary nor error")
    return Verdict.MEASURED


class WorkQueue:
    """The items of one kind of board, until each is measured or has failed.

    Args:
        items: to measure.
        policy: what becomes of one that fails.
        links: items that each batch measures some of once more.
    """

    def __init__(
        self, items: Iterable[Item], policy: RetryPolicy, links: Iterable[Item] = ()
    ) -> None:
        self._policy = policy
        self._items = {item.key: item for item in items}
        self._ready = deque(self._items)
        self._attempts: dict[str, int] = {}
        self._later: dict[str, float] = {}  # key -> time it is ready
        self._reasons: dict[str, str] = {}  # key -> why it comes again
        self._doubted: dict[str, str] = {}  # key -> board where it failed
        self._unfinished = set(self._items)
        self._links = {LINK_PREFIX + item.key: item for item in links}

    @property
    def unfinished(self) -> int:
        """Items that are neither measured nor failed, those under way included."""
        return len(self._unfinished)

    def take(self, limit: int, boards: int, now_s: float, board: str = "") -> list[Item]:
        """Take items to measure next, fewer towards the end so that all boards end together.

        Args:
            limit: items of a batch at most.
            boards: how many boards share the queue.
            now_s: the time.
            board: which takes them; what failed there is left to the others.
        """
        self._promote(now_s)
        ready = [key for key in self._ready if boards < 2 or self._doubted.get(key) != board]
        fair = math.ceil(len(ready) / max(boards, 1))
        taken = ready[: min(limit, max(fair, 1))]
        gone = set(taken)
        self._ready = deque(key for key in self._ready if key not in gone)
        return [self._items[key] for key in taken]

    def links_beside(self, items: Collection[Item]) -> list[Item]:
        """Return what links a batch of items to the others: one for each four, until there are all.

        Links that are among the items anyway are left out.
        """
        own = {item.key for item in items}
        links = [replace(item, key=k) for k, item in self._links.items() if item.key not in own]
        return links[: math.ceil(len(items) / 4)]

    def drop_link(self, key: str) -> None:
        """Do without a link, of which no board makes a measurement."""
        self._links.pop(key, None)

    def claim(self, keys: Iterable[str]) -> list[Item]:
        """Take the items with these keys that are not under way elsewhere, nor finished."""
        wanted = set(keys)
        claimed = [key for key in self._ready if key in wanted]
        claimed += [key for key in self._later if key in wanted]
        self._ready = deque(key for key in self._ready if key not in wanted)
        for key in claimed:
            self._later.pop(key, None)
        return [self._items[key] for key in claimed]

    def put_back(self, items: Iterable[Item]) -> None:
        """Return items whose board was lost; no attempt is counted."""
        for item in items:
            if item.key in self._unfinished and item.key not in self._later:
                self._ready.append(item.key)

    def finish(self, item: Item) -> bool:
        """Note that an item has its record; returns whether it had none before."""
        if item.key not in self._unfinished:
            return False
        self._unfinished.discard(item.key)
        return True

    def retry(self, item: Item, now_s: float, reason: str = "") -> bool:
        """Queue an item again after a pause; returns ``False`` when its attempts are used up."""
        self._reasons[item.key] = reason
        attempts = self._attempts[item.key] = self._attempts.get(item.key, 0) + 1
        if attempts >= self._policy.attempts or item.key not in self._unfinished:
            return False
        self._later[item.key] = now_s + self._policy.backoff_after(attempts)
        return True

    def doubt(self, item: Item, board: str, now_s: float, reason: str = "") -> bool:
        """Queue an item again that failed on a board, for another one where there is one.

        Returns:
            ``False`` when it has failed so before.
        """
        if item.key in self._doubted or item.key not in self._unfinished:
            return False
        self._doubted[item.key] = board
        self._reasons[item.key] = reason
        self._later[item.key] = now_s + self._policy.backoff_after(1)
        return True

    def next_ready_s(self) -> float | None:
        """Return the time when the next paused item is ready, if there is one."""
        return min(self._later.values(), default=None)

    def paused(self) -> Counter[str]:
        """Return why items are paused, and how many for each reason."""
        return Counter(self._reasons.get(key, "") for key in self._later)

    def _promote(self, now_s: float) -> None:
        for key in [key for key, ready_s in self._later.items() if ready_s <= now_s]:
            del self._later[key]
            self._ready.append(key)
