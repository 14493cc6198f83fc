"""``edgeprof dataset export`` and ``edgeprof dataset import``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeprof.cli import options
from edgeprof.cli.groups import Group
from edgeprof.cli.running import grades_json, print_grades
from edgeprof.cli.say import say

if TYPE_CHECKING:
    from edgeprof.records.dataset_export import ExportSummary


@dataclass(frozen=True)
class ExportArguments:
    """What ``edgeprof dataset export`` is asked for."""

    store: Path = options.argument(type=options.INPUT)
    output: Path = options.output_file(
        type=options.OUTPUT_FILE_AND_FOLDER,
        required=True,
        help="File to write: .csv or .parquet.",
    )
    device: str | None = options.device()
    where: tuple[tuple[str, str], ...] = options.where()
    subnets: Path | None = options.subnets()
    include_poor: bool = options.flag("--include-poor", help="Write rows graded poor, too.")
    as_json: bool = options.as_json()


@dataclass(frozen=True)
class ImportArguments:
    """What ``edgeprof dataset import`` is asked for."""

    file: Path = options.argument(type=options.INPUT)
    store: Path = options.store()
    drop_invalid: bool = options.drop_invalid()
    as_json: bool = options.as_json()


@click.group(cls=Group)
def dataset() -> None:
    """Rows for learning: out of a store, and into one."""


@dataset.command("export")
@options.takes(ExportArguments)
def export_command(arguments: ExportArguments) -> None:
    """Write the measured subnets and networks of STORE as rows: one for each and device.

    Refuses to pool measurements of one device that were made under different states (runtime
    version and options, threads, CPUs, governor ...); choose one with --where. Each row has its
    standard error (latency_se, in ms) and a grade; poor rows are left out. The layers of networks
    go into a file beside the rows (NAME.networks.jsonl.gz), so `train` needs no model files.

    \b
    Example:
      edgeprof dataset export board.db -o board.csv
      edgeprof dataset export board.db --subnets subnets.jsonl -o board.csv
      edgeprof dataset export rack.db --device pi4-01 --where threads=4 -o pi4.parquet
    """
    from edgeprof.networks.subnet import read_subnets
    from edgeprof.records.dataset_export import export_dataset
    from edgeprof.records.store import Store

    subnets = None if arguments.subnets is None else read_subnets(arguments.subnets)
    with Store(arguments.store, create=False) as opened:
        summary = export_dataset(
            opened,
            arguments.output,
            device=arguments.device,
            where=dict(arguments.where),
            subnets=subnets,
            include_poor=arguments.include_poor,
        )
    if arguments.as_json:
        click.echo(json.dumps(_as_dict(summary)))
    else:
        _print(summary)


def _as_dict(summary: ExportSummary) -> dict[str, object]:
    return {
        "path": str(summary.path),
        "rows": dict(summary.rows_by_device),
        "networks": dict(summary.networks_by_device),
        "models_without_layers": dict(summary.without_layers),
        "poor_rows_left_out": dict(summary.poor_by_device),
        "grades": grades_json(summary.verdict_by_device),
        "level_se_rel": dict(summary.level_se_by_device),
    }


def _print(summary: ExportSummary) -> None:
    for name, count in summary.rows_by_device.items():
        n_networks = summary.networks_by_device.get(name, 0)
        parts = [f"{count - n_networks} subnets"] if count > n_networks else []
        parts += [f"{n_networks} networks"] if n_networks else []
        say(f"{summary.path}: {' and '.join(parts)} of {name}")
    for name, count in summary.without_layers.items():
        say(
            f"{name}: models left out, as their layers are not known: {count} (measured by an "
            "earlier edgeprof and moved since, or models that cannot be read)"
        )
    for name, count in summary.poor_by_device.items():
        say(
            f"{name}: {count} poor rows left out (--include-poor writes them; better measure again)"
        )
    print_grades(summary.verdict_by_device)
    for name, level_se in summary.level_se_by_device.items():
        say(f"{name}: milliseconds are at the reference speed, +-{1.96 * level_se:.1%}")


@dataset.command("import")
@options.takes(ImportArguments)
def import_command(arguments: ImportArguments) -> None:
    """Append the rows of FILE (.csv, .csv.gz, .parquet) to a store, each once.

    \b
    Example:
      edgeprof dataset import others.csv --store rack.db
    """
    from edgeprof.records.dataset_export import import_dataset
    from edgeprof.records.store import Store

    with Store(arguments.store) as opened:
        count = import_dataset(opened, arguments.file, drop_invalid=arguments.drop_invalid)
    if arguments.as_json:
        click.echo(json.dumps({"store": str(arguments.store), "new_rows": count}))
    else:
        say(f"{arguments.store}: {count} new rows from {arguments.file}")
