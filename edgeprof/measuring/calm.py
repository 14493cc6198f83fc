"""How fast this machine is when nothing disturbs it, remembered between runs.

The harness times a canary, a fixed piece of work, beside every few inferences; where it is slow,
the machine was slow. One run knows only what it saw itself: when a neighbour on the other
hyper-thread stays for all of its seconds, it takes the slow machine for the usual one. So the
lowest reading that is no single luck is kept in the cache folder, per state of the machine, and
handed to the next run, which then waits a while for such a moment and says when none came.

Owns: that file. ``EDGEPROF_CALM_MEMORY=off`` turns it off.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

from edgeprof.base.errors import OutputError
from edgeprof.base.files import atomic_write, cache_folder, packaged

_FORGETTING = 1.02
"""What was remembered grows by this factor with each run that saw nothing like it: a machine that
has become slower for good, or a reading that was a fluke, is forgiven within some tens of runs."""


def known_calm_ns(cpus: Sequence[int] = ()) -> float | None:
    """Return what the canary has read on these cores of this machine when all was calm.

    Args:
        cpus: cores to run on; empty: the scheduler's choice.
    """
    if os.environ.get("EDGEPROF_CALM_MEMORY") == "off":
        return None
    value = _read().get(_state_key(cpus))
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def learn(record: Mapping[str, Any]) -> None:
    """Remember the calm of a measurement's record, or of each in a group; failures teach nothing.

    A cache that cannot be written is no reason to fail: then nothing is remembered.
    """
    if os.environ.get("EDGEPROF_CALM_MEMORY") == "off":
        return
    from edgeprof import _core

    members = record.get("group", [record])
    seen_ns = min((float(member.get("calm_canary_ns") or inf) for member in members), default=inf)
    if seen_ns == inf:
        return
    cpus = members[0]["settings"]["cpus"]
    known_ns = known_calm_ns(cpus)
    if known_ns is None or seen_ns < known_ns:
        known_ns = seen_ns
    elif seen_ns > known_ns * (1 + _core.CANARY_TOLERANCE_REL):
        known_ns *= _FORGETTING
    else:
        return
    with suppress(OutputError, OSError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        values = {**_read(), _state_key(cpus): round(known_ns, 1)}
        with atomic_write(file) as f:
            json.dump(values, f, indent=1)


def _file() -> Path:
    return cache_folder() / "calm.json"


def _read() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        values = json.loads(_file().read_text(encoding="utf-8"))
        if isinstance(values, dict):
            return values
    return {}


def _state_key(cpus: Sequence[int]) -> str:
    """Return what the reading depends on: the machine, this build, and how its clocks are set."""
    facts = [platform.node(), ",".join(map(str, cpus)) or "any"]
    with suppress(OSError):
        facts.append(str(packaged("bin/edgeprof-harness").stat().st_mtime_ns))
    for policy in sorted(Path("/sys/devices/system/cpu/cpufreq").glob("policy*")):
        for name in ("scaling_governor", "scaling_min_freq", "scaling_max_freq"):
            with suppress(OSError):
                facts.append((policy / name).read_text(encoding="ascii").strip())
    return "|".join(facts)
