"""CPU numbers in the kernel's list form, ``0-3,6``."""

from __future__ import annotations

from collections.abc import Sequence


def format_cpus(cpus: Sequence[int]) -> str:
    """CPU numbers in the kernel's list form: ``0-3,6``."""
    ranges: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def parse_cpus(text: str) -> list[int]:
    """CPU numbers of the kernel's list form, ``0-3,6``.

    Raises:
        ValueError: it is not of that form.
    """
    cpus: set[int] = set()
    for piece in text.split(","):
        first, dash, last = piece.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"CPU list {text!r}: want numbers and ranges such as 0-3,6")
        low, high = int(first), int(last or first)
        if not low <= high < 8192:
            raise ValueError(f"CPU list {text!r}: {piece.strip()!r} is no range of CPUs")
        cpus.update(range(low, high + 1))
    return sorted(cpus)
