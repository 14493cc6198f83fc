"""Whether a predictor is worth using: against MACs, and against what the rows can show at all.

Owns: the noise floor of measurements, and the verdict in words.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from edgeprof.predictors.base import Latencies
from edgeprof.predictors.examples import Judged
from edgeprof.predictors.features import Floats

_MEAN_OF_NORMAL = math.sqrt(2 / math.pi)
"""Mean absolute value of a normal deviate of standard deviation 1."""
_SURE = 2.0
"""Standard errors by which errors must differ before one predictor counts as better."""
_KNOWN_SHARE = 0.5


@dataclass(frozen=True)
class Verdict:
    """A predictor beside MACs and beside the noise of the rows it is judged on.

    Attributes:
        mape: of the predictor.
        macs_mape: of MACs, scaled.
        beats_macs: whether it is better by more than chance.
        noise_floor: the MAPE that a perfect predictor would show; None where the rows do not say.
    """

    mape: float
    macs_mape: float
    beats_macs: bool
    noise_floor: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)

    @property
    def lines(self) -> tuple[str, str]:
        """The noise floor and the verdict, for people."""
        if self.noise_floor is None:
            floor = "noise floor unknown: no standard errors (latency_se), no repeated networks"
        else:
            floor = f"noise floor {self.noise_floor:.2%}: what a perfect predictor would show"
        return floor, f"{self.against_macs} (MAPE {self.mape:.2%}, MACs {self.macs_mape:.2%})"

    @property
    def against_macs(self) -> str:
        """The verdict in a few words."""
        if not self.beats_macs:
            return "no better than MACs: do not use"
        times = f"{self.macs_mape / self.mape:.1f} times " if self.mape > 0 else ""
        return f"{times}better than MACs"


def judge(predicted_ms: Latencies, macs_ms: Latencies, rows: Judged) -> Verdict:
    """Compare predictions, and those of MACs, with measured rows, (n,) each."""
    errors, macs_errors = (np.abs(p / rows.values - 1) for p in (predicted_ms, macs_ms))
    gains = macs_errors - errors
    standard_error = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    beats = bool(gains.mean() > _SURE * standard_error)
    return Verdict(float(errors.mean()), float(macs_errors.mean()), beats, noise_floor(rows))


def noise_floor(rows: Judged) -> float | None:
    """Return the MAPE that the noise of the rows alone makes.

    From their standard errors where most have one, else from networks that stand there repeatedly.
    """
    known = rows.standard_errors > 0
    if known.mean() > _KNOWN_SHARE:
        relative = rows.standard_errors[known] / rows.values[known]
        return float(_MEAN_OF_NORMAL * relative.mean())
    deviation = _deviation_of_repeats(rows)
    return None if deviation is None else _MEAN_OF_NORMAL * deviation


def _deviation_of_repeats(rows: Judged) -> float | None:
    groups: dict[bytes, list[float]] = {}
    for key, value in zip(rows.keys, rows.values, strict=True):
        groups.setdefault(key, []).append(math.log(value))
    repeated: list[Floats] = [np.array(logs) for logs in groups.values() if len(logs) > 1]
    if not repeated:
        return None
    squares = sum(float(np.square(logs - logs.mean()).sum()) for logs in repeated)
    return math.sqrt(squares / sum(len(logs) - 1 for logs in repeated))
