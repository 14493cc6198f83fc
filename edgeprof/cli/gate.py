"""``edgeprof gate``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from edgeprof.cli import options
from edgeprof.cli.say import say
from edgeprof.cli.values import Percentage


@dataclass(frozen=True)
class GateArguments:
    """What ``edgeprof gate`` is asked for."""

    baseline: Path = options.argument(type=options.OUTPUT_FILE_AND_FOLDER, metavar="BASELINE.json")
    model: Path = options.argument(type=options.INPUT)
    update: bool = options.flag("--update", help="Measure MODEL as the baseline and write it.")
    fail_above: float = options.option(
        "--fail-above",
        default="3%",
        type=Percentage(),
        help="Fail when MODEL is slower by more than this.",
    )
    seconds: float = options.option(
        "--seconds",
        default=60.0,
        type=options.POSITIVE,
        help="Seconds of inferences at most; less where the answer is clear before.",
    )
    runtime: str | None = options.runtime()
    threads: int = options.threads()
    cpus: tuple[int, ...] = options.cpus()
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    inputs: tuple[tuple[str, Any], ...] = options.inputs()
    runtime_options: tuple[tuple[str, Any], ...] = options.runtime_options()
    summary: Path | None = options.option(
        "--summary",
        type=options.OUTPUT_FILE,
        help="Append a Markdown summary to this file, as in $GITHUB_STEP_SUMMARY.",
    )
    as_json: bool = options.as_json()

    def check(self) -> None:
        """Refuse settings that the baseline decides, with a usage error."""
        fed = self.shapes or self.inputs
        if not self.update and any(
            (self.runtime, self.cpus, fed, self.runtime_options, self.threads != 1)
        ):
            raise click.UsageError("how to measure stands in the baseline; change it with --update")


@click.command()
@options.takes(GateArguments)
def gate(arguments: GateArguments) -> None:
    """Fail (exit status 1) when MODEL is slower than its baseline: for CI on busy machines.

    Where the model that the baseline was made from is still there, both run in turns, and what
    the machine does meets both. Where it is not, two small reference models link them; that
    holds on one machine. A model that is not slower is called so once in 200 runs at most.

    \b
    Example:
      edgeprof gate baseline.json model.onnx --update
      edgeprof gate baseline.json model.onnx --fail-above 3%
      edgeprof gate baseline.json new.onnx --seconds 30 --summary summary.md
    """
    from edgeprof.cli.interrupt import EXIT_STATUS

    arguments.check()
    try:
        (_update if arguments.update else _judge)(arguments)
    except KeyboardInterrupt:  # status 1 would say that the model is slower
        say("edgeprof: interrupted: nothing is decided, and nothing written", err=True)
        raise SystemExit(EXIT_STATUS) from None


def _judge(arguments: GateArguments) -> None:
    from edgeprof.cli.progress_bar import time_bar
    from edgeprof.runs.gate import gate as measure_against

    with time_bar("Measuring", arguments.seconds, quiet=arguments.as_json):
        found = measure_against(
            arguments.baseline,
            arguments.model,
            fail_above=arguments.fail_above,
            seconds=arguments.seconds,
        )
    if arguments.summary is not None:
        _append(arguments.summary, found.markdown())
    if arguments.as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
    else:
        say(f"{arguments.model}: {found.verdict}")
    if found.is_slower:
        raise SystemExit(1)


def _update(arguments: GateArguments) -> None:
    from edgeprof.base.units import format_duration_ns
    from edgeprof.cli.progress_bar import time_bar
    from edgeprof.measuring.harness import Settings
    from edgeprof.runs.gate import make_baseline

    settings = Settings(
        runtime=arguments.runtime,
        threads=arguments.threads,
        cpus=arguments.cpus,
        shapes=dict(arguments.shapes),
        inputs=dict(arguments.inputs),
        runtime_options=dict(arguments.runtime_options),
    )
    with time_bar("Measuring", arguments.seconds, quiet=arguments.as_json):
        made = make_baseline(
            arguments.baseline, arguments.model, settings, seconds=arguments.seconds
        )
    latency = format_duration_ns(made.level.latency_ns)
    if arguments.as_json:
        made_of = {"baseline": str(arguments.baseline), **asdict(made.level)}
        click.echo(json.dumps(made_of))
    else:
        say(f"{arguments.baseline}: {arguments.model} takes {latency} on {made.machine}")


def _append(path: Path, text: str) -> None:
    from edgeprof.base.errors import OutputError

    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
