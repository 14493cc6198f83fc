"""``edgeprof measure``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from edgeprof.cli import options
from edgeprof.cli.say import columns, say
from edgeprof.cli.settings import SettingsArguments

if TYPE_CHECKING:
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.cli.interrupt import Interrupted
    from edgeprof.cli.live import LiveMeasurement
    from edgeprof.cli.measurement_text import Told
    from edgeprof.measuring.harness import Settings
    from edgeprof.measuring.measurement import Measurement
    from edgeprof.runs.settings import ProfileSettings

Outcome: TypeAlias = "Measurement | EdgeprofError"

_MAX_INTERLEAVED = 8  # models in memory at once
_PER_OP_RUNS = 20


_NO_LIMIT_SECS = 86_400.0


def _export(form: str) -> Any:
    return options.option(
        f"--export-{form.lower()}",
        type=options.OUTPUT_FILE,
        help=f"Write the ranked table as {form}.",
    )


@dataclass(frozen=True)
class MeasureArguments(SettingsArguments):
    """What ``edgeprof measure`` is asked for."""

    models: tuple[str, ...] = options.argument(nargs=-1, required=True, metavar="MODEL...")
    launches: int = options.option(
        "--launches", default=1, type=click.IntRange(1), help="Repeat in so many processes."
    )
    per_op: bool = options.flag("--per-op", help="Also profile by operator, after the timing.")
    trace: Path | None = options.option(
        "--trace",
        type=options.OUTPUT_FILE,
        help="Write every inference as a Chrome trace, with --per-op the operators, too.",
    )
    interleave: bool | None = options.option(
        "--interleave/--no-interleave",
        default=None,
        help=f"Measure several models in turns  [default: up to {_MAX_INTERLEAVED} of them]",
    )
    on_board: str | None = options.on_board()
    inventory: Path = options.inventory()
    store: Path | None = options.store(required=False)
    count: int | None = options.option(
        "-n",
        "--num-runs",
        type=click.IntRange(1),
        help="Time so many inferences of each, at least 10, however long that takes.",
    )
    markdown: Path | None = _export("Markdown")
    csv: Path | None = _export("CSV")
    json: Path | None = _export("JSON")
    verbose: bool = options.verbose()
    as_json: bool = options.as_json()

    @property
    def is_queued(self) -> bool:
        """Whether a run measures, as ``profile`` does."""
        return self.on_board is not None or self.store is not None

    def check(self) -> None:
        """Refuse options that do not go together, with a usage error."""
        only_here = ["per_op", "trace", "reference", "count", "max_drift"]
        if self.interleave is False:
            only_here.append("interleave")
        if self.is_queued:
            options.refuse_given(only_here, "goes with neither --on nor --store")

    def settings(self) -> Settings:
        """Return the settings of one measurement."""
        chosen = super().settings()
        if self.count is not None:
            chosen = replace(
                chosen,
                min_samples=self.count,
                max_samples=self.count,
                max_secs=chosen.max_secs if options.is_given("max_secs") else _NO_LIMIT_SECS,
            )
        return replace(
            chosen,
            per_op_runs=_PER_OP_RUNS if self.per_op else None,
            timestamps=True if self.trace else None,
        )

    def profile_settings(self) -> ProfileSettings:
        """Return the settings of a run."""
        from edgeprof.runs.settings import ProfileSettings

        usual = ProfileSettings()
        return replace(
            usual,
            runtime=self.runtime,
            library=self.library,
            threads=self.threads,
            cpus=self.cpus,
            shapes=dict(self.shapes),
            inputs=dict(self.inputs),
            runtime_options=options.with_providers(self.runtime_options, self.providers),
            ci_rel=self.ci_rel,
            max_secs=self.max_secs,
            max_load_secs=self.max_load_secs,
            seed=self.seed,
            processes=self.launches if self.launches > 1 else usual.processes,
        )


@click.command()
@options.takes(MeasureArguments)
def measure(arguments: MeasureArguments) -> None:
    """Time model files on this machine, or with --on on a board.

    Warms up until the latency is steady, then times inferences until the 95 % interval of their
    median is narrow enough, and says what disturbed it. Each result has a grade (good, usable,
    poor) and its reason. Ctrl-C ends early and shows what there is (exit status 130), a second one
    at once. Several models are measured in turns, so that they can be compared, and end in a table
    ranked by latency; -v tells more of each. Where one fails, they are measured one after the
    other, its failure goes to stderr, and the exit status is 1.

    With --on or --store the models are one campaign, as with `edgeprof profile`; the store keeps
    them, and what is in it is not measured again.

    \b
    Example:
      edgeprof measure model.onnx --threads 2 --ci 0.005
      edgeprof measure model.onnx --shape input=1,3,224,224 --json
      edgeprof measure speech.onnx --input sr=16000 --input tokens=0:999
      edgeprof measure model.onnx --launches 5 --per-op --trace trace.json
      edgeprof measure a.onnx b.onnx --on rpi4 --store lab.db
      edgeprof measure a.onnx b.onnx c.onnx --export-markdown ranking.md
    """
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.cli.interrupt import EXIT_STATUS, noting_interrupts

    arguments.check()
    # A queued run restores the board at Ctrl-C.
    noting = noting_interrupts(None if arguments.is_queued else "showing what there is")
    try:
        with noting as interrupted:
            runs, summaries, in_turns = _measured(arguments, interrupted)
    except EdgeprofError as error:
        _print_json([_failed(m, error) for m in arguments.models if arguments.as_json])
        raise
    _write_trace(arguments.trace, [run[0] for run in runs if run])
    _rank(runs, in_turns, arguments)
    _print_json(summaries if arguments.as_json else ())
    has_failed = any(isinstance(outcome, EdgeprofError) for run in runs for outcome in run)
    if interrupted or has_failed:
        raise SystemExit(EXIT_STATUS if interrupted else 1)


def _print_json(summaries: Sequence[dict[str, Any]]) -> None:
    """Print the summaries, the only one as an object of its own; nothing where there are none."""
    if summaries:
        click.echo(json.dumps(summaries[0] if len(summaries) == 1 else summaries, indent=2))


def _failed(model: str, error: EdgeprofError) -> dict[str, Any]:
    return {"model": model, "error": {"kind": error.kind, "message": str(error)}}


def _measured(
    arguments: MeasureArguments, interrupted: Interrupted
) -> tuple[list[list[Outcome]], list[dict[str, Any]], bool]:
    """Return each model's outcomes, their summaries, and whether the models ran in turns."""
    from edgeprof.cli.live import live_measurement
    from edgeprof.cli.measurement_text import Told, count_of_warnings
    from edgeprof.measuring.measurement import Measurement

    models = arguments.models
    runs: list[list[Outcome]] = [[] for _ in models]
    summaries: list[dict[str, Any]] = []
    in_turns = True
    told = Told()
    launches = 1 if arguments.is_queued else arguments.launches  # a run has its own processes
    quiet = arguments.as_json or arguments.is_queued
    with live_measurement(models, arguments.settings(), launches, quiet=quiet) as live:
        for launch in range(launches):
            for index, (outcome, is_turn) in enumerate(_outcomes(arguments, live)):
                runs[index].append(outcome)
                in_turns = in_turns and is_turn
                live.done(index, outcome if isinstance(outcome, Measurement) else None)
                if launch == launches - 1 or interrupted:
                    summaries.append(_show(models[index], runs[index], arguments, told))
                if interrupted and not is_turn:
                    break
            if interrupted:
                break
    if told.hidden:
        say(f"  (-v shows {count_of_warnings(len(told.hidden))}, and more of each model)")
    return runs, summaries, in_turns


