"""Texts from outside, as people and other programs write them.

Owns: how files are decoded (UTF-8, with or without the mark that Excel puts first), JSON in which
a doubled key or an absurd number is an error and not a surprise, and whole numbers as pandas
writes them. Every fault is a ``ValueError`` with one line, whatever the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

ENCODING = "utf-8-sig"
"""For ``open`` and ``read_text``: UTF-8; a byte order mark is no part of the text."""

_MAX_DIGITS = 300
"""Of an integer: what is longer does not fit a float."""


def parse_json(text: str) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is no JSON; or has a key twice, a number beyond all bounds, or is nested too
            deeply.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_parse_digits,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise ValueError("lists or objects are nested too deeply") from None


def parse_integer(value: object) -> int:
    """Return a whole number: ``192``, ``"192"``, or 192.0 as tables of mixed columns have it.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number")
    text = str(value).strip()
    number = _parse_digits(text) if text.removeprefix("-").isdecimal() else float(text)
    if isinstance(number, float) and not number.is_integer():
        raise ValueError(f"{value!r} is no whole number")
    return int(number)


def first_double(names: Iterable[str]) -> str | None:
    """Return the first name that stands a second time."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key {first_double(name for name, _ in pairs)!r} stands twice")
    return found


def _parse_digits(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")
