"""Axes: where a value stands, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprof.base.units import format_count, format_significant

LENGTH = 1000
"""Length of an axis in the units of a drawing."""

_MARGIN = 0.04
_MOST_TICKS = 6
_OF_DECADE = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))


@dataclass(frozen=True)
class Scale:
    """The range of an axis.

    Attributes:
        low, high: its ends.
        log: whether it is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Sequence[float], *, log: bool = False) -> Scale:
        """Return the range of values with a margin; a logarithmic one is of positive values."""
        known = np.asarray(values, dtype=np.float64)
        known = known[np.isfinite(known) & (known > 0 if log else True)]
        if not len(known):
            known = np.ones(1)
        low, high = float(known.min()), float(known.max())
        if log:
            reach = max(_MARGIN * math.log(high / low), 0.02)
            return cls(low * math.exp(-reach), high * math.exp(reach), log=True)
        reach = _MARGIN * (high - low) or 0.05 * abs(high) or 0.5
        return cls(low - reach, high + reach)

    def at(self, values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64]:
        """Return where values stand, 0 to ``LENGTH``; those beyond an end at that end."""
        given = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.log:
            given, low, high = np.log(np.maximum(given, low / 2)), math.log(low), math.log(high)
        placed = np.rint(LENGTH * (given - low) / (high - low))
        return np.clip(placed, 0, LENGTH).astype(np.int64)

    def ticks(self) -> list[float]:
        """Return a handful of round values within the range."""
        if self.log and self.high / self.low > 2.5:
            for steps in reversed(_OF_DECADE):
                ticks = self._log_ticks(steps)
                if 2 <= len(ticks) <= _MOST_TICKS:
                    return ticks
        return self._linear_ticks()

    def _log_ticks(self, steps: Sequence[float]) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.floor(math.log10(self.high))
        all_of = [step * 10.0**decade for decade in range(first, last + 1) for step in steps]
        return [value for value in all_of if self.low <= value <= self.high]

    def _linear_ticks(self) -> list[float]:
        rough = (self.high - self.low) / (_MOST_TICKS - 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
        first = math.ceil(self.low / step)
        return [step * n for n in range(first, math.floor(self.high / step) + 1)]


def tick_text(value: float, *, has_prefixes: bool = False) -> str:
    """Write a round value without needless zeros."""
    if has_prefixes:
        return format_count(value)
    text = format_significant(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
