"""The samples of campaigns, out of a store and into the estimate.

Owns: which records belong together. All campaigns of one device are estimated together where the
items that they share link them, so that all stand on one level; each child process counts as one of
its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeprof.base.errors import InvalidRecord
from edgeprof.measuring.estimate import CampaignEstimate, ItemEstimate, Samples, estimate
from edgeprof.measuring.measurement import Record
from edgeprof.records.store import Store

REFERENCE_PREFIX = "reference:"
"""A reference's key: this, its name and, in a store, ``@`` and the campaign."""

LINK_PREFIX = "link:"
"""The key of an item that was measured beside other items once more: this, its own key and, in a
store, ``@`` and the campaign."""

_SAMPLE_FIELDS = ("process", "round", "begin_ns", "latency_ns", "disturbed", "waited_ns")
_LINKING_SETTINGS = ("threads", "cpus")
_LINKING_RUNTIME = ("name", "version", "library_sha256", "options")


@dataclass(frozen=True)
class EstimatedRecords:
    """What campaigns found, by job key.

    Attributes:
        items: the estimate of each item; what is no item's own record is in ``whole`` only.
        whole: the estimate over all.
    """

    items: Mapping[str, ItemEstimate]
    whole: CampaignEstimate


def campaign_of(record: Record) -> str | None:
    """Return the campaign that a record is of; ``None`` for a model measured by itself."""
    campaign = record.get("campaign")
    return None if campaign is None else str(campaign.get("id", ""))


def estimate_records(records: Mapping[str, Record]) -> EstimatedRecords:
    """Estimate the items of one or several campaigns of one device.

    Args:
        records: by job key, those of references and links among them.

    Raises:
        InvalidRecord: no records, or one without the samples of a campaign.
    """
    if not records:
        raise InvalidRecord("no record of a campaign: nothing was timed")
    names = [_identity(key, record, records) for key, record in records.items()]
    index = {name: position for position, name in enumerate(dict.fromkeys(names))}
    references = [index[name] for name in names if name.startswith(REFERENCE_PREFIX)]
    samples = _samples(list(records.values()), [index[name] for name in names])
    whole = estimate(samples, references=references)
    items = {
        key: whole.items[index[name]]
        for key, name in zip(records, names, strict=True)
        if not key.startswith((REFERENCE_PREFIX, LINK_PREFIX)) and index[name] in whole.items
    }
    return EstimatedRecords(items, whole)


def estimate_device(store: Store, device: str) -> EstimatedRecords | None:
    """Estimate all campaigns of a device together; ``None`` where there is none."""
    chosen = {
        stored.job_key: _compact(stored.record)
        for stored in store.measurements(device, references=True)
        if campaign_of(stored.record) is not None
    }
    return estimate_records(chosen) if chosen else None


def _compact(record: Record) -> Record:
    """Return what the estimate needs of a record, with samples as arrays: an eighth of the lists.

    A record without them, or with other ones, is left as it is, to be refused by the estimate.
    """
    try:
        samples = {
            name: np.array(record["samples"][name], dtype=np.int64)
            for name in _SAMPLE_FIELDS
            if name in record["samples"]
        }
    except (KeyError, TypeError, ValueError, OverflowError):
        return record
    return {
        "campaign": record["campaign"],
        "settings": record.get("settings", {}),
        "runtime": record.get("runtime", {}),
        "samples": samples,
    }


def _identity(key: str, record: Record, records: Mapping[str, Record]) -> str:
    """Return what an item is over all campaigns, whatever ran beside it."""
    if key.startswith(LINK_PREFIX):
        own = key.removeprefix(LINK_PREFIX).rpartition("@")[0]
        return own if _conditions(record) == _conditions(records.get(own, record)) else key
    if not key.startswith(REFERENCE_PREFIX):
        return key
    settings = record.get("settings", {})
    state = [str(settings.get(name)) for name in _LINKING_SETTINGS]
    return " ".join([key.split("@")[0], *state])


def _conditions(record: Record) -> list[object]:
    """Return what one and the same model may be slower or faster by."""
    settings, runtime = record.get("settings", {}), record.get("runtime", {})
    return [
        *(settings.get(name) for name in _LINKING_SETTINGS),
        *(runtime.get(name) for name in _LINKING_RUNTIME),
    ]


def _samples(records: Sequence[Record], items: Iterable[int]) -> Samples:
    processes: dict[tuple[str | None, int], int] = {}
    columns: list[dict[str, Any]] = []
    for record, item in zip(records, items, strict=True):
        campaign = campaign_of(record)
        try:
            samples = record["samples"]
            own = [(campaign, int(process)) for process in samples["process"]]
            column = {
                "item": np.full(len(own), item),
                "process": [processes.setdefault(process, len(processes)) for process in own],
                "round": samples["round"],
                "begin_ns": samples["begin_ns"],
                "latency_ns": samples["latency_ns"],
                "disturbed": samples["disturbed"],
                "waited_ns": samples.get("waited_ns", np.zeros(len(own))),
            }
            columns.append({name: np.asarray(v, dtype=np.int64) for name, v in column.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidRecord(
                f"a campaign's record lacks or garbles {error}; was it cut off?"
            ) from error
    return Samples(**{name: np.concatenate([c[name] for c in columns]) for name in columns[0]})
