"""``edgeprof report``."""

from __future__ import annotations

import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options
from edgeprof.cli.say import say

if TYPE_CHECKING:
    from edgeprof.report import Contents


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
    serve: bool = options.flag(
        "--serve", help="Write no file: show the page at an address of this machine, made anew each"
        " time that it is loaded.",
    )  # fmt: skip
    port: int = options.option(
        "--port", default=0, type=click.IntRange(0, 65535), help="Where to serve; 0: any free port."
    )
    open_it: bool = options.flag("--open", help="Open the page in a browser.")

    def check(self) -> None:
        """Refuse options that would change nothing."""
        if self.serve:
            options.refuse_given(("output", "png_folder"), "goes without --serve")
        else:
            options.refuse_given(("port",), "needs --serve")


@click.command()
@options.takes(ReportArguments)
def report(arguments: ReportArguments) -> None:
    """Write one HTML page about STORES that needs no network to be read.

    First the answer: what was measured where, whether it can be trusted, the best networks, and
    how good predictions are of networks that were held out. Then plots and tables; machine state
    and warnings stand at the end.

    \b
    Example:
      edgeprof search --latency pi4.edgp --accuracy acc.npz --pareto --json > front.json
      edgeprof report rack.db --predictor pi4.edgp --search front.json -o report.html
      edgeprof report rack.db --predictor pi4.edgp --predictor tables/=pi4 --open
      edgeprof report rack.db --serve --port 8000
    """
    from edgeprof.report import Contents, load_for_report

    arguments.check()
    files = [_parse_predictor(text) for text in arguments.predictors]
    contents = Contents(
        arguments.stores,
        [load_for_report(path, arguments.space) for path, _ in files],
        device_of={path.name: device for path, device in files if device},
        results=arguments.results,
        learning_curve=not arguments.no_learning_curve,
    )
    (_serve if arguments.serve else _write)(contents, arguments)


def _write(contents: Contents, arguments: ReportArguments) -> None:
    from edgeprof.base.units import format_bytes
    from edgeprof.report import write_report

    written = write_report(contents, arguments.output, png_folder=arguments.png_folder)
    size = format_bytes(arguments.output.stat().st_size)
    say(f"{arguments.output}: {size}, {len(written.figure_ids)} plots")
    for path in written.png_paths:
        click.echo(path)
    if arguments.open_it:
        _open(arguments.output.absolute().as_uri())


def _serve(contents: Contents, arguments: ReportArguments) -> None:
    from edgeprof.report import render_page, report_server

    contents.page()  # what is wrong with the arguments is said here, not in the browser
    server, address = report_server(lambda: render_page(contents.page()), arguments.port)
    say(f"{address} (Ctrl-C ends it)")
    sys.stdout.flush()
    if arguments.open_it:
        _open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


def _open(address: str) -> None:
    if not webbrowser.open(address):
        say(f"no browser could be opened: open {address}", err=True)


def _parse_predictor(text: str) -> tuple[Path, str | None]:
    path, equals, device = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), None
    return Path(path), device
