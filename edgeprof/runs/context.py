"""What all boards of a run share: how it is run, and what they go to for work and advice.

Owns: these two records. Does nothing itself.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgeprof.boards.check import Connect
from edgeprof.boards.claim import Owner
from edgeprof.boards.deploy import SoftwareSource
from edgeprof.runs.queue import RetryPolicy
from edgeprof.runs.results import Ledger
from edgeprof.runs.summary import Listener


@dataclass(frozen=True)
class FleetOptions:
    """How a run is run.

    Attributes:
        batch_size: items sent at a time.
        item_typical_s: what an item should take; sets how long silence is borne at first.
        item_limit_s: no item can take longer; sets how long a lease must last.
        prepare: whether clocks and the like are set; a board's own ``prepare`` can forbid it.
    """

    batch_size: int = 50
    item_typical_s: float = 10.0
    item_limit_s: float = 60.0
    prepare: bool = True
    policy: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True)
class Office:
    """What all boards of a run share.

    Attributes:
        run_id: in the names of this run's batches.
        numbers: of batches, so that names sort by age whatever the clock says.
        finding: by processor, held while its software is found: a build keeps one thread busy and
            no more, and boards with another processor do not wait for it.
    """

    connect: Connect
    find_software: SoftwareSource
    ledger: Ledger
    owner: Owner
    options: FleetOptions
    listener: Listener
    run_id: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    finding: dict[str, asyncio.Lock] = field(default_factory=dict)
