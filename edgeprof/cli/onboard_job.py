"""What ``edgeprof onboard`` does: which commands, in which order, on which files.

Owns: the order of the steps and what is said before and after them. Runs nothing.
"""

from __future__ import annotations

import math
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeprof.base.errors import EdgeprofError, InvalidJob, InvalidModel
from edgeprof.base.units import format_bytes
from edgeprof.boards.inventory_file import add_board
from edgeprof.cli.steps import (
    SpaceFiles,
    Step,
    feeding_words,
    measuring_words,
    median_ms,
    program_as_typed,
    space_steps,
    step,
)
from edgeprof.measuring.inputs import Fed, fed_to_each
from edgeprof.measuring.runtimes import FORMAT_OF_SUFFIX
from edgeprof.networks import read_network
from edgeprof.networks.spaces import get_space
from edgeprof.networks.suites import SUITES, SuiteModel, some_of, suite_models
from edgeprof.records.store import Store
from edgeprof.runs.files import format_of_files

if TYPE_CHECKING:
    from edgeprof.cli.onboard import OnboardArguments

STAGES = (30, 120)
"""Models of the suites after which there is a prediction, before all of them are measured.

The first take less than a minute, and are of most kinds of layers.
"""

_EXAMPLE_SPACE = "ofa-mbv3-w1.0"
_EXAMPLE_SEED = 1_000_000


class Target(NamedTuple):
    """What is measured: a board or this machine.

    Attributes:
        name: of the board.
        device: that measurements are filed under.
        look: the step that says what it is.
        where: words by which ``profile`` measures there.
        on: words by which ``measure`` does.
    """

    name: str
    device: str
    look: Step
    where: list[object]
    on: list[object]


