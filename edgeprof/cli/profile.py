"""``edgeprof profile``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.cli import options
from edgeprof.cli.running import (
    NotAllMeasured,
    RunArguments,
    grades_of,
    print_board_summary,
    print_grades,
    print_local_summary,
)

if TYPE_CHECKING:
    from edgeprof.networks.subnet import Subnet
    from edgeprof.records.store import Store
    from edgeprof.runs.settings import ProfileSettings
    from edgeprof.runs.workload import Workload


_OF_SUBNETS = ("space", "resolutions", "subnet_file")
_OF_DRAWN = ("count", "seed")
_OF_WRITTEN_MODELS = ("models", "precision", "batch", "model_format")


@dataclass(frozen=True)
class ProfileArguments(RunArguments):
    """What is measured, where, and how."""

    files: tuple[Path, ...] = options.argument(nargs=-1, type=options.INPUT, metavar="[MODEL...]")
    space: str = options.space()
    count: int = options.count(default=100)
    seed: int = options.seed()
    resolutions: tuple[int, ...] | None = options.resolutions()
    subnet_file: Path | None = options.subnets()
    suites: tuple[str, ...] = options.option(
        "--suite",
        multiple=True,
        type=click.Choice(["layers", "networks"]),
        help="Measure models of our own: layers of all kinds, or known networks; may be repeated.",
    )
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    inputs: tuple[tuple[str, Any], ...] = options.inputs()
    store: Path = options.store()
    models: Path | None = options.option(
        "--models",
        type=options.OUTPUT_FOLDER,
        help="Folder of the model files  [default: beside the store, NAME-models]",
    )
    precision: str = options.precision()
    batch: int = options.batch()
    ci_rel: float = options.ci_rel()
    max_secs: float | None = options.max_secs()
    passes: int = options.option(
        "--passes",
        default=1,
        type=click.IntRange(1),
        help="Deprecated: multiplies --max-secs; subnets are measured in turns in any case.",
    )

    def check(self) -> None:
        """Refuse options that do not go together, with a usage error."""
        super().check()
        if self.files and self.suites:
            raise click.UsageError("MODEL files and --suite are measured one after the other")
        if self.suites and self.batch != 1:
            raise click.UsageError("the models of a --suite have batches of their own")
        if (self.shapes or self.inputs) and not self.files:
            raise click.UsageError("--shape and --input are for MODEL files")
        if self.files or self.suites:
            options.refuse_given(_OF_SUBNETS, "is for subnets")
        if self.files:
            options.refuse_given(_OF_DRAWN, "is for subnets and suites")
            options.refuse_given(_OF_WRITTEN_MODELS, "is for models that edgeprof writes")

    def subnets(self) -> list[Subnet]:
        """Read or draw the subnets; none where something else is measured."""
        if self.files or self.suites:
            return []
        import numpy as np

        from edgeprof.networks.spaces import get_space
        from edgeprof.networks.subnet import read_subnets

        if self.subnet_file is not None:
            return read_subnets(self.subnet_file, space=self.space)
        rng = np.random.default_rng(self.seed)
        return get_space(self.space).sample(self.count, rng, self.resolutions)

    def profile_settings(self) -> ProfileSettings:
        """Return how subnets are exported and measured."""
        from edgeprof.runs.files import format_of_files
        from edgeprof.runs.settings import ProfileSettings

        settings = ProfileSettings(
            **self.settings(
                precision=self.precision,
                batch=self.batch,
                ci_rel=self.ci_rel,
                max_secs=self.passes * (self.max_secs or self._usual_secs),
                shapes=dict(self.shapes),
                inputs=dict(self.inputs),
            )
        )
        return replace(settings, format=format_of_files(self.files)) if self.files else settings

    @property
    def _usual_secs(self) -> float:
        # Four hundred small models in ten minutes.
        return 1.0 if self.suites == ("layers",) else 5.0

    @property
    def _suite_count(self) -> int | None:
        """How many models of the suites were asked for; ``None`` for all."""
        return self.count if options.is_given("count") else None

    def workload(
        self, store: Store, subnets: Sequence[Subnet], executor: Executor | None
    ) -> Workload[Any]:
        """Return what is to be measured: model files, suites, or subnets."""
        from edgeprof.networks.suites import some_of, suite_models
        from edgeprof.runs.files import FileWorkload
        from edgeprof.runs.subnets import SubnetWorkload
        from edgeprof.runs.suites import SuiteWorkload

        settings, again = self.profile_settings(), self.retry_failed
        if self.files:
            return FileWorkload(self.files, store, settings, retry_failed=again)
        models = self.models or self.store.with_name(f"{self.store.stem}-models")
        if self.suites:
            wanted = {"format": self.model_format, "precision": self.precision}
            all_of_them = [
                m for suite in dict.fromkeys(self.suites) for m in suite_models(suite, **wanted)
            ]
            of_suites = some_of(all_of_them, self._suite_count or len(all_of_them))
            return SuiteWorkload(
                of_suites, store, settings, models, retry_failed=again, executor=executor
            )
        return SubnetWorkload(
            subnets, store, settings, models, retry_failed=again, executor=executor
        )


@click.command()
@options.takes(ProfileArguments)
def profile(arguments: ProfileArguments) -> None:
    """Sample, export and measure subnets in bulk; every raw sample goes into a store.

    With MODEL files, these are measured instead, whatever their networks; with --suite, models of
    our own, from which `train` learns what layers cost on a device, and so any network: all of
    them, or -n of all kinds alike, which are among those of a larger -n.

    A model is timed for 5 seconds where --max-secs is not given, one of the suite of layers for 1.

    The same command continues where it stopped: what is in the store is not measured again. Ends
    with a grade of each device's measurements: their noise floor against what is to be learned.

    \b
    Example:
      edgeprof profile --space ofa-mbv3-w1.0 -n 100 --seed 1 --store here.db
      edgeprof profile --subnets subnets.jsonl --store here.db --threads 4
      edgeprof profile a.onnx b.onnx --shape x=1,3,224,224 --store here.db
      edgeprof profile --suite layers --suite networks --boards boards.yaml --store rack.db
      edgeprof profile -n 1000 --boards boards.yaml --board rpi4 --store rack.db
    """
    from edgeprof.base.executors import EXPORTS_WORTH_A_POOL, bulk_executor
    from edgeprof.records.store import Store

    arguments.check()
    store, subnets = arguments.store, arguments.subnets()
    with Store(store) as opened, bulk_executor(len(subnets), EXPORTS_WORTH_A_POOL) as executor:
        summary = arguments.measure(arguments.workload(opened, subnets, executor))
        grades = grades_of(opened, summary)
    if arguments.inventory is None:
        print_local_summary(summary, arguments.as_json, store)
    else:
        print_board_summary(summary, arguments.as_json)
    print_grades(grades, err=arguments.as_json)
    if not summary.is_complete:
        raise NotAllMeasured(summary)
