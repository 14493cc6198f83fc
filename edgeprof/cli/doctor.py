"""``edgeprof doctor``: what would spoil a measurement here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from edgeprof.base.errors import BoardSetupError


@click.command()
@click.option("--board", metavar="NAME", help="Ask a board of the inventory, not this machine.")
@click.option(
    "--boards",
    "inventory_path",
    default="boards.yaml",
    show_default=True,
    type=click.Path(readable=False, path_type=Path),
    help="Inventory that --board is looked up in.",
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False),
    help="Judge a captured tree (collect_board_info.sh), not this machine.",
)
@click.option("--cpus", metavar="LIST", help="CPUs that will run the model, such as 0-3 or 4,5.")
@click.option("--json", "as_json", is_flag=True, help="Print state and findings as JSON.")
def doctor(
    board: str | None, inventory_path: Path, root: str | None, cpus: str | None, as_json: bool
) -> None:
    r"""Say what would spoil a measurement on this machine or a board, and what to do about it.

    Changes nothing. Exits 1 when a measurement would be misleading.

    \b
    Example:
      edgeprof doctor
      edgeprof doctor --board rpi4-01 --cpus 0-3
      edgeprof doctor --root tests/data/boards/rpi4b-throttled
    """
    from edgeprof.base.cpu_list import parse_cpus
    from edgeprof.measuring.machine import (
        describe,
        findings,
        machine_state,
        remedy_note,
        verdict,
        would_mislead,
    )

    if board and root:
        raise click.UsageError("--board and --root exclude each other")
    try:
        chosen = parse_cpus(cpus) if cpus else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--cpus") from error
    state = _ask_board(board, inventory_path) if board else machine_state(root or "/")
    found = findings(state, chosen)
    if as_json:
        document = {
            "misleading": would_mislead(found),
            "findings": [finding.as_dict() for finding in found],
            "machine": state,
        }
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(describe(state))
        for finding in found:
            click.echo(f"{finding.severity.value}: {finding.found} [{finding.id}]")
            click.echo(f"    {finding.consequence}")
            click.echo(f"    remedy: {finding.remedy}")
        click.echo(verdict(found))
        if note := remedy_note(found):
            click.echo(note)
    sys.exit(1 if would_mislead(found) else 0)


def _ask_board(name: str, inventory_path: Path) -> dict[str, Any]:
    from edgeprof.boards.inventory import read_inventory
    from edgeprof.runs.fleet.connections import check_boards

    boards = read_inventory(inventory_path).select([name])
    if len(boards) != 1:
        raise click.BadParameter(f"{name} names {len(boards)} boards", param_hint="--board")
    [report] = check_boards(boards)
    if report.state is None:
        raise report.error or BoardSetupError(f"board {name}: it does not tell its state")
    return report.state
