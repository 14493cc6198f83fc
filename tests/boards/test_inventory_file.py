"""A board written into boards.yaml: in its place, with all else left as it stands."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgeprof.base.errors import BoardSetupError, InventoryError, OutputError
from edgeprof.boards.inventory import parse_inventory, read_inventory
from edgeprof.boards.inventory_file import add_board

KEPT = """\
# the lab
ssh_config: my_config
defaults: {user: pi}   # all of them
common: &common
  threads: 4
boards:   # by shelf
  # upper
  a: {host: 10.0.0.1, environment: {TOKEN: "x # y"}}
  b:
    <<: *common
    host: 10.0.0.2   # slow
    # nothing follows

groups:
  shelf: [a, b]
"""
LIST = """\
boards:
- {name: a, host: 10.0.0.1}
- name: b
  host: 10.0.0.2
"""


def added(path, *arguments, **options):
    """Add a board to a file and return the lines that are new."""
    before = path.read_text().splitlines() if path.exists() else []
    add_board(path, *arguments, **options).write()
    after = path.read_text().splitlines()
    new = [line for line in after if line not in before]
    assert [line for line in after if line not in new] == before
    return new


@pytest.fixture
def path(tmp_path):
    return tmp_path / "boards.yaml"


def test_the_first_board_makes_the_file_and_the_others_extend_it(path, tmp_path):
    add_board(path, "pi@10.0.0.11", ssh_config=tmp_path / "config").write()
    assert added(path, "rack:2222", tags=["rpi4", "lab"]) == [
        "  rack: {host: rack, port: 2222, tags: [rpi4, lab]}"
    ]
    assert added(path, "[fe80::1]:22", name="six") == ['  six: {host: "fe80::1", port: 22}']
    first, second, third = read_inventory(path).boards
    assert (first.name, first.host, first.user) == ("10.0.0.11", "10.0.0.11", "pi")
    assert first.ssh_config == tmp_path / "config"
    assert (second.port, second.device) == (2222, "rpi4")
    assert third.host == "fe80::1"


@pytest.mark.parametrize(
    ("text", "line", "after"),
    [
        (KEPT, "  c: {host: 10.0.0.3}", "    host: 10.0.0.2   # slow"),
        (KEPT.replace("\n", "\r\n"), "  c: {host: 10.0.0.3}", "    host: 10.0.0.2   # slow"),
        (LIST, "- {name: c, host: 10.0.0.3}", "  host: 10.0.0.2"),
        (LIST.rstrip(), "- {name: c, host: 10.0.0.3}", "  host: 10.0.0.2"),
        ("boards:\n", "  c: {host: 10.0.0.3}", "boards:"),
        ("boards:  # none yet\ngroups: {}\n", "  c: {host: 10.0.0.3}", "boards:  # none yet"),
        ("defaults: {user: pi}", "  c: {host: 10.0.0.3}", "boards:"),
        (
            "defaults: &x {user: y}\nboards:\n    a: *x\n",
            "    c: {host: 10.0.0.3}",
            "    a: *x",
        ),
    ],
)
def test_an_entry_goes_after_the_last_and_nothing_else_changes(path, text, line, after):
    path.write_bytes(text.encode())
    before = parse_inventory(text, path, may_be_empty=True).boards
    addition = add_board(path, "10.0.0.3", name="c")
    assert path.read_bytes() == text.encode()  # nothing is written yet
    addition.write()
    written = path.read_bytes().decode()
    lines = written.splitlines()
    assert lines[lines.index(line) - 1] == after
    assert written.count("\r\n") in (0, written.count("\n"))
    boards = read_inventory(path).boards
    assert [replace(board, line=None) for board in boards] == [
        *(replace(board, line=None) for board in before),
        replace(addition.board, line=None),
    ]


def test_a_board_that_is_there_is_found_by_its_name_or_its_destination(path):
    path.write_text(KEPT)
    for asked in ("b", "pi@10.0.0.2", "10.0.0.2"):
        addition = add_board(path, asked)
        assert (addition.board.name, addition.text) == ("b", None)
        addition.write()
    assert path.read_text() == KEPT


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ("me@10.0.0.9", {"name": "a"}, "line 8: a board 'a' is there, and is not me@10.0.0.9"),
        ("10.0.0.2", {"name": "c"}, "line 10: 10.0.0.2 is there as 'b'; change it there"),
        ("b", {"tags": ["rpi4"]}, "line 10: b is there as 'b'; change it there"),
        ("b", {"ssh_config": Path("other")}, "reached by .*my_config, not by other"),
        ("c", {"ssh_config": Path("other")}, "reached by .*my_config, not by other"),
        ("pi@", {}, "'pi@': wanted a host name or an address"),
        ("c", {"name": "c\n"}, "wanted printable characters"),
    ],
)
def test_what_cannot_be_added_is_one_clear_line(path, asked, options, message):
    path.write_text(KEPT)
    with pytest.raises((InventoryError, BoardSetupError), match=message) as caught:
        add_board(path, asked, **options)
    assert "\n" not in str(caught.value)
    assert path.read_text() == KEPT


@pytest.mark.parametrize(
    "text", ["boards: {a: {host: x}}\n", "{boards: }\n", "boards:\n  a: {host: x}\n c: 1\n"]
)
def test_a_form_without_a_place_is_left_alone(path, text):
    path.write_text(text)
    with pytest.raises(InventoryError) as caught:
        add_board(path, "pi@10.0.0.3")
    assert "line" in str(caught.value) or "10.0.0.3: {host: 10.0.0.3, user: pi}" in str(
        caught.value
    )
    assert path.read_text() == text


def test_a_faulty_entry_of_that_name_is_told(path):
    path.write_text("boards:\n  a: {port: 99999}\n  b: {}\n")
    with pytest.raises(BoardSetupError, match="line 2"):
        add_board(path, "a")


def test_mode_and_links_stay(path, tmp_path):
    path.write_text(LIST)
    path.chmod(0o600)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    add_board(link, "c").write()
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_inventory(path).boards) == 3


def test_a_folder_or_no_folder_is_one_clear_line(tmp_path):
    with pytest.raises(InventoryError, match="Is a directory"):
        add_board(tmp_path, "c")
    with pytest.raises(OutputError, match="No such file"):
        add_board(tmp_path / "none" / "boards.yaml", "c").write()
