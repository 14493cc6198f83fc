"""Rows of the table "what has been run, and where", written down by the tests that passed.

`tools/board_table.py` merges them into the README.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from virtual_board import Board


def ran(
    board: str,
    system: str,
    *,
    suite: str,
    python: str = "-",
    runtime: str = "-",
    counter: str = "-",
) -> None:
    """Note that something ran, in the file that EDGEPROF_BOARD_TABLE names, if it names one."""
    path = os.environ.get("EDGEPROF_BOARD_TABLE")
    if not path:
        return
    row = {
        "board": board,
        "system": system,
        "python": python,
        "runtime": runtime,
        "counter": counter,
        "ran": suite,
    }
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def ran_on(board: Board, name: str, *, suite: str, **columns: str) -> None:
    """Note it of an emulated board, which says itself what runs there."""
    if os.environ.get("EDGEPROF_BOARD_TABLE"):
        release = board.run('. /etc/os-release; echo "Debian $VERSION_ID, Linux $(uname -r)"')
        ran(name, release.split("-")[0].strip(), suite=suite, **columns)


def counters_of(report: dict[str, Any]) -> str:
    """Name the counters of a report, and how they were read."""
    return ", ".join(
        f"{name} ({counter['access']})"
        for name, counter in report["by_name"].items()
        if name in ("arm_generic_timer", "cpu_cycles", "instructions")
    )


def name_of(record: dict[str, Any]) -> str:
    """Name the runtime of a record, with its release."""
    runtime = record["runtime"]
    return f"{runtime['name']} {runtime.get('version', '')}".strip()
