"""``edgeprof compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgeprof.cli.settings import CpuList, KeyValue, settings_options

if TYPE_CHECKING:
    from edgeprof.measuring.harness import Settings


@click.command()
@click.argument("model_a", metavar="A")
@click.argument("model_b", metavar="[B]", required=False)
@settings_options
@click.option("--a", "changes_a", type=KeyValue(), multiple=True, help="A setting of A alone.")
@click.option("--b", "changes_b", type=KeyValue(), multiple=True, help="A setting of B alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def compare(
    model_a: str,
    model_b: str | None,
    settings: Settings,
    changes_a: tuple[tuple[str, Any], ...],
    changes_b: tuple[tuple[str, Any], ...],
    as_json: bool,
) -> None:
    r"""Compare two models, or one model under two settings.

    Both run in turns in one process, in an order drawn anew for each round, and the ratio is taken
    round by round: what the machine does meanwhile meets both. --a and --b take threads, cpus,
    runtime, library, or an option of the runtime.

    \b
    Example:
      edgeprof compare small.onnx large.onnx
      edgeprof compare model.onnx --b threads=2
      edgeprof compare model.onnx --a cpus=0 --b cpus=4-7
      edgeprof compare model.onnx --b graph_optimization=disable
    """
    import json

    from edgeprof.base.units import format_duration_ns
    from edgeprof.cli.progress import progress
    from edgeprof.measuring.compare import compare as run_comparison

    with progress("Comparing", None, quiet=as_json):
        result = run_comparison(
            model_a, changed(settings, changes_a), model_b or model_a, changed(settings, changes_b)
        )
    if as_json:
        fields = {
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
        click.echo(json.dumps(fields, indent=2))
        return
    for name, side in (("A", result.a), ("B", result.b)):
        click.echo(f"{name}: {side.model}: {format_duration_ns(side.latency_median_ns)}")
        for warning in side.warnings:
            click.echo(f"   warning: {warning}")
    click.echo(
        f"B/A: {result.ratio:.4f}, 95 % interval {result.ratio_low:.4f} to"
        f" {result.ratio_high:.4f}, {result.n_rounds} rounds"
    )
    for warning in result.warnings:
        click.echo(f"warning: {warning}")
    click.echo(result.verdict)


def changed(settings: Settings, changes: tuple[tuple[str, Any], ...]) -> Settings:
    """Return the settings with changes to one side; what is no setting is the runtime's option."""
    from dataclasses import replace

    own: dict[str, Any] = {
        key: CpuList().convert(value, None, None) if key == "cpus" else value
        for key, value in changes
        if key in ("cpus", "library", "runtime", "threads")
    }
    options = {key: value for key, value in changes if key not in own}
    return replace(settings, runtime_options={**settings.runtime_options, **options}, **own)
