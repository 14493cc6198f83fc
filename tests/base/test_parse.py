"""Texts from outside: absurd or ambiguous ones are errors of one line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.base.errors import InventoryError
from edgeprof.base.parse import first_double, parse_integer, parse_json
from edgeprof.base.table_files import read_table
from edgeprof.base.yaml_lines import compose, load_yaml

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(JSON)
def test_json_reads_as_the_standard_library_reads_it(value):
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"x": 1, "x": 2}}', "'x' stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 400, "a number of 400 digits"),
        ("9" * 5000, "a number of 5000 digits"),
        ("[NaN]", "NaN is no number"),
        ("{", "Expecting"),
    ],
)
def test_json_that_misleads_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


@pytest.mark.parametrize("value", [192, "192", "192.0", 192.0, " 192 ", "1.92e2"])
def test_whole_numbers_are_read_as_tables_write_them(value):
    assert parse_integer(value) == 192


@pytest.mark.parametrize("value", ["192.5", 0.5, "", "x", "inf", "nan", True, None, "9" * 400])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ValueError, match=r".+"):
        parse_integer(value)


def test_the_first_double_is_found():
    assert first_double("abcbc") == "b"
    assert first_double("abc") is None


def test_yaml_with_a_key_twice_is_refused_with_the_key_and_the_line():
    with pytest.raises(ValueError, match="'k' stands twice in the mapping of line 2"):
        load_yaml("top:\n  k: 1\n  k: 2\n")


def test_yaml_merges_are_no_doubles():
    assert load_yaml("a: &a {k: 1}\nb: {<<: *a, k: 2}\n")["b"] == {"k": 2}


@pytest.mark.parametrize("text", ["a: [", "[" * 2000, "k: 2020-13-45"])
def test_what_is_no_yaml_is_one_line(text):
    with pytest.raises(ValueError, match=r".+") as caught:
        load_yaml(text)
    assert "\n" not in str(caught.value)


def test_boards_that_are_nested_absurdly_are_one_line(tmp_path):
    with pytest.raises(InventoryError, match="not YAML"):
        compose("[" * 2000, tmp_path / "boards.yaml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_is_read_with_and_without_the_mark_that_excel_puts_first(encoding, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding=encoding)
    assert [dict(row) for _, row in read_table(tmp_path / "t.csv", ["a", "b"])] == [
        {"a": "1", "b": "2"}
    ]
