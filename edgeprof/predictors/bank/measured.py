"""What a store holds of devices: which measurements count, and the facts of each device.

Probes, suites, model files and subnets are alike: each is a network that took so long. Facts come
from the machine's state in the records. Does not own: what these teach.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import DatasetError
from edgeprof.base.units import ns_to_ms
from edgeprof.measuring.grade import Evidence, together
from edgeprof.measuring.measurement import Record
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.terms import Floats, Terms
from edgeprof.records.evidence import DeviceEvidence
from edgeprof.records.network_lists import measured_network
from edgeprof.records.network_rows import subnet_as_measured
from edgeprof.records.pooling import STATE_FIELDS, check_where, mixed_states, state_of
from edgeprof.records.store import Store, StoredMeasurement

_OF_MODELS = frozenset({"model_kind", "weights_sha256"})
_UNKNOWN_SE = 0.1
"""Of a latency from too few samples to tell, relative."""
_CPU_PROVIDERS = ("CPU", "CPUExecutionProvider")


@dataclass(frozen=True)
class MeasuredDevice:
    """A device in one state, and what is learned from.

    Attributes:
        name: of the device.
        facts: of it, set as it was.
        terms: of the networks that were measured.
        latency_ms, relative_se: of each.
    """

    name: str
    facts: Facts
    terms: Terms
    latency_ms: Floats
    relative_se: Floats

    def take(self, rows: NDArray[np.int64]) -> MeasuredDevice:
        """Return some of the measurements."""
        return MeasuredDevice(
            self.name,
            self.facts,
            self.terms.take(rows),
            self.latency_ms[rows],
            self.relative_se[rows],
        )


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

    def on(self, device: str, facts: Facts) -> MeasuredDevice:
        """Return this as what is learned from."""
        terms = Terms.of([network.work for network in self.networks])
        return MeasuredDevice(device, facts, terms, self.latency_ms, self.relative_se)


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


def read_devices(store: Store, *, but: str = "") -> Iterator[MeasuredDevice]:
    """Yield the devices of a store in each of their states, that named ``but`` left out.

    Records that do not say what cores there were, and networks without layers, are passed over.
    """
    for name in store.devices():
        if name == but:
            continue
        for collected in _by_state(store, name, {}).values():
            with suppress(DatasetError):
                measured = collected.measured()
                if measured and measured.facts and measured.networks:
                    yield measured.on(name, measured.facts)


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
