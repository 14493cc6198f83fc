"""A measurement in words, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeprof.base.text import printable
from edgeprof.base.units import format_bytes, format_duration_ns
from edgeprof.cli.operators import operator_lines
from edgeprof.cli.say import columns
from edgeprof.measuring.grade import Verdict, evidence_of, grade_measurement, together
from edgeprof.measuring.machine import Severity
from edgeprof.measuring.runtimes import entry_of

if TYPE_CHECKING:
    from edgeprof.measuring.launches import Launches
    from edgeprof.measuring.measurement import Measurement

_LEAST_LEVEL = 0.5
_NO_INTERVAL = "too few independent inferences for an interval; they range from"
_OF_SETTINGS = ("threads-beyond-cpus", "threads-beyond-quota")


def describe(
    result: Measurement, launches: Launches | None = None, *, verbose: bool = False
) -> str:
    """Return a measurement in words, for people.

    Args:
        result: the measurement; the first one of several launches.
        launches: all of them.
        verbose: every warning, not only how many there are.
    """
    latency_ns = launches.latency_median_ns if launches else result.latency_median_ns
    lines = [f"{printable(result.model)}: {format_duration_ns(latency_ns)}"]
    if launches:
        lines.append(
            f"  median over {len(launches.measurements)} processes; spread between them"
            f" {launches.between_rel:.2%}, of single inferences within one"
            f" {launches.within_rel:.2%}; {launches.ci_level:.0%} interval"
            f" {format_duration_ns(launches.ci_low_ns)} to"
            f" {format_duration_ns(launches.ci_high_ns)}; the first of them:"
        )
    if choice := entry_point(result):
        lines.append(f"  {choice}")
    lines += [f"  {line}" for line in _facts(result)]
    if "per_op" in result.record:
        lines += [f"  {line}" for line in operator_lines(result, columns() - 2)]
    lines += [f"  {line}" for line in quality_lines(_each(result, launches), verbose=verbose)]
    return "\n".join(lines)


@dataclass
class Told:
    """Warnings of several models: those that were shown, and those that were only counted."""

    shown: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)


def describe_briefly(results: Sequence[Measurement], told: Told) -> str:
    """Return what there is to say of one of several models: its latency, grade and reason.

    Args:
        results: its measurements, one of each launch.
        told: what was shown with those before, which is not shown again; this model's is added.
    """
    from edgeprof.measuring.launches import Launches

    study = Launches.of(list(results)) if len(results) > 1 else results[0]
    half_width = (study.ci_high_ns - study.ci_low_ns) / 2 / max(study.latency_median_ns, 1)
    latency = f"{format_duration_ns(study.latency_median_ns)} +-{half_width:.1%}"
    reasons = {one.stop_reason for one in results} - {"interval"}
    ended = "".join(f", ended by: {reason.replace('_', ' ')}" for reason in sorted(reasons))
    warnings = _warnings(results)
    lines = [f"{printable(results[0].model)}: {latency}{ended}"]
    if choice := entry_point(results[0]):
        lines.append(f"  {choice}")
    news = [text for text, must_show in warnings.items() if must_show and text not in told.shown]
    told.shown.update(news)
    told.hidden.update(text for text, must_show in warnings.items() if not must_show)
    return "\n".join([*lines, *(f"  warning: {text}" for text in news), f"  {verdict_of(results)}"])


def quality_lines(results: Sequence[Measurement], *, verbose: bool) -> list[str]:
    """Return the grade of measurements of one model, and their warnings or how many they are.

    What the settings of the measurement cause is shown in any case.
    """
    warnings = _warnings(results)
    shown = [text for text, must_show in warnings.items() if must_show or verbose]
    verdict = str(verdict_of(results))
    if n_hidden := len(warnings) - len(shown):
        verdict += f" (-v shows {count_of_warnings(n_hidden)})"
    return [*(f"warning: {text}" for text in shown), verdict]


def count_of_warnings(n: int) -> str:
    """Write how many warnings there are."""
    return f"{n} warning{'s' * (n > 1)}"


def _warnings(results: Sequence[Measurement]) -> dict[str, bool]:
    """Return the warnings of measurements, each once, and whether it is shown in any case."""
    found: dict[str, bool] = {}
    for result in results:
        found.update(dict.fromkeys(result.warnings, False))
        for finding in result.machine_findings():
            if finding.severity is Severity.MISLEADING:
                text = f"{finding.found}: {finding.consequence} (see edgeprof doctor)"
                found[text] = finding.id in _OF_SETTINGS
    return found


def verdict_of(results: Sequence[Measurement]) -> Verdict:
    """Grade measurements of one model."""
    return grade_measurement(together([evidence_of(result.record) for result in results]))


def _each(result: Measurement, launches: Launches | None) -> Sequence[Measurement]:
    return launches.measurements if launches else [result]


def _facts(result: Measurement) -> list[str]:
    record = result.record
    version = f" {result.runtime_version}" if result.runtime_version else ""
    half_width = (result.ci_high_ns - result.ci_low_ns) / 2 / max(result.latency_median_ns, 1)
    n_disturbed = result.n_samples - result.n_undisturbed
    causes = ", ".join(f"{name} {n}" for name, n in record["summary"]["disturbed"].items())
    duration = format_duration_ns
    start = (
        f"load {duration(record['load_ns'])}, first inference"
        f" {duration(record['first_inference_ns'])}"
    )
    if "peak_rss_bytes" in record:
        start += f", peak memory {format_bytes(record['peak_rss_bytes'])}"
    level = record["summary"]["ci_level"]
    kind = f"{level:.0%} interval within this run" if level >= _LEAST_LEVEL else _NO_INTERVAL
    interval = (
        f"{kind} {duration(result.ci_low_ns)} to {duration(result.ci_high_ns)} (+-{half_width:.1%})"
    )
    others = f"p95 {duration(result.latency_p95_ns)}, min {duration(result.latency_min_ns)}"
    samples = (
        f"{result.n_samples} inferences after {record['warmup']['n']} to warm up, ended by:"
        f" {result.stop_reason.replace('_', ' ')}"
    )
    disturbed = [f"{n_disturbed} of them disturbed ({causes})"] if n_disturbed else []
    setting = (
        f"{result.runtime}{version}, threads {record['settings']['threads']},"
        f" clock {record['clock']['kind']}"
    )
    energy = map(_energy, record.get("energy", ()))
    return [interval, others, samples, *disturbed, setting, start, *energy]


def entry_point(result: Measurement) -> str:
    """Say which entry point of a TFLite file was timed, where it has several; else nothing."""
    runtime = result.record["runtime"]
    options = runtime.get("options", {})
    others = [name for name in options.get("signatures", ()) if name != options["signature"]]
    if others:
        can_choose = entry_of(runtime["name"]).takes_signature
        remedy = "; --option signature=NAME times another" if can_choose else ""
        return f"signature {options['signature']}, not {', '.join(others)}{remedy}"
    if options.get("subgraphs", 1) > 1:
        return f"the first of its {options['subgraphs']} subgraphs, and those that it calls"
    return ""


def _energy(rail: dict[str, Any]) -> str:
    return (
        f"{rail['chip']} {rail['rail']}: {rail['power_mean_uw'] / 1e6:.2f} W,"
        f" {rail['energy_per_inference_uj'] / 1e3:.3g} mJ per inference"
        f" ({rail['readings_per_s']:.0f} readings/s)"
    )
