"""``edgeprof export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options

if TYPE_CHECKING:
    from edgeprof.export.ofa_weights import OfaWeights


@dataclass(frozen=True)
class ExportArguments:
    """What ``edgeprof export`` is asked for."""

    subnets: Path = options.argument(type=options.INPUT)
    model_format: str = options.model_format()
    precision: str = options.precision()
    batch: int = options.batch()
    weights: Path | None = options.option(
        "--weights",
        type=options.INPUT,
        help="OFA-MobileNetV3 checkpoint (.pth or .npz) for the models  [default: made weights]",
    )
    space: str | None = options.space_of_files()
    output: Path = options.output_folder(
        required=True, help="Folder to write; models that are there already are kept."
    )
    jobs: int | None = options.jobs()
    dask: str | None = options.dask()
    as_json: bool = options.as_json()

    def trained_weights(self) -> OfaWeights | None:
        """Return the weights of the checkpoint, if one is given."""
        if self.weights is None:
            return None
        from edgeprof.export.ofa_weights import OfaWeights

        return OfaWeights(self.weights)


@click.command()
@options.takes(ExportArguments)
def export(arguments: ExportArguments) -> None:
    """Write the model files of subnets (JSON lines) and a manifest that joins both.

    Workers of a Dask scheduler must see the same folder.

    \b
    Example:
      edgeprof sample -n 100 -o subnets.jsonl
      edgeprof export subnets.jsonl --format onnx -o models
      edgeprof export subnets.jsonl --format tflite --precision int8 -o models
    """
    from edgeprof.base.executors import EXPORTS_WORTH_A_POOL, bulk_executor
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.export import MANIFEST_NAME, export_subnets
    from edgeprof.networks.subnet import read_subnets

    wanted = read_subnets(arguments.subnets, space=arguments.space)
    spread = bulk_executor(
        len(wanted), EXPORTS_WORTH_A_POOL, jobs=arguments.jobs, dask=arguments.dask
    )
    bar = progress_bar("Exporting", len(wanted), quiet=arguments.as_json)
    with spread as executor, bar as advance:
        entries = export_subnets(
            wanted,
            arguments.output.absolute(),
            format=arguments.model_format,
            precision=arguments.precision,
            batch=arguments.batch,
            weights=arguments.trained_weights(),
            progress=advance,
            executor=executor,
        )
    if arguments.as_json:
        click.echo("[" + ",\n".join(entry.to_json() for entry in entries) + "]")
        return
    n_files = len({entry.file for entry in entries})
    click.echo(f"{arguments.output}: {n_files} models, listed in {MANIFEST_NAME}")
