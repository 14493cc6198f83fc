"""``edgeprof ship``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from edgeprof.cli import options
from edgeprof.cli.say import say


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
    networks: tuple[Path, ...] = options.option(
        "--network",
        multiple=True,
        type=options.INPUT,
        help="Write the layers of an .onnx or .tflite model beside layer costs; may be repeated.",
    )
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = options.shapes()
    batch: int | None = options.batch_of_models()
    output: Path = options.output_folder(required=True, help="Folder to write to.")
    as_json: bool = options.as_json()


@click.command()
@options.takes(ShipArguments)
def ship(arguments: ShipArguments) -> None:
    """Write an .edgp predictor as source, as a model, or as the file itself.

    A .host.npz that was trained on networks becomes C source or an .edgp that predict networks from
    their layers.

    \b
    Examples:
      edgeprof ship pi4.edgp --to c -o firmware/
      edgeprof ship pi4.host.npz --to edgp --network detector.onnx -o board/
    """
    import json

    from edgeprof.base.units import format_bytes
    from edgeprof.measuring.inputs import fed_to_each
    from edgeprof.networks import read_network
    from edgeprof.predictors.ship.forms import ship as write_form

    fed = fed_to_each(arguments.networks, dict(arguments.shapes), {})
    networks = [
        (path.stem, read_network(path, shapes=own.shapes, batch=arguments.batch))
        for path, own in zip(arguments.networks, fed, strict=True)
    ]
    files = write_form(arguments.predictor, arguments.form, arguments.output, networks)
    if arguments.as_json:
        click.echo(json.dumps([str(file) for file in files]))
        return
    for file in files:
        say(f"{file}  {format_bytes(file.stat().st_size)}")
