"""``edgeprof quickstart``: the whole job on this machine, one command after the other."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgeprof.cli import options
from edgeprof.cli.steps import (
    SpaceFiles,
    Step,
    measuring_words,
    median_ms,
    program_as_typed,
    run_step,
    space_steps,
    step,
)

PREDICTED_SUBNETS = 50_000
_SPACE = "ofa-mbv3-w1.0"


@dataclass(frozen=True)
class QuickstartArguments:
    """What ``edgeprof quickstart`` is asked for."""

    output: Path = options.output_folder(
        default="edgeprof-quickstart", help="Folder for everything it makes."
    )
    count: int = options.count(default=48, type=click.IntRange(8))
    seed: int = options.seed()
    max_secs: float = options.max_secs(default=1.5)
    threads: int = options.threads()
    providers: tuple[str, ...] = options.providers()
    runtime_options: tuple[tuple[str, Any], ...] = options.runtime_options()


@click.command()
@options.takes(QuickstartArguments)
def quickstart(arguments: QuickstartArguments) -> None:
    """Measure subnets here, learn their latency, ship the predictor: all in three minutes.

    Prints each command before it runs it, so that you can run them one by one. Called again, it
    keeps what is measured.

    \b
    Example:
      edgeprof quickstart
      edgeprof quickstart -n 100 -o mine
    """
    from edgeprof.base.files import make_folder

    output, count = arguments.output, arguments.count
    make_folder(output)
    start_s = time.monotonic()
    steps = _steps(arguments)
    for number, one in enumerate(steps, start=1):
        run_step(one, number, len(steps))
    closing = _closing_words(program_as_typed(), output, count)
    click.echo(f"\nDone in {time.monotonic() - start_s:.0f} s. {closing}")


def _steps(arguments: QuickstartArguments) -> list[Step]:
    output, seed = arguments.output, arguments.seed
    files = SpaceFiles(
        subnets=output / "subnets.jsonl",
        models=output / "models",
        store=output / "store.db",
        data=output / "data.csv",
        predictor=output / "here.edgp",
    )
    measuring = measuring_words(
        arguments.max_secs, arguments.threads, arguments.providers, arguments.runtime_options
    )
    unseen = output / "unseen.jsonl"
    draw = ["--space", _SPACE, "-n", PREDICTED_SUBNETS, "--seed", seed + 1, "-o", unseen]
    return [
        *space_steps(files, _SPACE, count=arguments.count, seed=seed, measuring=measuring),
        step("Draw subnets that have not been measured", "sample", *draw),
        step(
            "Predict them with the C++ reader",
            *("predict", files.predictor, unseen, "-o", output / "predictions.jsonl"),
        ),
    ]


def _closing_words(typed: str, output: Path, count: int) -> str:
    folder = shlex.quote(str(output))
    budget_ms = median_ms(output / "data.csv")
    search = f"search --latency {folder}/here.edgp --accuracy capacity-proxy"
    return f"""Everything lies in {folder}:

  store.db           every raw sample with the state of this machine
  models/            the {count} ONNX models and their shared weights
  data.csv           one row per subnet
  here.edgp          the predictor for boards; here.host.npz knows how sure it is
  predictions.jsonl  latencies of {PREDICTED_SUBNETS:,} subnets

Next, try:

  {typed} doctor
  {typed} {search} --budget-ms {budget_ms:.1f}
  {typed} ship {folder}/here.edgp --to c -o {folder}/c
"""
