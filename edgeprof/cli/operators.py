"""A profile by operator in words: sums by type and by layer, and the kinds that predict them.

Owns: which layer of the model an operator of the runtime belongs to. Runtimes rename what they
fuse; an operator that cannot be traced back stands under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprof.base.text import printable
from edgeprof.base.units import format_duration_ns
from edgeprof.cli.ranking import shortened

if TYPE_CHECKING:
    from edgeprof.measuring.measurement import Measurement
    from edgeprof.networks.work import NetworkLayer

_SHOWN = 10
_WIDEST_KIND, _NARROW_KIND = 24, 16
_ROOM_OF_LAYERS = 26  # columns of a line by layer, the kind's and the name's aside
_ROOM_OF_TYPES = 46
_NARROW = 72
_RENAMED = re.compile(r"^fused |(_nchwc|_nhwc)?(_token_\d+)?$")
"""What ONNX Runtime adds to the name of a node, or of its output, when it writes another."""
_VARIANT = re.compile(r"^(Nhwc)?(Fused|QLinear)?")


@dataclass
class _Sum:
    name: str
    mean_ns: int = 0
    count: int = 0
    kinds: dict[str, int] = field(default_factory=dict)  # kind -> its part of the time


def operator_lines(result: Measurement, columns: int = 80) -> list[str]:
    """Return the profile of a measurement: by type of operator, then the slowest layers."""
    per_op = result.record["per_op"]
    layers = _layers_of(result)
    by_type, by_layer = _sums(per_op["operators"], layers)
    total_ns = sum(one.mean_ns for one in by_type) or 1
    lines = [f"by type of operator (means of {per_op['n_runs']} inferences), and its layers:"]
    for one in by_type:
        kinds = _cut(", ".join(_bases_of(one)), max(8, columns - _ROOM_OF_TYPES))
        count = f"{one.count} x"
        name = _cut(printable(one.name), 16)
        lines.append(f"  {_time(one, total_ns)}  {count:>5} {name:<16}  {kinds}")
    lines.append(f"by layer, the slowest of {len(by_layer)}:")
    is_narrow = columns < _NARROW
    width = _NARROW_KIND if is_narrow else _WIDEST_KIND
    room = max(8, columns - _ROOM_OF_LAYERS - width)
    for one in by_layer[:_SHOWN]:
        kind = _bases_of(one)[0] if is_narrow else next(iter(one.kinds), "-")
        lines.append(
            f"  {_time(one, total_ns)}  {_cut(kind, width):<{width}}  {shortened(one.name, room)}"
        )
    if layers:
        lines.append("layers go by the kinds that `train` learns the costs of")
    return lines


def _bases_of(one: _Sum) -> list[str]:
    """Return the kinds of a sum in short, the one that takes most first; a dash for none."""
    from edgeprof.predictors.layers.quantities import base_of

    parts: dict[str, int] = {}
    for kind, mean_ns in one.kinds.items():
        parts[base_of(kind)] = parts.get(base_of(kind), 0) + mean_ns
    return sorted(parts, key=lambda kind: -parts[kind]) or ["-"]


def _time(one: _Sum, total_ns: int) -> str:
    return f"{format_duration_ns(one.mean_ns):>8}  {one.mean_ns / total_ns:6.1%}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _sums(
    operators: Iterable[Mapping[str, Any]], layers: Mapping[str, NetworkLayer]
) -> tuple[list[_Sum], list[_Sum]]:
    """Return the sums by type and by layer, the largest first."""
    from edgeprof.predictors.layers.quantities import kind_of

    of_operator: dict[str, dict[str, int]] = {}
    for layer in layers.values():
        of_operator.setdefault(layer.operator, {})[kind_of(layer)] = 0
    by_type: dict[str, _Sum] = {}
    by_layer: dict[str, _Sum] = {}
    for operator in operators:
        layer_or_none = _layer_of(operator["name"], layers)
        name = operator["name"] if layer_or_none is None else layer_or_none.name
        for key, sums in ((operator["type"], by_type), (name, by_layer)):
            one = sums.setdefault(key, _Sum(key))
            one.mean_ns += operator["mean_ns"]
            one.count += 1
            if layer_or_none is not None:
                kind = kind_of(layer_or_none)
                one.kinds[kind] = one.kinds.get(kind, 0) + operator["mean_ns"]
    for one in by_type.values():
        one.kinds = one.kinds or of_operator.get(_VARIANT.sub("", one.name), {})
    return _largest_first(by_type), _largest_first(by_layer)


def _largest_first(sums: Mapping[str, _Sum]) -> list[_Sum]:
    return sorted(sums.values(), key=lambda one: -one.mean_ns)


def _layer_of(name: str, layers: Mapping[str, NetworkLayer]) -> NetworkLayer | None:
    return layers.get(name) or layers.get(_RENAMED.sub("", name))


def _layers_of(result: Measurement) -> dict[str, NetworkLayer]:
    """Return the model's layers by the names of its nodes and tensors; none if it is not read."""
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.networks.graphs.layer_list import layers_by_node

    inputs = result.record["runtime"].get("inputs", ())
    shapes = {one["name"]: one["shape"] for one in inputs if one.get("shape")}
    try:
        return layers_by_node(Path(result.model), shapes)
    except EdgeprofError:
        return {}
