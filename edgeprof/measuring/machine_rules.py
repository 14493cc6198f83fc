"""The rules of ``edgeprof doctor``: when something about a machine bears on a measurement.

Owns: the thresholds, and what was found in words. What it means and what to do about it stand in
``machine.KINDS``, by the id that a rule yields. A rule reads the state and nothing else; a fact
that is absent is no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from edgeprof.base.cpu_list import format_cpus

MachineState: TypeAlias = Mapping[str, Any]
"""What ``edgeprof-harness state`` prints; an absent key is a fact the machine does not give."""

HOT_MARGIN_MDEGC = 5_000
"""A zone this close to its passive trip point will throttle during a longer run."""

SHORT_MEMORY = 0.1
"""Share of memory below which the kernel starts to reclaim what the model uses."""

FREQ_TOLERANCE = 0.98
"""A clock below this share of the wanted one is another clock, not a rounding."""

# Where the firmware throttles without a trip point that the kernel knows: `temp_soft_limit` of
# the 3B+ (60 degrees), the 80 degrees of the others (Raspberry Pi documentation, config.txt).
_FIRMWARE_LIMITS_MDEGC = (("raspberrypi,3-model-b-plus", 60_000), ("raspberrypi,", 80_000))

# These drivers report a measured frequency that moves with load even under `performance`.
_SELF_REGULATING_DRIVERS = ("intel_pstate", "intel_cpufreq", "acpi-cpufreq", "amd-pstate")


Found: TypeAlias = Iterator[tuple[str, str]]
"""Ids of ``machine.KINDS``, each with what was found."""

Rule: TypeAlias = Callable[[MachineState, frozenset[int] | None], Found]
"""From the state and the CPUs that will run the model (``None``: any) to findings."""


def _usable_cpus(state: MachineState, chosen: frozenset[int] | None) -> frozenset[int]:
    if chosen is not None:
        return chosen
    affinity = frozenset(state.get("affinity") or ())
    online = frozenset(state.get("online_cpus") or ())
    # The kernel may allow CPUs that are off, or that the machine does not have.
    return affinity & online or affinity or online


def _clusters(state: MachineState, chosen: frozenset[int] | None) -> list[dict[str, Any]]:
    cpus = _usable_cpus(state, chosen)
    clusters: list[dict[str, Any]] = state.get("clusters", [])
    return [c for c in clusters if not cpus or not c.get("cpus") or cpus & set(c["cpus"])]


def _named(clusters: Sequence[Mapping[str, Any]]) -> str:
    """CPUs of clusters for people: ``cpu0-3, cpu6``."""
    cpus = sorted(cpu for cluster in clusters for cpu in cluster.get("cpus", []))
    if not cpus:
        return ", ".join(str(cluster.get("name", "cluster")) for cluster in clusters)
    return "cpu" + format_cpus(cpus)


def _mhz(freq_khz: int) -> str:
    return f"{freq_khz / 1000:g} MHz"


def _degrees(temp_mdegc: int) -> str:
    return f"{temp_mdegc / 1000:.1f} degrees"


def _is_pinned(cluster: Mapping[str, Any]) -> bool:
    low, high = cluster.get("min_freq_khz"), cluster.get("max_freq_khz")
    return low is not None and low == high


def _governor(state: MachineState, chosen: frozenset[int] | None) -> Found:
    by_governor: dict[str, list[dict[str, Any]]] = {}
    for cluster in _clusters(state, chosen):
        governor = cluster.get("governor", "performance")
        if governor != "performance" and not _is_pinned(cluster):
            by_governor.setdefault(governor, []).append(cluster)
    for governor, clusters in by_governor.items():
        low = min(c.get("min_freq_khz", 0) for c in clusters)
        high = max(c.get("max_freq_khz", 0) for c in clusters)
        span = f" between {_mhz(low)} and {_mhz(high)}" if low and high else ""
        yield "governor", f"governor of {_named(clusters)} is '{governor}': the clock moves{span}"


def _frequency(state: MachineState, chosen: frozenset[int] | None) -> Found:
    clusters = _clusters(state, chosen)
    if not clusters:
        yield "no-frequency", "the kernel gives no CPU frequency"
    for cluster in clusters:
        limit, hardware = cluster.get("max_freq_khz"), cluster.get("hardware_max_freq_khz")
        if limit and hardware and limit < FREQ_TOLERANCE * hardware:
            found = (
                f"{_named([cluster])} limited to {_mhz(limit)}, the hardware has {_mhz(hardware)}"
            )
            yield "frequency-limited", found
        now = cluster.get("cur_freq_khz")
        steady = _is_pinned(cluster) or cluster.get("governor") == "performance"
        driver = str(cluster.get("driver", ""))
        if not (steady and limit and now) or driver.startswith(_SELF_REGULATING_DRIVERS):
            continue
        if now < FREQ_TOLERANCE * limit:
            yield "frequency-lowered", f"{_named([cluster])} runs at {_mhz(now)}, not {_mhz(limit)}"


def _boost(state: MachineState, chosen: frozenset[int] | None) -> Found:
    per_cluster = [c for c in _clusters(state, chosen) if c.get("boost")]
    if state.get("boost") or (per_cluster and "boost" not in state):
        yield "boost", "boost (turbo) is on"


def _throttling(state: MachineState, _: frozenset[int] | None) -> Found:
    facts = state.get("throttling", {})
    now, before = facts.get("now", []), facts.get("since_boot", [])
    flags = f" (get_throttled {facts['rpi_flags']})" if "rpi_flags" in facts else ""
    if "under_voltage" in now or facts.get("under_voltage_alarm"):
        yield "under-voltage", f"the supply's voltage is too low now{flags}"
    held = [name.replace("_", " ") for name in now if name != "under_voltage"]
    if held:
        yield "throttled", f"the firmware says: {', '.join(held)}{flags}"
    past = [name.replace("_", " ") for name in before if name not in now]
    if past:
        yield "throttled-before", f"since boot: {', '.join(past)}{flags}"
    if facts.get("cpu_cooling_state", 0) > 0:
        yield "cooling", f"a CPU cooling device is in state {facts['cpu_cooling_state']}, want 0"
    if facts.get("throttle_count", 0) > 0:
        yield "throttled-before", f"cores were throttled {facts['throttle_count']} times since boot"


def _passive_limit_mdegc(zone: Mapping[str, Any], compatible: Sequence[str]) -> int | None:
    trips: list[int] = [
        trip["temp_mdegc"]
        for trip in zone.get("trips", [])
        # A trip point at or below zero is one that the driver left unset.
        if trip.get("type") == "passive" and trip.get("temp_mdegc", 0) > 0
    ]
    if trips:
        return min(trips)
    if "cpu" in zone.get("type", ""):
        for prefix, limit in _FIRMWARE_LIMITS_MDEGC:
            if any(name.startswith(prefix) for name in compatible):
                return limit
    return None


def _temperature(state: MachineState, _: frozenset[int] | None) -> Found:
    for zone in state.get("thermal_zones", []):
        temp = zone.get("temp_mdegc")
        limit = _passive_limit_mdegc(zone, state.get("board_compatible", []))
        if temp is None or limit is None or temp < limit - HOT_MARGIN_MDEGC:
            continue
        name = zone.get("type", zone.get("name"))
        yield "hot", f"zone {name} is at {_degrees(temp)}, throttling starts at {_degrees(limit)}"


def _load(state: MachineState, _: frozenset[int] | None) -> Found:
    load, n_cpus = state.get("load_1min", 0.0), len(state.get("online_cpus", [])) or 1
    found = f"load of the last minute is {load:g} on {n_cpus} CPU{'s' if n_cpus > 1 else ''}"
    if load >= 1.0 and load / n_cpus >= 0.1:
        yield "load", found
    elif load >= 0.5:
        yield "some-load", found
    if state.get("uptime_s", 1e9) < 120:
        yield "just-booted", f"the machine booted {state['uptime_s']:.0f} s ago"


def _memory(state: MachineState, _: frozenset[int] | None) -> Found:
    memory = state.get("memory", {})
    total, available = memory.get("total_kib"), memory.get("available_kib")
    if total and available is not None and available < SHORT_MEMORY * total:
        yield "memory-short", f"{available // 1024} MiB of {total // 1024} MiB memory are available"
    used = sum(swap.get("used_kib", 0) for swap in state.get("swaps", []))
    if used:
        yield "swap-used", f"{used // 1024} MiB of swap are in use"


def _cores(state: MachineState, chosen: frozenset[int] | None) -> Found:
    cpus = _usable_cpus(state, chosen)
    mixed = [
        (kind.get("name", "core"), sorted(cpus & set(kind.get("cpus", []))))
        for kind in state.get("core_types", [])
        if cpus & set(kind.get("cpus", []))
    ]
    if len(mixed) > 1:
        kinds = ", ".join(f"{name} on cpu{format_cpus(cpus)}" for name, cpus in mixed)
        yield "mixed-cores", f"the process may run on cores of {len(mixed)} kinds: {kinds}"
    if state.get("smt", {}).get("active"):
        yield "smt", "simultaneous multithreading is on"
    isolated = state.get("isolated_cpus", [])
    if isolated and not cpus & set(isolated):
        yield "isolated-cpus", f"cpu{format_cpus(isolated)} isolated from the scheduler"


def _counted(n_cpus: int) -> str:
    return f"{n_cpus} CPU{'' if n_cpus == 1 else 's'}"


def _threads(state: MachineState, chosen: frozenset[int] | None) -> Found:
    cpus, online = _usable_cpus(state, chosen), state.get("online_cpus", [])
    threads = state.get("threads", 0)
    if cpus and threads > len(cpus):
        found = f"{threads} threads on {_counted(len(cpus))} (cpu{format_cpus(sorted(cpus))})"
        yield "threads-beyond-cpus", found
    elif chosen is None and 0 < len(cpus) < len(online):
        usable = f"{_counted(len(cpus))} of {len(online)}"
        yield "few-cpus", f"this process may use {usable} (cpu{format_cpus(sorted(cpus))})"


def _limits(state: MachineState, chosen: frozenset[int] | None) -> Found:
    quota = state.get("cpu_quota")
    if quota:
        allowed = quota["quota_us"] / quota["period_us"]
        n_cpus = len(_usable_cpus(state, chosen)) or 1
        threads = state.get("threads")
        if threads is not None and threads > allowed:
            share = f"{allowed:g} CPU{'' if allowed == 1 else 's'}"
            yield "threads-beyond-quota", f"{threads} threads, the control group allows {share}"
        elif threads is None and allowed < n_cpus:
            yield "cpu-quota", f"the control group allows {allowed:g} CPUs of {n_cpus}"
    if "hypervisor" in state:
        yield "virtual-machine", f"runs under a hypervisor ({state['hypervisor']})"
    if "container" in state:
        yield "container", f"runs in a container ({state['container']})"


def _counters(state: MachineState, _: frozenset[int] | None) -> Found:
    arm = str(state.get("architecture", "")).startswith(("aarch64", "arm"))
    if arm and not state.get("cpu_pmus"):
        yield "no-pmu", f"kernel {state.get('kernel', '')} has registered no PMU of the CPU"
    if state.get("perf_event_paranoid", 0) > 2:
        yield "perf-paranoid", f"perf_event_paranoid is {state['perf_event_paranoid']}, want 2"
    if state.get("architecture") == "aarch64" and state.get("cpu_pmus"):
        access = state.get("perf_user_access")
        if access is None:
            yield (
                "perf-user-access",
                "there is no kernel.perf_user_access (it came with Linux 5.17)",
            )
        elif access == 0:
            yield "perf-user-access", "kernel.perf_user_access is 0, want 1"
    if state.get("nmi_watchdog"):
        yield "nmi-watchdog", "the NMI watchdog is on"
    if state.get("clock_source") in ("hpet", "acpi_pm", "jiffies", "refined-jiffies"):
        yield "slow-clock", f"the kernel's clock source is {state['clock_source']}"


RULES: tuple[Rule, ...] = (
    _throttling,
    _temperature,
    _governor,
    _frequency,
    _boost,
    _load,
    _memory,
    _cores,
    _threads,
    _limits,
    _counters,
)
