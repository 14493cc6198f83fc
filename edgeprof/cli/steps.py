"""Commands that a command runs one after the other, each printed as it can be typed.

Owns: how a step is shown and run, and the steps from subnets of a space to a judged predictor.
"""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from edgeprof.cli.values import split_given

HELD_OUT_SHARE = 0.25


class Step(NamedTuple):
    """A command, and what it is for."""

    title: str
    command: list[str]


def step(title: str, *words: object) -> Step:
    """Make a step from words that may be paths and numbers."""
    return Step(title, [str(word) for word in words])


def run_step(step: Step, number: int, count: int) -> None:
    """Print a step's title and command, and run it."""
    from edgeprof.cli import cli

    click.echo(f"\n[{number}/{count}] {step.title}")
    click.secho(f"$ {program_as_typed()} {shlex.join(step.command)}", dim=True)
    sys.stdout.flush()
    cli.main(step.command, prog_name="edgeprof", standalone_mode=False)


def program_as_typed() -> str:
    """Return what runs this program again: the README's users have it in ``.venv/bin`` only."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join([sys.executable, "-m", "edgeprof"])
    found = shutil.which(program.name)
    is_found = found is not None and program.exists() and program.samefile(found)
    return program.name if is_found else shlex.quote(str(program))


def measuring_words(
    max_secs: float,
    threads: int,
    providers: Sequence[str],
    runtime_options: Sequence[tuple[str, Any]],
) -> list[object]:
    """Return the words that say how to measure, as they are typed."""
    words: list[object] = ["--max-secs", max_secs]
    if threads > 1:
        words += ["--threads", threads]
    for name in providers:
        words += ["--provider", name]
    for key, value in runtime_options:
        words += ["--option", f"{key}={value if isinstance(value, str) else json.dumps(value)}"]
    return words


def feeding_words(shapes: Mapping[str, Sequence[int]], inputs: Mapping[str, str]) -> list[object]:
    """Return the words that say what models are fed, as they are typed."""
    words: list[object] = []
    for name, shape in shapes.items():
        words += ["--shape", f"{name}={','.join(map(str, shape))}"]
    for name, value in inputs.items():
        plain = f"{name}={value}"
        words += ["--input", plain if split_given(plain)[0] == name else f'"{name}"={value}']
    return words


def median_ms(data: Path) -> float:
    """Return the median latency of rows that a step made."""
    with data.open(encoding="utf-8") as stream:
        return statistics.median(float(row["latency_ms"]) for row in csv.DictReader(stream))


class SpaceFiles(NamedTuple):
    """Where the subnets of a space and what is learned from them lie."""

    subnets: Path
    models: Path
    store: Path
    data: Path
    predictor: Path


def space_steps(
    files: SpaceFiles,
    space: str,
    *,
    count: int,
    seed: int,
    measuring: Sequence[object],
    exporting: Sequence[object] = (),
    model_format: str = "onnx",
) -> list[Step]:
    """Return the steps from drawing subnets of a space to a predictor that is judged.

    Args:
        files: what they make.
        space: its id.
        count: of subnets; a quarter of them is held out.
        seed: of the draw and of training.
        measuring: words that say where and how to measure.
        exporting: words that choose rows of the store.
        model_format: of the model files.
    """
    subnets, models, store, data, predictor = files
    draw = ["--space", space, "-n", count, "--seed", seed, "-o", subnets]
    form = {"onnx": "ONNX", "tflite": "TFLite"}[model_format]
    export = [subnets, "--format", model_format, "-o", models]
    profile = ["--subnets", subnets, "--models", models, "--store", store, *measuring]
    # The store may hold the measurements of other draws: rows are those of this one, in its order.
    rows = [store, *exporting, "--subnets", subnets, "--include-poor", "-o", data]
    held_out = max(2, round(count * HELD_OUT_SHARE))
    fit = [data, "--rows", f"0:{count - held_out}", "--seed", seed, "-o", predictor]
    judge = [predictor, data, "--rows", f"{count - held_out}:{count}"]
    return [
        step(f"Draw {count} subnets", "sample", *draw),
        step(f"Export them to {form}", "export", *export),
        step("Time them with the C++ harness, in turns", "profile", *profile),
        step("Turn the store into rows for learning", "dataset", "export", *rows),
        step("Train a predictor and distil it", "train", *fit),
        step(f"Evaluate it on the {held_out} held out", "evaluate", *judge),
    ]
