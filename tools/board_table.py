#!/usr/bin/env python3
"""Merge what the suites wrote down into the table of what has been run, and where.

    EDGEPROF_BOARD_TABLE=rows.jsonl pytest -m board
    EDGEPROF_BOARD_TABLE=rows.jsonl pytest -m "board and slow"
    python tools/board_table.py rows.jsonl README.md

A row of the table is replaced by a newer one of the same board, release and runtime; the others
stay, among them those that say "not run". The table is between two marks in the file.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Iterable
from pathlib import Path

BEGIN, END = "<!-- board table -->", "<!-- end of the board table -->"
COLUMNS = ("board", "system", "python", "runtime", "counter", "ran")
HEADER = ("board or emulation", "OS", "Python", "runtime", "counters", "ran")
NOT_RUN = "not run"

Row = tuple[str, ...]


def key_of(row: Row) -> tuple[str, str, str]:
    """Return what makes a row the same as an older one: not the releases of kernel and runtime."""
    board, system, _, runtime = row[:4]
    return board, system.split(",")[0], runtime.split(" ")[0]


def parse_table(text: str) -> list[Row]:
    """Read the rows of a Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def format_table(rows: Iterable[Row]) -> str:
    """Write the rows as a Markdown table."""
    lines = [HEADER, ("---",) * len(HEADER), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def merge(old: list[Row], new: Iterable[Row]) -> list[Row]:
    """Return the old rows with the new in place of those they replace; what never ran comes last.

    A row "not run" goes when its board has run.
    """
    rows = {key_of(row): row for row in old}
    for row in new:
        rows.pop((row[0], "-", "-"), None)
        rows[key_of(row)] = row
    return sorted(rows.values(), key=lambda row: row[-1] == NOT_RUN)


def updated(document: str, new: Iterable[Row]) -> str:
    """Return the document with the new rows in its table.

    Raises:
        ValueError: if the marks are not there.
    """
    before, begin, rest = document.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} ... {END} in it")
    merged = format_table(merge(parse_table(table), new))
    return f"{before}{begin}\n\n{merged}\n{end}{after}"


def main() -> int:
    """Update the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("rows", type=Path, help="what the suites wrote, a JSON object per line")
    parser.add_argument("document", type=Path, help="Markdown file with the table")
    arguments = parser.parse_args()
    today = datetime.date.today().isoformat()
    lines = arguments.rows.read_text(encoding="utf-8").splitlines()
    new = [tuple(str(json.loads(line)[column]) for column in COLUMNS) for line in lines]
    dated = [(*row[:-1], f"{row[-1]}, {today}") for row in new]
    try:
        document = updated(arguments.document.read_text(encoding="utf-8"), dated)
    except ValueError as error:
        print(f"board_table: {arguments.document}: {error}", file=sys.stderr)
        return 1
    arguments.document.write_text(document, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
