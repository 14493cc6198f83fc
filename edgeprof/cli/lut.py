"""``edgeprof lut build|predict|convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli.settings import (
    SECONDS,
    SHARE,
    board_option,
    format_option,
    threads_option,
)

if TYPE_CHECKING:
    from edgeprof.runs.settings import ProfileSettings


@click.group()
def lut() -> None:
    """Lookup tables of block latencies, as Once-For-All and ProxylessNAS have them.

    \b
    Example:
      edgeprof lut build --space ofa-mbv3-w1.0 --resolutions 224 -o pi4-lut/
      edgeprof lut predict pi4-lut/ subnets.jsonl
    """


@lut.command()
@click.option("--space", default="ofa-mbv3-w1.0", show_default=True, help="Search space.")
@click.option(
    "--resolutions",
    metavar="R[,R...]",
    help="Resolutions to build tables for, in pixels  [default: those the space samples]",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False, file_okay=False, path_type=Path),
    help="Folder of the tables; a build that was cut off goes on there.",
)
@click.option("--device", help="Name of this machine in the tables  [default: the host name]")
@format_option
@click.option("--runtime", help="Inference runtime  [default: by the format]")
@threads_option
@click.option(
    "--ci", default=0.02, show_default=True, type=SHARE, help="Stop within +- this fraction."
)
@click.option(
    "--max-secs",
    default=3.0,
    show_default=True,
    type=SECONDS,
    help="Seconds per block at most.",
)
@click.option(
    "--boards",
    "inventory_path",
    type=click.Path(readable=False, path_type=Path),
    help="Time on the boards of this inventory instead of here; tables go to OUTPUT/DEVICE.",
)
@board_option
@click.option(
    "--attempts",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="On boards: of a block whose measurement failed in passing, or was disturbed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def build(
    space: str,
    resolutions: str | None,
    output: Path,
    device: str | None,
    model_format: str,
    runtime: str | None,
    threads: int,
    ci: float,
    max_secs: float,
    inventory_path: Path | None,
    board_names: tuple[str, ...],
    attempts: int,
    as_json: bool,
) -> None:
    """Export each distinct block of a space as a model of its own and time it, here or on boards.

    \b
    Example:
      edgeprof lut build --space ofa-mbv3-w1.0 --resolutions 160,224 -o pi4-lut/
      edgeprof lut build --resolutions 224 --boards boards.yaml --board rpi4 -o luts/
    """
    from edgeprof.cli.subnets import parse_integers
    from edgeprof.measuring.runtimes import default_runtime
    from edgeprof.runs.settings import ProfileSettings

    settings = ProfileSettings(
        format=model_format,
        runtime=runtime or default_runtime(model_format),
        threads=threads,
        ci_rel=ci,
        max_secs=max_secs,
    )
    wanted = parse_integers(resolutions, "--resolutions")
    if inventory_path is not None:
        if device is not None:
            raise click.UsageError("--device names this machine; boards are named by --boards")
        chosen = inventory_path, board_names, attempts
        _build_on_boards(space, wanted, output, settings, *chosen, as_json=as_json)
        return
    if board_names:
        raise click.UsageError("--board goes with --boards")
    _build_here(space, wanted, output, device, settings, as_json)


def _build_here(
    space: str,
    resolutions: list[int] | None,
    output: Path,
    device: str | None,
    settings: ProfileSettings,
    as_json: bool,
) -> None:
    import json
    import platform

    from edgeprof.base.files import sha256_of
    from edgeprof.cli.progress_bar import progress_bar
    from edgeprof.measuring.harness import Settings
    from edgeprof.measuring.runtimes import find_library
    from edgeprof.networks.spaces import get_space
    from edgeprof.runs.lut_build import HarnessTimer, build_tables, n_blocks

    found = get_space(space)
    library = find_library(settings.runtime)
    about = {
        "device": device or platform.node() or "this machine",
        "runtime": settings.runtime,
        "library_sha256": library and sha256_of(library.path),
        "format": settings.format,
        "threads": settings.threads,
        "ci_rel": settings.ci_rel,
        "max_secs": settings.max_secs,
    }
    timer = HarnessTimer(
        Settings(
            runtime=settings.runtime,
            threads=settings.threads,
            ci_rel=settings.ci_rel,
            max_secs=settings.max_secs,
        ),
        settings.format,
    )
    with progress_bar("Timing", n_blocks(found, resolutions), quiet=as_json) as advance:
        tables = build_tables(
            found, output, timer, resolutions=resolutions, about=about, progress=advance
        )
    shown = {"folder": str(output), "space": tables.space, "resolutions": list(tables.resolutions)}
    if as_json:
        click.echo(json.dumps(shown))
    else:
        listed = ", ".join(map(str, tables.resolutions))
        click.echo(f"{output}: tables of {tables.space} on {tables.device} for {listed} pixels")


def _build_on_boards(
    space: str,
    resolutions: list[int] | None,
    output: Path,
    settings: ProfileSettings,
    inventory_path: Path,
    names: tuple[str, ...],
    attempts: int,
    *,
    as_json: bool,
) -> None:
    import json

    from edgeprof.base.executors import EXPORTS_WORTH_A_POOL, bulk_executor
    from edgeprof.boards.inventory import read_inventory
    from edgeprof.networks.spaces import get_space
    from edgeprof.runs.lut_blocks import build_tables_on_boards
    from edgeprof.runs.context import FleetOptions
    from edgeprof.runs.queue import RetryPolicy
    from edgeprof.runs.view import shown, summary_lines
    from edgeprof.runs.lut_build import n_blocks

    found = get_space(space)
    n_models = n_blocks(found, resolutions)
    inventory = read_inventory(inventory_path)
    boards = inventory.select(names)
    for problem in inventory.problems.values():
        click.echo(f"edgeprof: {problem}", err=True)
    with (
        shown(quiet=as_json) as listener,
        bulk_executor(n_models, EXPORTS_WORTH_A_POOL) as executor,
    ):
        summary, folders = build_tables_on_boards(
            found,
            output,
            boards,
            settings=settings,
            resolutions=resolutions,
            options=FleetOptions(policy=RetryPolicy(attempts=attempts)),
            listener=listener,
            executor=executor,
        )
    if as_json:
        tables = {device: str(folder) for device, folder in folders.items()}
        click.echo(json.dumps({**summary.as_dict(), "tables": tables}))
    else:
        click.echo("\n".join(summary_lines(summary)))
        for device, folder in folders.items():
            click.echo(f"{folder}: tables of {space} on {device}")
    if summary.failed or summary.unfinished or summary.unreached:
        raise SystemExit(1)


@lut.command()
@click.argument("tables", type=click.Path(readable=False, path_type=Path))
@click.argument("subnets", type=click.Path(readable=False, path_type=Path))
@click.option("--space", help="Search space, where the tables do not name it.")
def predict(tables: Path, subnets: Path, space: str | None) -> None:
    """Sum the entries of each subnet; one JSON object a line: the subnet and its latency_ms.

    TABLES is a folder of <resolution>_lookup_table.yaml, or one YAML file.

    \b
    Example:
      edgeprof lut predict note10_lut/ subnets.jsonl
    """
    import json

    from edgeprof.networks.subnet import read_subnets
    from edgeprof.predictors.lut.tables import load_tables

    loaded = load_tables(tables, space)
    listed = read_subnets(subnets, space=loaded.space)
    for subnet, latency_ms in zip(listed, loaded.predict(listed), strict=True):
        line = {**subnet.to_dict(), "latency_ms": float(latency_ms)}
        click.echo(json.dumps(line, separators=(",", ":")))


@lut.command()
@click.argument("tables", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--to",
    "grammar",
    required=True,
    type=click.Choice(["ofa", "proxyless"]),
    help="Once-For-All's form (expand in channels, std) or ProxylessNAS's (ratio, var).",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False, file_okay=False, path_type=Path),
    help="Folder to write to.",
)
def convert(tables: Path, grammar: str, output: Path) -> None:
    """Rewrite lookup tables in the other form; a key it cannot say is an error.

    \b
    Example:
      edgeprof lut convert mobile_trim.yaml --to ofa -o proxyless-lut/
    """
    from edgeprof.predictors.lut.lut_file import read_tables, write_tables
    from edgeprof.predictors.lut.lut_keys import Grammar

    for path in write_tables(read_tables(tables), output, Grammar(grammar)):
        click.echo(str(path))
