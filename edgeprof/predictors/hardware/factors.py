"""What devices have in common: the factors of a roofline, and how far devices lie from them.

Owns: the fit behind ``hardware.py``. Each device has a level of its own, as runtimes and drivers
do, so that the factors learn how latencies grow with the work and not which device is slow; the
median level is what a new device is expected to have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edgeprof.base.extras import optional
from edgeprof.predictors.features import Floats

_RIDGE = 0.02
"""Pull of each factor towards 0, relative to the data: chooses among work that goes together."""

_ROUNDS = 20
"""Of factors given levels and levels given factors; they settle in about ten."""

_PRIOR_LOG_DEVIATION = 0.45
"""How far a device lies from what its data sheet promises, as a standard deviation of logarithms.

A factor of 1.6 either way is what separates neighbouring GPU generations with one library.
"""

_PRIOR_GROUPS = 4.0
"""As many pieces of hardware the prior counts for; those measured take over as they grow more."""


class DeviceWork(NamedTuple):
    """The measurements of one device, as the fit sees them.

    Attributes:
        hardware: what it is; devices of the same hardware count as one.
        relative: float64 (n, columns): time of each kind of work at peak rates / latency.
    """

    hardware: str
    relative: Floats


def fit_factors(devices: Sequence[DeviceWork]) -> Floats:
    """Return how many times its peak time each kind of work takes; never negative."""
    factors = np.zeros(devices[0].relative.shape[1])
    levels = np.zeros(len(devices))
    for _ in range(_ROUNDS):
        factors = _factors_given(devices, levels)
        levels = np.array([_log_level(device, factors) for device in devices])
        levels -= np.mean([levels[of].mean() for of in _groups(devices).values()])
    expected = np.median([_log_level(device, factors) for device in devices])
    return np.asarray(factors * np.exp(-expected), dtype=np.float64)


def log_deviation(devices: Sequence[DeviceWork], factors: Floats) -> float:
    """Return the standard deviation of a new device's log latencies around their prediction.

    The part between devices is what leaving each piece of hardware out shows, together with a
    prior; of one piece of hardware, the prior alone.
    """
    within = np.mean([np.log(_predicted(device, factors)).var() for device in devices])
    groups = _groups(devices)
    squared_errors = []
    for at in groups.values():
        others = [device for index, device in enumerate(devices) if index not in at]
        if others:
            left_out = fit_factors(others)
            errors = [_log_level(devices[index], left_out) for index in at]
            squared_errors.append(float(np.mean(np.square(errors))))
    prior = _PRIOR_GROUPS * _PRIOR_LOG_DEVIATION**2
    between = (prior + sum(squared_errors)) / (_PRIOR_GROUPS + len(squared_errors))
    return float(np.sqrt(between + within))


def _factors_given(devices: Sequence[DeviceWork], levels: Floats) -> Floats:
    """Fit by least squares on relative errors, every piece of hardware with the same weight."""
    with optional("training"):
        from scipy.optimize import nnls

    groups = _groups(devices)
    columns, wanted = [], []
    for device, level in zip(devices, levels, strict=True):
        weight = 1 / np.sqrt(len(device.relative) * len(groups[device.hardware]))
        columns.append(weight * np.exp(-level) * device.relative)
        wanted.append(np.full(len(device.relative), weight))
    usual = np.mean(np.concatenate([device.relative for device in devices]), axis=0)
    # Each factor's pull is relative to how much time its work usually stands for.
    stacked = np.concatenate([*columns, _RIDGE * np.diag(usual)])
    factors, _ = nnls(stacked, np.concatenate([*wanted, np.zeros(len(usual))]))
    return np.asarray(factors, dtype=np.float64)


def _groups(devices: Sequence[DeviceWork]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index, device in enumerate(devices):
        groups.setdefault(device.hardware, []).append(index)
    return groups


def _log_level(device: DeviceWork, factors: Floats) -> float:
    return float(np.median(np.log(_predicted(device, factors))))


def _predicted(device: DeviceWork, factors: Floats) -> Floats:
    """Return prediction / measurement."""
    return np.maximum(device.relative @ factors, 1e-3)