def _rank(runs: Sequence[Sequence[Outcome]], in_turns: bool, arguments: MeasureArguments) -> None:
    """Print several models as one ranked table, and write it where a file is given."""
    from edgeprof.cli.ranking import export, ranked, to_text
    from edgeprof.measuring.measurement import Measurement

    measured = [[one for one in run if isinstance(one, Measurement)] for run in runs]
    pairs = zip(measured, runs, strict=True)
    complete = [own for own, run in pairs if run and len(own) == len(run)]
    if not complete:
        return
    rows = ranked(complete, in_turns=in_turns)
    if len(rows) > 1 and not arguments.as_json:
        say(f"\n{to_text(rows, columns())}")
    export(rows, {form: getattr(arguments, form) for form in ("markdown", "csv", "json")})


def _outcomes(arguments: MeasureArguments, live: LiveMeasurement) -> Iterator[tuple[Outcome, bool]]:
    """Yield each model's measurement as it is made, or its error where others are left to do.

    Beside it stands whether the models ran in turns.

    Raises:
        EdgeprofError: of the only model, or of any where measuring in turns was asked for.
    """
    from edgeprof.base.errors import EdgeprofError, UnsteadyMeasurement
    from edgeprof.measuring.harness import measure as measure_model
    from edgeprof.measuring.harness import measure_interleaved, settings_of_each

    if arguments.is_queued:
        yield from ((outcome, False) for outcome in _queued(arguments))
        return
    models, interleave = arguments.models, arguments.interleave
    settings = arguments.settings()
    each = settings_of_each([(model, settings) for model in models])
    if len(models) > 1 and (interleave or (interleave is None and len(models) <= _MAX_INTERLEAVED)):
        try:
            found = measure_interleaved(each, live.listener())
            live.clear()
            yield from ((one, True) for one in found)
            return
        except EdgeprofError as error:
            if interleave or isinstance(error, UnsteadyMeasurement):  # drift is no model's fault
                raise
            say(f"edgeprof: not in turns, but one after the other: {error}", err=True)
    for index, (model, own) in enumerate(each):
        try:
            outcome: Outcome = measure_model(model, own, on_progress=live.listener(index))
        except EdgeprofError as error:
            if len(models) == 1:
                raise
            outcome = error
        yield outcome, False


