"""Bulk measurement of subnets on this machine: export, measure, store; resumes by itself.

Owns: which items are left to do, and that a record is in the store before the next model runs.
Does not own: boards (``edgeprof.runs.fleet``), timing (``edgeprof.measuring.harness``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgeprof.base.files import sha256_of
from edgeprof.base.progress import Progress, no_progress
from edgeprof.export import ManifestEntry, export_subnets
from edgeprof.measuring.harness import Job, Settings, make_job, run_jobs
from edgeprof.networks.subnet import Subnet
from edgeprof.records.store import Store
from edgeprof.runs.settings import ProfileSettings, items_of


@dataclass(frozen=True)
class ProfileSummary:
    """How a bulk run ended.

    Attributes:
        n_measured: items measured now.
        n_resumed: items that were in the store already.
        failures_by_kind: items that failed now, by the name of their error.
        messages: one message per kind of failure.
    """

    n_measured: int
    n_resumed: int
    failures_by_kind: Mapping[str, int]
    messages: Mapping[str, str]

    @property
    def n_failed(self) -> int:
        """Items that failed now."""
        return sum(self.failures_by_kind.values())


class _Item(NamedTuple):
    key: str
    subnet: Subnet


def profile_here(
    subnets: Sequence[Subnet],
    store: Store,
    *,
    device: str,
    settings: ProfileSettings,
    models: Path,
    progress: Progress = no_progress,
    executor: Executor | None = None,
) -> ProfileSummary:
    """Export and measure those of the subnets that are not in the store yet.

    Args:
        subnets: what to measure; equal networks are measured once.
        store: where every record goes, before the next model runs.
        device: name of this machine in the store.
        settings: how to export and measure.
        models: folder of the model files; those that are there are used again.
        progress: shows how far exporting and measuring are.
        executor: exports the models (see ``edgeprof.base.executors``); this process by default.

    Raises:
        RuntimeUnavailable: no library of the runtime on this machine.
        OutputError, StoreError: nothing can be written; what was measured stays.
        HarnessCrashed: the harness itself died; a repeated call resumes.
    """
    probe = make_job("", _harness_settings(settings))
    library_sha256 = sha256_of(Path(probe["library"]))
    items = items_of(device, subnets, settings, library_sha256)
    done = store.job_keys()
    todo = [_Item(key, subnet) for key, subnet in items.items() if key not in done]
    distinct = {item.subnet.id: item.subnet for item in todo}
    with progress("Exporting", len(distinct)) as advance:
        exported = export_subnets(
            list(distinct.values()),
            models,
            format=settings.format,
            precision=settings.precision,
            batch=settings.batch,
            progress=advance,
            executor=executor,
        )
    entries = dict(zip(distinct, exported, strict=True))
    jobs = [_job(item, entries[item.subnet.id], models, settings) for item in todo]
    failures: Counter[str] = Counter()
    messages: dict[str, str] = {}
    with progress("Measuring", len(todo)) as advance:
        for item, record in zip(todo, run_jobs(jobs), strict=True):
            if "error" in record:
                store.append_failure(record, job_key=item.key, device=device, subnet=item.subnet)
                failures[record["error"]["kind"]] += 1
                messages.setdefault(record["error"]["kind"], record["error"]["message"])
            else:
                store.append(
                    record,
                    job_key=item.key,
                    device=device,
                    subnet=item.subnet,
                    model_kind=settings.model_kind,
                )
            advance()
    n_measured = len(todo) - failures.total()
    return ProfileSummary(n_measured, len(items) - len(todo), dict(failures), messages)


def _job(item: _Item, entry: ManifestEntry, models: Path, settings: ProfileSettings) -> Job:
    job = make_job(models / entry.file, _harness_settings(settings))
    return {**job, "job_id": item.key}


def _harness_settings(settings: ProfileSettings) -> Settings:
    return Settings(
        runtime=settings.runtime,
        threads=settings.threads,
        cpus=settings.cpus,
        seed=settings.seed,
        ci_rel=settings.ci_rel,
        max_secs=settings.max_secs,
        max_load_secs=settings.max_load_secs,
        runtime_options=settings.runtime_options,
    )
