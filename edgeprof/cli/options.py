"""Options of the command line: how a command declares them, and those that several share.

Owns: ``takes``, which hands a command one frozen dataclass made from its parameters, and every
option that more than one command has, with its one name, text and default. A command declares its
parameters as the fields of a dataclass; those of a base class become parameters too::

    @dataclass(frozen=True)
    class SampleArguments:
        space: str = options.space()
        pixels: int = options.option("--pixels", default=1, help="Pixels.")

    @click.command()
    @options.takes(SampleArguments)
    def sample(arguments: SampleArguments) -> None: ...
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from edgeprof.base.errors import OutputError
from edgeprof.base.parse import first_double
from edgeprof.cli.values import Choice, Condition, CpuList, InputValue, Integers, KeyValue, Shape
from edgeprof.measuring.runtimes import FORMATS, RUNTIMES

Arguments = TypeVar("Arguments")

INPUT = click.Path(readable=False, path_type=Path)
"""A path to read. The library says what is wrong with it, in one line and with exit status 1."""


class _OutputFile(click.Path):
    """A file to write; what cannot be written in the end is told before the work begins."""

    def __init__(self, *, makes_folder: bool = False) -> None:
        super().__init__(readable=False, dir_okay=False, path_type=Path)
        self._makes_folder = makes_folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path.

        Raises:
            OutputError: there is no such folder.
        """
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir() and not self._makes_folder:
            raise OutputError(f"{path}: cannot be written: no folder {path.parent}")
        return path


OUTPUT_FILE = _OutputFile()
OUTPUT_FILE_AND_FOLDER = _OutputFile(makes_folder=True)
OUTPUT_FOLDER = click.Path(readable=False, file_okay=False, path_type=Path)
POSITIVE = click.FloatRange(0, min_open=True)


def option(*names: str, **attributes: Any) -> Any:
    """Declare an option as the field of a dataclass; its default is shown where it has one."""
    if attributes.get("default") not in (None, ()):
        attributes.setdefault("show_default", True)
    return field(metadata={"declare": lambda name: click.option(name, *names, **attributes)})


def is_given(name: str) -> bool:
    """Tell whether the parameter of this name was given, and not left at its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is not ParameterSource.DEFAULT


def refuse_given(names: Sequence[str], reason: str) -> None:
    """Refuse parameters that would change nothing, with a usage error that names the first."""
    for parameter in click.get_current_context().command.params:
        if parameter.name in names and is_given(parameter.name):
            raise click.UsageError(f"{parameter.opts[-1]} {reason}")


def pairs(*names: str, **attributes: Any) -> Any:
    """Declare an option that may be repeated, each time with another ``KEY=VALUE``."""
    return option(*names, multiple=True, callback=_without_doubles, **attributes)


def _without_doubles(
    context: click.Context, parameter: click.Parameter, value: tuple[tuple[str, Any], ...]
) -> tuple[tuple[str, Any], ...]:
    if (double := first_double(key for key, _ in value)) is not None:
        of_one = f"; for one of several models write MODEL:{double}=..."
        hint = of_one if parameter.name in ("shapes", "inputs") else ""
        raise click.BadParameter(f"{double!r} stands twice{hint}", context, parameter)
    return value


def argument(**attributes: Any) -> Any:
    """Declare a positional argument as the field of a dataclass."""
    return field(metadata={"declare": lambda name: click.argument(name, **attributes)})


def takes(kind: type[Arguments]) -> Callable[[Callable[[Arguments], None]], Callable[..., None]]:
    """Give a command the parameters that a dataclass declares, as one object of that class."""

    def decorate(command: Callable[[Arguments], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def collected(**values: Any) -> None:
            command(kind(**values))

        for parameter in reversed(fields(kind)):  # type: ignore[arg-type] # a dataclass, by contract
            collected = parameter.metadata["declare"](parameter.name)(collected)
        return collected

    return decorate


def with_providers(pairs: Iterable[tuple[str, Any]], providers: Sequence[str]) -> dict[str, Any]:
    """Return the runtime's options with the execution providers among them."""
    return dict(pairs) | ({"providers": list(providers)} if providers else {})


flag = partial(option, is_flag=True)
as_json = partial(flag, "--json", help="Print the result as JSON.")
verbose = partial(flag, "-v", "--verbose", help="Show every warning and detail.")
seed = partial(
    option, "--seed", default=0, type=click.IntRange(0), help="Equal seeds draw the same at random."
)
count = partial(option, "-n", type=click.IntRange(1), help="How many.")
"""How many are usual depends on the command: ``count(default=10)``."""
output_file = partial(option, "-o", "--output", type=OUTPUT_FILE)
output_folder = partial(option, "-o", "--output", type=OUTPUT_FOLDER)
"""Both with ``help``: what is written depends on the command."""