@dataclass(frozen=True)
class OnboardJob:
    """What one call does.

    Attributes:
        target: what is measured.
        files: models of the user's.
        model_format: of all models.
        folder: of everything that is made.
        suite: the models of the suites that are measured.
        own: the model of the user's that is predicted, with what it is fed.
    """

    arguments: OnboardArguments
    target: Target
    files: Sequence[Path]
    model_format: str
    folder: Path
    suite: Sequence[SuiteModel]
    own: tuple[Path, Fed] | None = None

    @property
    def name(self) -> str:
        """What is measured, in a word."""
        return self.target.name

    @property
    def n_models(self) -> int:
        """How many models are measured in all."""
        n_subnets = self.arguments.count if self.arguments.space else 0
        return len(self.suite) + len(self.files) + n_subnets

    @property
    def store(self) -> Path:
        """Where the measurements go."""
        return self.folder / "store.db"

    @property
    def predictor(self) -> Path:
        """What predicts any network."""
        return self.folder / "networks.host.npz"

    @property
    def example(self) -> Path:
        """The model that is predicted: one of the user's, or a subnet."""
        if self.own:
            return self.own[0]
        rng = np.random.default_rng(_EXAMPLE_SEED)
        [subnet] = get_space(_EXAMPLE_SPACE).sample(1, rng)
        return self.folder / "example" / f"{subnet.id}.{self.model_format}"

    def n_measured(self) -> int:
        """Count what the store has of the device."""
        if not self.store.exists():
            return 0
        with Store(self.store, create=False) as store:
            return store.count(self.target.device)

    def plan(self, n_left: int) -> list[str]:
        """Say what is measured and what is sent, a line each."""
        arguments, files = self.arguments, self.files
        parts = [f"{len(self.suite)} models of the suites"]
        parts += [f"{len(files)} of yours"] if files else []
        parts += [f"{arguments.count} subnets of {arguments.space}"] if arguments.space else []
        done = self.n_models - n_left
        there = f"; {done} are measured already" if done else ""
        lines = [f"To measure: {', '.join(parts)}{there}."]
        if self.target.where:
            sizes = [4 * math.prod(w.shape) for m in self.suite for w in m.recipe.weights.values()]
            size = format_bytes(sum(sizes) + sum(file.stat().st_size for file in files))
            subnets = ", and the subnets, which share their weights" if arguments.space else ""
            lines.append(
                f"To send: what is to be installed, and {size} of models{subnets}; those of the "
                "suites are packed to a few per cent of their size."
            )
        return lines

    def steps(self) -> list[Step]:
        """Return the commands, in order."""
        arguments = self.arguments
        steps = [self.target.look]
        if not self.own:
            steps += self._example_steps()
        first, *others = [n for n in STAGES if n < len(self.suite)] + [len(self.suite)]
        steps += [self._suite_step(first), *self._learn("The first prediction")]
        if self.files:
            shapes, inputs = dict(arguments.shapes), dict(arguments.inputs)
            fed = feeding_words(shapes, inputs)
            own = ["profile", *self.files, *fed, "--store", self.store, *self._how]
            steps.append(step("Measure your models", *own))
        if arguments.space is not None:
            steps += self._space_steps(arguments.space)
        for n_models in others:
            steps += [self._suite_step(n_models), *self._learn("A better prediction")]
        if not others and (self.files or arguments.space is not None):
            steps += self._learn("A better prediction")
        return [*steps, self._report_step()]

    @property
    def _how(self) -> list[object]:
        chosen = self.arguments
        how = (chosen.max_secs, chosen.threads, chosen.providers, chosen.runtime_options)
        return [*measuring_words(*how), *self.target.where]

    def _example_steps(self) -> list[Step]:
        listed, folder = self.folder / "example.jsonl", self.example.parent
        draw = ["--space", _EXAMPLE_SPACE, "-n", 1, "--seed", _EXAMPLE_SEED, "-o", listed]
        export = [listed, "--format", self.model_format, "-o", folder]
        return [
            step("Draw a subnet, to have something to predict", "sample", *draw),
            step("Export it", "export", *export),
        ]

    def _space_steps(self, space: str) -> list[Step]:
        return space_steps(
            self._space_files(space),
            space,
            count=self.arguments.count,
            seed=self.arguments.seed,
            measuring=self._how,
            exporting=["--device", self.target.device],
            model_format=self.model_format,
        )

    def _suite_step(self, count: int) -> Step:
        suites = [word for suite in SUITES for word in ("--suite", suite)]
        words = [*suites, "-n", count, "--format", self.model_format]
        files = ["--models", self.folder / "suite", "--store", self.store]
        return step(f"Measure {count} models of the suites", "profile", *words, *files, *self._how)

    def _learn(self, title: str) -> list[Step]:
        rows = self.folder / "networks.csv"
        export = [self.store, "--device", self.target.device, "--include-poor", "-o", rows]
        train = [rows, "--seed", self.arguments.seed, "-o", self.predictor]
        return [
            step("Turn the store into rows for learning", "dataset", "export", *export),
            step("Learn what layers cost", "train", *train),
            step(title, *self._predict),
        ]

    @property
    def _predict(self) -> list[object]:
        fed = feeding_words(self.own[1].shapes, {}) if self.own else []
        return ["predict", self.predictor, self.example, *fed]

    def _space_files(self, space: str) -> SpaceFiles:
        folder = self.folder
        return SpaceFiles(
            subnets=folder / "subnets.jsonl",
            models=folder / "models",
            store=self.store,
            data=folder / "subnets.csv",
            predictor=folder / f"{space}.edgp",
        )

    def _report_step(self) -> Step:
        space = self.arguments.space
        judged: list[object] = ["--predictor", self.predictor]
        judged += ["--predictor", self._space_files(space).predictor] if space else []
        page = ["-o", self.folder / "report.html"]
        return step("Write a page about all of it", "report", self.store, *judged, *page)

    def closing_words(self) -> str:
        """Say what there is now, and what to try with it."""
        typed, folder, space = program_as_typed(), self.folder, self.arguments.space
        found = {
            "store.db": f"every raw sample, with the state of {self.name}",
            "networks.host.npz": "predicts any ONNX or TFLite model",
            "report.html": "a page about the measurements",
        }
        last = ["ship", self.predictor, "--to", "c", "-o", folder / "c"]
        if space is not None:
            files = self._space_files(space)
            found[files.predictor.name] = f"predicts subnets of {space}, on boards too"
            budget = f"{median_ms(files.data):.1f}"
            last = ["search", "--latency", files.predictor, "--accuracy", "capacity-proxy"]
            last += ["--budget-ms", budget]
        fed = feeding_words(self.own[1].shapes, self.own[1].inputs) if self.own else []
        commands: list[list[object]] = [
            [*self._predict, "--explain"],
            ["measure", self.example, *fed, *self.target.on],
            last,
        ]
        width = max(map(len, found))
        made = "\n".join(f"  {name:{width}}  {what}" for name, what in found.items())
        next_ones = "\n".join(f"  {typed} {shlex.join(map(str, words))}" for words in commands)
        return (
            f"Everything lies in {shlex.quote(str(folder))}:\n\n{made}\n\n"
            f"Next, try:\n\n{next_ones}\n"
        )


