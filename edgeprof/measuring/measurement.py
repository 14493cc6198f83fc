"""A measurement as Python sees it: the record of the harness, checked and typed.

Owns: reading records and their version history; which error a failed one is. Does not own the
format itself: ``csrc/record/record.cpp`` writes it, for both doors.

Version history of the record:

1. the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeprof.base import errors
from edgeprof.base.errors import EdgeprofError, InvalidRecord
from edgeprof.base.notebook import data_frame, html_table
from edgeprof.base.units import format_duration_ns
from edgeprof.measuring.machine import Finding, findings

RECORD_VERSION = 1

Record = Mapping[str, Any]
"""A record as parsed from its JSON line."""

DISTURBANCES = {
    1 << 0: "preempted",
    1 << 1: "migrated",
    1 << 2: "page_fault",
    1 << 3: "frequency",
    1 << 4: "throttled",
    1 << 5: "stolen",
    1 << 6: "slow_machine",
    1 << 7: "after_switch",
}
"""Bits of ``Measurement.disturbed`` (see ``csrc/timing/disturbance.h``)."""

_FORGIVEN = {"undisturbed": 0, "less_waiting": 1 << 0, "slow_machine": 1 << 0 | 1 << 6}
"""Disturbances that a sample may have and still count, by the summary's basis; else all count."""

_SUMMARY_FIELDS = (
    "n_samples",
    "n_undisturbed",
    "latency_median_ns",
    "ci_low_ns",
    "ci_high_ns",
    "latency_min_ns",
    "latency_mean_ns",
    "latency_p95_ns",
)


_FURTHER_SUMMARY_FIELDS = ("basis", "ci_level", "serial_inflation")
_FURTHER_FIELDS = (
    "load_ns",
    "first_inference_ns",
    "peak_rss_bytes",
    "settings",
    "clock",
    "counters",
    "absent_counters",
    "warmup",
    "sampling_wall_ns",
    "sampling_span_ns",
    "page_faults",
    "calm_canary_ns",
    "canary_drift_rel",
    "drift",
    "energy",
    "per_op",
    "campaign",
)


