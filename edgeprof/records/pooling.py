"""Which measurements of one device may be pooled: those made in the same state.

Owns: what a state is, and the refusal of several.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from edgeprof.base.cpu_list import format_cpus
from edgeprof.base.errors import DatasetError, MixedMachineState
from edgeprof.records.store import Store, StoredMeasurement

Kept = TypeVar("Kept")

STATE_FIELDS = (
    "model_kind",
    "runtime",
    "runtime_version",
    "library_sha256",
    "runtime_options",
    "threads",
    "cpus",
    "governor",
    "max_freq_khz",
    "weights_sha256",
)
"""What the measurements of one device must have in common to be pooled.

Whatever makes another item of a run, the clocks, which may change between two runs, and the
weights that models keep in a file of their own, which another edgeprof may make otherwise. Subnets
of one space share these, so they must agree within a space; empty where a model has them all.
"""


def check_where(where: Mapping[str, str]) -> None:
    """Refuse a choice of measurements by what is no state.

    Raises:
        DatasetError: naming the states there are.
    """
    if unknown := [name for name in where if name not in STATE_FIELDS]:
        raise DatasetError(f"--where {unknown[0]}: unknown field, want {', '.join(STATE_FIELDS)}")


_OF_ONE_MODEL = ("fully_delegated", "partitions", "signature", "signatures", "subgraphs")
"""What records have among a runtime's options and a model decides: it tells no states apart."""


def state_of(measurement: StoredMeasurement) -> dict[str, str]:
    """Return what measurements must have in common to be pooled, by ``STATE_FIELDS``."""
    record = measurement.record
    clusters = record.get("machine", {}).get("clusters", [])
    runtime, settings = record["runtime"], record["settings"]
    stated = runtime.get("options", {}).items()
    options = {name: value for name, value in stated if name not in _OF_ONE_MODEL}
    return {
        "model_kind": measurement.model_kind or "",
        "runtime": str(runtime["name"]),
        "runtime_version": str(runtime["version"]),
        "library_sha256": str(runtime.get("library_sha256", "")),
        "runtime_options": json.dumps(options, sort_keys=True, separators=(",", ":")),
        "threads": str(settings["threads"]),
        "cpus": format_cpus(settings.get("cpus", ())) or "any",
        "governor": _joined(clusters, "governor"),
        "max_freq_khz": _joined(clusters, "max_freq_khz"),
        "weights_sha256": str(record["model"].get("weights_sha256", "")),
    }


def pool_by_state(
    measurements: Iterable[StoredMeasurement],
    keep: Callable[[StoredMeasurement], Kept],
) -> dict[tuple[str, ...], list[Kept]]:
    """Return measurements by the values of ``STATE_FIELDS``; those of one entry may be pooled.

    The weights stand in the key (else "") only where one space was measured with several. Other
    networks than subnets have weights and types of their own, and their layers say which: they
    are pooled with the subnets of one kind.

    Args:
        measurements: of one device.
        keep: what is to be kept of each.
    """
    found = []
    weights: dict[tuple[str, ...], set[str]] = {}
    kinds: dict[tuple[str, ...], set[str]] = {}
    for measurement in measurements:
        kind, *rest, sha256 = state_of(measurement).values()
        space = "" if measurement.subnet is None else measurement.subnet.space
        if space:
            weights.setdefault((space, kind, *rest), set()).add(sha256)
            kinds.setdefault(tuple(rest), set()).add(kind)
        found.append((keep(measurement), space, kind, tuple(rest), sha256))
    pools: dict[tuple[str, ...], list[Kept]] = {}
    for kept, space, kind, others, sha256 in found:
        differing = sha256 if len(weights.get((space, kind, *others), ())) > 1 else ""
        of_subnets = kinds.get(others, set())
        pooled = kind if space or len(of_subnets) != 1 else next(iter(of_subnets))
        pools.setdefault((pooled, *others, differing), []).append(kept)
    return pools


def mixed_states(store: Store, device: str, states: Sequence[tuple[str, ...]]) -> MixedMachineState:
    """Return the error that names what differs between the states of a device."""
    columns = zip(STATE_FIELDS, zip(*states, strict=True), strict=True)
    differing = {name: sorted(set(values)) for name, values in columns if len(set(values)) > 1}
    shown = "; ".join(f"{name}: {', '.join(values)}" for name, values in differing.items())
    example = next(iter(differing))
    return MixedMachineState(
        f"{store.path}: device {device} was measured under {len(states)} states that must not be "
        f"pooled ({shown}); choose one, e.g. --where {example}={differing[example][0]}",
        states=states,
    )


def _joined(clusters: Sequence[Mapping[str, Any]], field: str) -> str:
    return "+".join(str(cluster[field]) for cluster in clusters if field in cluster)
