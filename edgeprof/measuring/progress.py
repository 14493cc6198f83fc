"""How a measurement goes while it runs, as the harness tells it between two rounds.

Owns: the file that the harness writes to (``csrc/board/progress_file.h``) and its form. Whoever
waits reads it now and then; the measuring process waits for nobody.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

_IN_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class ModelProgress:
    """How far one model is.

    Attributes:
        n_samples: timed inferences so far.
        latency_ns: their median when it was looked at last; before that a rough expectation.
        interval_ns: of the median; ``None`` until there is one.
        waits_for: ``"samples"``, ``"calm"`` ones, a narrow ``"interval"``, or ``"nothing"``: only
            the other models are not done.
    """

    n_samples: int
    latency_ns: float
    interval_ns: tuple[float, float] | None
    waits_for: str


@dataclass(frozen=True)
class Progress:
    """How far a measurement is.

    Attributes:
        phase: ``"opening"`` the runtime, ``"loading"``, ``"warming"`` up, ``"measuring"``,
            ``"profiling"`` by operator, ``"reporting"``.
        model: which of the models that is about, from 0; all of them while measuring.
        models: each of them, while measuring.
    """

    phase: str
    model: int = 0
    models: tuple[ModelProgress, ...] = ()


OnProgress: TypeAlias = Callable[[Progress], object]


class ProgressFile:
    """A file for the harness to write to; it goes with the block."""

    def __init__(self) -> None:
        folder = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
        # Without a buffer: what was read before is written anew.
        self._file = tempfile.NamedTemporaryFile(prefix="edgeprof-", dir=folder, buffering=0)  # noqa: SIM115 - see __exit__
        self.path = self._file.name

    def __enter__(self) -> ProgressFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self) -> Progress | None:
        """Return what stands there; nothing before the first word, or in the midst of one."""
        self._file.seek(0)
        try:
            return _progress_of(json.loads(self._file.read()))
        except (ValueError, LookupError, TypeError):
            return None


def _progress_of(told: dict[str, Any]) -> Progress:
    models = tuple(
        ModelProgress(
            int(one["n_samples"]),
            float(one["latency_ns"]),
            (float(one["ci_low_ns"]), float(one["ci_high_ns"])) if "ci_low_ns" in one else None,
            str(one["waits_for"]),
        )
        for one in told.get("models", ())
    )
    return Progress(str(told["phase"]), int(told.get("model", 0)), models)
