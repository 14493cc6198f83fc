"""The table of runtimes: what all who name a runtime or a format read."""

import re

import pytest
from tree import ROOT

from edgeprof.base.errors import RuntimeUnavailable
from edgeprof.measuring.runtimes import (
    BOARD_RUNTIMES,
    FORMATS,
    NULL,
    RUNTIMES,
    TABLE,
    default_runtime,
    entry_of,
    find_library,
)


@pytest.mark.parametrize("model_format", FORMATS)
def test_every_format_has_a_default_that_boards_can_run_and_fetch(model_format):
    name = default_runtime(model_format)
    assert model_format in TABLE[name].formats
    assert name in BOARD_RUNTIMES
    assert TABLE[name].wheels


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_runtime_says_where_its_library_is_and_how_to_get_it(name):
    entry = TABLE[name]
    assert set(entry.formats) <= set(FORMATS)
    assert entry.patterns
    assert entry.remedy
    assert entry.variable == f"EDGEPROF_{name.upper()}"


def test_an_unknown_runtime_names_the_known_ones():
    with pytest.raises(RuntimeUnavailable, match=r"unknown runtime 'nope'; known: .*litert"):
        entry_of("nope")


def test_the_null_runtime_has_no_library_and_is_no_choice_of_users():
    assert find_library(NULL) is None
    assert NULL not in RUNTIMES


def test_the_names_of_runtimes_are_listed_in_one_place():
    owner = ROOT / "edgeprof/measuring/runtimes.py"
    for path in (ROOT / "edgeprof").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named = set(re.findall(r'"(litert|tflite_c|tflite_runtime)"', text))
        assert path == owner or not named, (path, named)
