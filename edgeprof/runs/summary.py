"""What is known of a run while it goes on, and what is reported at its end.

Owns: what a board can be doing, the counts per board, failures grouped by cause. How they are shown
is ``view.py``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from edgeprof.base.errors import EdgeprofError
from edgeprof.base.notebook import html_table


class Activity(Enum):
    """What a board is doing."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    DEPLOYING = "deploying"
    PREPARING = "preparing"
    SENDING = "sending"
    MEASURING = "measuring"
    WAITING_FOR_OWNER = "waiting for"
    WAITING_TO_RETRY = "waiting to retry"
    WAITING_FOR_ITEMS = "waiting for other boards"
    RECONNECTING = "reconnecting"
    RESTORING = "restoring"
    SET_ASIDE = "set aside"
    DONE = "done"


@dataclass
class BoardProgress:
    """One board's part of a run.

    Attributes:
        device: the queue it takes from.
        activity: an ``Activity``, and details.
        since_s, until_s: when that began, and when it ends: a pause then, a wait or a batch then at
            the latest, as far as can be told (``time.monotonic``).
        under_way: items on the board.
        measured, failed, retried: items so far.
        temp_mdegc: of the warmest sensor, from the last record.
        busy_s: time spent on batches.
        left: items of its queue that are neither measured nor failed; ``None`` until planned.
        error: why it was set aside, if it was.
        notes: what the user should know, e.g. that its clocks could not be pinned.
    """

    name: str
    device: str
    activity: str = Activity.WAITING.value
    since_s: float | None = None
    until_s: float | None = None
    under_way: int = 0
    measured: int = 0
    failed: int = 0
    retried: int = 0
    temp_mdegc: int | None = None
    busy_s: float = 0.0
    left: int | None = None
    error: EdgeprofError | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def per_minute(self) -> float | None:
        """Items per minute of work, once there are any."""
        finished = self.measured + self.failed
        return 60.0 * finished / self.busy_s if finished and self.busy_s > 0 else None


@dataclass(frozen=True)
class FailureGroup:
    """Failures with one cause.

    Attributes:
        kind: the error's type.
        example: one of the messages.
        count: how many items failed so.
    """

    kind: str
    example: str
    count: int


@dataclass(frozen=True, repr=False)
class RunSummary:
    """How a run ended.

    Attributes:
        measured: items measured in this run.
        failed: items recorded as failed in this run.
        found_done: items that were in the store before.
        failed_before: items that failed for good in an earlier run and were left out.
        unfinished: items that no board was left for.
        unreached: devices of which no board could be used, so that nothing was planned.
        duplicates: records that came for an item a second time, and were not stored.
        sent_bytes: what was sent to boards.
    """

    measured: int
    failed: int
    found_done: int
    failed_before: int
    unfinished: int
    unreached: Sequence[str]
    duplicates: int
    sent_bytes: int
    wall_s: float
    boards: Sequence[BoardProgress]
    failures: Sequence[FailureGroup]

    def __repr__(self) -> str:
        kinds = ", ".join(f"{group.count} x {group.kind}" for group in self.failures[:5])
        failed = f"{self.failed} failed" + (f" ({kinds})" if kinds else "")
        return f"<RunSummary {self.measured} measured, {failed}, {self.unfinished} unfinished>"

    def _repr_html_(self) -> str:
        rows = [
            (board.name, f"{board.measured} measured, {board.failed} failed")
            for board in self.boards
        ]
        return html_table(repr(self).strip("<>"), rows)

    @property
    def is_complete(self) -> bool:
        """Whether every item was measured that was not given up in an earlier run."""
        return not (self.failed or self.unfinished or self.unreached)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "measured": self.measured,
            "failed": self.failed,
            "found_done": self.found_done,
            "failed_before": self.failed_before,
            "unfinished": self.unfinished,
            "unreached": list(self.unreached),
            "duplicates": self.duplicates,
            "sent_bytes": self.sent_bytes,
            "wall_s": round(self.wall_s, 3),
            "boards": [
                {
                    "name": board.name,
                    "device": board.device,
                    "measured": board.measured,
                    "failed": board.failed,
                    "retried": board.retried,
                    "error": None if board.error is None else str(board.error),
                    "notes": list(board.notes),
                }
                for board in self.boards
            ],
            "failures": [vars(group) for group in self.failures],
        }


class Listener(Protocol):
    """Whoever shows a run."""

    def changed(self, board: BoardProgress) -> None:
        """A board's counts or activity changed."""

    def note(self, text: str) -> None:
        """Say something for people, in one line."""


class SilentListener:
    """Shows nothing."""

    def changed(self, board: BoardProgress) -> None:
        """Nothing to do."""

    def note(self, text: str) -> None:
        """Nothing to do."""


def group_failures(records: Sequence[Mapping[str, Any]]) -> list[FailureGroup]:
    """Group failure records by cause: type and message, whatever the model and the numbers."""
    groups: dict[tuple[str, str], list[str]] = {}
    for record in records:
        error = record["error"]
        kind, message = str(error["kind"]), str(error["message"])
        path = str(record.get("model", {}).get("path") or "")
        cause = re.sub(r"\d+", "#", message.replace(path, "") if path else message)
        groups.setdefault((kind, cause), []).append(message)
    found = [FailureGroup(kind, texts[0], len(texts)) for (kind, _), texts in groups.items()]
    return sorted(found, key=lambda group: (-group.count, group.kind, group.example))


def temperature_of(record: Mapping[str, Any]) -> int | None:
    """Return the warmest temperature of a record's machine state, in thousandths of a degree."""
    zones = record.get("machine", {}).get("thermal_zones", [])
    return max((zone["temp_mdegc"] for zone in zones if "temp_mdegc" in zone), default=None)
