"""The recording of a terminal: what was printed stands in it, at its time, and at the end."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tree import ROOT

SCRIPT = ROOT / "tools" / "terminal_picture.py"
SVG = "{http://www.w3.org/2000/svg}"

pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="no tools beside the tests")

# A line that is written over, as a progress bar is; then a result with a name that is no markup.
PROGRAM = r"""
import sys, time
for step in range(3):
    sys.stdout.write(f"\r\x1b[32mstep {step} of 3\x1b[0m")
    sys.stdout.flush()
    time.sleep(0.4)
print("\r\x1b[2Kresult of <a&b>")
"""


def record(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], ET.Element]:
    (folder / "program.py").write_text(PROGRAM)
    picture = folder / "picture.svg"
    command = [sys.executable, str(SCRIPT), "-o", str(picture), *options]
    done = subprocess.run(
        [*command, f"{sys.executable} program.py"], cwd=folder, capture_output=True, text=True
    )
    return done, ET.parse(picture).getroot()


def test_a_recording_shows_what_was_printed_and_ends_with_the_last_screen(tmp_path: Path) -> None:
    done, root = record(tmp_path, "--columns", "200")
    assert done.returncode == 0, done.stderr
    texts = {"".join(text.itertext()).strip(): text for text in root.iter(f"{SVG}text")}
    assert "result of <a&b>" in texts
    assert f"${sys.executable} program.py" in texts
    steps = [text for line, text in texts.items() if line.startswith("step")]
    assert len(steps) == 3
    # Where nothing moves, they are not there.
    assert {text.get("visibility") for text in steps} == {"hidden"}
    assert texts["result of <a&b>"].get("visibility") is None
    begins = [re.sub("[^0-9.]", "", step.find(f"{SVG}set").get("begin") or "") for step in steps]
    assert begins == sorted(begins)


def test_the_exit_status_is_that_of_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "p.svg"
    command = [sys.executable, str(SCRIPT), "-o", str(picture), "echo no; exit 3"]
    assert subprocess.run(command, capture_output=True).returncode == 3
    assert "no" in picture.read_text()
