"""What the measurements of a device are worth: latency and standard error of each.

Owns: where they come from. The items of campaigns are estimated together, at the device's
reference speed; a model that was measured by itself has the summary of its record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeprof.measuring.estimate import ItemEstimate, ReferenceLevel
from edgeprof.measuring.grade import Evidence, Verdict, evidence_of, grade_run, together
from edgeprof.records.campaign_samples import estimate_device
from edgeprof.records.store import Store, StoredMeasurement


@dataclass(frozen=True)
class DeviceEvidence:
    """The evidence of one device's measurements.

    Attributes:
        items: estimates of what campaigns measured, by job key.
        level: the reference speed, which all milliseconds of campaigns share and no ratio has;
            ``None`` without campaigns.
    """

    items: Mapping[str, ItemEstimate]
    level: ReferenceLevel | None

    @property
    def level_se_rel(self) -> float | None:
        """Relative standard error of the reference speed; ``None`` without campaigns."""
        return None if self.level is None else self.level.se

    @classmethod
    def read(cls, store: Store, device: str) -> DeviceEvidence:
        """Estimate the campaigns of a device."""
        found = estimate_device(store, device)
        return cls({}, None) if found is None else cls(found.items, found.whole.level)

    def of(self, measurement: StoredMeasurement) -> Evidence:
        """Return what a measurement is worth."""
        item = self.items.get(measurement.job_key)
        if item is None:
            return evidence_of(measurement.record)
        return Evidence(
            latency_ns=item.latency_ns,
            se_rel=item.ratio_se,
            n_samples=item.n_samples,
            disturbed_share=item.disturbed_share,
            spoilt_by="; ".join(item.suspicious),
        )


def grade_device(store: Store, device: str) -> Verdict | None:
    """Grade all that a store holds of a device together; ``None`` where it holds nothing.

    Repeated measurements of one model count once.
    """
    evidence = DeviceEvidence.read(store, device)
    models: dict[str, list[Evidence]] = {}
    for measurement in store.measurements(device):
        subnet = measurement.subnet
        name = measurement.model_identity if subnet is None else subnet.id
        models.setdefault(name, []).append(evidence.of(measurement))
    each = [together(repeats) for repeats in models.values()]
    if not each:
        return None
    return grade_run(np.array([e.latency_ns for e in each]), np.array([e.se_rel for e in each]))
