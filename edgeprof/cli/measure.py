"""``edgeprof measure``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from edgeprof.cli.settings import settings_options

if TYPE_CHECKING:
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.measuring.harness import Settings
    from edgeprof.measuring.launches import Launches
    from edgeprof.measuring.measurement import Measurement

Outcome: TypeAlias = "Measurement | EdgeprofError"

_MAX_INTERLEAVED = 8  # models in memory at once
_PER_OP_RUNS = 20
_SHOWN_OPERATORS = 10


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@settings_options
@click.option("--launches", type=click.IntRange(1), default=1, help="Repeat in N processes.")
@click.option("--per-op", is_flag=True, help="Also profile by operator, after the timing.")
@click.option(
    "--trace",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="Write every inference as a Chrome trace.",
)
@click.option(
    "--interleave/--no-interleave",
    default=None,
    help=f"Measure several models in turns; default: up to {_MAX_INTERLEAVED} of them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def measure(
    models: tuple[str, ...],
    settings: Settings,
    launches: int,
    per_op: bool,
    trace: Path | None,
    interleave: bool | None,
    as_json: bool,
) -> None:
    """Time model files on this machine.

    Warms up until the latency is steady, then times inferences until the 95 % interval of their
    median is narrow enough, and says what disturbed it. Several models are measured in turns, so
    that they can be compared; where one of them fails, one after the other. A failure is told on
    stderr, what could be measured is printed, and the exit status is 1.

    \b
    Example:
      edgeprof measure model.onnx --threads 2 --ci 0.005
      edgeprof measure model.onnx --shape input=1,3,224,224 --json
      edgeprof measure model.onnx --launches 5 --per-op --trace trace.json
    """
    import json
    from dataclasses import replace

    from edgeprof.base.files import atomic_write
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.measuring.measurement import Measurement
    from edgeprof.measuring.trace import chrome_trace

    settings = replace(
        settings,
        per_op_runs=_PER_OP_RUNS if per_op else None,
        timestamps=True if trace else None,
    )
    runs: list[list[Outcome]] = [[] for _ in models]
    summaries = []
    with progress_bar("Measuring", len(models) * launches, quiet=as_json) as advance:
        for launch in range(launches):
            for index, outcome in enumerate(_outcomes(models, settings, interleave)):
                runs[index].append(outcome)
                advance()
                if launch == launches - 1:
                    summaries += _told(runs[index], as_json)
    results = [run[0] for run in runs if isinstance(run[0], Measurement)]
    if trace is not None and results:
        with atomic_write(trace) as stream:
            json.dump(chrome_trace(results), stream)
    if as_json:
        click.echo(json.dumps(summaries[0] if len(models) == 1 else summaries, indent=2))
    if len(summaries) < len(models):
        raise SystemExit(1)


def _outcomes(
    models: Sequence[str], settings: Settings, interleave: bool | None
) -> Iterator[Outcome]:
    """Yield each model's measurement as it is made, or its error where others are left to do.

    Raises:
        EdgeprofError: of the only model, or of any where measuring in turns was asked for.
    """
    from edgeprof.base.errors import EdgeprofError, UnsteadyMeasurement
    from edgeprof.measuring.harness import measure as measure_model
    from edgeprof.measuring.harness import measure_interleaved

    if len(models) > 1 and (interleave or (interleave is None and len(models) <= _MAX_INTERLEAVED)):
        try:
            yield from measure_interleaved([(model, settings) for model in models])
            return
        except EdgeprofError as error:
            if interleave or isinstance(error, UnsteadyMeasurement):  # drift is no model's fault
                raise
            click.echo(f"edgeprof: not in turns, but one after the other: {error}", err=True)
    for model in models:
        try:
            outcome: Outcome = measure_model(model, settings)
        except EdgeprofError as error:
            if len(models) == 1:
                raise
            outcome = error
        yield outcome


def _told(launches: Sequence[Outcome], as_json: bool) -> list[dict[str, Any]]:
    """Print a model's result, or its error on stderr; return its summary, if it has one."""
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.measuring.launches import Launches
    from edgeprof.measuring.measurement import Measurement

    for outcome in launches:
        if isinstance(outcome, EdgeprofError):
            click.echo(f"edgeprof: {outcome}", err=True)
            return []
    results = [outcome for outcome in launches if isinstance(outcome, Measurement)]
    study = Launches.of(results) if len(results) > 1 else None
    if not as_json:
        click.echo(describe(results[0], study))
    return [study.summary() if study else results[0].summary()]


def describe(result: Measurement, launches: Launches | None = None) -> str:
    """Return a measurement in words, for people."""
    from edgeprof.base.units import format_duration_ns
    from edgeprof.measuring.machine import Severity

    latency_ns = launches.latency_median_ns if launches else result.latency_median_ns
    lines = [f"{result.model}: {format_duration_ns(latency_ns)}"]
    if launches:
        lines.append(
            f"  median over {len(launches.measurements)} processes; spread between them"
            f" {launches.between_rel:.2%}, of single inferences within one"
            f" {launches.within_rel:.2%}; {launches.ci_level:.0%} interval"
            f" {format_duration_ns(launches.ci_low_ns)} to"
            f" {format_duration_ns(launches.ci_high_ns)}; the first of them:"
        )
    lines += [f"  {line}" for line in _facts(result)]
    lines += [f"  warning: {warning}" for warning in result.warnings]
    lines += [
        f"  warning: {finding.found}: {finding.consequence} (see edgeprof doctor)"
        for finding in result.machine_findings()
        if finding.severity is Severity.MISLEADING
    ]
    if "per_op" in result.record:
        lines += _operators(result.record["per_op"])
    return "\n".join(lines)


def _facts(result: Measurement) -> list[str]:
    from edgeprof.base.units import format_bytes, format_duration_ns

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
    interval = (
        f"{record['summary']['ci_level']:.0%} interval {duration(result.ci_low_ns)} to"
        f" {duration(result.ci_high_ns)} (+-{half_width:.1%}), p95"
        f" {duration(result.latency_p95_ns)}, min {duration(result.latency_min_ns)}"
    )
    samples = (
        f"{result.n_samples} inferences after {record['warmup']['n']} to warm up, {n_disturbed} of"
        f" them disturbed{f' ({causes})' if causes else ''}; ended by:"
        f" {result.stop_reason.replace('_', ' ')}"
    )
    setting = (
        f"{result.runtime}{version}, threads {record['settings']['threads']},"
        f" clock {record['clock']['kind']}"
    )
    return [interval, samples, setting, start, *map(_energy, record.get("energy", ()))]


def _energy(rail: dict[str, Any]) -> str:
    return (
        f"{rail['chip']} {rail['rail']}: {rail['power_mean_uw'] / 1e6:.2f} W,"
        f" {rail['energy_per_inference_uj'] / 1e3:.3g} mJ per inference"
        f" ({rail['readings_per_s']:.0f} readings/s)"
    )


def _operators(per_op: dict[str, Any]) -> list[str]:
    from edgeprof.base.units import format_duration_ns

    operators = sorted(per_op["operators"], key=lambda op: -op["mean_ns"])
    total_ns = sum(op["mean_ns"] for op in operators) or 1
    heading = f"  by operator, {per_op['n_runs']} inferences, the slowest of {len(operators)}:"
    return [heading] + [
        f"    {format_duration_ns(op['mean_ns']):>8}  {op['mean_ns'] / total_ns:6.1%}"
        f"  {op['type']:<16} {op['name']}"
        for op in operators[:_SHOWN_OPERATORS]
    ]
