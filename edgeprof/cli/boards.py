"""``edgeprof boards``: the fleet."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeprof.base.errors import EdgeprofError
from edgeprof.base.text import printable
from edgeprof.cli import options
from edgeprof.cli.groups import Group

if TYPE_CHECKING:
    from edgeprof.boards.check import CheckReport
    from edgeprof.boards.inventory import BoardSpec, Inventory
    from edgeprof.boards.prepared import PreparedState


@dataclass(frozen=True)
class BoardsArguments:
    """Which boards a command is for."""

    names: tuple[str, ...] = options.argument(nargs=-1, metavar="[BOARD|TAG|GROUP]...")
    path: Path = options.inventory()
    as_json: bool = options.as_json()

    @cached_property
    def inventory(self) -> Inventory:
        """The inventory, read once."""
        from edgeprof.boards.inventory import read_inventory

        return read_inventory(self.path)

    @cached_property
    def boards(self) -> tuple[BoardSpec, ...]:
        """The boards that are named; all of them where none is."""
        return self.inventory.select(self.names)

    def print(self, objects: Sequence[dict[str, Any]], lines: Iterable[str]) -> None:
        """Print the result, and on stderr the boards whose entries are wrong."""
        text = json.dumps(objects, indent=2) if self.as_json else "\n".join(map(printable, lines))
        click.echo(text)
        for problem in self.inventory.problems_of(self.names):
            click.echo(printable(f"edgeprof: {problem}"), err=True)

    def exit(self, has_failed: bool) -> None:
        """Exit with status 1 where a board failed, or its entry is wrong."""
        if has_failed or self.inventory.problems_of(self.names):
            sys.exit(1)


@dataclass(frozen=True)
class SetupArguments(BoardsArguments):
    """What ``edgeprof boards setup`` is asked for."""

    restore_after_s: int = options.option(
        "--restore-after",
        default=8 * 3600,
        type=click.IntRange(10),
        help="Seconds after which each board restores itself.",
    )


@dataclass(frozen=True)
class AddArguments:
    """What ``edgeprof boards add`` is asked for."""

    board: str = options.argument(metavar="[USER@]HOST[:PORT]")
    path: Path = options.inventory()
    name: str | None = options.option(
        "--name", help="What the board is called in tables and commands  [default: its host]"
    )
    tags: tuple[str, ...] = options.option(
        "--tag",
        multiple=True,
        help="Boards with the same first tag are one device and share the work; may be repeated.",
    )
    ssh_config: Path | None = options.ssh_config()
    as_json: bool = options.as_json()


@click.group(cls=Group)
def boards() -> None:
    """The boards of boards.yaml: add, list, check, set up, restore, clean."""


@boards.command("add")
@options.takes(AddArguments)
def add_command(arguments: AddArguments) -> None:
    """Look at a board, and write it into the inventory where it can be used.

    Reaches it as `ssh` does, by the SSH configuration, keys and agent of this account; on a
    terminal, an unknown host key is asked about as `ssh` asks. Prints what the board is and what
    a run would send. Changes nothing there. What stands in the inventory stays as it is; a board
    that is in it is looked at only.

    \b
    Example:
      edgeprof boards add pi@10.0.0.11
      edgeprof boards add rpi4-02 --tag rpi4 --boards lab.yaml
    """
    from edgeprof.boards.inventory_file import add_board

    addition = add_board(
        arguments.path,
        arguments.board,
        name=arguments.name,
        tags=arguments.tags,
        ssh_config=arguments.ssh_config,
    )
    report = _looked_at(addition.board, may_ask=not arguments.as_json and sys.stdin.isatty())
    if report.error is not None:
        raise report.error
    addition.write()
    is_new = addition.text is not None
    if arguments.as_json:
        where = {"inventory": str(arguments.path), "added": is_new}
        click.echo(json.dumps({**where, **_report_json(report)}, indent=2))
        return
    click.echo("\n".join(map(printable, _report_lines(report))))
    added = f"{'added' if is_new else 'found'} {addition.board.name}"
    click.echo(printable(f"{arguments.path}: {added}"))


def _looked_at(board: BoardSpec, *, may_ask: bool) -> CheckReport:
    """Check a board; where its host key is unknown, let ``ssh`` ask about it and check again."""
    from edgeprof.boards.each_board import check_boards
    from edgeprof.boards.transport.ssh_config import ask_about_host_key

    [report] = check_boards([board])
    if may_ask and report.error and report.error.evidence.get("host_key") == "unknown":
        ask_about_host_key(board.destination, board.ssh_config)
        [report] = check_boards([board])
    return report


@boards.command("list")
@options.takes(BoardsArguments)
def list_command(arguments: BoardsArguments) -> None:
    """List the boards of the inventory, without connecting to any.

    \b
    Example:
      edgeprof boards list
      edgeprof boards list rpi4 --boards lab.yaml
    """
    header = ("BOARD", "HOST", "QUEUE", "RUNTIME", "THREADS", "CORES")
    rows = [
        (
            board.name,
            f"{board.host}{f':{board.port}' if board.port else ''}",
            board.device,
            board.runtime or "",
            str(board.threads or ""),
            ",".join(map(str, board.cores)),
        )
        for board in arguments.boards
    ]
    arguments.print([_board_json(board) for board in arguments.boards], _table(header, rows))


@boards.command("check")
@options.takes(BoardsArguments)
def check_command(arguments: BoardsArguments) -> None:
    """Look at every board: reachable, usable, what would be installed, what would mislead.

    Changes nothing on the boards. Exits 1 when a board cannot be used.

    \b
    Example:
      edgeprof boards check
      edgeprof boards check rpi4-03 --json
    """
    from edgeprof.boards.each_board import check_boards

    reports = check_boards(arguments.boards)
    lines = [line for report in reports for line in _report_lines(report)]
    arguments.print([_report_json(report) for report in reports], lines)
    arguments.exit(any(report.error for report in reports))


@boards.command("setup")
@options.takes(SetupArguments)
def setup_command(arguments: SetupArguments) -> None:
    """Prepare the boards for measuring: clocks pinned, disturbers quiet.

    `edgeprof profile` does it by itself; this is for measuring by hand. Each board restores itself
    after a while, or at `edgeprof boards restore`.

    \b
    Example:
      edgeprof boards setup rpi4 --restore-after 3600
    """
    from edgeprof.boards.each_board import setup_boards

    states = setup_boards(arguments.boards, restore_after_s=arguments.restore_after_s)
    _report_states(arguments, states)


@boards.command("restore")
@options.takes(BoardsArguments)
def restore_command(arguments: BoardsArguments) -> None:
    """Put the boards' clocks and the like back as they were.

    \b
    Example:
      edgeprof boards restore
    """
    from edgeprof.boards.each_board import restore_boards

    _report_states(arguments, restore_boards(arguments.boards))


@boards.command("clean")
@options.takes(BoardsArguments)
def clean_command(arguments: BoardsArguments) -> None:
    """Restore the boards and remove what edgeprof put there.

    Other files in the folder stay. Measurements that have not been collected are lost.

    \b
    Example:
      edgeprof boards clean rpi4-03
    """
    from edgeprof.boards.each_board import clean_boards

    _report_states(arguments, clean_boards(arguments.boards))


def _report_states(
    arguments: BoardsArguments, states: Sequence[PreparedState | EdgeprofError]
) -> None:
    lines: list[str] = []
    objects: list[dict[str, Any]] = []
    for board, state in zip(arguments.boards, states, strict=True):
        if isinstance(state, EdgeprofError):
            lines.append(f"{board.name}: error: {state}")
            objects.append({"name": board.name, "error": _error_json(state)})
            continue
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
    arguments.print(objects, lines)
    arguments.exit(any("error" in item for item in objects))


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _report_lines(report: CheckReport) -> Iterator[str]:
    from edgeprof.base.units import format_bytes
    from edgeprof.boards.claim import holder_of

    facts = report.facts
    if facts is None:
        yield f"{report.board.name}: not usable"
    else:
        free = "?" if facts.free_bytes is None else format_bytes(facts.free_bytes)
        yield (
            f"{report.board.name}: {'not usable' if report.error else 'ok'}: "
            f"{facts.model or 'unknown model'}, {facts.architecture}, {facts.cores} cores, "
            f"Linux {facts.kernel}, glibc {facts.glibc_text}, {free} free in {facts.folder}"
        )
        for line in facts.holders:
            yield f"    {holder_of(line).name} measures there; its state is not read now"
        for item in report.to_install:
            size = format_bytes(item.source.stat().st_size)
            yield f"    to install: {item.source.name} ({size})"
    if report.error is not None:
        yield f"    error: {report.error}"
    for finding in report.findings:
        yield f"    {finding.severity.value}: {finding.found}; {finding.remedy}"


def _error_json(error: EdgeprofError) -> dict[str, str]:
    return {"kind": error.kind, "message": str(error)}


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
        "error": None if report.error is None else _error_json(report.error),
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
