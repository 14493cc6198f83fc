"""``edgeprof onboard``: from a board, or this machine, to a predictor of it and a page about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.base.text import printable
from edgeprof.cli import options
from edgeprof.cli.running import NotAllMeasured
from edgeprof.cli.steps import Step, run_step
from edgeprof.cli.values import InputText

if TYPE_CHECKING:
    from edgeprof.cli.onboard_job import OnboardJob

_LOADING_S = 0.5  # of a model, in three processes; corrected by what the first ones took
_LEARNING_S = 0.3  # for each model, of all stages together
_OTHER_STEPS_S = 30.0


@dataclass(frozen=True)
class OnboardArguments:
    """What ``edgeprof onboard`` is asked for."""

    board: str | None = options.argument(required=False, metavar="[[USER@]HOST[:PORT]]")
    inventory: Path = options.inventory()
    ssh_config: Path | None = options.ssh_config()
    output: Path | None = options.output_folder(
        help="Folder for everything it makes  [default: edgeprof-NAME]"
    )
    models: tuple[Path, ...] = options.option(
        "--models",
        multiple=True,
        type=options.INPUT,
        help="Measure and predict this model of yours, or those in this folder; may be repeated.",
    )
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    inputs: tuple[tuple[str, str], ...] = options.inputs(type=InputText())
    space: str | None = options.option("--space", help="Learn subnets of this space, too.")
    count: int = options.count(default=48, type=click.IntRange(8))
    suite_models: int | None = options.option(
        "--suite-models",
        type=click.IntRange(8),
        help="Models of the suites to learn from  [default: all]",
    )
    model_format: str = options.model_format()
    seed: int = options.seed()
    max_secs: float = options.max_secs(default=1.0)
    threads: int = options.threads()
    providers: tuple[str, ...] = options.providers()
    runtime_options: tuple[tuple[str, Any], ...] = options.runtime_options()


@click.command()
@options.takes(OnboardArguments)
def onboard(arguments: OnboardArguments) -> None:
    """Make a predictor of a board, or of this machine where none is named.

    Reaches the board as `ssh` does and writes it into the inventory, says what it is, what is sent
    and how long it will take; measures models of the suites, from which any network can be
    predicted, those of --models, and -n subnets of --space; trains; writes a report. The first
    prediction comes after a minute and is rough; those that follow get better.

    Prints each command before it runs it. Called again, it goes on where it was cut off.

    \b
    Example:
      edgeprof onboard
      edgeprof onboard pi@10.0.0.11 --models detector.onnx --shape x=1,3,640,640
      edgeprof onboard pi@10.0.0.11 --space ofa-mbv3-w1.0 -n 100
    """
    from edgeprof.base.files import make_folder
    from edgeprof.cli.onboard_job import plan_job

    start_s = time.monotonic()
    job = plan_job(arguments)
    make_folder(job.folder)
    steps, clock = job.steps(), _Clock(job, arguments.max_secs)
    for number, one in enumerate(steps, start=1):
        _run(one, number, len(steps), job)
        if number == 1:
            click.echo(printable("\n".join(job.plan(clock.n_left)), keep="\n"))
            click.echo(f"This takes about {clock.expected}; cut off, the same command goes on.")
        elif one.command[0] == "profile":
            clock.look()
            click.echo(f"about {clock.left} left")
    took = _duration(time.monotonic() - start_s)
    click.echo(f"\nDone in {took}, expected were {clock.expected}. {job.closing_words()}")


def _run(one: Step, number: int, count: int, job: OnboardJob) -> None:
    """Run a step; models that failed are left out, a board that was lost ends the job.

    Raises:
        BoardUnreachable: not everything that can be measured was.
    """
    from edgeprof.base.errors import BoardUnreachable

    try:
        run_step(one, number, count)
    except NotAllMeasured as ended:
        if ended.summary.unfinished or ended.summary.unreached:
            raise BoardUnreachable(
                f"{job.name}: not all was measured; the same command goes on with it"
            ) from None
        click.echo("what failed is left out: the rest is learned from", err=True)
    except SystemExit:
        if one.command[0] != "doctor":  # which has said what would mislead
            raise


class _Clock:
    """How long the rest of a job will take, by what models took so far.

    Attributes:
        expected: how long all was expected to take at first.
    """

    def __init__(self, job: OnboardJob, max_secs: float) -> None:
        self._job = job
        self._model_s = max_secs + _LOADING_S
        self._n_done, self._at_s = job.n_measured(), time.monotonic()
        self.expected = self.left

    def look(self) -> None:
        """Take in what has been measured since the last look."""
        n_done, now_s = self._job.n_measured(), time.monotonic()
        if n_done > self._n_done:
            self._model_s = (now_s - self._at_s) / (n_done - self._n_done)
        self._n_done, self._at_s = n_done, now_s

    @property
    def n_left(self) -> int:
        """How many models are still to be measured."""
        return max(0, self._job.n_models - self._n_done)

    @property
    def left(self) -> str:
        """How long the rest will take."""
        others_s = self._job.n_models * _LEARNING_S + _OTHER_STEPS_S
        return _duration(self.n_left * self._model_s + others_s)


def _duration(seconds: float) -> str:
    from edgeprof.runs.view import format_minutes

    return format_minutes(seconds / 60)
