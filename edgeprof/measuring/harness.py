"""The timing harness seen from Python.

Owns: how jobs are made, and the two doors to the C++ core: the program (a process of its own per
model: what kills a runtime does not kill Python) and the extension module (this process, without
the interpreter's lock; or, for a runtime that only Python can open, a Python process of its own).
Both take the same job and give the same record; no time is taken here.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from edgeprof.base.errors import HarnessCrashed, InvalidJob
from edgeprof.base.files import packaged
from edgeprof.base.text import printable
from edgeprof.measuring.inputs import fed_to_each, values_of
from edgeprof.measuring.measurement import Measurement, Record, check_version, error_of
from edgeprof.measuring.progress import OnProgress, ProgressFile
from edgeprof.measuring.python_door import door_command
from edgeprof.measuring.runtimes import PYTHON_RUNTIMES, find_library, runtime_of

Job = Mapping[str, Any]
"""What to measure and how: the fields of a job line (see ``csrc/board/main.cpp``)."""

PROGRAM = packaged("bin/edgeprof-harness")

_LOOK_MS = 250  # between two looks at the progress: each costs the measured machine a moment


@dataclass(frozen=True)
class Settings:
    """How to measure. ``None`` leaves a field to the harness' default.

    >>> from edgeprof import Settings
    >>> Settings(threads=2, cpus=(0, 1)).threads
    2

    Attributes:
        runtime: one of ``runtimes.RUNTIMES``, or ``"null"``; by the model's ending if ``None``.
        library: path of the runtime's library; found by ``runtimes.find_runtime`` if ``None``.
        threads: threads of the runtime.
        cpus: cores to run on; empty leaves it to the scheduler.
        seed: of the inputs' values.
        ci_rel: stop when half the interval of the median is within this fraction of it.
        min_secs: measure at least so long.
        max_secs: and at most so long, but for the 10 samples that make a result (3 where one
            takes over 10 s). Loading, first inference and warm-up come before.
        min_samples: time at least so many inferences.
        max_samples: and at most so many, but for those that make a result.
        max_load_secs: bound of opening the runtime, of loading the model, and of its first
            inference and warm-up.
        max_drift: refuse the measurement when the machine changes by more than this fraction.
        reference: a model that runs in the same turns and is not reported: its drift is taken for
            the machine's, instead of that of the built-in loop.
        references: two small models of edgeprof's own take turns with the model, and their
            latencies stand in the record; where ``max_secs`` is over a second if ``None``.
        shapes: shape per input, for inputs with dynamic dimensions.
        inputs: values per input: a number, a text, an array, a ``range``; a type for the name means
            all inputs of it. Where several models are measured, a shape or value goes to those
            that have such an input, ``"MODEL:NAME"`` to that model alone (see
            ``measuring.inputs.fed_to_each``).
        clock: name of the clock; the finest one that can be trusted if ``None``.
        counters: ``"auto"`` reads the processor's counters where that costs next to nothing,
            ``"off"`` never.
        per_op_runs: profile so many inferences by operator, in a pass after the timed one.
        timestamps: tell in the record when each inference began.
        runtime_options: the runtime's own options.
    """

    runtime: str | None = None
    library: str | os.PathLike[str] | None = None
    threads: int | None = None
    cpus: Sequence[int] = ()
    seed: int | None = None
    ci_rel: float | None = None
    min_secs: float | None = None
    max_secs: float | None = None
    min_samples: int | None = None
    max_samples: int | None = None
    max_load_secs: float | None = None
    max_drift: float | None = None
    reference: str | os.PathLike[str] | None = None
    references: bool | None = None
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    clock: str | None = None
    counters: str | None = None
    per_op_runs: int | None = None
    timestamps: bool | None = None
    runtime_options: Mapping[str, Any] = field(default_factory=dict)


_LINE_FIELDS = (
    "max_load_secs",
    "max_drift",
    "clock",
)  # of a job line, not of the models it interleaves
_PLAIN_FIELDS = (
    "threads",
    "seed",
    "ci_rel",
    "min_secs",
    "max_secs",
    "min_samples",
    "max_samples",
    "counters",
    "per_op_runs",
    "timestamps",
    *_LINE_FIELDS,
)


def make_job(model: str | os.PathLike[str], settings: Settings) -> Job:
    """Return the job that measures a model here.

    Raises:
        InvalidJob: the model's name cannot stand in a job.
        RuntimeUnavailable: no library of the runtime on this machine.
    """
    runtime = settings.runtime or runtime_of(model)
    job: dict[str, Any] = {"model": _text_of(model), "runtime": runtime}
    if library := find_library(runtime, settings.library):
        job["library"] = os.fspath(library.path)
    return {**job, **job_fields(settings)}


def job_fields(settings: Settings) -> dict[str, Any]:
    """Return the fields of a job that hold whatever the model, and wherever it is measured."""
    job: dict[str, Any] = {
        name: value for name in _PLAIN_FIELDS if (value := getattr(settings, name)) is not None
    }
    if settings.cpus:
        job["cpus"] = list(settings.cpus)
    if settings.shapes:
        job["shapes"] = {name: list(shape) for name, shape in settings.shapes.items()}
    if settings.inputs:
        job["inputs"] = {name: values_of(given) for name, given in settings.inputs.items()}
    if settings.runtime_options:
        job["runtime_options"] = dict(settings.runtime_options)
    return job


def _text_of(path: str | os.PathLike[str]) -> str:
    """Return a path as jobs and records have it: in UTF-8."""
    text = os.fspath(path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidJob(f"{printable(text)}: the name is no UTF-8 text; rename it") from error
    return text


def run_jobs(
    jobs: Iterable[Job],
    program: Path = PROGRAM,
    while_waiting: Callable[[], object] | None = None,
) -> Iterator[Record]:
    """Run jobs through the harness program, one after the other.

    A job is handed over when the record of the one before has been taken: whatever the caller
    does with a record (store it) is done before the next model runs.

    Args:
        jobs: what to measure.
        program: the board program of this machine.
        while_waiting: called four times a second while a job runs.

    Yields:
        The record of each job in order; a failed job gives a failure record
        (``Measurement.from_record`` raises its error), and the next one runs.

    Raises:
        HarnessCrashed: the program itself cannot be run or died; its jobs so far are yielded.
    """
    for folder, group in groupby(jobs, _package_folder):
        command = [os.fspath(program), "run"] if folder is None else door_command(folder)
        yield from _run(command, group, while_waiting)


def _package_folder(job: Job) -> str | None:
    """Return where Python finds the job's runtime; ``None`` if the program can open it."""
    for member in job.get("interleave", [job]):
        if member.get("runtime") in PYTHON_RUNTIMES:
            return os.fspath(Path(member["library"]).parent.parent)
    return None


