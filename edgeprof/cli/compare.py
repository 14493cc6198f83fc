"""``edgeprof compare``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from edgeprof.cli import options
from edgeprof.cli.say import say
from edgeprof.cli.settings import SettingsArguments
from edgeprof.cli.values import CpuList, KeyValue

if TYPE_CHECKING:
    from edgeprof.measuring.compare import Comparison
    from edgeprof.measuring.harness import Settings


@dataclass(frozen=True)
class CompareArguments(SettingsArguments):
    """What ``edgeprof compare`` is asked for."""

    model_a: str = options.argument(metavar="A")
    model_b: str | None = options.argument(metavar="[B]", required=False)
    changes_a: tuple[tuple[str, Any], ...] = options.pairs(
        "--a", type=KeyValue(), help="A setting of A alone; may be repeated."
    )
    changes_b: tuple[tuple[str, Any], ...] = options.pairs(
        "--b", type=KeyValue(), help="A setting of B alone; may be repeated."
    )
    verbose: bool = options.verbose()
    as_json: bool = options.as_json()


@click.command()
@options.takes(CompareArguments)
def compare(arguments: CompareArguments) -> None:
    """Compare two models, or one model under two settings.

    Both run in turns in one process, in a new random order each round, and the ratio is taken
    round by round: what the machine does meanwhile meets both. --a and --b take threads, cpus,
    runtime, library, or an option of the runtime.

    \b
    Example:
      edgeprof compare small.onnx large.onnx
      edgeprof compare model.onnx --b threads=2
      edgeprof compare model.onnx --a cpus=0 --b cpus=4-7
      edgeprof compare model.onnx --b graph_optimization=disable
    """
    from edgeprof.cli.interrupt import EXIT_STATUS, noting_interrupts
    from edgeprof.cli.live import live_measurement
    from edgeprof.measuring.compare import compare as run_comparison

    settings = arguments.settings()
    noting = noting_interrupts("comparing what there is")
    live = live_measurement(("A", "B"), settings, quiet=arguments.as_json)
    with noting as interrupted, live as shown:
        result = run_comparison(
            arguments.model_a,
            arguments.model_b,
            settings,
            a=changes_of(settings, arguments.changes_a),
            b=changes_of(settings, arguments.changes_b),
            on_progress=shown.listener(),
        )
    if arguments.as_json:
        click.echo(json.dumps(_as_dict(result), indent=2))
    else:
        _print(result, verbose=arguments.verbose)
    if interrupted:
        raise SystemExit(EXIT_STATUS)


def _as_dict(result: Comparison) -> dict[str, Any]:
    return {
        "ratio": result.ratio,
        "ratio_low": result.ratio_low,
        "ratio_high": result.ratio_high,
        "n_rounds": result.n_rounds,
        "drift_rel": result.drift_rel,
        "is_different": result.is_different,
        "verdict": result.verdict,
        "warnings": list(result.warnings),
        "a": result.a.summary(),
        "b": result.b.summary(),
    }


def _print(result: Comparison, *, verbose: bool) -> None:
    from edgeprof.base.units import format_duration_ns
    from edgeprof.cli.measurement_text import entry_point, quality_lines

    for name, side in (("A", result.a), ("B", result.b)):
        say(f"{name}: {side.model}: {format_duration_ns(side.latency_median_ns)}")
        if choice := entry_point(side):
            say(f"   {choice}")
        for line in quality_lines([side], verbose=verbose):
            say(f"   {line}", wrap=True)
    say(
        f"B/A: {result.ratio:.4f}, 95 % interval {result.ratio_low:.4f} to"
        f" {result.ratio_high:.4f}, {result.n_rounds} rounds"
    )
    for warning in result.warnings:
        say(f"warning: {warning}", wrap=True)
    say(result.verdict, wrap=True)


def changes_of(settings: Settings, changes: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """Return the settings that change for one side; what is no setting is the runtime's option."""
    own: dict[str, Any] = {
        key: CpuList().convert(value, None, None) if key == "cpus" else value
        for key, value in changes
        if key in ("cpus", "library", "runtime", "threads")
    }
    others = {key: value for key, value in changes if key not in own}
    return {**own, "runtime_options": {**settings.runtime_options, **others}}
