"""How the items of a run are exported and measured.

Owns: ``ProfileSettings``, how a board's own settings change them, and the fields of a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.this_machine import LOCAL_HOST
from edgeprof.measuring.harness import Settings, job_fields
from edgeprof.measuring.runtimes import default_runtime, entry_of, runtime_of

_LOAD_TYPICAL_S = 5.0
_LOAD_LIMIT_S = 120.0  # the board program's default
_LEAST_SAMPLES_S = 100.0  # that are taken whatever the budget: 10 of 10 s


@dataclass(frozen=True)
class ProfileSettings:
    """How models are exported and measured.

    Attributes:
        format: model format, ``"onnx"`` or ``"tflite"``.
        precision: ``"fp32"`` or ``"int8"``.
        batch: images per inference.
        runtime: name of the runtime; ``None`` for the one that reads the format.
        threads: threads of the runtime.
        cpus: CPUs to run on; empty leaves it to the scheduler.
        ci_rel: a model has been timed enough when the interval of its latency, beside the others,
            is within this fraction.
        max_secs: seconds of inferences per model; those that need it take it from the others.
        max_load_secs: bound of opening the runtime and loading a model, and again of its first
            inferences; the board program's default if ``None``.
        seed: of the inputs.
        library: the runtime's library on this machine; found where it is ``None``.
        runtime_options: options of the runtime by name.
        processes: that each model is timed in, one after the other.
        shapes: shape per input, for inputs of model files with dynamic dimensions.
        inputs: values per input of model files, as in ``measuring.harness.Settings``.
    """

    format: str = "onnx"
    precision: str = "fp32"
    batch: int = 1
    runtime: str | None = None
    threads: int = 1
    cpus: tuple[int, ...] = ()
    ci_rel: float = 0.01
    max_secs: float = 5.0
    max_load_secs: float | None = None
    seed: int = 0
    library: Path | None = None
    runtime_options: Mapping[str, Any] = field(default_factory=dict)
    processes: int = 3
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_kind(self) -> str:
        """Format, precision and batch in one word: ``"onnx-fp32-b1"``."""
        return f"{self.format}-{self.precision}-b{self.batch}"

    @property
    def runtime_name(self) -> str:
        """The runtime, or the first one that reads the format."""
        return self.runtime or default_runtime(self.format)

    @property
    def item_typical_s(self) -> float:
        """Seconds that an item should take."""
        return self.max_secs + self.processes * _LOAD_TYPICAL_S

    @property
    def item_limit_s(self) -> float:
        """Seconds that no item exceeds."""
        # Who exceeds the bound of loading, or that of the first inferences, is not loaded again.
        return self.max_secs + 2 * (self.max_load_secs or _LOAD_LIMIT_S) + _LEAST_SAMPLES_S

    def on(self, board: BoardSpec) -> ProfileSettings:
        """Return the settings as a board's entry of the inventory changes them.

        On this machine the runtime is one that is installed.
        """
        runtime = board.runtime or self.runtime
        if runtime is None and board.host == LOCAL_HOST:
            runtime = runtime_of(f"model.{self.format}")
        return replace(
            self,
            runtime=runtime or self.runtime_name,
            threads=board.threads or self.threads,
            cpus=board.cores or self.cpus,
            library=board.library or self.library,
            runtime_options={**self.runtime_options, **board.options},
        )

    def applied_to(self, board: BoardSpec) -> BoardSpec:
        """Return the board with the settings that its own entry does not have."""
        chosen = self.on(board)
        return replace(
            board,
            runtime=chosen.runtime,
            threads=chosen.threads,
            cores=chosen.cpus,
            library=chosen.library,
            options=chosen.runtime_options,
        )

    def job(self) -> dict[str, Any]:
        """Return the fields that every job line of these settings has."""
        settings = Settings(
            threads=self.threads,
            cpus=self.cpus,
            seed=self.seed,
            shapes=self.shapes,
            inputs=self.inputs,
            runtime_options=self.runtime_options,
        )
        return {"runtime": self.runtime_name, **job_fields(settings)}

    def campaign(self, n_items: int) -> dict[str, Any]:
        """Return how so many items are measured in turns: the fields of ``campaign.json``."""
        campaign = {
            "processes": self.processes,
            "budget_secs": n_items * self.max_secs,
            "ci_rel": self.ci_rel,
            "seed": self.seed,
        }
        if self.max_load_secs is not None:
            campaign["max_load_secs"] = self.max_load_secs
        return campaign

    def check_runtime(self, board: BoardSpec) -> None:
        """Refuse a runtime that cannot read the models.

        Raises:
            BoardSetupError: with the format that it reads.
        """
        runtime = self.on(board).runtime_name
        wanted = entry_of(runtime).formats
        if self.format not in wanted:
            raise board.error(
                f"runtime {runtime} does not read {self.format} models; "
                f"use --format {wanted[0]}, or another 'runtime' of this board"
            )
