"""The samples of a campaign as arrays, and the visits that they form.

Owns: what the estimate is made from. A visit is the samples of one item that follow each other in
one round: it is one observation, so that ten samples in a row of a short model weigh no more than
the state of the machine that they all saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprof.base.errors import InvalidRecord

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

OWN_DISTURBANCES = 0b11
"""Bits that tell of one inference: preempted, migrated. The others tell of the machine, which the
path follows (see ``edgeprof.measuring.measurement.DISTURBANCES``)."""

DISTURBED_WEIGHT = 0.1
"""Weight of a disturbed visit: the kernel tells how long it waited, not what it found after."""


@dataclass(frozen=True)
class Samples:
    """One campaign's timed inferences, in any order; int64 arrays (n_samples,).

    Attributes:
        item: index of the item.
        process: index of the process of the board program; one process times one group.
        round: round of the process.
        begin_ns: when the inference began, of a monotonic clock.
        latency_ns: how long it took.
        disturbed: bits of what disturbed it.
        waited_ns: the part of the latency in which others held the core; 0 where not known.
    """

    item: Ints
    process: Ints
    round: Ints
    begin_ns: Ints
    latency_ns: Ints
    disturbed: Ints
    waited_ns: Ints

    def __post_init__(self) -> None:
        n = len(self.item)
        for name, column in vars(self).items():
            if column.shape != (n,):
                raise InvalidRecord(f"samples: {name} has shape {column.shape}, item has ({n},)")
        if n and int(self.latency_ns.min()) < 0:
            raise InvalidRecord("samples: a latency below 0 ns")
        # The harness writes 0 for an inference shorter than the clock can tell; logarithms need 1.
        object.__setattr__(self, "latency_ns", np.maximum(self.latency_ns, 1))

    def of(self, chosen: npt.NDArray[Any]) -> Samples:
        """Return the samples that an index or a mask chooses."""
        return Samples(**{name: column[chosen] for name, column in vars(self).items()})


@dataclass(frozen=True)
class Visits:
    """The visits of one process in order of time; arrays (n_visits,).

    Attributes:
        item: index of the item.
        round: round of the process.
        log_latency: median of log ns, less what the kernel says was waited.
        begin_s: when the visit's first sample began.
        end_s: when its last one ended.
        weight: 1, less for a visit that was disturbed.
    """

    item: Ints
    round: Ints
    log_latency: Floats
    begin_s: Floats
    end_s: Floats
    weight: Floats


def visits_of(samples: Samples) -> Visits:
    """Gather the samples of one process into visits.

    Where a visit has undisturbed samples, it is of these alone.
    """
    samples = samples.of(np.lexsort((samples.begin_ns, samples.round)))
    is_first = np.ones(len(samples.item), dtype=bool)
    is_first[1:] = (np.diff(samples.item) != 0) | (np.diff(samples.round) != 0)
    visit = np.cumsum(is_first) - 1
    first = np.flatnonzero(is_first)
    is_disturbed = (samples.disturbed & OWN_DISTURBANCES) != 0
    has_undisturbed = np.bincount(visit, ~is_disturbed, len(first)) > 0
    is_used = ~is_disturbed | ~has_undisturbed[visit]
    run_ns = np.maximum(samples.latency_ns - samples.waited_ns, samples.latency_ns // 10)
    log_run = np.log(np.maximum(run_ns, 1).astype(np.float64))
    begin_s, end_s = _times_s(samples)
    return Visits(
        item=samples.item[first],
        round=samples.round[first],
        log_latency=group_medians(log_run[is_used], visit[is_used], len(first)),
        begin_s=np.minimum.reduceat(begin_s, first),
        end_s=np.maximum.reduceat(end_s, first),
        weight=np.where(has_undisturbed, 1.0, DISTURBED_WEIGHT),
    )


def _times_s(samples: Samples) -> tuple[Floats, Floats]:
    """Return begin and end of ordered samples in seconds; where time steps back, it goes on."""
    end_ns = samples.begin_ns + samples.latency_ns
    back_ns = np.maximum(end_ns[:-1] - samples.begin_ns[1:], 0)
    offset_ns = np.append(0, np.cumsum(back_ns)) - samples.begin_ns[0]
    return (samples.begin_ns + offset_ns) / 1e9, (end_ns + offset_ns) / 1e9


def group_medians(values: Floats, group: Ints, n_groups: int) -> Floats:
    """Return the median of each group's values; NaN for a group without any."""
    order = np.lexsort((values, group))
    count = np.bincount(group, minlength=n_groups)
    start = np.cumsum(count) - count
    medians = np.full(n_groups, np.nan)
    has = count > 0
    low, high = start + (count - 1) // 2, start + count // 2
    ordered = values[order]
    medians[has] = (ordered[low[has]] + ordered[high[has]]) / 2
    return medians