@dataclass(frozen=True, repr=False)
class Measurement:
    """One model, timed on one machine under one setting.

    Attributes:
        model: path of the model file, as it was given.
        runtime: name of the runtime.
        runtime_version: what its library says of itself; ``None`` when it says nothing.
        latency_ns: int64 (n_samples,), one per timed inference, in order.
        disturbed: uint16 (n_samples,), bits of what disturbed each; 0 = nothing.
        n_samples: number of timed inferences.
        n_undisturbed: how many of them nothing disturbed; the statistics are over these.
        latency_median_ns: the latency.
        ci_low_ns: lower end of the interval of the median, distribution-free.
        ci_high_ns: upper end.
        latency_min_ns: the shortest.
        latency_mean_ns: the mean.
        latency_p95_ns: the 95th percentile.
        stop_reason: why the measurement ended.
        warnings: what a reader should know before trusting the number.
        record: everything else, as the harness wrote it.

    >>> import edgeprof
    >>> edgeprof.measure("model.onnx", max_secs=0.2, ci_rel=0.5)
    <Measurement model.onnx: ... inferences>
    """

    model: str
    runtime: str
    runtime_version: str | None
    latency_ns: npt.NDArray[np.int64]
    disturbed: npt.NDArray[np.uint16]
    n_samples: int
    n_undisturbed: int
    latency_median_ns: int
    ci_low_ns: int
    ci_high_ns: int
    latency_min_ns: int
    latency_mean_ns: int
    latency_p95_ns: int
    stop_reason: str
    warnings: tuple[str, ...]
    record: Record

    @classmethod
    def from_record(cls, record: Record) -> Measurement:
        """Read a record.

        Raises:
            InvalidRecord: of another form or version.
            EdgeprofError: the error of a failed measurement, in its own class.
        """
        check_version(record)
        if "error" in record:
            raise error_of(record)
        try:
            summary = record["summary"]
            return cls(
                model=record["model"]["path"],
                runtime=record["runtime"]["name"],
                runtime_version=record["runtime"].get("version"),
                latency_ns=np.asarray(record["samples"]["latency_ns"], dtype=np.int64),
                disturbed=np.asarray(record["samples"]["disturbed"], dtype=np.uint16),
                **{field: int(summary[field]) for field in _SUMMARY_FIELDS},
                stop_reason=record["stop_reason"],
                warnings=tuple(record["warnings"]),
                record=record,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InvalidRecord(f"record lacks or garbles {error}; was it cut off?") from error

    def __repr__(self) -> str:
        return (
            f"<Measurement {self.model}: {format_duration_ns(self.latency_median_ns)}"
            f" ({format_duration_ns(self.ci_low_ns)} to {format_duration_ns(self.ci_high_ns)}),"
            f" {self.n_samples} inferences>"
        )

    def _repr_html_(self) -> str:
        version = f" {self.runtime_version}" if self.runtime_version else ""
        facts = {
            "latency (median)": format_duration_ns(self.latency_median_ns),
            "95 % interval": f"{format_duration_ns(self.ci_low_ns)} to"
            f" {format_duration_ns(self.ci_high_ns)}",
            "95th percentile": format_duration_ns(self.latency_p95_ns),
            "inferences": f"{self.n_samples}, {self.n_undisturbed} of them undisturbed",
            "runtime": f"{self.runtime}{version}",
            "warnings": "; ".join(self.warnings) or "none",
        }
        return html_table(self.model, facts.items())

    def to_pandas(self) -> Any:
        """Return a data frame with a row per timed inference.

        Raises:
            MissingDependency: pandas is not installed.
        """
        samples = {
            name: values
            for name, values in self.record["samples"].items()
            if isinstance(values, list) and len(values) == self.n_samples
        }
        causes = {name: (self.disturbed & bit) != 0 for bit, name in DISTURBANCES.items()}
        return data_frame(samples | {"latency_ns": self.latency_ns} | causes)

    @property
    def counted_ns(self) -> npt.NDArray[np.int64]:
        """Latencies of the samples that the statistics are over, in order."""
        forgiven = _FORGIVEN.get(self.record["summary"].get("basis", "undisturbed"))
        if forgiven is None:
            return self.latency_ns
        counted: npt.NDArray[np.bool_] = (self.disturbed & np.uint16(~forgiven & 0xFFFF)) == 0
        return self.latency_ns[counted]

    def machine_findings(self) -> list[Finding]:
        """Return what ``edgeprof doctor`` has to say about the machine as it was then."""
        settings = self.record["settings"]
        return findings(self.record.get("machine", {}), settings["cpus"], settings["threads"])

    def counter(self, name: str) -> npt.NDArray[np.float64] | None:
        """Return a counter's value per timed inference; ``None`` where it was not there.

        NaN stands for an inference during which others held the processor's counters.

        Args:
            name: ``cpu_cycles``, ``instructions``, ``cache_misses`` or ``branch_misses``.
        """
        counts = self.record["samples"].get(name)
        return None if counts is None else np.asarray(counts, dtype=np.float64)

    def summary(self) -> dict[str, Any]:
        """Return what ``edgeprof measure --json`` prints.

        All of the record but the samples, the blocks and the machine's state.
        """
        fields = ("model", "runtime", "runtime_version", *_SUMMARY_FIELDS, "stop_reason")
        result = {field: getattr(self, field) for field in fields}
        result["warnings"] = list(self.warnings)
        summary = self.record["summary"]
        result |= {name: summary[name] for name in _FURTHER_SUMMARY_FIELDS if name in summary}
        result["disturbed"] = dict(summary.get("disturbed", {}))
        if options := self.record["runtime"].get("options"):
            result["runtime_options"] = options
        result["machine_findings"] = [found.as_dict() for found in self.machine_findings()]
        result |= {name: self.record[name] for name in _FURTHER_FIELDS if name in self.record}
        if references := self.record.get("references"):
            result["references"] = {
                name: {key: value for key, value in facts.items() if not isinstance(value, list)}
                for name, facts in references.items()
            }
        return result


def check_version(record: Record) -> None:
    """Refuse what is no record, or one of a later version.

    Raises:
        InvalidRecord: naming the version found and the one known.
    """
    version = record.get("record_version") if isinstance(record, Mapping) else None
    if not isinstance(version, int):
        raise InvalidRecord("no record: the field 'record_version' is missing")
    if version != RECORD_VERSION:
        raise InvalidRecord(
            f"record of version {version}; this edgeprof reads version {RECORD_VERSION}:"
            " use the edgeprof that wrote it, or a newer one"
        )


def error_of(record: Record) -> EdgeprofError:
    """Return the error that a failure record tells of, in its own class and with its evidence."""
    facts = dict(record["error"])
    kind, message = facts.pop("kind"), facts.pop("message")
    known = getattr(errors, str(kind), None)
    if not (isinstance(known, type) and issubclass(known, EdgeprofError)):
        known = errors.TransientError if facts.get("transient") else errors.StableError
    return known(message, **facts)
