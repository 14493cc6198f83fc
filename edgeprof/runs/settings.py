"""What a bulk run measures, in which order, and a key for each item.

Owns: ``ProfileSettings``, the items of a run, and ``job_key``, by which a run that is started
again, here or on boards, knows what is done.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgeprof.networks.subnet import Subnet


@dataclass(frozen=True)
class ProfileSettings:
    """How subnets are exported and measured.

    Attributes:
        format: model format, ``"onnx"`` or ``"tflite"``.
        precision: ``"fp32"`` or ``"int8"``.
        batch: images per inference.
        runtime: name of the runtime, see ``measuring.runtimes``.
        threads: threads of the runtime.
        cpus: CPUs to run on; empty leaves it to the scheduler.
        ci_rel: stop when the confidence interval of the median is within this fraction.
        max_secs: and after so many seconds at the latest.
        max_load_secs: bound of opening the runtime and loading a model; the harness' default if
            ``None``.
        seed: of the inputs.
        runtime_options: options of the runtime by name, as text.
        passes: how often all subnets are measured, each time in another order: what the machine
            does for minutes then meets them all, and not those whose turn it was.
    """

    format: str = "onnx"
    precision: str = "fp32"
    batch: int = 1
    runtime: str = "onnxruntime"
    threads: int = 1
    cpus: tuple[int, ...] = ()
    ci_rel: float = 0.01
    max_secs: float = 5.0
    max_load_secs: float | None = None
    seed: int = 0
    runtime_options: Mapping[str, str] = field(default_factory=dict)
    passes: int = 1

    @property
    def model_kind(self) -> str:
        """Format, precision and batch in one word: ``"onnx-fp32-b1"``."""
        return f"{self.format}-{self.precision}-b{self.batch}"


def job_key(
    device: str,
    subnet: Subnet,
    settings: ProfileSettings,
    library_sha256: str,
    environment: Mapping[str, str] | None = None,
    pass_index: int = 0,
) -> str:
    """Return the key of one item, the same for whatever gives the same latency.

    Another build of the runtime makes another item, and so does another pass; how long to measure
    and the inputs' seed do not.
    """
    identity: dict[str, object] = {
        "device": device,
        "subnet": subnet.id,
        "model_kind": settings.model_kind,
        "runtime": settings.runtime,
        "library_sha256": library_sha256,
        "threads": settings.threads,
        "cpus": settings.cpus,
        "runtime_options": dict(sorted(settings.runtime_options.items())),
    }
    if environment:  # a board's; runs without one keep the keys that they have
        identity["environment"] = dict(sorted(environment.items()))
    if pass_index:
        identity["pass"] = pass_index
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def items_of(
    device: str,
    subnets: Sequence[Subnet],
    settings: ProfileSettings,
    library_sha256: str,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Subnet]:
    """Return what a run measures, by key, in the order of measuring.

    The first pass keeps the order of the subnets; the others have an order of their own, drawn
    with the settings' seed. Equal networks are one item in each pass.
    """
    items: dict[str, Subnet] = {}
    for index in range(settings.passes):
        order = list(subnets)
        if index:
            random.Random(f"{settings.seed} {index}").shuffle(order)
        for subnet in order:
            key = job_key(device, subnet, settings, library_sha256, environment, index)
            items.setdefault(key, subnet)
    return items
