"""Where the parts of the source tree are, seen from the tests."""

from pathlib import Path

SUPPORT = Path(__file__).resolve().parent
TESTS = SUPPORT.parent
ROOT = TESTS.parent
DATA = TESTS / "data"
BOARDS = DATA / "boards"
SCRIPTS = ROOT / "firmware_scripts"
