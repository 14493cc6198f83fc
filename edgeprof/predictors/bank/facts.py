"""What can be known of a device before anything is measured on it.

Owns: the types of cores, and facts as the row of a linear model. The numbers of a core are nominal
(multiply-accumulates of float32 per cycle, from the makers' manuals); what they are worth is
learned. Does not own: reading facts from a board (``boards.facts``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edgeprof.base.errors import DatasetError
from edgeprof.measuring.runtimes import RUNTIMES, entry_of
from edgeprof.predictors.bank.terms import Floats


class Core(NamedTuple):
    """A type of core.

    Attributes:
        macs: float32 multiply-accumulates per cycle.
        in_order: whether it executes instructions in their order.
        has_dot: whether it has instructions for products of int8.
        family: instruction set: ``"arm"``, ``"arm32"``, ``"x86"`` or ``"other"``.
    """

    macs: float
    in_order: bool = False
    has_dot: bool = False
    family: str = "arm"


CORES = {
    "cortex-a5": Core(1, True, family="arm32"),
    "cortex-a7": Core(1, True, family="arm32"),
    "cortex-a9": Core(2, family="arm32"),
    "cortex-a17": Core(4, family="arm32"),
    "cortex-a35": Core(4, True),
    "cortex-a53": Core(4, True),
    "cortex-a55": Core(4, True, True),
    "cortex-a57": Core(4),
    "cortex-a72": Core(4),
    "cortex-a73": Core(4),
    "cortex-a75": Core(4, has_dot=True),
    "cortex-a76": Core(8, has_dot=True),
    "cortex-a77": Core(8, has_dot=True),
    "cortex-a78": Core(8, has_dot=True),
    "cortex-a78ae": Core(8, has_dot=True),
    "cortex-a510": Core(8, True, True),
    "cortex-a520": Core(8, True, True),
    "cortex-a710": Core(8, has_dot=True),
    "cortex-a715": Core(8, has_dot=True),
    "cortex-a720": Core(8, has_dot=True),
    "cortex-x1": Core(16, has_dot=True),
    "cortex-x2": Core(16, has_dot=True),
    "cortex-x3": Core(16, has_dot=True),
    "cortex-x4": Core(16, has_dot=True),
    "neoverse-n1": Core(8, has_dot=True),
    "neoverse-n2": Core(8, has_dot=True),
    "neoverse-v1": Core(16, has_dot=True),
    "neoverse-v2": Core(16, has_dot=True),
    "apple-a7": Core(8),
    "apple-a10": Core(12),
    "apple-a12": Core(12),
    "apple-a12-small": Core(8),
    "apple-m": Core(16, has_dot=True),
    "exynos-m4": Core(12, has_dot=True),
    "carmel": Core(8),
    "denver2": Core(8),
    "kunpeng": Core(8, has_dot=True),
    "ftc66": Core(4),
    "ftc310": Core(4, True),
    "oryon": Core(16, has_dot=True),
    "x86-avx2": Core(16, family="x86"),
    "x86-avx512": Core(32, has_dot=True, family="x86"),
    "u74": Core(0.5, True, family="other"),
    "c910": Core(4, family="other"),
    "sunway": Core(4, family="other"),
    "mips": Core(0.5, family="other"),
}
"""By the name that ``/proc/cpuinfo`` or the maker gives, in small letters."""

_MOST_GHZ, _MOST_CORES = 100.0, 100_000
_UNKNOWN = Core(4)
_UNKNOWN_GHZ = 2.0
"""Of machines that do not tell their clock: virtual ones, mostly."""


def _in_bank(runtime: str) -> str:
    """Return what the bank calls a runtime: by the format where edgeprof knows it."""
    if runtime not in RUNTIMES:
        return runtime
    return "ort" if "onnx" in entry_of(runtime).formats else "tflite"


@dataclass(frozen=True)
class Facts:
    """A device as it is set for inference.

    Attributes:
        cores: (name of the type, GHz, number) of the cores that compute, fastest first.
        threads: number of them.
        runtime: ``"tflite"``, ``"ort"``, ``"armnn"``, ``"ncnn"`` or any other.
        backend: which of its ways the runtime computes, ``"xnnpack"``; ``""`` where not known.
        source: who measured; ``""`` for a user's own measurements.
    """

    cores: tuple[tuple[str, float, int], ...]
    threads: int = 1
    runtime: str = "tflite"
    backend: str = ""
    source: str = ""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Facts:
        """Read facts from JSON: cores by hand, or a machine's state as ``edgeprof doctor`` says it.

        Of a machine's state, ``cpus`` are the CPUs that may be used; all where there are none.

        Raises:
            DatasetError: without cores, or with numbers that are none.
        """
        try:
            state = data.get("machine")
            cores = _cores_of(state, data.get("cpus", ())) if state else tuple(
                (str(core["type"]), float(core["ghz"]), int(core.get("number", 1)))
                for core in data["cores"]
            )  # fmt: skip
            if not cores or not all(
                0 < ghz <= _MOST_GHZ and 0 < number <= _MOST_CORES for _, ghz, number in cores
            ):
                raise ValueError("no cores, or a clock or number that no machine has")
            threads = int(data.get("threads", max(number for _, _, number in cores)))
            if threads < 1:
                raise ValueError(f"{threads} threads")
        except (ArithmeticError, LookupError, AttributeError, TypeError, ValueError) as error:
            raise DatasetError(
                f"facts of a board: {error!r}; want what `edgeprof doctor --json` prints, or "
                "{'cores': [{'type': 'cortex-a72', 'ghz': 1.8, 'number': 4}], 'threads': 4, "
                "'runtime': 'tflite'}"
            ) from error
        runtime = str(data.get("runtime", "tflite"))
        return cls(cores, threads, _in_bank(runtime), str(data.get("backend", "")))

    @property
    def population(self) -> str:
        """Name of the devices that were measured alike."""
        return f"{self.runtime}@{self.source}"

    @property
    def names(self) -> tuple[str, ...]:
        """What it shares with other devices, by name."""
        backend = (f"{self.runtime}+{self.backend}",) if self.backend else ()
        return (self.runtime, self.population, *backend)

    @property
    def busy(self) -> list[tuple[Core, float]]:
        """Return type and clock of each core that computes."""
        every = [(core_of(name), ghz) for name, ghz, number in self.cores for _ in range(number)]
        return every[: self.threads]


def _cores_of(
    state: Mapping[str, Any], cpus: Collection[int]
) -> tuple[tuple[str, float, int], ...]:
    """Return the cores of a machine's state, fastest first."""
    clock = {
        cpu: cluster["max_freq_khz"] / 1e6
        for cluster in state.get("clusters", ())
        if "max_freq_khz" in cluster
        for cpu in cluster["cpus"]
    }
    counted = Counter(
        (str(kind.get("name", "")), clock.get(cpu, _UNKNOWN_GHZ))
        for kind in state.get("core_types") or [{"cpus": state["online_cpus"]}]
        for cpu in kind["cpus"]
        if not cpus or cpu in cpus
    )
    cores = [(name, ghz, number) for (name, ghz), number in counted.items()]
    return tuple(sorted(cores, key=lambda core: -core_of(core[0]).macs * core[1]))


def core_of(name: str) -> Core:
    """Return a type of core by its name; of an unknown one, the usual numbers."""
    name = name.lower()
    if "intel" in name or "amd " in name:
        name = "x86-avx2"
    return CORES.get(name, _UNKNOWN)


BASE_COLUMNS = ("one", "clock", "width", "threads", "in_order", "arm32", "x86", "other_isa",
                "dot", "mixed")  # fmt: skip


def log_peak(facts: Facts) -> float:
    """Return the logarithm of the float32 multiply-accumulates per millisecond at best."""
    return math.log(sum(core.macs * ghz for core, ghz in facts.busy)) + math.log(1e6)


def base_row(facts: Facts) -> Floats:
    """Return the facts that need no name: (len(BASE_COLUMNS),)."""
    busy = facts.busy
    first, ghz = busy[0]
    values = (
        1.0,
        math.log(ghz / 1.8),
        math.log(first.macs / 4) / 2,
        math.log(len(busy)) / 2,
        sum(core.in_order for core, _ in busy) / len(busy),
        float(first.family == "arm32"),
        float(first.family == "x86"),
        float(first.family == "other"),
        float(first.has_dot),
        float(len({core for core, _ in busy}) > 1),
    )
    return np.array(values)
