"""``edgeprof ship``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("predictor", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--to",
    "form",
    required=True,
    type=click.Choice(["c", "edgp", "onnx"]),
    help="C99 header and source, the file itself, or an ONNX model.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False, file_okay=False, path_type=Path),
    help="Folder to write to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the files as a JSON list.")
def ship(predictor: Path, form: str, output: Path, as_json: bool) -> None:
    """Write an .edgp predictor as source, as a model, or as the file itself.

    \b
    Example:
      edgeprof ship pi4.edgp --to c -o firmware/
    """
    import json

    from edgeprof.base.units import format_bytes
    from edgeprof.predictors.ship.forms import ship as ship_predictor

    files = ship_predictor(predictor, form, output)
    if as_json:
        click.echo(json.dumps([str(file) for file in files]))
        return
    for file in files:
        click.echo(f"{file}  {format_bytes(file.stat().st_size)}")
