"""A virtual board for tests: started with the cross-built program on it, reached by ssh."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from synthetic_device import PHONE
from tree import ROOT

from edgeprof.base.errors import EdgeprofError
from edgeprof.boards.toolchain import build_harness
from edgeprof.networks.spaces import get_space
from edgeprof.predictors.compact.distil import distil
from edgeprof.predictors.paper.linear import LinearModel
from edgeprof.predictors.save import save_predictor

SCRIPT = ROOT / "tools" / "virtual_board" / "make_virtual_board.sh"
NEEDED = ("qemu-system-aarch64", "aarch64-linux-gnu-g++", "ssh", "cpio", "modprobe", "mke2fs")


@dataclass(frozen=True)
class Board:
    """A running virtual board, reached as its ssh_config says."""

    folder: Path
    name: str = "virtual-1"

    def run(
        self, command: str, *, user: str = "root", check: bool = True, timeout_s: float = 120
    ) -> str:
        """Run a command there and return what it printed."""
        done = subprocess.run(
            ["ssh", "-F", str(self.folder / "ssh_config"), "-l", user, self.name, command],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stderr}"
        return done.stdout

    def put(self, source: Path, target: str) -> None:
        """Copy a file there."""
        subprocess.run(
            [
                "scp",
                "-q",
                "-F",
                str(self.folder / "ssh_config"),
                str(source),
                f"{self.name}:{target}",
            ],
            timeout=120,
            check=True,
        )

    def counters(self, loop: int, *, user: str = "root", prefix: str = "") -> dict[str, Any]:
        """Run the board program's counter report around a loop; counters by name."""
        command = f"{prefix} /usr/local/bin/edgeprof-harness counters --loop {loop}"
        report = json.loads(self.run(command, user=user))
        report["by_name"] = {counter["name"]: counter for counter in report["counters"]}
        report["absent"] = {item["name"]: item["reason"] for item in report["absent_counters"]}
        return report

    def set_kernel(self, *, paranoid: int, user_access: int) -> None:
        """Set who may count, and whether user space may read counters by an instruction."""
        self.run(
            f"echo {paranoid} >/proc/sys/kernel/perf_event_paranoid; "
            f"echo {user_access} >/proc/sys/kernel/perf_user_access"
        )


def start_board(folder: Path, *options: str, toolchain: str = "debian") -> Board:
    """Start one virtual board with the cross-built program on it."""
    missing = [command for command in NEEDED if shutil.which(command) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    try:
        program = build_harness("aarch64", toolchain=toolchain)
    except EdgeprofError as error:
        pytest.fail(f"the board program does not build: {error}")
    command = [SCRIPT, "--output", folder, "--lifetime", "900", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    board = Board(folder)
    board.put(program.path, "/usr/local/bin/edgeprof-harness")
    board.run("chmod 755 /usr/local/bin/edgeprof-harness")
    return board


def stop_board(folder: Path) -> None:
    """Stop the board, also one that did not come up."""
    if folder.is_dir():
        subprocess.run([SCRIPT, "--stop", "--output", folder], timeout=60, check=True)


def edgeprof_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, with Debian's cross compilers."""
    return subprocess.run(
        [Path(sys.executable).with_name("edgeprof"), *map(str, arguments)],
        env=os.environ | {"EDGEPROF_TOOLCHAIN": "debian"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def exact_count(report: dict[str, Any], counter: str) -> int:
    """Return the count of one loop, having checked that every repeat read the same."""
    reading = report["by_name"][counter]
    assert reading["min"] == reading["median"] == reading["max"], reading
    return int(reading["median"])


def trained_predictor(path: Path) -> Path:
    """Write a predictor of a device that exists on paper.

    EDGEPROF_TEST_PREDICTOR names one that was trained from measurements.
    """
    if ready := os.environ.get("EDGEPROF_TEST_PREDICTOR"):
        return Path(shutil.copy(ready, path))
    space = get_space("ofa-mbv3-w1.0")
    model = LinearModel.fit(PHONE.measure(space, 40, seed=0))
    save_predictor(path, distil(model.predict_codes, space, "phone", n_unlabelled=2000), None)
    return path
