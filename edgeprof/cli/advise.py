"""``edgeprof advise``."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.base.units import NS_PER_MS, format_duration_ns
from edgeprof.cli import options
from edgeprof.cli.place import PlaceArguments, kept_or_not
from edgeprof.cli.say import say

if TYPE_CHECKING:
    from edgeprof.runs.advice import Advice, Choice, Expected
    from edgeprof.runs.settings import ProfileSettings


@dataclass(frozen=True)
class AdviseArguments(PlaceArguments):
    """What ``edgeprof advise`` is asked for."""

    models: tuple[Path, ...] = options.argument(
        nargs=-1, required=True, type=options.INPUT, metavar="MODEL..."
    )
    k: int = options.option(
        "-k", default=2, type=click.IntRange(1), help="Measure so many, the best by prediction."
    )
    store: Path | None = options.store(required=False)
    bank: tuple[Path, ...] = options.bank()
    cpus: tuple[int, ...] = options.cpus()
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    inputs: tuple[tuple[str, Any], ...] = options.inputs()
    ci_rel: float = options.ci_rel()
    max_secs: float = options.max_secs(default=10.0)
    max_load_secs: float | None = options.max_load_secs()
    as_json: bool = options.as_json()

    def settings(self, cpus: tuple[int, ...]) -> ProfileSettings:
        """Return how choices are measured."""
        from edgeprof.runs.settings import ProfileSettings

        return ProfileSettings(
            cpus=cpus,
            shapes=dict(self.shapes),
            inputs=dict(self.inputs),
            ci_rel=self.ci_rel,
            max_secs=self.max_secs,
            max_load_secs=self.max_load_secs,
        )


@click.command()
@options.takes(AdviseArguments)
def advise(arguments: AdviseArguments) -> None:
    """Find the fastest way to run a network here, or with --on on a board.

    The MODELs are forms of one network: for several runtimes, in float and quantised. Each is
    predicted under every runtime there that reads it and several numbers of threads, from what
    other boards took, and from what --store holds of this one under them (`edgeprof probe`). The
    best are measured in turns, so that whatever the machine does meets all of them alike, and the
    winner is named with its margin.

    \b
    Example:
      edgeprof advise model.onnx
      edgeprof advise model.onnx model.tflite model-int8.tflite --on rpi5 --store lab.db
      edgeprof advise model.onnx -k 4
    """
    expected, advice = _advised(arguments)
    if arguments.as_json:
        click.echo(json.dumps(_as_dict(expected, advice), indent=2))
    else:
        _print(expected, advice)
    for failure in advice.failures:
        say(f"edgeprof: {failure}", err=True)
    if advice.failures:
        raise SystemExit(1)


def _advised(arguments: AdviseArguments) -> tuple[list[Expected], Advice]:
    """Return what is expected of all choices, and what measuring the best says."""
    from edgeprof.predictors.bank.others import read_bank_with
    from edgeprof.runs.advice import (
        ChoiceWorkload,
        choices_there,
        expect,
        look_at,
        measure_choices,
    )
    from edgeprof.runs.place import Place
    from edgeprof.runs.view import shown

    place = arguments.place()
    settings = arguments.settings(place.board.cores or arguments.cpus)
    bank = read_bank_with(arguments.bank, but=place.device)
    with kept_or_not(arguments.store) as store:
        there = look_at(place, arguments.models)
        choices = choices_there(there, arguments.models, settings.cpus)
        expected = expect(choices, there, settings, store, place.device, bank)
        best = [one.choice for one in expected[: arguments.k]]
        with shown(quiet=arguments.as_json) as listener:
            workload = ChoiceWorkload(best, there.libraries, store, settings)
            measure = partial(Place.measure, listener=listener)
            return expected, measure_choices(workload, place, measure)


def _print(expected: Sequence[Expected], advice: Advice) -> None:
    measured = {one.choice: one for one in advice.measured}
    width = min(30, max(len(one.choice.model.name) for one in expected))
    heading = f"{'':>2}  {'model':<{width}}  {'type':<4}  {'runtime':<11}  {'threads':>7}"
    lines = [f"{heading}  {'expected':<24}  measured"]
    for rank, one in enumerate(expected, start=1):
        mean, low, high = (_text(ms) for ms in (one.mean_ms, one.low_ms, one.high_ms))
        found = measured.get(one.choice)
        name = one.choice.model.name
        name = name if len(name) <= width else "..." + name[-(width - 3) :]
        lines.append(
            f"{rank:>2}  {name:<{width}}  {one.precision:<4}  {one.choice.runtime:<11}"
            f"  {one.choice.threads:>7}  {f'{mean} ({low} - {high})':<24}"
            f"  {_text(found.latency_ms) if found else '-'}"
        )
    say("\n".join(lines))
    say(advice.verdict, wrap=True)
    if note := _left(expected, advice):
        say(note, wrap=True)


def _left(expected: Sequence[Expected], advice: Advice) -> str:
    """Say which choices were not measured though they may be faster."""
    best_ms = advice.measured[0].latency_ms
    measured = {one.choice for one in advice.measured}
    left = [one for one in expected if one.choice not in measured and one.low_ms < best_ms]
    if not left:
        return ""
    named = "; ".join(str(one.choice) for one in left)
    return f"not measured, and perhaps faster: {named} (-k measures more)"


def _text(latency_ms: float) -> str:
    return format_duration_ns(NS_PER_MS * latency_ms)


def _as_dict(expected: Sequence[Expected], advice: Advice) -> dict[str, Any]:
    measured = {one.choice: one for one in advice.measured}
    choices = []
    for one in expected:
        found = measured.get(one.choice)
        choices.append(
            {
                **_of_choice(one.choice),
                "precision": one.precision,
                "expected_ms": one.mean_ms,
                "expected_low_ms": one.low_ms,
                "expected_high_ms": one.high_ms,
                "measured_networks": one.n_networks,
                "latency_ms": None if found is None else found.latency_ms,
            }
        )
    bounds = {"ratio": advice.ratio, "ratio_low": advice.ratio_low, "ratio_high": advice.ratio_high}
    return {
        "device": advice.device,
        "winner": _of_choice(advice.measured[0].choice),
        "is_clear": advice.is_clear,
        **{name: None if math.isnan(value) else value for name, value in bounds.items()},
        "verdict": advice.verdict,
        "choices": choices,
        "failures": list(advice.failures),
    }


def _of_choice(choice: Choice) -> dict[str, Any]:
    return {**choice._asdict(), "model": str(choice.model)}
