"""Probes: the few small networks that tell most about a device, measured as one campaign.

Owns: which networks are offered (those of the suite that the machine has memory and time for), and
what the probes made of the device. Does not own: what they tell (``predictors.bank``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edgeprof.base.errors import BoardSetupError
from edgeprof.base.units import format_bytes
from edgeprof.networks.suites import SuiteModel, suite_models
from edgeprof.networks.suites.as_layers import network_of
from edgeprof.networks.work import NetworkLayer
from edgeprof.predictors.bank.facts import Facts
from edgeprof.predictors.bank.measured import facts_of_state, read_measured, where_of
from edgeprof.predictors.bank.model import Bank, DeviceCosts
from edgeprof.predictors.bank.stored import device_costs
from edgeprof.predictors.bank.terms import Terms
from edgeprof.records.evidence import DeviceEvidence
from edgeprof.runs.settings import ProfileSettings
from edgeprof.runs.suites import SuiteWorkload
from edgeprof.runs.summary import RunSummary

UNTIMED_SECS = 5.0
"""Seconds of inferences of one probe before it is warm, at the slow end of what is expected; those
that are timed take as long (``ProfileSettings.max_secs``). Five probes take 50 s at most."""

_UNTIMED, _MOST_PROCESSES = 2, 2
"""Inferences of each process before the budget counts: the first, and one to warm up (more of them
only within a tenth of a second). A campaign that is not sure enough takes twice its processes."""
_RUNTIME_BYTES, _WEIGHT_COPIES, _ACTIVATION_COPIES = 96 << 20, 3, 2
_MEMORY_SHARE = 0.5


class _Offer(NamedTuple):
    """A network that may be a probe."""

    model: SuiteModel
    work: Sequence[NetworkLayer]


def facts_of(state: Mapping[str, Any], settings: ProfileSettings) -> Facts:
    """Return the facts of a machine under settings.

    Raises:
        DatasetError: its state does not say what cores there are.
    """
    return facts_of_state(
        state,
        runtime=settings.runtime_name,
        threads=settings.threads,
        cpus=settings.cpus,
        options=settings.runtime_options,
    )


def choose_probes(
    state: Mapping[str, Any], settings: ProfileSettings, k: int, bank: Bank | None = None
) -> list[SuiteModel]:
    """Choose the networks that tell most about a machine, best first.

    Args:
        state: of the machine.
        settings: as they hold there.
        k: how many; fewer where fewer fit.
        bank: of other devices; the shipped one if ``None``.

    Raises:
        BoardSetupError: none fits into its memory.
        DatasetError: its state does not say what cores there are.
    """
    offers = _offers(settings)
    device = device_costs(facts_of(state, settings), None, bank)
    targets = Terms.of([offer.work for offer in offers])
    slow_ms = device.predict(targets).high_ms
    total_bytes = state.get("memory", {}).get("total_kib", 0) * 1024
    limit_bytes = _MEMORY_SHARE * total_bytes or math.inf  # of a machine that does not tell
    fits = np.array([memory_of(offer.work) <= limit_bytes for offer in offers])
    if not fits.any():
        raise BoardSetupError(
            f"{format_bytes(total_bytes)} of memory are too few for any probe; measure models of "
            "your own with edgeprof profile"
        )
    quick = slow_ms <= 1e3 * UNTIMED_SECS / (_UNTIMED * _MOST_PROCESSES * settings.processes)
    if (fits & quick).sum() < k:  # a slow machine: the fastest, which take what they take
        limit = np.sort(slow_ms[fits])[: 2 * k][-1]
        quick = slow_ms <= limit
    rows = np.flatnonzero(fits & quick)
    chosen = device.choose_probes(targets.take(rows), targets, k)
    return [offers[rows[position]].model for position in chosen]


def _offers(settings: ProfileSettings) -> list[_Offer]:
    """Return the networks of the suite whose layers are known without their files."""
    element_type = "int8" if settings.precision == "int8" else "float32"
    found = []
    for model in suite_models("networks", format=settings.format, precision=settings.precision):
        network = network_of(model.recipe)
        if network is not None:
            found.append(_Offer(model, [layer.at(1, element_type) for layer in network.work]))
    return found


def memory_of(work: Sequence[NetworkLayer]) -> int:
    """Return the bytes that a process with this network may need: a generous guess."""
    weights = sum(layer.weight_bytes for layer in work)
    activations = max(layer.bytes_read + layer.bytes_written for layer in work)
    return _RUNTIME_BYTES + _WEIGHT_COPIES * weights + _ACTIVATION_COPIES * activations


class ProbeLatency(NamedTuple):
    """What was measured of a probe; ``se_rel`` is NaN where it is not known."""

    model: str
    latency_ms: float
    se_rel: float


@dataclass(frozen=True)
class Probed:
    """What probes made of a device.

    Attributes:
        latencies: of the probes.
        format: of their files.
        summary: how their run went.
        where: what chooses their state in the store; empty where there is no other.
        n_networks: how many measured networks the device is known by now.
        reach_before, reach: what 90 % of the networks of the suite are predicted within, as a
            fraction of their latency: by facts alone, and now.
    """

    latencies: tuple[ProbeLatency, ...]
    format: str
    summary: RunSummary
    where: Mapping[str, str]
    n_networks: int
    reach_before: float
    reach: float


def run_probes(
    workload: SuiteWorkload,
    device: str,
    facts: Facts,
    bank: Bank,
    measure: Callable[[SuiteWorkload], RunSummary],
) -> Probed:
    """Measure probes, and learn the device from all that its store then holds in their state.

    Args:
        workload: the probes.
        device: name that they are filed under.
        facts: of the device.
        bank: of other devices.
        measure: measures a workload, as ``Place.measure`` does.
    """
    summary = measure(workload)
    store, names = workload.store, {key: name for name, key in workload.keys_by_name.items()}
    evidence = DeviceEvidence.read(store, device)
    latencies = []
    for measurement in store.measurements(device):
        if measurement.job_key in names:
            one = evidence.of(measurement)
            name = names[measurement.job_key]
            latencies.append(ProbeLatency(name, one.latency_ns / 1e6, one.se_rel))
    where = where_of(store, device, names)
    measured = read_measured(store, device, where) if latencies else None
    targets = Terms.of([offer.work for offer in _offers(workload.settings)])
    return Probed(
        tuple(latencies),
        workload.settings.format,
        summary,
        where,
        0 if measured is None else len(measured.networks),
        _reach(device_costs(facts, None, bank), targets),
        _reach(device_costs(facts, measured, bank), targets),
    )


def _reach(device: DeviceCosts, targets: Terms) -> float:
    _, low, high = device.predict(targets)
    return float(np.median(np.sqrt(high / low))) - 1
