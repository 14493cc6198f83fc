"""What a report is made of: devices out of stores, predictors, results of searches.

Owns: reading them, and that they belong together. Does not own: how they are shown.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprof.dataset import Dataset
from edgeprof.errors import InvalidSubnet, PredictorFormatError, SearchError, StoreError
from edgeprof.predictors.base import LatencyPredictor
from edgeprof.spaces import get_space
from edgeprof.store import Store, StoredFailure, StoredMeasurement
from edgeprof.subnet import Subnet
from edgeprof.units import ns_to_ms


@dataclass
class Device:
    """Everything the stores hold of one device.

    Attributes:
        name: of the device.
        measurements: with raw samples and machine state.
        failures: attempts that gave no measurement.
        latencies_ms: per subnet, all latencies known, imported ones included.
        n_imported: rows from elsewhere.
    """

    name: str
    measurements: list[StoredMeasurement] = field(default_factory=list)
    failures: list[StoredFailure] = field(default_factory=list)
    latencies_ms: dict[Subnet, list[float]] = field(default_factory=lambda: defaultdict(list))
    n_imported: int = 0

    @property
    def median_ms(self) -> dict[Subnet, float]:
        """One latency per subnet: the median of those known."""
        return {subnet: statistics.median(v) for subnet, v in self.latencies_ms.items()}

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
    """

    label: str
    predictor: LatencyPredictor
    data: Dataset
    predicted_ms: NDArray[np.float64]


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

    Raises:
        StoreError: if a store cannot be read, or none holds anything.
    """
    devices: dict[str, Device] = {}
    for path in paths:
        with Store(path, create=False) as store:
            for name in store.devices():
                _read_device(store, devices.setdefault(name, Device(name)))
            for failure in store.failures():
                device = devices.setdefault(failure.device, Device(failure.device))
                device.failures.append(failure)
    filled = [device for device in devices.values() if device.measurements or device.n_imported]
    if not filled:
        named = ", ".join(str(path) for path in paths)
        raise StoreError(
            f"{named}: holds no results, nothing to report; `edgeprof profile` measures some"
        )
    return sorted(filled, key=lambda device: device.name)


def _read_device(store: Store, device: Device) -> None:
    for measurement in store.measurements(device.name):
        device.measurements.append(measurement)
        if measurement.subnet is not None:
            latency_ms = ns_to_ms(measurement.latency_median_ns)
            device.latencies_ms[measurement.subnet].append(latency_ms)
    for row in store.imported_rows(device.name):
        device.latencies_ms[row.subnet].append(row.latency_ms)
        device.n_imported += 1


def evaluate_predictors(
    predictors: Iterable[tuple[str, LatencyPredictor]], devices: Sequence[Device]
) -> list[Evaluation]:
    """Set each predictor beside the measurements of its device.

    Raises:
        PredictorFormatError: if the stores hold nothing of its device and space.
    """
    by_name = {device.name: device for device in devices}
    evaluations = []
    for label, predictor in predictors:
        device = by_name.get(predictor.device)
        data = device.dataset(predictor.space) if device else None
        if data is None:
            raise PredictorFormatError(
                f"{label}: predicts {predictor.space} on {predictor.device}, of which the stores "
                f"hold nothing (they hold {_contents(devices)})"
            )
        predicted_ms = predictor.predict_codes(data.codes)
        evaluations.append(Evaluation(label, predictor, data, predicted_ms))
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
        listed: Any = json.loads(path.read_text(encoding="utf-8"))
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
