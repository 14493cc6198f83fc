"""A device of the bank from a store: its facts, and all that was measured of it, of any kind.

Owns: which measurements count, and ``StoredDevice``, which predicts any network from them. Probes,
suites, model files and subnets are alike: each is a network that took so long. Facts come from the
machine's state in the records. Does not own: the model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeprof.base.errors import DatasetError
from edgeprof.base.units import ns_to_ms
from edgeprof.measuring.grade import Evidence, together
from edgeprof.measuring.measurement import Record
from edgeprof.networks.layers import Block, Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.file import shipped_bank
from edgeprof.predictors.bank.model import DeviceCosts
from edgeprof.predictors.bank.terms import Floats, Terms
from edgeprof.predictors.base import (
    Latencies,
    LatencyInterval,
    Networks,
    Origin,
    PredictsCodes,
    as_network,
    each_of,
)
from edgeprof.records.evidence import DeviceEvidence
from edgeprof.records.network_lists import measured_network
from edgeprof.records.network_rows import subnet_as_measured
from edgeprof.records.pooling import STATE_FIELDS, check_where, mixed_states, state_of
from edgeprof.records.store import Store, StoredMeasurement

_NAME = re.compile(r"(.+\.db):(.+)")
_OF_MODELS = frozenset({"model_kind", "weights_sha256"})
_UNKNOWN_SE = 0.1
"""Of a latency from too few samples to tell, relative."""
_CPU_PROVIDERS = ("CPU", "CPUExecutionProvider")


def parse_stored(text: str) -> tuple[Path, str] | None:
    """Take ``lab.db:rpi5`` apart: the store and the device; ``None`` where it is something else."""
    found = _NAME.fullmatch(text)
    return None if found is None or Path(text).exists() else (Path(found[1]), found[2])


@dataclass(frozen=True)
class Measured:
    """What a store holds of a device in one state.

    Attributes:
        facts: of the device; ``None`` where only rows from elsewhere are there.
        networks: those that were measured, each once.
        latency_ms, relative_se: of each.
        spaces: those that subnets among them are of.
    """

    facts: Facts | None
    networks: tuple[Network, ...]
    latency_ms: Floats
    relative_se: Floats
    spaces: tuple[str, ...]


def read_measured(
    store: Store, device: str, where: Mapping[str, str] | None = None
) -> Measured | None:
    """Return what a store holds of a device; ``None`` where it holds nothing.

    Args:
        store: an open store.
        device: its name there.
        where: only measurements whose state has these values (see ``pooling.STATE_FIELDS``).

    Raises:
        MixedMachineState: it was measured under several runtimes, threads and the like.
        DatasetError: an unknown field of a state.
    """
    check_where(where or {})
    states = _by_state(store, device, where or {})
    if len(states) > 1:
        raise mixed_states(store, device, sorted(states))
    collected = next(iter(states.values()), _Collected(store, DeviceEvidence({}, None)))
    if not where:  # rows from elsewhere have no state to choose by
        for row in store.imported_rows(device):
            network = get_space(row.subnet.space).layers(row.subnet)
            one = Evidence(1e6 * row.latency_ms, 0.0, 0)
            collected.add_network(row.subnet.id, network, one, row.subnet.space)
    return collected.measured()


def read_each_state(store: Store, device: str) -> dict[tuple[str, str], Measured]:
    """Return what a store holds of a device, by runtime and threads.

    Where there are several states of these (clocks, releases), the one that came last.
    """
    runtime, threads = STATE_FIELDS.index("runtime"), STATE_FIELDS.index("threads")
    found = {}
    for state, collected in _by_state(store, device, {}).items():
        if (measured := collected.measured()) is not None:
            found[state[runtime], state[threads]] = measured
    return found


def _by_state(
    store: Store, device: str, where: Mapping[str, str]
) -> dict[tuple[str, ...], _Collected]:
    """Collect the measurements of a device by their state, in the order of the first of each."""
    evidence = DeviceEvidence.read(store, device)
    states: dict[tuple[str, ...], _Collected] = {}
    for measurement in store.measurements(device):
        state = state_of(measurement)
        if where.items() <= state.items():
            key = tuple("" if f in _OF_MODELS else state[f] for f in STATE_FIELDS)
            states.setdefault(key, _Collected(store, evidence)).add(measurement)
    return states


def where_of(store: Store, device: str, job_keys: Container[str]) -> dict[str, str]:
    """Return what tells the state of some measurements from all others of their device.

    Nothing where all were made in one state.
    """
    states, own = [], {}
    for measurement in store.measurements(device):
        states.append(state_of(measurement))
        if measurement.job_key in job_keys:
            own = states[-1]
    return {
        name: value
        for name, value in own.items()
        if name not in _OF_MODELS and any(state[name] != value for state in states)
    }


@dataclass
class _Collected:
    """Networks by what they are, with the evidence of each measurement."""

    store: Store
    evidence: DeviceEvidence
    record: Record | None = None
    networks: dict[str, Network | None] = field(default_factory=dict)
    evidence_of: dict[str, list[Evidence]] = field(default_factory=dict)
    spaces: dict[str, None] = field(default_factory=dict)

    def add(self, measurement: StoredMeasurement) -> None:
        """Add a measurement; of a network whose layers are not known only the facts count."""
        self.record = measurement.record
        subnet, kind = measurement.subnet, measurement.model_kind or ""
        name = measurement.model_identity if subnet is None else f"{subnet.id} {kind}"
        network = self.networks.get(name)
        if network is None:
            network = (
                measured_network(self.store, measurement.record)
                if subnet is None
                else subnet_as_measured(subnet, kind)
            )
        space = "" if subnet is None else subnet.space
        self.add_network(name, network, self.evidence.of(measurement), space)

    def add_network(
        self, name: str, network: Network | None, evidence: Evidence, space: str
    ) -> None:
        """Add the latency of a network."""
        self.networks[name] = network
        self.evidence_of.setdefault(name, []).append(evidence)
        if space:
            self.spaces[space] = None

    def measured(self) -> Measured | None:
        """Return all that was added."""
        if not self.networks:
            return None
        known = {name: network for name, network in self.networks.items() if network is not None}
        each = [together(self.evidence_of[name]) for name in known]
        return Measured(
            None if self.record is None else facts_of_record(self.record),
            tuple(known.values()),
            np.array([ns_to_ms(one.latency_ns) for one in each]),
            np.array([_UNKNOWN_SE if math.isnan(one.se_rel) else one.se_rel for one in each]),
            tuple(self.spaces),
        )


def facts_of_record(record: Record) -> Facts:
    """Return the facts of the device that a record was made on, set as it was.

    Raises:
        DatasetError: the record does not say what cores there were.
    """
    settings = record["settings"]
    return facts_of_state(
        record.get("machine", {}),
        runtime=record["runtime"]["name"],
        threads=settings["threads"],
        cpus=settings.get("cpus", ()),
        options=record["runtime"].get("options", {}),
    )


def facts_of_state(
    state: Mapping[str, Any],
    *,
    runtime: str,
    threads: int,
    cpus: Sequence[int] = (),
    options: Mapping[str, Any] | None = None,
) -> Facts:
    """Return the facts of a machine in a state, set for inference.

    Args:
        state: of the machine, as ``machine_state`` reads it.
        runtime: its name.
        threads: of the runtime.
        cpus: those it may run on; all where it is empty.
        options: the runtime's; with a GPU's provider it is another runtime to the bank.

    Raises:
        DatasetError: the state does not say what cores there are.
    """
    providers = (options or {}).get("providers") or ()
    first = providers if isinstance(providers, str) else next(iter(providers), "")
    name = runtime if not first or first in _CPU_PROVIDERS else f"{runtime}-{first}"
    return Facts.from_dict(
        {"machine": state, "runtime": name, "threads": threads, "cpus": list(cpus)}
    )


class StoredDevice(PredictsCodes):
    """Latencies of any network on one device, by the bank and by what a store holds of it.

    Attributes:
        device: its name.
        space: id of the space of the subnets that it predicts; ``""`` where none is set.
        costs: what is known of it.
        n_networks: how many measured networks that rests on.
        measured_spaces: ids of the spaces that subnets among them are of.
    """

    origin = Origin(learned=None)

    def __init__(self, device: str, facts: Facts, measured: Measured, space: str = "") -> None:
        self.device, self.space = device, space
        self.costs = device_costs(facts, measured)
        self.n_networks = len(measured.networks)
        self.measured_spaces = measured.spaces
        self._amounts: dict[Block, Floats] = {}

    @property
    def setting(self) -> str:
        """How it is set for inference, in words."""
        threads = self.costs.facts.threads
        return f"{self.costs.facts.runtime}, {threads} thread{'s' * (threads > 1)}"

    def predict(self, subnets: Networks) -> Latencies:
        """Return the latency of each subnet, network or model file in ms."""
        return self.predict_networks([as_network(item) for item in each_of(subnets)]).mean_ms

    def predict_networks(
        self, networks: Sequence[Network], confidence: float = 0.9
    ) -> LatencyInterval:
        """Return the latency of each network in ms, with the central interval."""
        return self.costs.predict(self._terms(networks), confidence)

    def predict_codes(self, codes: Codes) -> Latencies:
        """Return the latency of each row of codes of ``space`` in ms."""
        return self.predict_interval(codes).mean_ms

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """Return the latency of each row of codes of ``space``, with an interval."""
        space = get_space(self.space)
        networks = [space.layers(subnet) for subnet in space.decode(codes)]
        return self.predict_networks(networks, confidence)

    def _terms(self, networks: Sequence[Network]) -> Terms:
        """Return networks as the bank sees them; blocks are summed up once."""
        blocks = [[placed.block for placed in network.blocks] for network in networks]
        new = list({block for row in blocks for block in row if block not in self._amounts})
        if new:
            amounts = Terms.of([block.work for block in new]).amounts
            self._amounts.update(zip(new, amounts, strict=True))
        return Terms.from_amounts(
            np.array([np.sum([self._amounts[block] for block in row], axis=0) for row in blocks])
        )


def device_costs(facts: Facts, measured: Measured | None) -> DeviceCosts:
    """Return what is known of a device from its facts and from what was measured of it."""
    costs = DeviceCosts(shipped_bank(), facts)
    if measured is None or not measured.networks:
        return costs
    terms = Terms.of([network.work for network in measured.networks])
    return costs.learn(terms, measured.latency_ms, measured.relative_se)


def load_stored(
    path: Path, device: str, *, space: str | None = None, where: Mapping[str, str] | None = None
) -> StoredDevice:
    """Learn a device from all that a store holds of it.

    Args:
        path: the store.
        device: name of the device there.
        space: id of the space of the subnets to predict; any, and none is set, if ``None``.
        where: see ``read_measured``.

    Raises:
        DatasetError: the store holds nothing of the device that can be learned from.
        MixedMachineState: it was measured under several runtimes, threads and the like.
        StoreError: no such store.
    """
    with Store(path, create=False) as store:
        measured = read_measured(store, device, where)
        there = store.devices()
    if measured is None:
        chosen = ", ".join(f"{name}={value}" for name, value in (where or {}).items())
        raise DatasetError(
            f"{path}: no measurement of device {device}{f' with {chosen}' if chosen else ''}; "
            f"devices there: {', '.join(there) or 'none'}; `edgeprof probe --store {path}` adds one"
        )
    if measured.facts is None:
        raise DatasetError(
            f"{path}: only imported rows of {device}, which do not say what the device is; measure "
            "one model there"
        )
    if not measured.networks:
        raise DatasetError(
            f"{path}: of no measurement of {device} the layers are known, and the model files are "
            f"not where they were; `edgeprof probe --store {path}` measures models that are"
        )
    return StoredDevice(device, measured.facts, measured, space or "")
