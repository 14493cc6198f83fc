"""``edgeprof lut build|predict|convert``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options
from edgeprof.cli.groups import Group
from edgeprof.cli.running import (
    RunArguments,
    grades_of,
    print_board_summary,
    print_failures,
    print_grades,
)
from edgeprof.cli.say import say
from edgeprof.cli.values import Choice
from edgeprof.measuring.runtimes import NULL, RUNTIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeprof.runs.lut_blocks import BlockWorkload
    from edgeprof.runs.summary import RunSummary


@click.group(cls=Group)
def lut() -> None:
    """Lookup tables of block latencies, as Once-For-All and ProxylessNAS have them.

    \b
    Example:
      edgeprof lut build --space ofa-mbv3-w1.0 --resolutions 224 -o pi4-lut/
      edgeprof lut predict pi4-lut/ subnets.jsonl
    """


@dataclass(frozen=True)
class BuildArguments(RunArguments):
    """Which tables are built, where, and how."""

    space: str = options.space()
    resolutions: tuple[int, ...] | None = options.resolutions()
    output: Path = options.output_folder(
        required=True,
        help="Folder of the tables (with --boards, OUTPUT/DEVICE); a build that was cut off goes "
        "on there.",
    )
    runtime: str | None = options.runtime(type=Choice((*RUNTIMES, NULL)))
    ci_rel: float = options.ci_rel()
    max_secs: float = options.max_secs(default=3.0)


@lut.command()
@options.takes(BuildArguments)
def build(arguments: BuildArguments) -> None:
    """Export each distinct block of a space as a model of its own and time it, here or on boards.

    \b
    Example:
      edgeprof lut build --space ofa-mbv3-w1.0 --resolutions 160,224 -o pi4-lut/
      edgeprof lut build --resolutions 224 --boards boards.yaml --board rpi4 -o luts/
    """
    from edgeprof.base.executors import EXPORTS_WORTH_A_POOL, bulk_executor
    from edgeprof.networks.spaces import get_space
    from edgeprof.runs.lut_blocks import block_workload
    from edgeprof.runs.settings import ProfileSettings

    arguments.check()
    how = arguments.settings(ci_rel=arguments.ci_rel, max_secs=arguments.max_secs)
    with block_workload(
        get_space(arguments.space),
        arguments.output,
        ProfileSettings(**how),
        resolutions=arguments.resolutions,
        one_device=arguments.inventory is None,
        retry_failed=arguments.retry_failed,
    ) as workload:
        with bulk_executor(workload.n_blocks, EXPORTS_WORTH_A_POOL) as workload.executor:
            summary = arguments.measure(workload)
        tables = workload.write()
        grades = grades_of(workload.store, summary)
    _report(arguments, summary, workload, tables)
    print_grades(grades, err=arguments.as_json)
    if not summary.is_complete or not tables:
        raise SystemExit(1)


def _report(
    arguments: BuildArguments,
    summary: RunSummary,
    workload: BlockWorkload,
    tables: Mapping[str, Path],
) -> None:
    """Print the tables and what failed; without tables of this machine, an error."""
    from edgeprof.base.errors import LookupTableError

    is_here = arguments.inventory is None
    if not is_here:
        folders = {device: str(folder) for device, folder in tables.items()}
        print_board_summary(summary, arguments.as_json, tables=folders)
    elif arguments.as_json and tables:
        shown = {"folder": str(arguments.output), "space": arguments.space}
        click.echo(json.dumps({**shown, "resolutions": list(workload.resolutions)}))
    if not arguments.as_json:
        for device, folder in tables.items():
            pixels = ", ".join(map(str, workload.resolutions))
            say(f"{folder}: tables of {arguments.space} on {device} for {pixels} pixels")
    if is_here:
        print_failures(summary)
        if not tables:
            raise LookupTableError(
                f"{arguments.output}: {workload.n_blocks - summary.measured - summary.found_done} "
                "blocks could not be timed; no tables are written without them"
            )


@dataclass(frozen=True)
class PredictArguments:
    """Which subnets are predicted, and by which tables."""

    tables: Path = options.argument(type=options.INPUT)
    subnets: Path = options.argument(type=options.INPUT)
    space: str | None = options.space_of_files()


@lut.command()
@options.takes(PredictArguments)
def predict(arguments: PredictArguments) -> None:
    """Sum the entries of each subnet; one JSON object a line: the subnet and its latency_ms.

    TABLES is a folder of <resolution>_lookup_table.yaml, or one YAML file.

    \b
    Example:
      edgeprof lut predict note10_lut/ subnets.jsonl
    """
    from edgeprof.networks.subnet import read_subnets
    from edgeprof.predictors.lut.tables import load_tables

    loaded = load_tables(arguments.tables, arguments.space)
    listed = read_subnets(arguments.subnets, space=loaded.space)
    for subnet, latency_ms in zip(listed, loaded.predict(listed), strict=True):
        line = {**subnet.to_dict(), "latency_ms": float(latency_ms)}
        click.echo(json.dumps(line, separators=(",", ":")))


@dataclass(frozen=True)
class ConvertArguments:
    """Which tables are rewritten, and how."""

    tables: Path = options.argument(type=options.INPUT)
    grammar: str = options.option(
        "--to",
        required=True,
        type=click.Choice(["ofa", "proxyless"]),
        help="Once-For-All's form (expand in channels, std) or ProxylessNAS's (ratio, var).",
    )
    output: Path = options.output_folder(required=True, help="Folder to write to.")


@lut.command()
@options.takes(ConvertArguments)
def convert(arguments: ConvertArguments) -> None:
    """Rewrite lookup tables in the other form; a key it cannot say is an error.

    \b
    Example:
      edgeprof lut convert mobile_trim.yaml --to ofa -o proxyless-lut/
    """
    from edgeprof.predictors.lut.lut_file import read_tables, write_tables
    from edgeprof.predictors.lut.lut_keys import Grammar

    tables = read_tables(arguments.tables)
    for path in write_tables(tables, arguments.output, Grammar(arguments.grammar)):
        click.echo(str(path))
