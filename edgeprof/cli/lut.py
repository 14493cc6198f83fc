"""``edgeprof lut build|predict|convert``."""

from __future__ import annotations

from pathlib import Path

import click


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
@click.option("--device", help="Name of the device in the tables  [default: the host name]")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads.")
@click.option("--ci", default=0.02, show_default=True, help="Stop within +- this fraction.")
@click.option("--max-secs", default=3.0, show_default=True, help="Seconds per block at most.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def build(
    space: str,
    resolutions: str | None,
    output: Path,
    device: str | None,
    threads: int,
    ci: float,
    max_secs: float,
    as_json: bool,
) -> None:
    """Export each distinct block of a space as a model of its own and time it here.

    \b
    Example:
      edgeprof lut build --space ofa-mbv3-w1.0 --resolutions 160,224 -o pi4-lut/
    """
    import json
    import platform

    from edgeprof.cli.progress import progress
    from edgeprof.cli.subnets import parse_integers
    from edgeprof.harness import Settings
    from edgeprof.predictors.lut_build import HarnessTimer, build_tables, n_blocks
    from edgeprof.spaces import get_space

    found = get_space(space)
    wanted = parse_integers(resolutions, "--resolutions")
    settings = Settings(runtime="onnxruntime", threads=threads, ci_rel=ci, max_secs=max_secs)
    about = {
        "device": device or platform.node() or "this machine",
        "runtime": "onnxruntime",
        "threads": threads,
        "ci_rel": ci,
        "max_secs": max_secs,
    }
    with progress("Timing", n_blocks(found, wanted), quiet=as_json) as advance:
        tables = build_tables(
            found,
            output,
            HarnessTimer(settings),
            resolutions=wanted,
            about=about,
            progress=advance,
        )
    shown = {"folder": str(output), "space": tables.space, "resolutions": list(tables.resolutions)}
    if as_json:
        click.echo(json.dumps(shown))
    else:
        listed = ", ".join(map(str, tables.resolutions))
        click.echo(f"{output}: tables of {tables.space} on {tables.device} for {listed} pixels")


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

    from edgeprof.predictors.lut import load_tables
    from edgeprof.subnet import read_subnets

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
    from edgeprof.predictors.lut_file import read_tables, write_tables
    from edgeprof.predictors.lut_keys import Grammar

    for path in write_tables(read_tables(tables), output, Grammar(grammar)):
        click.echo(str(path))
