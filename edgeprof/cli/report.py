"""``edgeprof report``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("stores", nargs=-1, required=True, type=click.Path(readable=False, path_type=Path))
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    metavar="FILE[=DEVICE]",
    help="Set this predictor beside the measurements of its device, or of DEVICE; may be repeated.",
)
@click.option("--space", help="Space of predictors that do not name one (lookup tables).")
@click.option(
    "--search",
    "results",
    multiple=True,
    type=click.Path(readable=False, path_type=Path),
    help="Show these results of `edgeprof search --json`; may be repeated.",
)
@click.option("--no-learning-curve", is_flag=True, help="Leave out training on parts of the rows.")
@click.option(
    "--png",
    "png_folder",
    type=click.Path(readable=False, file_okay=False, path_type=Path),
    help="Draw each plot as a PNG file into this folder, too.",
)
@click.option(
    "-o",
    "--output",
    default="report.html",
    show_default=True,
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="Page to write.",
)
def report(
    stores: tuple[Path, ...],
    predictors: tuple[str, ...],
    space: str | None,
    results: tuple[Path, ...],
    no_learning_curve: bool,
    png_folder: Path | None,
    output: Path,
) -> None:
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

    files = [_parse_predictor(text) for text in predictors]
    loaded = [(path.name, load_latency(path, space)) for path, _ in files]
    written = write_report(
        stores,
        output,
        predictors=loaded,
        device_of={path.name: device for path, device in files if device},
        results=results,
        learning_curve=not no_learning_curve,
        png_folder=png_folder,
    )
    size = format_bytes(output.stat().st_size)
    click.echo(f"{output}: {size}, {len(written.figure_ids)} plots")
    for path in written.png_paths:
        click.echo(path)


def _parse_predictor(text: str) -> tuple[Path, str | None]:
    path, equals, device = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), None
    return Path(path), device
