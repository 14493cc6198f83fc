"""What a report is made of: devices out of stores, predictors, results of searches.

Owns: reading them, and that they belong together. Does not own: how they are shown.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.errors import InvalidSubnet, PredictorFormatError, SearchError, StoreError
from edgeprof.base.parse import ENCODING, parse_json
from edgeprof.base.units import ns_to_ms
from edgeprof.networks.spaces import get_space
from edgeprof.networks.subnet import Subnet
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.predictors.evaluation import evaluate_predictor, learned_rows
from edgeprof.predictors.verdict import Verdict
from edgeprof.records.dataset import Dataset
from edgeprof.records.evidence import DeviceEvidence
from edgeprof.records.pooling import STATE_FIELDS, pool_by_state
from edgeprof.records.store import ImportedRow, Store, StoredFailure, StoredMeasurement


@dataclass(frozen=True)
class NamedModel:
    """A network that is no subnet: what was measured, and the path it had."""

    identity: str
    path: str = field(compare=False)


SPREAD_EDGES = np.linspace(-10, 50, 61)
"""In percent."""

_RAW = ("samples", "blocks")


def no_spread() -> NDArray[np.int64]:
    """Return the spread of no samples."""
    return np.zeros(len(SPREAD_EDGES) - 1, dtype=np.int64)


@dataclass
class Device:
    """Everything the stores hold of one device in one state, which may be pooled.

    Attributes:
        name: of the device, and of its state where there are several.
        device: of the device.
        measurements: with machine state, without raw samples.
        spread: int64 (60,), how many samples deviate so much from their model's median, by the bins
            of ``SPREAD_EDGES``.
        failures: attempts that gave no measurement.
        latencies_ms: per subnet, all latencies known, imported ones included.
        networks_ms: the same per network that is no subnet.
        n_imported: rows from elsewhere.
    """

    name: str
    device: str
    measurements: list[StoredMeasurement] = field(default_factory=list)
    failures: list[StoredFailure] = field(default_factory=list)
    spread: NDArray[np.int64] = field(default_factory=no_spread)
    latencies_ms: dict[Subnet, list[float]] = field(default_factory=lambda: defaultdict(list))
    networks_ms: dict[NamedModel, list[float]] = field(default_factory=lambda: defaultdict(list))
    n_imported: int = 0

    @property
    def median_ms(self) -> dict[Subnet, float]:
        """One latency per subnet: the median of those known."""
        return {subnet: statistics.median(v) for subnet, v in self.latencies_ms.items()}

    @property
    def all_medians_ms(self) -> dict[Subnet | NamedModel, float]:
        """One latency per subnet and per other network."""
        known: list[tuple[Subnet | NamedModel, list[float]]]
        known = [*self.latencies_ms.items(), *self.networks_ms.items()]
        return {what: statistics.median(latencies_ms) for what, latencies_ms in known}

    def dataset(self, space_id: str) -> Dataset | None:
        """Return the rows of one space, or ``None`` where there are none."""
        rows = {s: v for s, v in self.median_ms.items() if s.space == space_id}
        if not rows:
            return None
        return Dataset(
            space_id,
            self.name,
            tuple(rows),
            get_space(space_id).encode(rows),
            np.array(list(rows.values())),
            np.arange(len(rows)),
            "store",
        )


@dataclass(frozen=True)
class Evaluation:
    """Predictions beside measurements.

    Attributes:
        label: name of the predictor's file.
        predictor: the predictor.
        data: the measurements.
        predicted_ms: float64 (n,).
        verdict: whether the predictor is worth using.
    """

    label: str
    predictor: LatencyPredictor
    data: Dataset
    predicted_ms: NDArray[np.float64]
    verdict: Verdict


@dataclass(frozen=True)
class FrontPoint:
    """One result of a search, as its JSON says."""

    latency_ms: float
    accuracy: float
    subnet: Subnet
    is_proxy: bool
    source: str


def read_stores(paths: Sequence[Path]) -> list[Device]:
    """Read the devices of several stores; equal names are one device.

    Measurements under different states (see ``STATE_FIELDS``) are never pooled: each state of a
    device is shown by itself, named by what differs from the others.

    Raises:
        StoreError: if a store cannot be read, or none holds anything.
    """
    pooled: dict[str, _Contents] = {}
    for path in paths:
        with Store(path, create=False) as store:
            for name in store.devices():
                contents = pooled.setdefault(name, _Contents())
                evidence = DeviceEvidence.read(store, name)
                for measurement in store.measurements(name):
                    contents.add(measurement, evidence.of(measurement).latency_ns)
                contents.imported += store.imported_rows(name)
            for failure in store.failures():
                pooled.setdefault(failure.device, _Contents()).failures.append(failure)
    devices = [device for name in sorted(pooled) for device in _split(name, pooled[name])]
    if not any(device.measurements or device.n_imported for device in devices):
        named = ", ".join(str(path) for path in paths)
        raise StoreError(
            f"{named}: holds no results, nothing to report; `edgeprof profile` measures some"
        )
    return devices


@dataclass
class _Contents:
    """What the stores hold of one device, before it is split by state."""

    measurements: list[StoredMeasurement] = field(default_factory=list)
    imported: list[ImportedRow] = field(default_factory=list)
    failures: list[StoredFailure] = field(default_factory=list)
    # By id of a measurement:
    latencies_ms: dict[int, float] = field(default_factory=dict)
    spreads: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    def add(self, measurement: StoredMeasurement, latency_ns: float) -> None:
        """Take a measurement; of its raw samples, which may be many, only their spread."""
        samples = np.asarray(measurement.record["samples"]["latency_ns"], dtype=np.float64)
        deviations = 100 * (samples / measurement.latency_median_ns - 1)
        clipped = np.clip(deviations, SPREAD_EDGES[0], SPREAD_EDGES[-1])
        record = {name: value for name, value in measurement.record.items() if name not in _RAW}
        kept = replace(measurement, record=record)
        self.measurements.append(kept)
        self.latencies_ms[id(kept)] = ns_to_ms(latency_ns)
        self.spreads[id(kept)] = np.histogram(clipped, SPREAD_EDGES)[0].astype(np.int64)


def _split(name: str, contents: _Contents) -> Iterator[Device]:
    """Give one device per state; of several, what has no state stands for itself, too."""
    states = pool_by_state(contents.measurements, lambda measurement: measurement)
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
        of_state = replace(contents, measurements=states[state], imported=[], failures=[])
        yield _device(f"{name} ({state_name})", name, of_state)
    if contents.imported or contents.failures:
        rest = _Contents(imported=contents.imported, failures=contents.failures)
        yield _device(f"{name} (without a state)", name, rest)


def _device(label: str, name: str, contents: _Contents) -> Device:
    device = Device(label, name, contents.measurements, contents.failures)
    for measurement in contents.measurements:
        latency_ms = contents.latencies_ms[id(measurement)]
        device.spread = device.spread + contents.spreads[id(measurement)]
        if measurement.subnet is not None:
            device.latencies_ms[measurement.subnet].append(latency_ms)
        else:
            path = str(measurement.record["model"].get("path", ""))
            model = NamedModel(measurement.model_identity, path)
            device.networks_ms[model].append(latency_ms)
    for row in contents.imported:
        device.latencies_ms[row.subnet].append(row.latency_ms)
    device.n_imported = len(contents.imported)
    return device


def _evaluation(label: str, predictor: LatencyPredictor, data: Dataset) -> Evaluation:
    """Judge a predictor on rows that it has not learned from; on all where there are none."""
    learned = learned_rows(predictor, data)
    if learned is not None and learned.any():
        if learned.all():
            label = f"{label} (its own training rows)"
        else:
            data = data.take(np.flatnonzero(~learned))
            label = f"{label} ({learned.sum()} training rows left out)"
    predicted_ms = predictor.predict_codes(data.codes)
    return Evaluation(
        label, predictor, data, predicted_ms, evaluate_predictor(predictor, data).verdict
    )


def evaluate_predictors(
    predictors: Iterable[tuple[str, LatencyPredictor]],
    devices: Sequence[Device],
    device_of: Mapping[str, str] | None = None,
) -> list[Evaluation]:
    """Set each predictor beside the measurements of its device, in each of its states.

    Args:
        predictors: labels and predictors.
        devices: the measurements.
        device_of: by label, the device to compare with, where the predictor names another.

    Raises:
        PredictorFormatError: if the stores hold nothing of its device and space.
    """
    evaluations = []
    for label, predictor in predictors:
        wanted = (device_of or {}).get(label, predictor.device)
        mine = [device for device in devices if device.device == wanted]
        rows = {device.name: device.dataset(predictor.space) for device in mine}
        found = {name: data for name, data in rows.items() if data is not None}
        if not found:
            raise PredictorFormatError(
                f"{label}: predicts {predictor.space} on {wanted}, of which the stores "
                f"hold nothing (they hold {_contents(devices)})"
            )
        evaluations += [
            _evaluation(label if len(found) == 1 else f"{label} on {name}", predictor, data)
            for name, data in found.items()
        ]
    return evaluations


def _contents(devices: Sequence[Device]) -> str:
    return "; ".join(
        f"{', '.join(sorted({s.space for s in device.latencies_ms})) or 'no subnets'} "
        f"on {device.name}"
        for device in devices
    )


def read_results(paths: Sequence[Path]) -> list[FrontPoint]:
    """Read what ``edgeprof search --json`` printed.

    Raises:
        SearchError: if a file is something else.
    """
    return [point for path in paths for point in _read_results(path)]


def _read_results(path: Path) -> list[FrontPoint]:
    try:
        listed: Any = parse_json(path.read_text(encoding=ENCODING))
        if not isinstance(listed, list) or not listed:
            raise TypeError("no list of results")
        return [_parse_result(item) for item in listed]
    except OSError as error:
        raise SearchError(f"{path}: cannot be read: {error.strerror}") from error
    except (InvalidSubnet, KeyError, TypeError, ValueError) as error:
        raise SearchError(
            f"{path}: is no result of `edgeprof search --json` ({type(error).__name__}: {error})"
        ) from error


def _parse_result(item: Mapping[str, Any]) -> FrontPoint:
    return FrontPoint(
        float(item["latency_ms"]),
        float(item["accuracy"]),
        Subnet.from_dict(item["subnet"]),
        bool(item.get("accuracy_is_proxy", False)),
        str(item.get("latency_source", "search")),
    )
