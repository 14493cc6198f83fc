"""``edgeprof ship``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from edgeprof.cli import options


@dataclass(frozen=True)
class ShipArguments:
    """What ``edgeprof ship`` is asked for."""

    predictor: Path = options.argument(type=options.INPUT)
    form: str = options.option(
        "--to",
        required=True,
        type=click.Choice(["c", "edgp", "onnx"]),
        help="C99 header and source, the file itself, or an ONNX model.",
    )
    output: Path = options.output_folder(required=True, help="Folder to write to.")
    as_json: bool = options.as_json()


@click.command()
@options.takes(ShipArguments)
def ship(arguments: ShipArguments) -> None:
    """Write an .edgp predictor as source, as a model, or as the file itself.

    \b
    Example:
      edgeprof ship pi4.edgp --to c -o firmware/
    """
    import json

    from edgeprof.base.units import format_bytes
    from edgeprof.predictors.ship.forms import ship as write_form

    files = write_form(arguments.predictor, arguments.form, arguments.output)
    if arguments.as_json:
        click.echo(json.dumps([str(file) for file in files]))
        return
    for file in files:
        click.echo(f"{file}  {format_bytes(file.stat().st_size)}")
