"""What a search found, and its written forms: JSON, CSV, OFA's dict.

Owns: ``SearchResult``. Every number in it was computed again from the subnet, not taken from the
search's own tables.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgeprof.base.notebook import html_table
from edgeprof.networks.subnet import Subnet

_CSV_COLUMNS = (
    "budget_ms", "latency_ms", "latency_bound_ms", "measured_ms", "accuracy",
    "space", "resolution", "ks", "e", "d", "w",
    "latency_source", "accuracy_model", "accuracy_is_proxy", "evaluations", "seconds",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class SearchResult:
    """The best subnet found under a budget.

    Attributes:
        budget_ms: the latency allowed.
        latency_ms: what the latency source says of this subnet.
        latency_bound_ms: the upper bound that was kept, where a confidence was asked for.
        measured_ms: what the finalist took when measured, where that was asked for.
        accuracy: top-1 in [0, 1], or the value of the proxy.
        subnet: the subnet.
        evaluations: distinct subnets the accuracy model was asked about; of a front, in all.
        seconds: wall-clock time; of a front, in all.
        latency_source: device that the latency source speaks of.
        accuracy_model: name of the accuracy model.
        accuracy_is_proxy: whether ``accuracy`` is none.
        stages: best accuracy after each stage of the search, in order: ``climbs`` and ``crossed``
            of a guided search, ``evolution`` and ``local_search`` of an evolution.
        costs: further limited costs by name, of this subnet.
        notes: what went wrong on the way without spoiling the result.
    """

    budget_ms: float
    latency_ms: float
    accuracy: float
    subnet: Subnet
    evaluations: int
    seconds: float
    latency_source: str
    accuracy_model: str
    accuracy_is_proxy: bool
    stages: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    latency_bound_ms: float | None = None
    measured_ms: float | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        subnet = f"{self.subnet.id}, {self.subnet.r} pixels"
        within = f"{self.latency_ms:.4g} ms of {self.budget_ms:.4g}"
        return f"<SearchResult {within}, accuracy {self.accuracy:.4g}: {subnet}>"

    def _repr_html_(self) -> str:
        shown = (
            "budget_ms",
            "latency_ms",
            "latency_source",
            "accuracy",
            "accuracy_model",
            "subnet",
        )
        return html_table(self.subnet.id, [(name, self.to_dict()[name]) for name in shown])

    def to_dict(self) -> dict[str, object]:
        """Return JSON values; bound, measured latency and notes only where there are any."""
        out: dict[str, object] = {
            "budget_ms": self.budget_ms,
            "latency_ms": self.latency_ms,
            "accuracy": self.accuracy,
            "subnet": self.subnet.to_dict(),
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 4),
            "latency_source": self.latency_source,
            "accuracy_model": self.accuracy_model,
            "accuracy_is_proxy": self.accuracy_is_proxy,
            "stages": dict(self.stages),
            "costs": dict(self.costs),
        }
        for name in ("latency_bound_ms", "measured_ms"):
            if getattr(self, name) is not None:
                out[name] = getattr(self, name)
        if self.notes:
            out["notes"] = list(self.notes)
        return out


def to_json(results: Sequence[SearchResult]) -> str:
    """Return a JSON list, one object per result."""
    return json.dumps([result.to_dict() for result in results], indent=2)


def to_table(results: Sequence[SearchResult]) -> str:
    """Return lines for people."""
    score = "proxy" if any(result.accuracy_is_proxy for result in results) else "top-1"
    lines = [f"{'budget':>9}  {'latency':>10}  {score:>7}  subnet"]
    for result in results:
        value = f"{result.accuracy:.4f}" if score == "proxy" else f"{result.accuracy:.2%}"
        measured = "" if result.measured_ms is None else f"  measured {result.measured_ms:.4g} ms"
        lines.append(
            f"{result.budget_ms:>6.4g} ms  {result.latency_ms:>7.3f} ms  {value:>7}  "
            f"{result.subnet.id} r{result.subnet.r} d{''.join(map(str, result.subnet.d))}{measured}"
        )
    lines += [f"note: {note}" for result in results for note in result.notes]
    first = results[0]
    lines.append(f"latency: {first.latency_source}; accuracy: {first.accuracy_model}")
    return "\n".join(lines)


def to_csv(results: Sequence[SearchResult]) -> str:
    """Return a table whose columns ``space,resolution,ks,e,d,w`` are those of datasets.

    A further limited cost has a column of its name.
    """
    stream = io.StringIO()
    costs = list(dict.fromkeys(name for result in results for name in result.costs))
    writer = csv.DictWriter(stream, [*_CSV_COLUMNS, *costs], lineterminator="\n")
    writer.writeheader()
    for result in results:
        values = result.to_dict()
        subnet = result.subnet.to_dict()
        values["resolution"] = subnet.pop("r")
        values |= {k: json.dumps(v) if isinstance(v, list) else v for k, v in subnet.items()}
        writer.writerow({k: v for k, v in values.items() if k in _CSV_COLUMNS} | {**result.costs})
    return stream.getvalue()


def to_subnet_lines(results: Sequence[SearchResult]) -> str:
    """Return subnets as JSON lines, the input of ``edgeprof export``."""
    return "".join(result.subnet.to_json() + "\n" for result in results)


def to_ofa_lines(results: Sequence[SearchResult]) -> str:
    """Return OFA's own dicts as JSON lines: no space, the resolution as a list.

    ``edgeprof export --space`` reads them, too.
    """
    lines = []
    for result in results:
        subnet = result.subnet.to_dict()
        del subnet["space"]
        lines.append(json.dumps({**subnet, "r": [subnet["r"]]}) + "\n")
    return "".join(lines)
