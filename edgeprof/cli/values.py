"""Values of options: how their text is read, with a usage error that names the option."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgeprof.base.cpu_list import parse_cpus
from edgeprof.base.parse import parse_json


class _Value(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in new clicks
    """A value that ``parse`` makes from text; ``ValueError`` is wrong usage."""

    wanted: str
    parse: Callable[[str], Any]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; a tuple has been converted already."""
        if isinstance(value, tuple):
            return value
        try:
            return self.parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is not {self.wanted}", param, ctx)


class Choice(click.Choice):  # type: ignore[type-arg, unused-ignore]  # generic in new clicks
    """One of some names, told as they are written; typed with ``-`` for ``_`` they are the same."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        """Return the name that was meant, as it is written."""
        meant = str(choice).replace("_", "-")
        return next((name for name in self.choices if name.replace("_", "-") == meant), meant)


_MOST_SIZE = 1 << 31
"""Of a dimension, as runtimes count them."""


class Shape(_Value):
    """An input and its shape."""

    name = "NAME=N,N,..."
    wanted = "of the form NAME=1,3,224,224"

    @staticmethod
    def parse(text: str) -> tuple[str, tuple[int, ...]]:
        """Split at the last ``=``: names of inputs may hold anything."""
        name, _, numbers = text.rpartition("=")
        shape = tuple(int(number) for number in numbers.split(",")) if numbers else ()
        if not name or not all(0 <= size < _MOST_SIZE for size in shape):
            raise ValueError(text)
        return name, shape


_GIVEN_VALUE = re.compile(
    r"(?P<model>(.*?\.(onnx|ort|tflite|lite):)?)"
    r"(\"(?P<quoted>[^\"]+)\"|(?P<plain>[^=]+))=(?P<value>.+)",
    re.DOTALL | re.IGNORECASE,
)
"""``NAME=VALUE`` or ``MODEL:NAME=VALUE``; a NAME that holds ``=`` stands in quotation marks."""


def split_given(text: str) -> tuple[str, str]:
    """Split ``NAME=VALUE`` at the first ``=`` behind ``MODEL:``: names seldom hold one.

    Raises:
        ValueError: no name or no value.
    """
    if (parts := _GIVEN_VALUE.fullmatch(text)) is None:
        raise ValueError(text)
    return parts["model"] + (parts["quoted"] or parts["plain"]), parts["value"]


class InputValue(_Value):
    """An input and its values."""

    name = "NAME=VALUE"
    wanted = "of the form NAME=16000, NAME=0:99, NAME=[1,2] or NAME=FILE.npy"

    @staticmethod
    def parse(text: str) -> tuple[str, Any]:
        """Read what stands behind the name."""
        from edgeprof.base.errors import InvalidJob
        from edgeprof.measuring.inputs import read_array, values_of

        name, value = split_given(text)
        try:
            if value.endswith(".npy"):
                return name, read_array(Path(value.removeprefix("@")))
            low, colon, high = value.partition(":")
            if colon and (ends := [_number(low), _number(high)]) and None not in ends:
                return name, values_of({"range": ends})
            return name, values_of(_plain(value))
        except InvalidJob as error:
            raise click.UsageError(str(error)) from error


class InputText(InputValue):
    """An input and its values as they were typed, for a command that types them again."""

    @staticmethod
    def parse(text: str) -> tuple[str, str]:
        """Refuse what cannot be read, and return the text."""
        InputValue.parse(text)
        return split_given(text)


def _number(text: str) -> float | int | None:
    """Return what a text says, if that is a finite number."""
    for kind in (int, float):
        try:
            number: float | int = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None


def _plain(text: str) -> Any:
    """Return a number, a list of them, true or false, or else the text."""
    parts = [_number(part) for part in text.split(",")]
    if None not in parts:
        return parts[0] if len(parts) == 1 else parts
    try:
        return parse_json(text)
    except ValueError:
        if text in ("inf", "-inf", "nan"):
            return float(text)
        return text


class CpuList(_Value):
    """Cores, in the kernel's own notation."""

    name = "CPUS"
    wanted = "a list of cores such as 0-3,6"

    @staticmethod
    def parse(text: str) -> tuple[int, ...]:
        """Read ``0-3,6``."""
        return tuple(parse_cpus(text))


class Integers(_Value):
    """Integers, separated by commas."""

    name = "N[,N...]"
    wanted = "a list of integers"

    @staticmethod
    def parse(text: str) -> tuple[int, ...]:
        """Read ``160,192``."""
        return tuple(int(part) for part in text.split(","))


class SourceLimit(_Value):
    """A latency source and its limit."""

    name = "SOURCE=MS"
    wanted = "of the form SOURCE=MS"

    @staticmethod
    def parse(text: str) -> tuple[Path, float]:
        """Split at the last ``=``."""
        path, equals, limit_ms = text.rpartition("=")
        if not equals:
            raise ValueError(text)
        return Path(path), float(limit_ms)


class Condition(_Value):
    """A field and the value it must have."""

    name = "FIELD=VALUE"
    wanted = "of the form FIELD=VALUE"

    @staticmethod
    def parse(text: str) -> tuple[str, str]:
        """Split at the first ``=``."""
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError(text)
        return key, value


class KeyValue(Condition):
    """A setting and its value, which is JSON where it can be, else text."""

    name = "KEY=VALUE"
    wanted = "of the form KEY=VALUE, with JSON for lists and objects"

    @staticmethod
    def parse(text: str) -> tuple[str, Any]:
        """Split at the first ``=``."""
        key, value = Condition.parse(text)
        try:
            return key, parse_json(value)
        except ValueError:
            if value.startswith(("{", "[")):
                raise
            return key, value


class Percentage(_Value):
    """A share, as in ``3%`` or ``0.03``."""

    name = "SHARE"
    wanted = "a percentage as in 3%, or a fraction below 1"

    @staticmethod
    def parse(text: str) -> float:
        """Return a fraction between 0 and 1."""
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if not 0 < share < 1:
            raise ValueError(text)
        return share
