"""The state of a machine, judged: what would spoil a measurement, and the remedy.

Owns: every warning about machine state, in one table (``KINDS``); ``machine_rules`` says when each
holds. The harness, ``measure`` and ``doctor`` all ask here. Does not own the facts: these are
gathered by csrc/machine/, and come from this machine, a board or a record in a store.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from edgeprof.base.errors import BoardSetupError
from edgeprof.base.files import packaged
from edgeprof.measuring.machine_rules import RULES, MachineState


class Severity(Enum):
    """What a finding means for a measurement."""

    MISLEADING = "misleading"
    """The number would not be what the user takes it for: ``doctor`` exits 1."""

    NOTICE = "notice"
    """The number holds under this condition, which should be known beside it."""


class Kind(NamedTuple):
    """What is the same in all findings of one id."""

    severity: Severity
    consequence: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """One thing about the machine that bears on a measurement.

    Attributes:
        id: stable name, for scripts.
        severity: ``misleading`` or ``notice``.
        found: what was seen, with values.
        consequence: what it does to a measurement.
        remedy: what to do about it.
    """

    id: str
    severity: Severity
    found: str
    consequence: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """JSON-ready form."""
        return {**asdict(self), "severity": self.severity.value}


_PIN = "sudo firmware_scripts/pin_clocks.sh apply"
_COOL = "let it cool, add a heat sink or a fan, or pin a lower frequency (pin_clocks.sh --khz)"
_M, _N = Severity.MISLEADING, Severity.NOTICE

KINDS: dict[str, Kind] = {
    "boost": Kind(
        _N,
        "the clock depends on temperature and on what the other cores do",
        f"{_PIN} (switches boost off)",
    ),
    "container": Kind(
        _N,
        "limits and neighbours of the container are part of the number",
        "measure outside of the container, or on the board itself",
    ),
    "cooling": Kind(
        _M,
        "the kernel has lowered the CPU's frequency because of heat",
        _COOL,
    ),
    "cpu-quota": Kind(
        _M,
        "the kernel stops the process for the rest of each period once the quota is used up",
        "lift the limit (docker --cpus, systemd CPUQuota=), or use fewer threads",
    ),
    "few-cpus": Kind(
        _N,
        "threads beyond these CPUs take turns on them",
        "measure with as many threads at most, or allow more CPUs (taskset, docker --cpuset-cpus)",
    ),
    "frequency-limited": Kind(
        _N,
        "latencies are those of the lower clock, not of the board at its best",
        "fine when meant; else raise the limit (pin_clocks.sh, on a Jetson nvpmodel -m)",
    ),
    "frequency-lowered": Kind(
        _M,
        "something below the operating system holds the clock down (heat, supply, power cap)",
        "check supply and cooling; on a Raspberry Pi see `vcgencmd get_throttled`",
    ),
    "governor": Kind(
        _M,
        "the clock follows the load: first inferences run slow, and results depend on the past",
        _PIN,
    ),
    "hot": Kind(_M, "throttling has begun or will begin within a longer run", _COOL),
    "isolated-cpus": Kind(
        _N,
        "isolated CPUs are the quietest of the machine, and this process does not use them",
        "measure with --cpus set to them",
    ),
    "just-booted": Kind(
        _N,
        "services are still starting and take the CPU now and then",
        "wait two minutes",
    ),
    "load": Kind(
        _M,
        "other processes share CPU, caches and memory bandwidth with the model",
        "stop them (top), or sudo firmware_scripts/quiet_board.sh apply",
    ),
    "memory-short": Kind(
        _M,
        "pages of the model may be evicted and read again while it runs",
        "stop other programs, use a smaller model, or a board with more memory",
    ),
    "mixed-cores": Kind(
        _M,
        "the scheduler may move the model between slow and fast cores",
        "choose cores of one kind with --cpus",
    ),
    "nmi-watchdog": Kind(
        _N,
        "the watchdog occupies a hardware counter, others may be multiplexed",
        "sudo firmware_scripts/pmu_access.sh apply",
    ),
    "no-frequency": Kind(
        _N,
        "whether the clock was constant cannot be told",
        "trust the cycle counts where there are any; on a Raspberry Pi set force_turbo=1",
    ),
    "no-pmu": Kind(
        _N,
        "cycles, cache misses and branch misses are not counted; latencies are",
        "use a kernel (and device tree) that registers the CPU's PMU",
    ),
    "perf-paranoid": Kind(
        _N,
        "users other than root cannot count cycles",
        "sudo firmware_scripts/pmu_access.sh apply",
    ),
    "perf-user-access": Kind(
        _N,
        "cycles are counted through a system call: some hundred nanoseconds more per sample",
        "sudo firmware_scripts/pmu_access.sh apply",
    ),
    "slow-clock": Kind(
        _N,
        "reading the time takes a system call and up to a microsecond",
        "find out why the kernel rejected the CPU's own counter (dmesg | grep clocksource)",
    ),
    "smt": Kind(
        _N,
        "a neighbour on the same core takes up to half of it",
        "switch it off (echo off > /sys/devices/system/cpu/smt/control), or use one CPU per core",
    ),
    "some-load": Kind(
        _N,
        "something else runs now and then; samples that it disturbs are marked",
        "see what it is (top), or sudo firmware_scripts/quiet_board.sh apply",
    ),
    "swap-used": Kind(
        _N,
        "memory was short at some time; pages of this process may come back from swap",
        "sudo firmware_scripts/quiet_board.sh apply (switches swap off)",
    ),
    "threads-beyond-cpus": Kind(
        _M,
        "threads take turns on a CPU: the latency is one of waiting",
        "measure with --threads no higher than that, or allow more CPUs (--cpus, taskset, "
        "docker --cpuset-cpus)",
    ),
    "threads-beyond-quota": Kind(
        _M,
        "the kernel stops all threads for the rest of each period once the quota is used up",
        "measure with --threads no higher than that, or lift the quota (docker --cpus, systemd "
        "CPUQuota=)",
    ),
    "throttled": Kind(
        _M,
        "the firmware holds the clock down at this moment",
        _COOL,
    ),
    "throttled-before": Kind(
        _N,
        "it may happen again during a measurement, and then samples are marked as disturbed",
        "better cooling or supply; the flags are cleared by a reboot",
    ),
    "under-voltage": Kind(
        _M,
        "the supply is too weak, so the firmware lowers the clock, and the board may fail",
        "use the vendor's supply and a short, thick cable",
    ),
    "virtual-machine": Kind(
        _N,
        "the host may take the CPU away unseen; numbers hold for this virtual machine only",
        "measure on the hardware itself",
    ),
}
"""Every finding there is: severity, consequence, remedy."""


def machine_state(root: str | Path = "/") -> dict[str, Any]:
    """Facts about this machine, or about a captured tree.

    Args:
        root: folder that holds ``proc`` and ``sys``.

    Raises:
        BoardSetupError: there is no such folder, or nothing of a machine in it.
    """
    from edgeprof._core import machine_state_json

    state: dict[str, Any] = json.loads(machine_state_json(str(root)))
    if not state.keys() - {"state_version"}:
        raise BoardSetupError(
            f"{root}: no machine state found; want a folder with proc/ and sys/ in it, as "
            "firmware_scripts/collect_board_info.sh writes it"
        )
    return state


def findings(
    state: MachineState, cpus: Sequence[int] | None = None, threads: int | None = None
) -> list[Finding]:
    """What would spoil a measurement, worst first.

    Args:
        state: facts, as ``machine_state`` or a record's ``machine`` gives them.
        cpus: the CPUs that will run the model; all that the process may use when not given.
        threads: of the runtime; unknown when not given.
    """
    if threads is not None:
        state = {**state, "threads": threads}
    chosen = frozenset(cpus) if cpus else None
    found: list[Finding] = []
    for rule in RULES:
        for identity, text in rule(state, chosen):
            found.append(Finding(identity, found=text, **KINDS[identity]._asdict()))
    return sorted(found, key=lambda finding: finding.severity is not Severity.MISLEADING)


def would_mislead(found: Sequence[Finding]) -> bool:
    """Whether a measurement in this state should not be trusted."""
    return any(finding.severity is Severity.MISLEADING for finding in found)


def remedy_note(found: Sequence[Finding]) -> str | None:
    """Say where the scripts are that remedies speak of; ``None`` where none does."""
    if not any("firmware_scripts/" in finding.remedy for finding in found):
        return None
    folder = packaged("firmware_scripts")
    if not folder.is_dir():
        return None
    return f"(firmware_scripts is {folder}; it may be copied to a board as it is)"


def describe(state: MachineState) -> str:
    """One line for people: board, cores, distribution, kernel."""
    cores = ", ".join(
        f"{len(kind.get('cpus', []))} x {kind['name']}"
        for kind in state.get("core_types", [])
        if kind.get("name")
    )
    facts = [
        state.get("board_model"),
        cores,
        state.get("distribution"),
        f"kernel {state['kernel']}" if "kernel" in state else None,
    ]
    return "; ".join(str(fact) for fact in facts if fact)


def verdict(found: Sequence[Finding]) -> str:
    """One line for people: what the findings come to."""
    n_misleading = sum(finding.severity is Severity.MISLEADING for finding in found)
    if n_misleading:
        return f"A measurement would be misleading: {n_misleading} of {len(found)} findings."
    if found:
        return "A measurement can be trusted, under the conditions noted."
    return "Nothing found that would spoil a measurement."
