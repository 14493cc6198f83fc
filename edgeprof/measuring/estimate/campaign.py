"""From the samples of a campaign to a latency per item, with what is known of its error.

Owns: the version of the estimate, the order of its steps and the facts it tells. Pure and
deterministic: it can be run again on samples of any age.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgeprof.base.errors import InvalidRecord
from edgeprof.measuring.estimate.contention import fit_campaign
from edgeprof.measuring.estimate.contrasts import t_quantile
from edgeprof.measuring.estimate.level import ReferenceLevel, reference_level
from edgeprof.measuring.estimate.processes import Combined
from edgeprof.measuring.estimate.samples import OWN_DISTURBANCES, Floats, Samples, visits_of
from edgeprof.measuring.estimate.turns import ProcessFit, turns_of

ESTIMATE_VERSION = 1
"""Version history: 1 the first."""

FEW_SAMPLES = 10
MOSTLY = 0.5
TWO_MODES = 6.0
UNUSUAL, SMALL_BETWEEN_SD = 4.0, 0.01
"""An item is suspicious that differs between its processes by more than four times what is usual
in its campaign, and by more than 1 %."""


@dataclass(frozen=True)
class ItemEstimate:
    """What a campaign found of one item.

    Attributes:
        latency_ns: at the campaign's reference speed.
        ratio_se: relative standard error of its ratio to other items of the campaign: the square
            of a ratio's error is the sum of two squares.
        dof: degrees of freedom of ``ratio_se``.
        level_se: relative standard error of the reference speed, common to all items.
        n_samples: timed inferences.
        n_processes: processes that they come from.
        disturbed_share: share of the inferences that something disturbed.
        noise: spread (relative) of one visit around the path of the machine.
        between_sd: spread (relative) between processes beyond the noise within; ``None`` where
            there is one process.
        bimodality: distance of the two halves of its residuals in units of their own spread, the
            median over processes; about 3 for one mode, above 6 for two.
        suspicious: why it should be visited again; empty where nothing speaks against it.
    """

    latency_ns: float
    ratio_se: float
    dof: float
    level_se: float
    n_samples: int
    n_processes: int
    disturbed_share: float
    noise: float
    between_sd: float | None
    bimodality: float
    suspicious: tuple[str, ...]

    @property
    def latency_ms(self) -> float:
        """The latency in milliseconds."""
        return self.latency_ns / 1e6

    @property
    def latency_se(self) -> float:
        """Standard error of ``latency_ms`` beside the other items of the campaign, in ms."""
        return self.latency_ms * self.ratio_se


@dataclass(frozen=True)
class CampaignEstimate:
    """What a campaign found.

    Attributes:
        version: of the estimate.
        items: by item index; an item without samples is not there.
        level: the reference speed and what speaks for it.
        noise_floor: median of the items' ``ratio_se``.
        process_sd: spread (relative) of items between processes, over all.
        n_processes: processes with samples.
        disturbed_share: share of all inferences that something disturbed.
    """

    version: int
    items: Mapping[int, ItemEstimate]
    level: ReferenceLevel
    noise_floor: float
    process_sd: float
    n_processes: int
    disturbed_share: float

    def ratio(self, item: int, other: int, level: float = 0.95) -> tuple[float, float, float]:
        """Return latency of ``item`` / latency of ``other`` and the ends of its interval."""
        a, b = self.items[item], self.items[other]
        half = ratio_half_width(a, b, level)
        ratio = a.latency_ns / b.latency_ns
        return ratio, ratio * math.exp(-half), ratio * math.exp(half)


def ratio_half_width(a: ItemEstimate, b: ItemEstimate, level: float = 0.95) -> float:
    """Return half the interval (log) of the ratio of two items of one campaign."""
    # Their variances rest on the same processes: they know no more together than one of them.
    return t_quantile(level, min(a.dof, b.dof)) * math.hypot(a.ratio_se, b.ratio_se)


def estimate(
    samples: Samples,
    *,
    references: Collection[int] = (),
    reference_ns: Mapping[int, tuple[float, float]] | None = None,
) -> CampaignEstimate:
    """Estimate all items of a campaign.

    Args:
        samples: its timed inferences.
        references: the items that are there to link groups.
        reference_ns: the level of another campaign: latency (ns) and relative standard error that
            it found for reference items of this one, by item index. The calmest sustained state of
            this campaign where it is ``None``.

    Groups are linked by the items that they share, the references; where they share none, each
    is told at its own calmest state, and ``ratio_se`` holds that too.

    Raises:
        InvalidRecord: no samples, or none of the items named as reference.
    """
    if not len(samples.item):
        raise InvalidRecord("a campaign without samples: nothing was timed")
    parts = [
        _estimate_part(samples.of(np.isin(samples.process, part)), references, reference_ns)
        for part in _linked(samples)
    ]
    return parts[0] if len(parts) == 1 else _joined(parts, samples)


def _joined(parts: Sequence[CampaignEstimate], samples: Samples) -> CampaignEstimate:
    # Nothing links the parts but the machine: each is told at its own calmest state.
    items = {
        item: replace(found, ratio_se=math.hypot(found.ratio_se, found.level_se))
        for part in parts
        for item, found in part.items.items()
    }
    largest = max(parts, key=lambda part: len(part.items))
    return replace(
        largest,
        items=items,
        noise_floor=float(np.median([item.ratio_se for item in items.values()])),
        process_sd=max(part.process_sd for part in parts),
        n_processes=sum(part.n_processes for part in parts),
        disturbed_share=float(_is_disturbed(samples).mean()),
    )


def _linked(samples: Samples) -> list[list[int]]:
    """Return the processes in parts: those of a part share items with each other."""
    parts: list[tuple[set[int], list[int]]] = []
    for process in np.unique(samples.process).tolist():
        items = set(np.unique(samples.item[samples.process == process]).tolist())
        joined = [process]
        for part in [part for part in parts if part[0] & items]:
            items |= part[0]
            joined = part[1] + joined
            parts.remove(part)
        parts.append((items, joined))
    return [joined for _, joined in parts]


def _estimate_part(
    samples: Samples,
    references: Collection[int],
    reference_ns: Mapping[int, tuple[float, float]] | None,
) -> CampaignEstimate:
    """Estimate processes that shared items link."""
    processes = np.unique(samples.process)
    turns = [turns_of(visits_of(samples.of(samples.process == p))) for p in processes]
    is_reference = np.isin(np.arange(samples.item.max() + 1), list(references))
    fits, combined = fit_campaign(turns, is_reference)
    level = reference_level(fits, combined.level)
    shift, level_se = level.log_slowness, level.se
    if reference_ns is not None:
        shift, level_se = _shift_to(reference_ns, combined)
    items = {
        int(item): _item(int(item), samples, fits, combined, shift, level_se)
        for item in np.unique(samples.item)
    }
    return CampaignEstimate(
        version=ESTIMATE_VERSION,
        items=items,
        level=level,
        noise_floor=float(np.median([item.ratio_se for item in items.values()])),
        process_sd=combined.process_sd,
        n_processes=len(processes),
        disturbed_share=float(_is_disturbed(samples).mean()),
    )


def _is_disturbed(samples: Samples) -> npt.NDArray[np.bool_]:
    is_disturbed: npt.NDArray[np.bool_] = (samples.disturbed & OWN_DISTURBANCES) != 0
    return is_disturbed


def _shift_to(
    reference_ns: Mapping[int, tuple[float, float]], combined: Combined
) -> tuple[float, float]:
    """Return what brings the items to another campaign's level, and its standard error."""
    shared = [
        item
        for item in reference_ns
        if item < len(combined.value) and math.isfinite(combined.value[item])
    ]
    if not shared:
        raise InvalidRecord("the reference items of the other campaign were not timed in this one")
    shifts = [math.log(reference_ns[item][0]) - combined.value[item] for item in shared]
    own = sum(combined.variance[item] for item in shared) / len(shared) ** 2
    other = max(reference_ns[item][1] for item in shared)
    return float(np.mean(shifts)), math.sqrt(own + other**2)


