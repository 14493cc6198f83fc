"""One model for many devices: a roofline per layer, with efficiencies learned across devices.

Owns: hardware generalisation (the paper's strategy 2, done with physics). A device is its data
sheet; the time each kind of work would take at its peak rates is summed, and what share of the
peak is really reached is learned, as factors that cannot be negative, from the devices there are
measurements of (``factors.py``). It predicts a device with none, says how unsure that is, and
serves as a base of ``adapt``.

Source: Williams, Waterman and Patterson, "Roofline" (2009).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np

from edgeprof.base.errors import PredictorFormatError
from edgeprof.networks.layers import Block, Network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.spaces.base import Codes
from edgeprof.predictors.base import Latencies, LatencyInterval, PredictsCodes
from edgeprof.predictors.compact.slot_tables import SlotTables
from edgeprof.predictors.features import QUANTITIES, Floats, block_features, layer_points
from edgeprof.predictors.hardware.devices import Device, other_hardware, space_of
from edgeprof.predictors.hardware.factors import DeviceWork, fit_factors, log_deviation
from edgeprof.predictors.host_file import Arrays, Meta
from edgeprof.records.dataset import Dataset

_ROWS_PER_DEVICE = 400
_JUDGED_FOR_MEMORY = 200

_KINDS_OF_WORK: dict[str, tuple[str, ...]] = {
    "pointwise_ms": ("pointwise_macs",),
    "depthwise_ms": ("depthwise_macs",),
    "dense_ms": ("dense_macs", "linear_macs", "vector_macs"),
    "conv_traffic_ms": ("conv_elements_read", "conv_elements_written"),
    "depthwise_traffic_ms": ("depthwise_elements_read", "depthwise_elements_written"),
    "other_traffic_ms": ("elementwise_elements", "se_elements"),
    "weight_traffic_ms": ("parameters",),
    "launch_ms": ("layers",),
}
WORK = (*_KINDS_OF_WORK, "roofline_ms")
"""Columns: times at peak rates; of launches; the roofline, the larger of both per layer."""


def block_work(block: Block, device: Device) -> Floats:
    """Return the columns of ``WORK`` for one block on one device."""
    quantities = dict(zip(QUANTITIES, block_features(block), strict=True))
    row = np.zeros(len(WORK))
    for column, (name, parts) in enumerate(_KINDS_OF_WORK.items()):
        amount = sum(quantities[part] for part in parts)
        row[column] = amount / _rate(name, device)
    for point in layer_points(block):
        arithmetic_ms = device.batch * point.macs / device.macs_per_ms
        traffic = device.batch * point.elements + point.parameters
        row[-1] += max(arithmetic_ms, traffic / device.elements_per_ms)
    return row


def _rate(name: str, device: Device) -> float:
    if name == "launch_ms":
        return 1000 / device.launch_us
    if name == "weight_traffic_ms":
        return device.elements_per_ms  # weights are read once for the whole batch
    peak = device.elements_per_ms if "traffic" in name else device.macs_per_ms
    return peak / device.batch


@dataclass(repr=False)
class HardwareModel(PredictsCodes):
    """Predicts one device from its data sheet.

    Attributes:
        space: id of the search space it encodes.
        target: the device.
        factors: per column of ``WORK``, how many times the peak time it takes; never negative.
        log_deviation: of a latency around its prediction: device and fit together.
        trained_on: names of the devices the factors were learned from.
    """

    kind: ClassVar[str] = "hardware"

    space: str
    target: Device
    factors: Floats
    log_deviation: float
    trained_on: tuple[str, ...]

    def __post_init__(self) -> None:
        self._rows: dict[Block, Floats] = {}
        space = get_space(self.space)
        self._sums = SlotTables(
            space,
            lambda codes: self._work_of([space.layers(subnet) for subnet in space.decode(codes)]),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process as the fields: what follows from them is worked out there."""
        return type(self), tuple(getattr(self, field.name) for field in fields(self))

    @property
    def device(self) -> str:
        """Name of the device."""
        return self.target.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        others = ", ".join(self.trained_on)
        reach = self._reach(0.9)
        notes = [
            f"no measurement of {self.device}: predicted from its data sheet and {others}",
            f"90 % interval: {1 / reach:.2g} to {reach:.2g} times the prediction",
        ]
        space = get_space(self.space)
        drawn = space.sample(_JUDGED_FOR_MEMORY, np.random.default_rng(0))
        needed_bytes = [self.target.working_set_bytes(space.layers(subnet)) for subnet in drawn]
        too_large = np.mean(np.array(needed_bytes) > self.target.ram_bytes)
        if too_large:
            notes.append(
                f"{too_large:.0%} of random subnets need more than the {self.target.ram_gb:g} GB "
                f"of {self.device}: what is predicted of them is too low, if they run at all"
            )
        return tuple(notes)

    @classmethod
    def fit(
        cls,
        measured: Sequence[tuple[Device, Dataset]],
        target: Device,
        *,
        space: str | None = None,
        seed: int = 0,
    ) -> HardwareModel:
        """Learn the factors from measured devices and predict ``target`` with them.

        Rows of the target's own hardware are left out, see ``other_hardware``.

        Args:
            measured: devices and their measurements, of any spaces.
            target: the device to predict.
            space: id of the space to predict in; may be left out where the measurements are of one.
            seed: of the rows drawn where there are many.

        Raises:
            DatasetError: if no other hardware has rows, or the space is not known.
        """
        others = other_hardware(measured, target)
        works = []
        for device, data in others:
            drawn = data.draw(min(len(data), _ROWS_PER_DEVICE), seed)
            one = cls(data.space, device, np.ones(len(WORK)), 0.0, ())
            relative = one._sums(drawn.codes) / drawn.latency_ms[:, np.newaxis]
            works.append(DeviceWork(device.group, relative))
        factors = fit_factors(works)
        names = tuple(device.name for device, _ in others)
        space = space or space_of(others, target)
        return cls(space, target, factors, log_deviation(works, factors), names)

    def predict_codes(self, codes: Codes) -> Latencies:
        """See the interface."""
        latency_ms: Latencies = self._sums(codes) @ self.factors
        return latency_ms

    def predict_interval(self, codes: Codes, confidence: float = 0.9) -> LatencyInterval:
        """See the interface; log-normal, as devices differ by factors."""
        return self._around(self.predict_codes(codes), confidence)

    def predict_networks(
        self, networks: Sequence[Network], confidence: float = 0.9
    ) -> LatencyInterval:
        """Predict networks of any kind, with their intervals."""
        return self._around(self._work_of(networks) @ self.factors, confidence)

    def _around(self, mean_ms: Latencies, confidence: float) -> LatencyInterval:
        reach = self._reach(confidence)
        return LatencyInterval(mean_ms, mean_ms / reach, mean_ms * reach)

    def _reach(self, confidence: float) -> float:
        return math.exp(NormalDist().inv_cdf(0.5 + confidence / 2) * self.log_deviation)

    def _work_of(self, networks: Sequence[Network]) -> Floats:
        total = np.zeros((len(networks), len(WORK)))
        for row, network in zip(total, networks, strict=True):
            for placed in network.blocks:
                row += self._work_of_block(placed.block)
        return total

    def _work_of_block(self, block: Block) -> Floats:
        row = self._rows.get(block)
        if row is None:
            row = self._rows[block] = block_work(block, self.target)
        return row

    def to_arrays(self) -> tuple[Meta, Arrays]:
        """See ``host_file``."""
        meta = {
            "space": self.space,
            "target": asdict(self.target),
            "log_deviation": self.log_deviation,
            "trained_on": list(self.trained_on),
            "work": list(WORK),
        }
        return meta, {"factors": self.factors}

    @classmethod
    def from_arrays(cls, meta: Meta, arrays: Mapping[str, Any]) -> HardwareModel:
        """See ``host_file``."""
        if meta.get("work") != list(WORK):
            raise PredictorFormatError(
                f"hardware model of {meta['target']['name']}: its columns are not those of this "
                "edgeprof; train it anew"
            )
        return cls(
            meta["space"],
            Device(**meta["target"]),
            arrays["factors"],
            float(meta["log_deviation"]),
            tuple(meta["trained_on"]),
        )