def plan_job(arguments: OnboardArguments) -> OnboardJob:
    """Work out what is to be done; connects to nothing, and writes nothing.

    Raises:
        EdgeprofError: of what cannot be done, as far as that can be known.
    """
    files = [file for path in arguments.models for file in _models_at(path)]
    model_format = format_of_files(files) if files else arguments.model_format
    own = _first_readable(files, arguments)
    if arguments.space is not None:
        get_space(arguments.space)
    target = _target(arguments)
    every = [model for suite in SUITES for model in suite_models(suite, format=model_format)]
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in target.name)
    folder = arguments.output or Path(f"edgeprof-{plain}")
    suite = some_of(every, arguments.suite_models or len(every))
    return OnboardJob(arguments, target, files, model_format, folder, suite, own)


def _first_readable(files: Sequence[Path], arguments: OnboardArguments) -> tuple[Path, Fed] | None:
    """Return the first model whose layers can be told, with what it is fed; the others may run.

    Raises:
        InvalidModel, UnsupportedModel: there is none; what is wrong with the first.
        InvalidJob: something is given to an input that no model has.
    """
    shapes, inputs = dict(arguments.shapes), dict(arguments.inputs)
    if (shapes or inputs) and not files:
        raise InvalidJob("--shape and --input are for --models")
    wrong: EdgeprofError | None = None
    for file, fed in zip(files, fed_to_each(files, shapes, inputs), strict=True):
        try:
            read_network(file, shapes=fed.shapes)
            return file, fed
        except EdgeprofError as error:  # noqa: PERF203 - each file has its own
            wrong = wrong or error
    if wrong is not None:
        raise wrong
    return None


def _models_at(path: Path) -> list[Path]:
    """Return a model file, or those of a folder."""
    if not path.is_dir():
        if not path.exists():
            raise InvalidModel(f"{path}: no such file")
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMAT_OF_SUFFIX)
    if not files:
        raise InvalidModel(f"{path}: no model in it; wanted {', '.join(FORMAT_OF_SUFFIX)}")
    return files


def _target(arguments: OnboardArguments) -> Target:
    """Name what is measured."""
    if arguments.board is None:
        name = socket.gethostname()
        look = step("Look at this machine", "doctor", "--threads", arguments.threads)
        return Target(name, name, look, [], [])
    config = arguments.ssh_config
    board = add_board(arguments.inventory, arguments.board, ssh_config=config).board
    listed: list[object] = ["--boards", arguments.inventory]
    new: list[object] = ["--ssh-config", config] if config else []
    look = step("Look at the board", "boards", "add", arguments.board, *listed, *new)
    where = [*listed, "--board", board.name]
    return Target(board.name, board.device, look, where, ["--on", board.name, *listed])