def _item(
    item: int,
    samples: Samples,
    fits: list[ProcessFit],
    combined: Combined,
    shift: float,
    level_se: float,
) -> ItemEstimate:
    is_own = samples.item == item
    own = [(fit, fit.turns.visits.item == item) for fit in fits if item in fit.turns.items]
    modes = [bimodality(fit.residual[chosen]) for fit, chosen in own]
    between = float(combined.between_sd[item])
    found = ItemEstimate(
        latency_ns=math.exp(combined.value[item] + shift),
        ratio_se=math.sqrt(combined.variance[item]),
        dof=float(combined.dof[item]),
        level_se=level_se,
        n_samples=int(is_own.sum()),
        n_processes=len(own),
        disturbed_share=float(_is_disturbed(samples)[is_own].mean()),
        noise=float(np.median([fit.noise[fit.turns.items == item][0] for fit, _ in own])),
        between_sd=between if math.isfinite(between) else None,
        bimodality=float(np.median(modes)),
        suspicious=(),
    )
    usual = float(np.nanmedian(combined.between_sd)) if found.between_sd is not None else 0.0
    return replace(found, suspicious=tuple(_suspicions(found, len(fits), usual)))


def _suspicions(found: ItemEstimate, n_processes: int, usual_between_sd: float) -> Iterator[str]:
    if found.n_samples < FEW_SAMPLES:
        yield f"{found.n_samples} inferences are few"
    if found.n_processes == 1 and n_processes > 1:
        yield "timed in one process only"
    if found.disturbed_share > MOSTLY:
        yield f"{found.disturbed_share:.0%} of its inferences were disturbed"
    if found.bimodality > TWO_MODES:
        yield "its latencies have two modes"
    between = found.between_sd or 0.0
    if between > max(UNUSUAL * usual_between_sd, SMALL_BETWEEN_SD):
        yield f"differs by {between:.1%} between processes"


def bimodality(residual: Floats) -> float:
    """Return how far the two halves of some values lie apart, in units of their own spread.

    The halves are the two groups that are the most alike in themselves, each a seventh or more.
    """
    n = len(residual)
    if n < FEW_SAMPLES:
        return 0.0
    ordered = np.sort(residual)
    low, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    count = np.arange(max(n // 7, 2), n - max(n // 7, 2))
    mean_low, mean_high = low[count - 1] / count, (low[-1] - low[count - 1]) / (n - count)
    within = squares[-1] - count * mean_low**2 - (n - count) * mean_high**2
    best = int(np.argmin(within))
    gap = float(mean_high[best] - mean_low[best])
    spread = 1.48 * float(
        np.median(
            np.abs(ordered - np.where(np.arange(n) < count[best], mean_low[best], mean_high[best]))
        )
    )
    return gap / spread if spread > 0 else 0.0
