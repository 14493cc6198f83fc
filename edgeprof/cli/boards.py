"""``edgeprof boards``: the fleet."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from edgeprof.base.errors import EdgeprofError
    from edgeprof.boards.check import CheckReport
    from edgeprof.boards.inventory import BoardSpec, Inventory
    from edgeprof.boards.prepared import PreparedState

_inventory = click.option(
    "--boards",
    "inventory_path",
    default="boards.yaml",
    show_default=True,
    type=click.Path(readable=False, path_type=Path),
    help="Inventory of the boards.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_names = click.argument("names", nargs=-1, metavar="[BOARD|TAG|GROUP]...")


@click.group()
def boards() -> None:
    """The boards of boards.yaml: list, check, set up, restore, clean."""


@boards.command("list")
@_names
@_inventory
@_json
def list_command(names: tuple[str, ...], inventory_path: Path, as_json: bool) -> None:
    """List the boards of the inventory, without connecting to any.

    \b
    Example:
      edgeprof boards list
      edgeprof boards list rpi4 --boards lab.yaml
    """
    inventory, chosen = _read(inventory_path, names)
    if as_json:
        click.echo(json.dumps([_board_json(board) for board in chosen], indent=2))
    else:
        rows = [
            (
                board.name,
                f"{board.host}{f':{board.port}' if board.port else ''}",
                board.device,
                board.runtime or "",
                str(board.threads or ""),
                ",".join(map(str, board.cores)),
            )
            for board in chosen
        ]
        _print_table(("BOARD", "HOST", "QUEUE", "RUNTIME", "THREADS", "CORES"), rows)
    _report_problems(inventory, names)


@boards.command("check")
@_names
@_inventory
@_json
def check_command(names: tuple[str, ...], inventory_path: Path, as_json: bool) -> None:
    """Look at every board: reachable, usable, what would be installed, what would mislead.

    Changes nothing on the boards. Exits 1 when a board cannot be used.

    \b
    Example:
      edgeprof boards check
      edgeprof boards check rpi4-03 --json
    """
    from edgeprof.runs.fleet.connections import check_boards

    inventory, chosen = _read(inventory_path, names)
    reports = check_boards(chosen)
    if as_json:
        click.echo(json.dumps([_report_json(report) for report in reports], indent=2))
    else:
        for report in reports:
            _print_report(report)
    _report_problems(inventory, names)
    if inventory.problems_of(names) or any(report.error for report in reports):
        sys.exit(1)


@boards.command("setup")
@_names
@_inventory
@click.option(
    "--restore-after",
    "restore_after_s",
    default=8 * 3600,
    show_default=True,
    type=click.IntRange(10),
    help="Seconds after which each board restores itself.",
)
@_json
def setup_command(
    names: tuple[str, ...], inventory_path: Path, restore_after_s: int, as_json: bool
) -> None:
    """Prepare the boards for measuring: clocks pinned, disturbers quiet.

    `edgeprof profile` does it by itself; this is for measuring by hand. Each board restores itself
    after a while, or at `edgeprof boards restore`.

    \b
    Example:
      edgeprof boards setup rpi4 --restore-after 3600
    """
    from edgeprof.runs.fleet.connections import setup_boards

    inventory, chosen = _read(inventory_path, names)
    _report_states(
        inventory, names, chosen, setup_boards(chosen, restore_after_s=restore_after_s), as_json
    )


@boards.command("restore")
@_names
@_inventory
@_json
def restore_command(names: tuple[str, ...], inventory_path: Path, as_json: bool) -> None:
    """Put the boards' clocks and the like back as they were.

    \b
    Example:
      edgeprof boards restore
    """
    from edgeprof.runs.fleet.connections import restore_boards

    inventory, chosen = _read(inventory_path, names)
    _report_states(inventory, names, chosen, restore_boards(chosen), as_json)


@boards.command("clean")
@_names
@_inventory
@_json
def clean_command(names: tuple[str, ...], inventory_path: Path, as_json: bool) -> None:
    """Restore the boards and remove everything that edgeprof put there.

    Measurements that have not been collected are lost.

    \b
    Example:
      edgeprof boards clean rpi4-03
    """
    from edgeprof.runs.fleet.connections import clean_boards

    inventory, chosen = _read(inventory_path, names)
    _report_states(inventory, names, chosen, clean_boards(chosen), as_json)


def _report_states(
    inventory: Inventory,
    names: tuple[str, ...],
    chosen: Sequence[BoardSpec],
    states: Sequence[PreparedState | EdgeprofError],
    as_json: bool,
) -> None:
    from edgeprof.base.errors import EdgeprofError

    lines: list[str] = []
    objects: list[dict[str, Any]] = []
    for board, state in zip(chosen, states, strict=True):
        if isinstance(state, EdgeprofError):
            lines.append(f"{board.name}: error: {state}")
            error = {"kind": state.kind, "message": str(state)}
            objects.append({"name": board.name, "error": error})
        else:
            word = "prepared" if state.is_prepared else "as it was"
            lines.append(f"{board.name}: {word}{f': {state.reason}' if state.reason else ''}")
            objects.append(
                {
                    "name": board.name,
                    "prepared": state.is_prepared,
                    "reason": state.reason,
                    "status": state.status,
                }
            )
    click.echo(json.dumps(objects, indent=2) if as_json else "\n".join(lines))
    _report_problems(inventory, names)
    if inventory.problems_of(names) or any("error" in item for item in objects):
        sys.exit(1)


def _read(path: Path, names: tuple[str, ...]) -> tuple[Inventory, tuple[BoardSpec, ...]]:
    from edgeprof.boards.inventory import read_inventory

    inventory = read_inventory(path)
    return inventory, inventory.select(names)


def _report_problems(inventory: Inventory, names: tuple[str, ...]) -> None:
    for problem in inventory.problems_of(names):
        click.echo(f"edgeprof: {problem}", err=True)


def _print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _print_report(report: CheckReport) -> None:
    from edgeprof.base.units import format_bytes
    from edgeprof.boards.claim import holder_of

    facts = report.facts
    if facts is None:
        click.echo(f"{report.board.name}: not usable")
    else:
        free = "?" if facts.free_bytes is None else format_bytes(facts.free_bytes)
        click.echo(
            f"{report.board.name}: {'not usable' if report.error else 'ok'}: "
            f"{facts.model or 'unknown model'}, {facts.architecture}, {facts.cores} cores, "
            f"Linux {facts.kernel}, glibc {facts.glibc_text}, {free} free in {facts.folder}"
        )
        for line in facts.holders:
            click.echo(f"    {holder_of(line).name} measures there; its state is not read now")
        for item in report.to_install:
            size = format_bytes(item.source.stat().st_size)
            click.echo(f"    to install: {item.source.name} ({size})")
    if report.error is not None:
        click.echo(f"    error: {report.error}")
    for finding in report.findings:
        click.echo(f"    {finding.severity.value}: {finding.found}; {finding.remedy}")


def _board_json(board: BoardSpec) -> dict[str, Any]:
    return {
        "name": board.name,
        "host": board.host,
        "port": board.port,
        "user": board.user,
        "device": board.device,
        "tags": board.tags,
        "threads": board.threads,
        "cores": board.cores,
        "runtime": board.runtime,
        "environment": sorted(board.environment),  # names only: values may be secrets
        "folder": board.folder,
        "prepare": board.prepare,
    }


def _report_json(report: CheckReport) -> dict[str, Any]:
    facts = report.facts
    return {
        "name": report.board.name,
        "usable": report.error is None,
        "error": None
        if report.error is None
        else {"kind": report.error.kind, "message": str(report.error)},
        "facts": None
        if facts is None
        else {
            "architecture": facts.architecture,
            "cores": facts.cores,
            "folder": facts.folder,
            "free_bytes": facts.free_bytes,
            "is_idle": not facts.holders,
            "glibc": None if facts.glibc is None else facts.glibc_text,
            "kernel": facts.kernel,
            "model": facts.model,
        },
        "to_install": [
            {"name": item.source.name, "bytes": item.source.stat().st_size, "sha256": item.sha256}
            for item in report.to_install
        ],
        "findings": [finding.as_dict() for finding in report.findings],
        "machine": report.state,
    }
