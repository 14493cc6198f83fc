"""The subnets of a search space as a workload.

Owns: the key of a subnet's item, and the export of the models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from edgeprof.boards.deploy import Payload
from edgeprof.export import ManifestEntry, export_subnets
from edgeprof.networks.subnet import Subnet
from edgeprof.records.store import Store
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.workload import ModelFile, Target, Workload


class SubnetWorkload(Workload[Subnet]):
    """Subnets; equal networks are one item.

    Args:
        subnets: what to measure.
        store: where records go.
        settings: how to export and measure.
        models: folder of the model files; those that are there are used again.
        retry_failed: whether items that failed for good in an earlier run are tried again.
        executor: exports the models (see ``edgeprof.base.executors``); this process by default.
    """

    def __init__(
        self,
        subnets: Sequence[Subnet],
        store: Store,
        settings: ProfileSettings,
        models: Path,
        *,
        retry_failed: bool = False,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(store, settings, retry_failed=retry_failed)
        self._subnets, self._models, self._executor = subnets, models, executor

    def items(self, target: Target) -> dict[str, Subnet]:
        """Return the subnets by key, in their order."""
        return {subnet_key(subnet, target): subnet for subnet in self._subnets}

    def others(self, target: Target, store: Store) -> dict[str, Subnet]:
        """Return the subnets that the store has."""
        stored = (item.subnet for item in store.measurements(target.device))
        return {subnet_key(subnet, target): subnet for subnet in stored if subnet is not None}

    def make_models(
        self, labels: Sequence[Subnet], settings: ProfileSettings, advance: Callable[..., object]
    ) -> list[ModelFile]:
        """Export each network once."""
        distinct = {subnet.id: subnet for subnet in labels}
        exported = export_subnets(
            list(distinct.values()),
            self._models,
            format=settings.format,
            precision=settings.precision,
            batch=settings.batch,
            progress=advance,
            executor=self._executor,
        )
        files = {key: self._file(entry) for key, entry in zip(distinct, exported, strict=True)}
        return [files[subnet.id] for subnet in labels]

    def _file(self, entry: ManifestEntry) -> ModelFile:
        weights = None
        if entry.weights_file is not None and entry.weights_sha256 is not None:
            path = self._models / entry.weights_file
            weights = Payload(path, entry.weights_sha256, executable=False)
        return ModelFile(self._models / entry.file, weights)


def subnet_key(subnet: Subnet, target: Target) -> str:
    """Return the key of one item."""
    return target.key_of(subnet=subnet.id, model_kind=target.settings.model_kind)
