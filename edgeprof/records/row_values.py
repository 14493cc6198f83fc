"""Values in the rows of tables: latencies, errors, subnets, read and checked.

Owns: what a cell may hold. Which row and column is wrong is the caller's to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgeprof.base.errors import InvalidSubnet
from edgeprof.base.parse import parse_integer, parse_json
from edgeprof.networks.subnet import Subnet


class InvalidRow(Exception):
    """One row cannot be learned from: the column and what is wrong with it."""

    def __init__(self, column: str, problem: str) -> None:
        super().__init__(problem)
        self.column = column


def parse_latency(value: object) -> float:
    """Return a latency in ms, or raise ``InvalidRow``."""
    try:
        latency_ms = float(str(value))
    except ValueError:
        latency_ms = math.nan
    if not (math.isfinite(latency_ms) and latency_ms > 0):
        raise InvalidRow("latency_ms", f"{value!r}, want a positive number of milliseconds")
    return latency_ms


def parse_error(value: object) -> float:
    """Return a standard error in ms, NaN where the cell is empty or says so, or raise."""
    try:
        error_ms = float("nan" if value is None else str(value) or "nan")
    except ValueError:
        error_ms = -1.0
    if not (math.isnan(error_ms) or 0 <= error_ms < math.inf):
        raise InvalidRow("latency_se", f"{value!r}, want milliseconds, 0 or more, or nothing")
    return error_ms


def subnet_of_row(values: Mapping[str, object]) -> Subnet:
    """Return the subnet of a table's row.

    Raises:
        InvalidRow: naming the column that is wrong.
    """
    lists = {name: _parse_list(values[name], name) for name in ("ks", "e", "d")}
    if values.get("w") not in (None, ""):
        lists["w"] = _parse_list(values["w"], "w")
    try:
        resolution = _parse_resolution(values["resolution"])
    except ValueError:
        raise InvalidRow("resolution", f"{values['resolution']!r}, want pixels") from None
    try:
        return Subnet.from_dict({"space": str(values["space"]), **lists, "r": resolution})
    except InvalidSubnet as error:
        name = str(error.evidence.get("field", "space"))
        raise InvalidRow("resolution" if name == "r" else name, str(error)) from error


def _parse_resolution(value: object) -> int:
    """Return the resolution of a table's cell: a whole number, or OFA's list of one.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parse_json(value)
    if isinstance(value, list):
        (value,) = value
    return parse_integer(value)


def _parse_list(value: object, column: str) -> list[object]:
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError:
            raise InvalidRow(column, f"{value!r}, want a JSON list of numbers") from None
    if not isinstance(value, list):
        raise InvalidRow(column, f"{value!r}, want a JSON list of numbers")
    return value