# What is measured, predicted or searched.
space = partial(option, "--space", default="ofa-mbv3-w1.0", help="Search space.")
space_of_files = partial(
    option, "--space", help="Search space  [default: the one that the files name]"
)
resolutions = partial(
    option,
    "--resolutions",
    type=Integers(),
    help="Resolutions in pixels  [default: the usual ones of the space]",
)
subnets = partial(option, "--subnets", type=INPUT, help="Take the subnets of this file, in order.")
subnet_output = partial(
    output_file, help="File to write, one JSON object a line  [default: standard output]"
)
store = partial(option, "--store", required=True, type=INPUT, help="Store to append to (.db).")

# Model files.
model_format = partial(
    option, "--format", default=FORMATS[0], type=click.Choice(FORMATS), help="Model format."
)
precision = partial(
    option,
    "--precision",
    default="fp32",
    type=click.Choice(["fp32", "int8"]),
    help="Type of weights and activations.",
)
batch = partial(option, "--batch", default=1, type=click.IntRange(1), help="Images per inference.")
where = partial(
    pairs,
    "--where",
    type=Condition(),
    help="Only measurements made under this state, e.g. threads=1; may be repeated.",
)
"""Of a store: a state is one of ``records.pooling.STATE_FIELDS``."""
bank = partial(
    option,
    "--bank",
    multiple=True,
    type=INPUT,
    metavar="STORE.db",
    help="Learn from the devices of this store, too, or take another bank than the shipped one "
    "(.npz); may be repeated.",
)
strategy = partial(
    option,
    "--strategy",
    default="bank",
    type=click.Choice(["bank", "paper-finetune", "paper-gpu"]),
    help="How a device is predicted from others: the paper's ways learn from --bank alone.",
)
"""The choices are ``predictors.bank.others.STRATEGIES``."""
batch_of_models = partial(
    option, "--batch", type=click.IntRange(1), help="Leading dimension of a model's inputs."
)
shapes = partial(
    pairs,
    "--shape",
    type=Shape(),
    help="Shape of a dynamic input; may be repeated. Of one of several models: MODEL:NAME=...",
)
inputs = partial(
    pairs,
    "--input",
    type=InputValue(),
    help="Values of an input: a number, a list, LOW:HIGH to draw from, FILE.npy, a text; may be "
    "repeated. A type for NAME, as in int64=0:999, means all its inputs.",
)

# How to measure.
runtime = partial(
    option,
    "--runtime",
    type=Choice(RUNTIMES),
    help="Inference runtime  [default: by the model's format]",
)
runtime_options = partial(
    pairs,
    "--option",
    type=KeyValue(),
    help="The runtime's own, as in graph_optimization=basic or providers='[\"CUDA\"]'.",
)
providers = partial(
    option,
    "--provider",
    multiple=True,
    help="Execution provider of ONNX Runtime, as in CUDA; may be repeated, the preferred first.",
)
library = partial(option, "--library", type=INPUT, help="The runtime's library  [default: found]")
threads = partial(
    option,
    "--threads",
    "--num-threads",
    default=1,
    type=click.IntRange(1),
    help="Threads of the runtime.",
)
cpus = partial(
    option,
    "--cpus",
    type=CpuList(),
    default=(),
    help="Cores to run on, as in 0-3,6  [default: any]",
)
ci_rel = partial(
    option,
    "--ci",
    default=0.01,
    type=click.FloatRange(0, 1, min_open=True),
    help="Stop when the 95 % interval of the median is within +- this share.",
)
max_secs = partial(
    option, "--max-secs", type=POSITIVE, help="Time a model for so many seconds at most."
)
"""What is usual depends on how many models wait their turn: ``max_secs(default=5.0)``."""
max_load_secs = partial(
    option,
    "--max-load-secs",
    type=POSITIVE,
    help="Give up on loading a model, and on its first inference and warm-up, after so long"
    "  [default: 120]",
)

# Boards.
inventory = partial(
    option, "--boards", default="boards.yaml", type=INPUT, help="Inventory of the boards."
)
ssh_config = partial(
    option,
    "--ssh-config",
    type=INPUT,
    help="SSH configuration that a new inventory names  [default: ~/.ssh/config]",
)
on_board = partial(
    option, "--on", metavar="BOARD", help="Measure there: a name of boards.yaml, or user@host."
)
this_device = partial(
    option, "--device", help="Name of this machine in what is written  [default: its host name]"
)
on_boards = partial(option, "--boards", type=INPUT, help="Inventory of the boards.")
"""Where it is given, the boards measure; where not, this machine."""
board_names = partial(
    option, "--board", multiple=True, help="This board, tag or group; may be repeated."
)
attempts = partial(
    option,
    "--attempts",
    default=3,
    type=click.IntRange(1),
    help="Tries of a measurement that was disturbed or failed in a way that may pass.",
)

# Work that is shared among processes.
jobs = partial(
    option,
    "--jobs",
    type=click.IntRange(1),
    help="Processes on this machine  [default: one, or one per core where the work is long]",
)
dask = partial(option, "--dask", metavar="ADDRESS", help="Use the workers of this Dask scheduler.")

# Rows of a dataset.
device = partial(option, "--device", help="Use the rows of this device  [default: of all]")
drop_invalid = partial(flag, "--drop-invalid", help="Leave invalid rows out and say how many.")
