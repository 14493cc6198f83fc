"""The options of a measurement, shared by the commands that time something."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from edgeprof.measuring.runtimes import RUNTIMES


class Shape(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in new clicks
    """``NAME=1,3,224,224``: an input and its shape."""

    name = "NAME=N,N,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        """Split at the last ``=``: names of inputs may hold anything."""
        if isinstance(value, tuple):
            return value
        name, _, numbers = str(value).rpartition("=")
        try:
            shape = tuple(int(number) for number in numbers.split(","))
        except ValueError:
            shape = ()
        if not name or not shape or min(shape) < 1:
            self.fail(f"{value!r} is not of the form NAME=1,3,224,224", param, ctx)
        return name, shape


class CpuList(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # likewise
    """``0-3,6``: cores."""

    name = "CPUS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Read the kernel's own notation of core lists."""
        from edgeprof.base.cpu_list import parse_cpus

        if isinstance(value, tuple):
            return value
        try:
            return tuple(parse_cpus(str(value)))
        except ValueError:
            self.fail(f"{value!r} is not a list of cores such as 0-3,6", param, ctx)


class KeyValue(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # likewise
    """``KEY=VALUE``; the value is JSON where it can be, else text."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Split at the first ``=``."""
        if isinstance(value, tuple):
            return value
        key, separator, text = str(value).partition("=")
        if not key or not separator:
            self.fail(f"{value!r} is not of the form KEY=VALUE", param, ctx)
        try:
            return key, json.loads(text)
        except ValueError:
            return key, text


SHARE = click.FloatRange(0, 1, min_open=True)
SECONDS = click.FloatRange(0, min_open=True)
cpus_option = click.option(
    "--cpus", type=CpuList(), default=(), help="Cores to run on, as in 0-3,6  [default: any]"
)
format_option = click.option(
    "--format",
    "model_format",
    default="onnx",
    show_default=True,
    type=click.Choice(["onnx", "tflite"]),
    help="Model format.",
)
precision_option = click.option(
    "--precision",
    default="fp32",
    show_default=True,
    type=click.Choice(["fp32", "int8"]),
    help="Type of weights and activations.",
)
batch_option = click.option(
    "--batch", default=1, show_default=True, type=click.IntRange(1), help="Images per inference."
)
runtime_option = click.option(
    "--runtime", type=click.Choice(RUNTIMES), help="Inference runtime  [default: by the format]"
)
threads_option = click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads."
)
board_option = click.option(
    "--board", "board_names", multiple=True, help="Only this board, tag or group; may be repeated."
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Processes of this machine that share the work  [default: one, or one per core for much]",
)
dask_option = click.option(
    "--dask", metavar="ADDRESS", help="Let the workers of this Dask scheduler do it instead."
)

_OPTIONS = (
    click.option(
        "--runtime", help="onnxruntime, litert, tflite_c or tflite_runtime; default: by the ending."
    ),
    click.option(
        "--library", type=click.Path(readable=False), help="The runtime's library; default: found."
    ),
    click.option("--threads", type=click.IntRange(1), help="Threads of the runtime; default 1."),
    cpus_option,
    click.option(
        "--shape", "shapes", type=Shape(), multiple=True, help="Shape of a dynamic input."
    ),
    click.option(
        "--option",
        "runtime_options",
        type=KeyValue(),
        multiple=True,
        help="The runtime's own, as in graph_optimization=basic or providers='[\"CUDA\"]'.",
    ),
    click.option(
        "--ci",
        "ci_rel",
        type=SHARE,
        help="Stop when the 95 % interval of the median is within +- this share; default 0.01.",
    ),
    click.option(
        "--max-secs",
        type=SECONDS,
        help="Stop after so long at the latest; default 10.",
    ),
    click.option(
        "--max-load-secs",
        type=click.FloatRange(0, min_open=True),
        help="Give up opening the runtime or loading the model after so long; default 120.",
    ),
    click.option(
        "--max-drift",
        type=click.FloatRange(0, min_open=True),
        help="Refuse when the machine changes by more than this share meanwhile; default 0.1.",
    ),
    click.option(
        "--reference",
        type=click.Path(readable=False),
        help="A model that runs in the same turns, to tell drift by; default: a built-in loop.",
    ),
    click.option("--seed", type=click.IntRange(0), help="Of the inputs' values; default 0."),
)


def settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a measurement; it gets them as ``settings``."""

    @functools.wraps(command)
    def with_settings(
        *,
        shapes: tuple[tuple[str, tuple[int, ...]], ...],
        runtime_options: tuple[tuple[str, Any], ...],
        **options: Any,
    ) -> None:
        from dataclasses import fields

        from edgeprof.measuring.harness import Settings

        names = {field.name for field in fields(Settings)} & options.keys()
        settings = Settings(
            shapes=dict(shapes),
            runtime_options=dict(runtime_options),
            **{name: options.pop(name) for name in names},
        )
        command(settings=settings, **options)

    for option in reversed(_OPTIONS):
        with_settings = option(with_settings)
    return with_settings
