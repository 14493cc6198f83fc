"""``edgeprof export``."""

from __future__ import annotations

from pathlib import Path

import click

from edgeprof.cli.settings import (
    batch_option,
    dask_option,
    format_option,
    jobs_option,
    precision_option,
)


@click.command()
@click.argument("subnets", type=click.Path(readable=False, dir_okay=False, path_type=Path))
@format_option
@precision_option
@batch_option
@click.option(
    "--weights",
    "weights_path",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="OFA-MobileNetV3 checkpoint (.pth or .npz), put into each model  [default: made weights]",
)
@click.option("--space", help="Search space of subnets that name none.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False, file_okay=False, path_type=Path),
    help="Folder to write; models that are there already are kept.",
)
@jobs_option
@dask_option
@click.option("--json", "as_json", is_flag=True, help="Print the manifest's entries.")
def export(
    subnets: Path,
    model_format: str,
    precision: str,
    batch: int,
    weights_path: Path | None,
    space: str | None,
    output: Path,
    jobs: int | None,
    dask: str | None,
    as_json: bool,
) -> None:
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

    weights = None
    if weights_path is not None:
        from edgeprof.export.ofa_weights import OfaWeights

        weights = OfaWeights(weights_path)
    wanted = read_subnets(subnets, space=space)
    with (
        bulk_executor(len(wanted), EXPORTS_WORTH_A_POOL, jobs=jobs, dask=dask) as executor,
        progress_bar("Exporting", len(wanted), quiet=as_json) as advance,
    ):
        entries = export_subnets(
            wanted,
            output.absolute(),
            format=model_format,
            precision=precision,
            batch=batch,
            weights=weights,
            progress=advance,
            executor=executor,
        )
    if as_json:
        click.echo("[" + ",\n".join(entry.to_json() for entry in entries) + "]")
        return
    files = {entry.file for entry in entries}
    click.echo(f"{output}: {len(files)} models, listed in {MANIFEST_NAME}")
