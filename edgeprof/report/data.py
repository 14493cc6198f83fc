"""What a report is made of: the devices of stores, with all networks measured on them.

Owns: reading them, and that only what belongs together stands together. Does not own: what
predictors say of them (``judging``), what searches found (``found``), how they are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import StoreError
from edgeprof.base.units import ns_to_ms
from edgeprof.measuring.estimate import ReferenceLevel
from edgeprof.measuring.grade import Evidence, Grade, Verdict, grade_run, together
from edgeprof.networks.layers import Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet
from edgeprof.records.dataset import Dataset
from edgeprof.records.evidence import DeviceEvidence
from edgeprof.records.network_lists import measured_network
from edgeprof.records.network_rows import NetworkRows, subnet_as_measured
from edgeprof.records.pooling import STATE_FIELDS, pool_by_state
from edgeprof.records.store import Store, StoredFailure, StoredMeasurement


@dataclass(frozen=True)
class NamedModel:
    """A network that is no subnet: what was measured, and the path it had."""

    identity: str
    path: str = field(compare=False)


What = Subnet | NamedModel

SPREAD_EDGES = np.linspace(-10, 50, 61)
"""In percent."""

_RAW = ("samples", "blocks")


def short_name(what: What) -> str:
    """Name a network in a word or two."""
    if isinstance(what, NamedModel):
        return Path(what.path).name or what.identity[:12]
    return f"{what.id[:8]} {what.r} px"


def full_name(what: What) -> str:
    """Write what a network is for people, over several lines if need be."""
    if isinstance(what, NamedModel):
        return what.path or what.identity
    kept = {"d": what.d, "ks": what.ks, "e": what.e}
    lists = (f"{name}: {' '.join(map(str, v))}" for name, v in kept.items() if v)
    return "\n".join([f"{what.id} {what.r} px", *lists])


@dataclass(frozen=True)
class Row:
    """All that is known of one network on one device.

    Attributes:
        what: the network.
        layers: its layers; ``None`` where nothing tells them.
        evidence: its latency, the median of its repeats, and what that is worth.
        is_measured: whether it was measured, or came from elsewhere.
    """

    what: What
    layers: Network | None
    evidence: Evidence
    is_measured: bool

    @property
    def latency_ms(self) -> float:
        """The latency."""
        return ns_to_ms(self.evidence.latency_ns)

    @property
    def se_ms(self) -> float:
        """Its standard error; NaN where that is not known."""
        return self.latency_ms * self.evidence.se_rel


@dataclass(frozen=True)
class Device:
    """Everything the stores hold of one device in one state, which may be pooled.

    Attributes:
        name: of the device, and of its state where there are several.
        device: of the device.
        rows: its networks, in the order of measuring.
        measurements: with machine state, without raw samples.
        failures: attempts that gave no measurement.
        spread: int64 (60,), how many samples deviate so much from their model's median, by the bins
            of ``SPREAD_EDGES``.
        level: the reference speed of the device's campaigns, those in other states included.
        n_imported: rows from elsewhere.
    """

    name: str
    device: str
    rows: tuple[Row, ...]
    measurements: tuple[StoredMeasurement, ...]
    failures: tuple[StoredFailure, ...]
    spread: NDArray[np.int64]
    level: ReferenceLevel | None
    n_imported: int

    @cached_property
    def by_network(self) -> dict[What, Row]:
        """The rows by network."""
        return {row.what: row for row in self.rows}

    @cached_property
    def grade(self) -> Verdict | None:
        """How good its measurements are together; ``None`` without any."""
        measured = [row.evidence for row in self.rows if row.is_measured]
        if not measured:
            return None
        latencies_ns = np.array([one.latency_ns for one in measured])
        verdict = grade_run(latencies_ns, np.array([one.se_rel for one in measured]))
        spoilt = [one.spoilt_by for one in measured if one.spoilt_by]
        if verdict.grade is Grade.GOOD and 2 * len(spoilt) > len(measured):
            return Verdict(Grade.USABLE, f"{verdict.reason}, but {spoilt[0]}")
        return verdict

    @property
    def spaces(self) -> list[str]:
        """The spaces that subnets among the rows are of."""
        return sorted({row.what.space for row in self.rows if isinstance(row.what, Subnet)})

    def dataset(self, space_id: str) -> Dataset | None:
        """Return the rows of one space, or ``None`` where there are none."""
        chosen = {
            row.what: row
            for row in self.rows
            if isinstance(row.what, Subnet) and row.what.space == space_id
        }
        if not chosen:
            return None
        rows = list(chosen.values())
        return Dataset(
            space_id,
            self.name,
            tuple(chosen),
            get_space(space_id).encode(chosen),
            np.array([row.latency_ms for row in rows]),
            np.arange(len(rows)),
            "store",
            latency_se_ms=np.array([row.se_ms for row in rows]),
        )

    @property
    def listed(self) -> list[Row]:
        """The rows whose layers are known."""
        return [row for row in self.rows if row.layers is not None]

    def network_rows(self) -> NetworkRows:
        """Return the ``listed`` rows, subnets among them as networks."""
        rows = self.listed
        return NetworkRows(
            self.name,
            tuple(row.layers for row in rows if row.layers is not None),
            np.array([row.latency_ms for row in rows]),
            np.array([row.se_ms for row in rows]),
            tuple(self.spaces),
            "store",
        )


def read_stores(paths: Sequence[Path]) -> list[Device]:
    """Read the devices of several stores; equal names are one device.

    Measurements under different states (see ``STATE_FIELDS``) are never pooled: each state of a
    device is shown by itself, named by what differs from the others.

    Raises:
        StoreError: if a store cannot be read, or none holds anything.
    """
    pooled: dict[str, _Contents] = {}
    layers = _Layers()
    for path in paths:
        with Store(path, create=False) as store:
            for name in store.devices():
                pooled.setdefault(name, _Contents()).read(store, name, layers)
            for failure in store.failures():
                pooled.setdefault(failure.device, _Contents()).failures.append(failure)
    devices = [device for name in sorted(pooled) for device in _split(name, pooled[name])]
    if not any(device.rows for device in devices):
        named = ", ".join(str(path) for path in paths)
        raise StoreError(
            f"{named}: holds no results, nothing to report; `edgeprof profile` measures some"
        )
    return devices


@dataclass
class _Layers:
    """The layers of networks, each worked out once."""

    found: dict[tuple[What, str], Network | None] = field(default_factory=dict)

    def of(self, store: Store, measurement: StoredMeasurement, what: What) -> Network | None:
        """Return the layers of what was measured."""
        kind = measurement.model_kind or ""
        if (what, kind) not in self.found:
            self.found[what, kind] = (
                subnet_as_measured(what, kind)
                if isinstance(what, Subnet)
                else measured_network(store, measurement.record)
            )
        return self.found[what, kind]

    def of_imported(self, subnet: Subnet) -> Network | None:
        """Return the layers of a subnet from elsewhere."""
        if (subnet, "") not in self.found:
            self.found[subnet, ""] = subnet_as_measured(subnet, "")
        return self.found[subnet, ""]


@dataclass(frozen=True)
class _One:
    """One measurement, or one row from elsewhere."""

    row: Row
    measurement: StoredMeasurement | None = None
    spread: NDArray[np.int64] | None = None


@dataclass
class _Contents:
    """What the stores hold of one device, before it is split by state."""

    measured: list[_One] = field(default_factory=list)
    imported: list[_One] = field(default_factory=list)
    failures: list[StoredFailure] = field(default_factory=list)
    level: ReferenceLevel | None = None

    def read(self, store: Store, name: str, layers: _Layers) -> None:
        """Take what a store holds of the device."""
        evidence = DeviceEvidence.read(store, name)
        self.level = evidence.level or self.level
        for measurement in store.measurements(name):
            what = _what(measurement)
            network = layers.of(store, measurement, what)
            row = Row(what, network, evidence.of(measurement), is_measured=True)
            # Of raw samples, which may be many, only the spread is kept.
            record = {key: value for key, value in measurement.record.items() if key not in _RAW}
            kept = replace(measurement, record=record)
            self.measured.append(_One(row, kept, _spread(measurement)))
        for imported in store.imported_rows(name):
            one = Evidence(1e6 * imported.latency_ms, math.nan, 0)
            network = layers.of_imported(imported.subnet)
            self.imported.append(_One(Row(imported.subnet, network, one, is_measured=False)))


def _what(measurement: StoredMeasurement) -> What:
    if measurement.subnet is not None:
        return measurement.subnet
    path = str(measurement.record["model"].get("path", ""))
    return NamedModel(measurement.model_identity, path)


def _spread(measurement: StoredMeasurement) -> NDArray[np.int64]:
    samples = np.asarray(measurement.record["samples"]["latency_ns"], dtype=np.float64)
    deviations = 100 * (samples / measurement.latency_median_ns - 1)
    clipped = np.clip(deviations, SPREAD_EDGES[0], SPREAD_EDGES[-1])
    return np.histogram(clipped, SPREAD_EDGES)[0].astype(np.int64)


def _split(name: str, contents: _Contents) -> Iterator[Device]:
    """Give one device per state; of several, what has no state stands for itself, too."""
    by_id = {id(one.measurement): one for one in contents.measured}
    measurements = [one.measurement for one in contents.measured if one.measurement is not None]
    states = pool_by_state(measurements, lambda measurement: by_id[id(measurement)])
    if len(states) <= 1:
        yield _device(name, name, contents)
        return
    differing = [len(set(values)) > 1 for values in zip(*states, strict=True)]
    for state in sorted(states):
        state_name = ", ".join(
            f"{key} {value or 'unknown'}"
            for key, value, differs in zip(STATE_FIELDS, state, differing, strict=True)
            if differs
        )
        of_state = replace(contents, measured=states[state], imported=[], failures=[])
        yield _device(f"{name} ({state_name})", name, of_state)
    if contents.imported or contents.failures:
        rest = _Contents(imported=contents.imported, failures=contents.failures)
        yield _device(f"{name} (without a state)", name, rest)


def _device(label: str, name: str, contents: _Contents) -> Device:
    repeats: dict[What, list[Row]] = {}
    for one in [*contents.measured, *contents.imported]:
        repeats.setdefault(one.row.what, []).append(one.row)
    spreads = [one.spread for one in contents.measured if one.spread is not None]
    return Device(
        name=label,
        device=name,
        rows=tuple(
            replace(rows[0], evidence=together([row.evidence for row in rows]))
            for rows in repeats.values()
        ),
        measurements=tuple(o.measurement for o in contents.measured if o.measurement is not None),
        failures=tuple(contents.failures),
        spread=np.sum(spreads, axis=0) if spreads else np.zeros(len(SPREAD_EDGES) - 1, np.int64),
        level=contents.level,
        n_imported=len(contents.imported),
    )
