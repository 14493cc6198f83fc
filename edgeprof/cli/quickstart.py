"""``edgeprof quickstart``: the whole job on this machine, one command after the other."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click

from edgeprof.cli import options

HELD_OUT_SHARE = 0.25
PREDICTED_SUBNETS = 50_000


class _Step(NamedTuple):
    title: str
    command: list[str]


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

    def measuring(self) -> list[object]:
        """Return the words that say how to measure, as they are typed."""
        words: list[object] = ["--max-secs", self.max_secs]
        if self.threads > 1:
            words += ["--threads", self.threads]
        for name in self.providers:
            words += ["--provider", name]
        for key, value in self.runtime_options:
            words += ["--option", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
        return words


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
    from edgeprof.cli import cli

    output, count = arguments.output, arguments.count
    make_folder(output)
    typed = _program_as_typed()
    start_s = time.monotonic()
    steps = _steps(arguments)
    for number, step in enumerate(steps, start=1):
        click.echo(f"\n[{number}/{len(steps)}] {step.title}")
        click.secho(f"$ {typed} {shlex.join(step.command)}", dim=True)
        sys.stdout.flush()
        cli.main(step.command, prog_name="edgeprof", standalone_mode=False)
    click.echo(
        f"\nDone in {time.monotonic() - start_s:.0f} s. {_closing_words(typed, output, count)}"
    )


def _steps(arguments: QuickstartArguments) -> list[_Step]:
    output, count, seed = arguments.output, arguments.count, arguments.seed
    held_out = max(2, round(count * HELD_OUT_SHARE))
    train_rows, test_rows = f"0:{count - held_out}", f"{count - held_out}:{count}"
    subnets, models, store = output / "subnets.jsonl", output / "models", output / "store.db"
    data, predictor, unseen = output / "data.csv", output / "here.edgp", output / "unseen.jsonl"
    space = ["--space", "ofa-mbv3-w1.0"]
    profile = ["profile", "--subnets", subnets, "--models", models, "--store", store]
    # The folder may hold the measurements of other draws: rows are those of this one, in its order.
    export = ["dataset", "export", store, "--subnets", subnets, "--include-poor", "-o", data]
    train = ["train", data, "--rows", train_rows, "--seed", seed, "-o", predictor]
    steps = [
        (f"Draw {count} subnets", ["sample", *space, "-n", count, "--seed", seed, "-o", subnets]),
        ("Export them to ONNX", ["export", subnets, "--format", "onnx", "-o", models]),
        (
            "Time them with the C++ harness, in turns",
            [*profile, *arguments.measuring()],
        ),
        ("Turn the store into rows for learning", export),
        ("Train a predictor and distil it", train),
        (
            f"Evaluate it on the {held_out} held out",
            ["evaluate", predictor, data, "--rows", test_rows],
        ),
        (
            "Draw subnets that have not been measured",
            ["sample", *space, "-n", PREDICTED_SUBNETS, "--seed", seed + 1, "-o", unseen],
        ),
        (
            "Predict them with the C++ reader",
            ["predict", predictor, unseen, "-o", output / "predictions.jsonl"],
        ),
    ]
    return [_Step(title, [str(word) for word in command]) for title, command in steps]


def _program_as_typed() -> str:
    """Return what runs this program again: the README's users have it in ``.venv/bin`` only."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "edgeprof"])
    found = shutil.which(program.name)
    is_found = found is not None and program.exists() and program.samefile(found)
    return program.name if is_found else shlex.quote(str(program))


def _closing_words(typed: str, output: Path, count: int) -> str:
    folder = shlex.quote(str(output))
    with (output / "data.csv").open(encoding="utf-8") as stream:
        budget_ms = statistics.median(float(row["latency_ms"]) for row in csv.DictReader(stream))
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
