"""What searches found, and what was measured of it.

Owns: reading results of ``edgeprof search --json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InvalidSubnet, SearchError
from edgeprof.base.parse import ENCODING, parse_json
from edgeprof.networks.subnet import Subnet
from edgeprof.report.data import Device


@dataclass(frozen=True)
class FrontPoint:
    """One result of a search.

    Attributes:
        latency_ms: as predicted.
        accuracy: top-1 in [0, 1], or the value of a proxy.
        subnet: the subnet.
        is_proxy: whether ``accuracy`` is none.
        source: device that the prediction speaks of.
        measured_ms: what it took; ``None`` where it was not measured.
    """

    latency_ms: float
    accuracy: float
    subnet: Subnet
    is_proxy: bool
    source: str
    measured_ms: float | None

    @property
    def score(self) -> str:
        """The accuracy for people."""
        return f"proxy {self.accuracy:.3g}" if self.is_proxy else f"{self.accuracy:.2%} top-1"


def read_results(paths: Sequence[Path], devices: Sequence[Device]) -> list[FrontPoint]:
    """Read what ``edgeprof search --json`` printed, with what the stores hold of it.

    Raises:
        SearchError: if a file is something else.
    """
    return [point for path in paths for point in _read_results(path, devices)]


def _read_results(path: Path, devices: Sequence[Device]) -> list[FrontPoint]:
    try:
        listed: Any = parse_json(path.read_text(encoding=ENCODING))
        if not isinstance(listed, list) or not listed:
            raise TypeError("no list of results")
        return [_parse_result(item, devices) for item in listed]
    except OSError as error:
        raise SearchError(f"{path}: cannot be read: {error.strerror}") from error
    except (InvalidSubnet, KeyError, TypeError, ValueError) as error:
        raise SearchError(
            f"{path}: is no result of `edgeprof search --json` ({type(error).__name__}: {error})"
        ) from error


def _parse_result(item: Mapping[str, Any], devices: Sequence[Device]) -> FrontPoint:
    subnet = Subnet.from_dict(item["subnet"])
    source = str(item.get("latency_source", "search"))
    measured = item.get("measured_ms")
    return FrontPoint(
        float(item["latency_ms"]),
        float(item["accuracy"]),
        subnet,
        bool(item.get("accuracy_is_proxy", False)),
        source,
        _in_stores(subnet, source, devices) if measured is None else float(measured),
    )


def _in_stores(subnet: Subnet, source: str, devices: Sequence[Device]) -> float | None:
    """Return what a subnet took on the device that its prediction speaks of, where that is one."""
    found = [
        device.by_network[subnet].latency_ms
        for device in devices
        if device.device == source and subnet in device.by_network
    ]
    return found[0] if len(found) == 1 else None
