"""What a run measures: its items, how their model files are made, and where results go.

Owns: which items are done, and which failed before. Each kind of workload is a file of its own
beside this one. A workload does not know where it runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgeprof.boards.batch import Item
from edgeprof.boards.deploy import Payload, Software
from edgeprof.boards.inventory import BoardSpec
from edgeprof.measuring.inputs import values_of
from edgeprof.networks.layers import Network
from edgeprof.networks.subnet import Subnet
from edgeprof.records.store import Store
from edgeprof.runs.settings import ProfileSettings

REFERENCES = ("reference:arithmetic", "reference:memory")
"""Job ids of the models that are in every campaign."""

N_LINKS = 6
"""Items that are measured once more beside the others of each batch, at most."""

Label = TypeVar("Label")
"""What an item is of: a subnet, the key of a block, a path."""

Show = Callable[[str], object]
"""Shows what is being done, in a word or two."""


@dataclass(frozen=True)
class Target:
    """What the items of a device have in common.

    Attributes:
        device: name that measurements are filed under.
        settings: as the device's boards change them.
        software_sha256: of the runtime's library, or of the board program where it has none.
        environment: the boards' variables for the measuring process.
    """

    device: str
    settings: ProfileSettings
    software_sha256: str
    environment: Mapping[str, str]

    def key_of(self, **what: object) -> str:
        """Return the key of an item: a digest of whatever changes its latency.

        Another build of the runtime makes another item; how long to measure and the inputs' seed
        do not. What is not given is left out, as it was in earlier versions.
        """
        settings = self.settings
        identity: dict[str, object] = {
            **what,
            "device": self.device,
            "runtime": settings.runtime_name,
            "library_sha256": self.software_sha256,
            "threads": settings.threads,
            "cpus": settings.cpus,
            "runtime_options": dict(sorted(settings.runtime_options.items())),
        }
        if self.environment:
            identity["environment"] = dict(sorted(self.environment.items()))
        if settings.shapes:
            identity["shapes"] = dict(sorted(settings.shapes.items()))
        if settings.inputs:
            identity["inputs"] = {name: values_of(v) for name, v in settings.inputs.items()}
        return key_of(identity)


@dataclass(frozen=True)
class ModelFile:
    """A model file on this machine, the weights that it shares with others, and its layers.

    The layers of subnets follow from the subnet and are left out.
    """

    path: Path
    weights: Payload | None = None
    network: Network | None = None


@dataclass(frozen=True)
class Plan:
    """What the boards of a device have to do.

    Attributes:
        items: still to be measured.
        found_done: how many were measured before.
        failed_before: how many failed for good before and are left out.
        links: some of all that there are, done or not. Batches that share items stand on one level:
            the reference models are too unlike a network to tell a busy minute from a calm one to
            the percent.
    """

    items: Sequence[Item]
    found_done: int = 0
    failed_before: int = 0
    links: Sequence[Item] = ()


@dataclass(frozen=True)
class _Left(Generic[Label]):
    """The part of a plan that needs no model file."""

    todo: Mapping[str, Label]
    links: Mapping[str, Label]
    n_done: int
    n_failed: int


class Workload(ABC, Generic[Label]):
    """The items of one job.

    Args:
        store: where records go; what it has, is done.
        settings: how to export and measure.
        retry_failed: whether items that failed for good in an earlier run are tried again.
    """

    def __init__(
        self, store: Store, settings: ProfileSettings, *, retry_failed: bool = False
    ) -> None:
        self.store = store
        self.settings = settings
        self._retry_failed = retry_failed

    @abstractmethod
    def items(self, target: Target) -> Mapping[str, Label]:
        """Return what a device has to have, by the items' keys, in the order of measuring."""

    @abstractmethod
    def make_models(
        self, labels: Sequence[Label], settings: ProfileSettings, advance: Callable[..., object]
    ) -> Sequence[ModelFile]:
        """Make the model files of items, calling ``advance`` with the number of those made."""

    @property
    def model_kind(self) -> str:
        """What measurements are filed under beside their device."""
        return self.settings.model_kind

    # What workloads of one kind of item need not say: the label is for those of several.

    def others(self, target: Target, store: Store) -> Mapping[str, Label]:  # noqa: ARG002
        """Return what the store has beside the items and might be measured again, by key."""
        return {}

    def is_as_measured(self, key: str, label: Label) -> bool:  # noqa: ARG002
        """Tell whether one of the others is still what was measured then."""
        return True

    def settings_of(self, label: Label, settings: ProfileSettings) -> ProfileSettings:  # noqa: ARG002
        """Return the settings as they hold for one item."""
        return settings

    def kind_of(self, label: Label) -> str:  # noqa: ARG002
        """Return what the measurement of one item is filed under."""
        return self.model_kind

    def library_of(self, label: Label) -> Payload | None:  # noqa: ARG002
        """Return the library of an item's runtime, where that is not the run's."""
        return None

    def name_of(self, file: ModelFile) -> str:
        """Return what a record calls the model."""
        return file.path.name

    async def plan(self, board: BoardSpec, software: Software, show: Show = lambda _: None) -> Plan:
        """Say what is left to do for the device of a board, with the models made."""
        settings = self.settings.on(board)
        version = (software.library or software.program).sha256
        target = Target(board.device, settings, version, board.environment)
        # In threads: connections are kept alive meanwhile.
        left = await asyncio.to_thread(self._left, target)
        labels = {**left.todo, **left.links}
        n_made = 0

        def advance(steps: int = 1) -> None:
            nonlocal n_made
            n_made += steps
            show(f"exporting {n_made}")

        made = list(labels.values())
        files = await asyncio.to_thread(self.make_models, made, settings, advance)
        items = {
            key: Item(
                key,
                file.path,
                file.weights,
                self.settings_of(label, settings).job(),
                self.name_of(file),
                label if isinstance(label, Subnet) else None,
                self.kind_of(label),
                file.network,
                self.library_of(label),
            )
            for (key, label), file in zip(labels.items(), files, strict=True)
        }
        own, linking = ([items[key] for key in keys] for keys in (left.todo, left.links))
        return Plan(own, left.n_done, left.n_failed, linking)

    def _left(self, target: Target) -> _Left[Label]:
        """Compare what is wanted with what the store has, over a connection of this thread."""
        wanted = self.items(target)
        with Store(self.store.path, create=False) as store:
            done = store.job_keys() & wanted.keys()
            failed = (self._failed_before(target.device, store) & wanted.keys()) - done
            todo = {key: wanted[key] for key in wanted if key not in done and key not in failed}
            links = self._links(target, wanted, failed, store) if todo else {}
        return _Left(todo, links, len(done), len(failed))

    def _links(
        self, target: Target, wanted: Mapping[str, Label], failed: Collection[str], store: Store
    ) -> dict[str, Label]:
        """Draw some of what is wanted or in the store; what is drawn of the latter is looked at."""
        others, there = self.others(target, store), store.job_keys()
        usable = {key: label for key, label in others.items() if key in there}
        usable |= {key: label for key, label in wanted.items() if key not in failed}
        keys = list(usable)
        random.Random(0).shuffle(keys)
        as_it_was = (k for k in keys if k in wanted or self.is_as_measured(k, usable[k]))
        return {key: usable[key] for key in islice(as_it_was, N_LINKS)}

    def _failed_before(self, device: str, store: Store) -> set[str]:
        if self._retry_failed:
            return set()
        return {
            failure.job_key
            for failure in store.failures(device)
            if not failure.record["error"].get("transient")
        }


def key_of(identity: Mapping[str, Any]) -> str:
    """Return the key of an item: a digest of whatever changes its latency."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
