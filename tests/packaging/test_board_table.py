"""The table of what has been run: rows of the suites replace older ones, the rest stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT

SCRIPT = ROOT / "tools" / "board_table.py"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="no tools beside the tests")

DOCUMENT = """# Title

<!-- board table -->

| board or emulation | OS | Python | runtime | counters | ran |
| --- | --- | --- | --- | --- | --- |
| Cortex-A72, QEMU | Debian 12, Linux 6.1.0 | - | onnxruntime 1.20.0 | - | slow suite |
| Cortex-A53, QEMU | - | - | - | - | not run |
| Raspberry Pi 4 | - | - | - | - | not run |

<!-- end of the board table -->
after
"""


def row(**columns: str) -> str:
    common = {"board": "", "system": "-", "python": "-", "runtime": "-", "counter": "-"}
    return json.dumps(common | {"ran": "slow suite"} | columns) + "\n"


def update(folder: Path, document: str, rows: str) -> subprocess.CompletedProcess[str]:
    (folder / "README.md").write_text(document, encoding="utf-8")
    (folder / "rows").write_text(rows, encoding="utf-8")
    command = [sys.executable, SCRIPT, folder / "rows", folder / "README.md"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_newer_rows_replace_older_ones_and_what_never_ran_stays(tmp_path: Path) -> None:
    rows = row(
        board="Cortex-A72, QEMU", system="Debian 12, Linux 6.1.9", runtime="onnxruntime 1.32.0"
    ) + row(board="Cortex-A53, QEMU", system="Debian 12, Linux 6.1.9")
    assert update(tmp_path, DOCUMENT, rows).returncode == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert [line.split(" | ")[0] for line in table] == [
        "| Cortex-A72, QEMU",
        "| Cortex-A53, QEMU",
        "| Raspberry Pi 4",
    ]
    assert "onnxruntime 1.32.0" in table[0]
    assert "1.20.0" not in text
    assert "not run" not in table[1]
    assert table[2].endswith("| not run |")
    assert text.startswith("# Title\n")
    assert text.endswith("after\n")


def test_document_without_the_marks_is_refused(tmp_path: Path) -> None:
    done = update(tmp_path, "nothing\n", row(board="x"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(not (ROOT / "README.md").is_file(), reason="no README beside the tests")
def test_readme_has_the_table(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert update(tmp_path, readme, "").returncode == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == readme
