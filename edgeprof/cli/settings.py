"""The options of a measurement, shared by the commands that time model files."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.cli import options

if TYPE_CHECKING:
    from edgeprof.measuring.harness import Settings


@dataclass(frozen=True)
class SettingsArguments:
    """How model files are to be timed."""

    runtime: str | None = options.runtime()
    library: Path | None = options.library()
    threads: int = options.threads()
    cpus: tuple[int, ...] = options.cpus()
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    inputs: tuple[tuple[str, Any], ...] = options.inputs()
    providers: tuple[str, ...] = options.providers()
    runtime_options: tuple[tuple[str, Any], ...] = options.runtime_options()
    ci_rel: float = options.ci_rel()
    max_secs: float = options.max_secs(default=10.0)
    max_load_secs: float | None = options.max_load_secs()
    max_drift: float = options.option(
        "--max-drift",
        default=0.1,
        type=options.POSITIVE,
        help="Refuse when the machine changes by more than this share meanwhile.",
    )
    reference: str | None = options.option(
        "--reference",
        type=click.Path(readable=False),
        help="A model that runs in the same turns and shows drift  [default: a built-in loop]",
    )
    seed: int = options.seed()

    def settings(self) -> Settings:
        """Return the settings of one measurement."""
        from edgeprof.measuring.harness import Settings

        values = {field.name: getattr(self, field.name) for field in fields(SettingsArguments)}
        chosen = options.with_providers(self.runtime_options, values.pop("providers"))
        values.update(shapes=dict(self.shapes), inputs=dict(self.inputs), runtime_options=chosen)
        return Settings(**values)