def _run(
    command: list[str], jobs: Iterable[Job], while_waiting: Callable[[], object] | None
) -> Iterator[Record]:
    with tempfile.TemporaryFile() as complaints:
        process = _start(command, complaints)
        try:
            for job in jobs:
                line = _ask(process, json.dumps(job), while_waiting)
                if not line:
                    break  # the program has ended; its status says how
                yield json.loads(line)
        except BaseException:
            # The caller stopped asking (Ctrl-C): the program's child dies with it.
            process.terminate()
            raise
        finally:
            with suppress(BrokenPipeError), process:
                assert process.stdin is not None
                process.stdin.close()
        if process.returncode != 0:
            complaints.seek(0)
            stderr = complaints.read().decode(errors="replace").strip()
            raise HarnessCrashed(
                f"{command[0]}: ended with status {process.returncode}: "
                f"{stderr or 'without a message'}",
                command=command,
                exit_status=process.returncode,
                stderr=stderr,
            )


def _start(command: list[str], complaints: IO[bytes]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
    except OSError as error:
        raise HarnessCrashed(
            f"{command[0]}: cannot be run: {error.strerror}; install edgeprof again",
            command=command,
        ) from error


def _ask(
    process: subprocess.Popen[str], line: str, while_waiting: Callable[[], object] | None
) -> str:
    """Write one line and read the answer; nothing if the program has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    if while_waiting is not None:
        answer = select.poll()
        answer.register(process.stdout, select.POLLIN)
        while not answer.poll(_LOOK_MS):
            while_waiting()
    return process.stdout.readline()


def _record_of(job: Job, on_progress: OnProgress | None) -> Record:
    """Run one job, and tell how it goes."""
    if on_progress is None:
        (record,) = run_jobs([job])
        return record
    with ProgressFile() as file:

        def look() -> None:
            if (progress := file.read()) is not None:
                on_progress(progress)

        (record,) = run_jobs([{**job, "progress_file": file.path}], while_waiting=look)
    return record


def measure(
    model: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    in_process: bool = False,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Measurement:
    """Measure the latency of a model file on this machine.

    >>> import edgeprof
    >>> result = edgeprof.measure("model.onnx", max_secs=0.2, ci_rel=0.5)
    >>> result.latency_min_ns <= result.latency_median_ns
    True

    Args:
        model: the model file.
        settings: how to measure; the harness' defaults if ``None``.
        in_process: run in this process (without the interpreter's lock) instead of one of its own.
            A runtime that crashes or hangs then takes this process with it.
        on_progress: called a few times a second with how it goes; never with ``in_process``.
        **changes: fields of ``Settings`` to change, as in ``measure("m.onnx", threads=2)``.

    Raises:
        InvalidModel, UnsupportedModel, RuntimeUnavailable, InvalidJob, HarnessCrashed: a retry will
            not help.
        HarnessTimeout, UnsteadyMeasurement: the model did not end in time, the machine drifted.
    """
    settings = replace(settings or Settings(), **changes)
    if settings.reference is not None:
        if in_process:
            raise InvalidJob("a reference model needs a process of its own: drop in_process")
        return measure_interleaved([(model, settings)], on_progress)[0]
    ((_, settings),) = settings_of_each([(model, settings)])
    job = {**make_job(model, settings), "references": _takes_references(settings)}
    if not in_process:
        return Measurement.from_record(_record_of(job, on_progress))
    from edgeprof import _core

    return Measurement.from_record(json.loads(_core.run_job(json.dumps(job))))


def _takes_references(settings: Settings) -> bool:
    if settings.references is not None:
        return settings.references
    return settings.max_secs is None or settings.max_secs > 1.0


def measure_interleaved(
    models: Sequence[tuple[str | os.PathLike[str], Settings]],
    on_progress: OnProgress | None = None,
) -> list[Measurement]:
    """Measure models in turns, in one process of their own: two or more with the reference.

    Whatever the machine does meanwhile meets them all alike, so that they can be compared. All are
    in memory at once. The clock, the bounds of loading and of drift, and the reference are those of
    the first. `on_progress` is called as by ``measure``; a reference comes last in it.

    Raises:
        EdgeprofError: as ``measure`` does; one model that fails fails them all.
    """
    jobs = [dict(make_job(model, settings)) for model, settings in settings_of_each(models)]
    line_fields = {name: jobs[0][name] for name in _LINE_FIELDS if name in jobs[0]}
    if (first := models[0][1]).reference is not None:
        jobs.append({**make_job(first.reference, _reference_settings(first)), "reference": True})
    members = [{k: v for k, v in job.items() if k not in _LINE_FIELDS} for job in jobs]
    record = _record_of({**line_fields, "interleave": members}, on_progress)
    check_version(record)
    if "error" in record:
        raise error_of(record)
    return [Measurement.from_record(member) for member in record["group"][: len(models)]]


def settings_of_each(
    models: Sequence[tuple[str | os.PathLike[str], Settings]],
) -> list[tuple[str | os.PathLike[str], Settings]]:
    """Return each model with the shapes and values that are for it.

    Raises:
        InvalidJob: no model has an input of that name.
    """
    paths = [model for model, _ in models]
    # Of the models there may be many, which are read for it; of settings there are one or two.
    several = {id(settings): settings for _, settings in models}
    fed = {key: fed_to_each(paths, one.shapes, one.inputs) for key, one in several.items()}
    return [
        (model, replace(settings, shapes=own.shapes, inputs=own.inputs))
        for index, (model, settings) in enumerate(models)
        for own in [fed[id(settings)][index]]
    ]


def _reference_settings(settings: Settings) -> Settings:
    """Return how a reference runs beside models with these settings."""
    names = ("threads", "cpus", "seed", "ci_rel", "min_secs", "max_secs", "counters")
    return Settings(**{name: getattr(settings, name) for name in names})
