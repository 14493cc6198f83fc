"""What all boards of a run share.

Owns: these two records. Does nothing itself.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from edgeprof.boards.check import Connect
from edgeprof.boards.claim import Owner
from edgeprof.boards.deploy import SoftwareSource
from edgeprof.runs.queue import RetryPolicy
from edgeprof.runs.results import Results
from edgeprof.runs.summary import Listener


@dataclass(frozen=True)
class RunOptions:
    """How a run is run.

    Attributes:
        batch_size: items sent at a time.
        campaign: says for a number of items how they are measured in turns (``campaign.json``);
            one after the other where it is ``None``.
        item_typical_s: what an item should take; sets how long silence is tolerated at first.
        item_limit_s: no item can take longer; sets how long a lease must last.
        prepare: whether clocks and the like are set; a board's own ``prepare`` can forbid it.
    """

    batch_size: int = 50
    campaign: Callable[[int], Mapping[str, object]] | None = None
    item_typical_s: float = 10.0
    item_limit_s: float = 60.0
    prepare: bool = True
    policy: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True)
class RunContext:
    """What all boards of a run share.

    Attributes:
        finding: by processor, held while its software is found: a build keeps one thread busy and
            no more, and boards with another processor do not wait for it.
        run_id: in the names of this run's batches.
        numbers: of batches, so that names sort by age whatever the clock says.
    """

    connect: Connect
    find_software: SoftwareSource
    results: Results
    owner: Owner
    options: RunOptions
    listener: Listener
    finding: dict[str, asyncio.Lock] = field(default_factory=dict)
    run_id: str = field(default_factory=lambda: secrets.token_hex(4))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def new_batch_name(self) -> str:
        """Return a name that no other batch has."""
        return f"{self.owner.session}.{self.run_id}.{next(self.numbers):06}"

    def is_ours(self, batch_name: str) -> bool:
        """Return whether this run, and no earlier one, made a batch."""
        return self.run_id in batch_name.split(".")
