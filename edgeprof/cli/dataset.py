"""``edgeprof dataset export`` and ``edgeprof dataset import``."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def dataset() -> None:
    """Rows for learning: out of a store, and into one."""


@dataset.command("export")
@click.argument("store", type=click.Path(readable=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="File to write: .csv or .parquet.",
)
@click.option("--device", help="Only this device  [default: all]")
@click.option(
    "--where",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Only measurements made under this state, e.g. threads=1; may be repeated.",
)
@click.option(
    "--subnets",
    "subnet_file",
    type=click.Path(readable=False, dir_okay=False, path_type=Path),
    help="Only the subnets of this file, in its order  [default: all]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def export_command(
    store: Path,
    output: Path,
    device: str | None,
    where: tuple[str, ...],
    subnet_file: Path | None,
    as_json: bool,
) -> None:
    """Write the measured subnets of STORE as rows: one per subnet and device.

    Refuses to pool measurements of one device that were made under different states (runtime
    version and options, threads, CPUs, governor ...); choose one with --where.

    \b
    Example:
      edgeprof dataset export board.db -o board.csv
      edgeprof dataset export board.db --subnets subnets.jsonl -o board.csv
      edgeprof dataset export rack.db --device pi4-01 --where threads=4 -o pi4.parquet
    """
    from edgeprof.networks.subnet import read_subnets
    from edgeprof.records.dataset_export import export_dataset
    from edgeprof.records.store import Store

    chosen = dict(_parse_condition(text) for text in where)
    subnets = None if subnet_file is None else read_subnets(subnet_file)
    with Store(store, create=False) as opened:
        summary = export_dataset(opened, output, device=device, where=chosen, subnets=subnets)
    if as_json:
        result = {"path": str(summary.path), "rows": dict(summary.rows_by_device)}
        click.echo(json.dumps(result))
        return
    for name, count in summary.rows_by_device.items():
        click.echo(f"{output}: {count} subnets of {name}")


@dataset.command("import")
@click.argument("file", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--store",
    required=True,
    type=click.Path(readable=False, path_type=Path),
    help="Store to append to (.db).",
)
@click.option("--drop-invalid", is_flag=True, help="Leave invalid rows out, and count them.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def import_command(file: Path, store: Path, drop_invalid: bool, as_json: bool) -> None:
    """Append the rows of FILE (.csv, .csv.gz, .parquet) to a store, each once.

    \b
    Example:
      edgeprof dataset import others.csv --store rack.db
    """
    from edgeprof.records.dataset_export import import_dataset
    from edgeprof.records.store import Store

    with Store(store) as opened:
        count = import_dataset(opened, file, drop_invalid=drop_invalid)
    if as_json:
        click.echo(json.dumps({"store": str(store), "new_rows": count}))
    else:
        click.echo(f"{store}: {count} new rows from {file}")


def _parse_condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r}, want FIELD=VALUE", param_hint="--where")
    return name, value
