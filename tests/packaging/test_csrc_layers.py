"""The folders of ``csrc/`` include each other in one direction only."""

import re
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"

MAY_INCLUDE = {
    "base": set(),
    "machine": {"base"},
    "predictor": {"base"},
    "timing": {"base", "machine"},
    "runtimes": {"base", "timing"},
    "record": {"base", "machine", "timing", "runtimes"},
    "board": {"base", "machine", "predictor", "timing", "runtimes", "record"},
    "python": {"base", "machine", "predictor", "timing", "runtimes", "record", "board"},
}
"""Per folder: those below it whose headers it may include."""


def included_folders(folder: str) -> dict[str, set[str]]:
    """Return, per folder that the files of one include, the files that do."""
    users: dict[str, set[str]] = {}
    for file in sorted((CSRC / folder).rglob("*")):
        if file.suffix in (".h", ".cpp"):
            for header in re.findall(
                r'^#include "([^"]+)"', file.read_text(encoding="utf-8"), re.M
            ):
                users.setdefault(header.split("/")[0], set()).add(str(file.relative_to(CSRC)))
    return users


def test_every_folder_has_its_place():
    folders = {path.name for path in CSRC.iterdir() if path.is_dir()} - {"tests"}
    assert folders == set(MAY_INCLUDE)


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_includes_point_downwards(folder):
    users = included_folders(folder)
    upward = {name: users[name] for name in set(users) - MAY_INCLUDE[folder] - {folder}}
    assert not upward
