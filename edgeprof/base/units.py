"""Units of measured quantities and how people read them.

Owns: the unit types and the formatting. A quantity carries its unit in its name
(``latency_median_ns``) and is an integer in the unit of its source; it is converted here, at the
edge, and nowhere else.
"""

from __future__ import annotations

import math
from typing import NewType

Milliseconds = NewType("Milliseconds", float)

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


def ns_to_ms(duration_ns: float) -> Milliseconds:
    """Convert nanoseconds to milliseconds."""
    return Milliseconds(duration_ns / NS_PER_MS)


def format_duration_ns(duration_ns: float) -> str:
    """Write a duration with three significant digits and its unit: ``7.62 ms``."""
    for limit_ns, unit in ((1_000, "ns"), (1_000_000, "us"), (NS_PER_S, "ms")):
        if abs(duration_ns) < limit_ns * 0.9995:
            return f"{_three_digits(duration_ns / (limit_ns / 1_000))} {unit}"
    return f"{_three_digits(duration_ns / NS_PER_S)} s"


def format_bytes(size_bytes: float) -> str:
    """Write a size with a binary unit: ``13.2 KiB``."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{_three_digits(size)} {unit}"
        size /= 1024
    return f"{_three_digits(size)} GiB"


def format_count(count: float) -> str:
    """Write a large count with its SI prefix: ``217 M``."""
    for limit, prefix in ((1e3, ""), (1e6, " k"), (1e9, " M")):
        if abs(count) < limit * 0.9995:
            return f"{_three_digits(count / (limit / 1e3))}{prefix}"
    return f"{_three_digits(count / 1e9)} G"


def format_significant(value: float, digits: int = 3) -> str:
    """Write a number with so many digits that count, and without exponent: ``0.0312``, ``217``."""
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def _three_digits(value: float) -> str:
    magnitude = abs(value)
    if magnitude >= 99.95 or magnitude == int(magnitude):
        return f"{value:.0f}"
    return f"{value:.1f}" if magnitude >= 9.995 else f"{value:.2f}"
