"""``edgeprof report``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from edgeprof.cli import options
from edgeprof.cli.say import say


@dataclass(frozen=True)
class ReportArguments:
    """What ``edgeprof report`` is asked for."""

    stores: tuple[Path, ...] = options.argument(nargs=-1, required=True, type=options.INPUT)
    predictors: tuple[str, ...] = options.option(
        "--predictor",
        multiple=True,
        metavar="FILE[=DEVICE]",
        help="A predictor to judge by the rows of its device, or of DEVICE; may be repeated.",
    )
    space: str | None = options.space_of_files()
    results: tuple[Path, ...] = options.option(
        "--search",
        multiple=True,
        type=options.INPUT,
        help="Show these results of `edgeprof search --json`; may be repeated.",
    )
    no_learning_curve: bool = options.flag(
        "--no-learning-curve", help="Leave out training on parts of the rows."
    )
    png_folder: Path | None = options.option(
        "--png",
        type=options.OUTPUT_FOLDER,
        help="Draw each plot as a PNG file into this folder.",
    )
    output: Path = options.output_file(default="report.html", help="Page to write.")


@click.command()
@options.takes(ReportArguments)
def report(arguments: ReportArguments) -> None:
    """Write one HTML page about STORES that needs no network to be read.

    Machine state and warnings, latencies and their spread, predicted against measured, the
    learning curve, what searches found, and devices side by side.

    \b
    Example:
      edgeprof search --latency pi4.edgp --accuracy acc.npz --pareto --json > front.json
      edgeprof report rack.db --predictor pi4.edgp --search front.json -o report.html
      edgeprof report rack.db --predictor pi4.edgp --predictor tables/=pi4 -o report.html
    """
    from edgeprof.base.units import format_bytes
    from edgeprof.report import write_report
    from edgeprof.search.sources import load_latency

    files = [_parse_predictor(text) for text in arguments.predictors]
    loaded = [(path.name, load_latency(path, arguments.space)) for path, _ in files]
    written = write_report(
        arguments.stores,
        arguments.output,
        predictors=loaded,
        device_of={path.name: device for path, device in files if device},
        results=arguments.results,
        learning_curve=not arguments.no_learning_curve,
        png_folder=arguments.png_folder,
    )
    size = format_bytes(arguments.output.stat().st_size)
    say(f"{arguments.output}: {size}, {len(written.figure_ids)} plots")
    for path in written.png_paths:
        click.echo(path)


def _parse_predictor(text: str) -> tuple[Path, str | None]:
    path, equals, device = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), None
    return Path(path), device