def _queued(arguments: MeasureArguments) -> Iterator[Outcome]:
    """Yield what a run on this machine or a board found of each model, or its error.

    Raises:
        EdgeprofError: of the only model.
    """
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.cli.place import kept_or_not
    from edgeprof.runs.files import measure_files
    from edgeprof.runs.place import Place
    from edgeprof.runs.view import shown

    place = Place.of(arguments.on_board, arguments.inventory)
    with kept_or_not(arguments.store) as store, shown(quiet=arguments.as_json) as listener:
        models = [Path(model) for model in arguments.models]
        measure_there = partial(place.measure, listener=listener)
        found = measure_files(models, store, arguments.profile_settings(), measure_there)
    for outcome in found:
        if isinstance(outcome, EdgeprofError) and len(found) == 1:
            raise outcome
        yield outcome


def _show(
    model: str, run: Sequence[Outcome], arguments: MeasureArguments, told: Told
) -> dict[str, Any]:
    """Print a model's result, or its error on stderr; return its summary, or its error.

    Of several models it is brief, without what was told of those before.
    """
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.cli.measurement_text import describe, describe_briefly, verdict_of
    from edgeprof.measuring.launches import Launches
    from edgeprof.measuring.measurement import Measurement

    for outcome in run:
        if isinstance(outcome, EdgeprofError):
            say(f"edgeprof: {outcome}", err=True)
            return _failed(model, outcome)
    results = [outcome for outcome in run if isinstance(outcome, Measurement)]
    study = Launches.of(results) if len(results) > 1 else None
    if not arguments.as_json:
        is_brief = len(arguments.models) > 1 and not (arguments.verbose or arguments.per_op)
        long = partial(describe, results[0], study, verbose=arguments.verbose)
        say(describe_briefly(results, told) if is_brief else long(), wrap=True)
    verdict = verdict_of(results)
    graded = {"grade": verdict.grade.value, "grade_reason": verdict.reason}
    return {**(study.summary() if study else results[0].summary()), **graded}


def _write_trace(path: Path | None, outcomes: Sequence[Outcome]) -> None:
    from edgeprof.base.files import write_whole
    from edgeprof.measuring.measurement import Measurement
    from edgeprof.measuring.trace import chrome_trace

    results = [outcome for outcome in outcomes if isinstance(outcome, Measurement)]
    if path is not None and results:
        write_whole(path, json.dumps(chrome_trace(results)))
