"""Copies of captured boards, and the board scripts run on them."""

import json
import os
import subprocess
import sys
import time

import pytest
from tree import ROOT, SCRIPTS

RESTORABLE = ("jetson_clocks", "pin_clocks", "pmu_access", "quiet_board", "setup_board")
VIRTUAL_BOARD = ROOT / "tools" / "virtual_board" / "make_virtual_board.sh"
SHELLS = {
    "dash": ["dash"],
    "busybox": ["busybox", "ash"],
    "bash": ["bash", "--posix"],
}

needs_scripts = pytest.mark.skipif(
    not SCRIPTS.is_dir() or not sys.platform.startswith("linux"),
    reason="no firmware_scripts beside the tests, or no Linux",
)


def path_of(script):
    return VIRTUAL_BOARD if script == VIRTUAL_BOARD.stem else SCRIPTS / f"{script}.sh"


class Board:
    """A copy of a captured tree, and the scripts run on it."""

    def __init__(self, root, shell=("sh",)):
        self.root = root
        self.shell = list(shell)
        self.state = root.parent / "state"
        self.environment = {
            **os.environ,
            "EDGEPROF_ROOT": str(root),
            "EDGEPROF_STATE_DIR": str(self.state),
            "EDGEPROF_POLL": "1",
        }

    def command(self, script, *arguments):
        return [*self.shell, str(path_of(script)), *map(str, arguments)]

    def run(self, script, *arguments):
        return subprocess.run(
            self.command(script, *arguments),
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=60,
        )

    def ok(self, script, *arguments):
        result = self.run(script, *arguments)
        assert result.returncode == 0, result.stderr
        return result

    def status(self, script):
        return json.loads(self.ok(script, "status", "--json").stdout)

    def read(self, path):
        return (self.root / path).read_text(encoding="utf-8")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def add_tool(self, name, body):
        self.write(f"usr/sbin/{name}", f"#!/bin/sh\nROOT={self.root}\n{body}\n")
        (self.root / "usr/sbin" / name).chmod(0o755)

    def content(self):
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def add_systemctl(board, units):
    """A systemctl that keeps the units that run in a file."""
    board.write("run/active-units", "".join(f"{unit}\n" for unit in units))
    board.add_tool(
        "systemctl",
        """UNITS=$ROOT/run/active-units
case $1 in
is-active) grep -qx "$3" "$UNITS" ;;
stop) grep -vx "$2" "$UNITS" >"$UNITS.new"; mv "$UNITS.new" "$UNITS" ;;
start) echo "$2" >>"$UNITS"; sort -o "$UNITS" "$UNITS" ;;
esac""",
    )


def add_swap_tools(board):
    """A swapoff and a swapon that keep /proc/swaps."""
    board.add_tool(
        "swapoff", 'grep -v "^$1 " "$ROOT/proc/swaps" >"$ROOT/s"; mv "$ROOT/s" "$ROOT/proc/swaps"'
    )
    board.add_tool(
        "swapon",
        """while [ $# -gt 1 ]; do shift; done
grep "^$1 " "$ROOT/original-swaps" >>"$ROOT/proc/swaps\"""",
    )
    board.write("original-swaps", board.read("proc/swaps"))
