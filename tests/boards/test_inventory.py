"""boards.yaml: what is read, and the line that each fault is told with."""

from pathlib import Path

import pytest

from edgeprof.base.errors import BoardSetupError, InventoryError
from edgeprof.boards.inventory import BoardSpec, find_boards, parse_inventory, read_inventory

SOURCE = Path("lab/boards.yaml")


def parse(text):
    return parse_inventory(text, SOURCE)


GOOD = """
ssh_config: my_config
defaults:
  user: pi
  threads: 4
boards:
  rpi4-01: {host: 10.0.0.11, tags: [rpi4, lab], cores: 0-3}
  rpi4-02: {tags: [rpi4], port: 2222, user: me, cores: [0, "2-3"]}
  alone:
    runtime: tflite_c
    environment: {TOKEN: s3cret}
groups:
  shelf: [rpi4-02, alone]
"""


def test_a_board_has_what_is_said_of_it_and_the_defaults():
    first, second, alone = parse(GOOD).boards
    assert (first.host, first.port, first.user, first.threads) == ("10.0.0.11", None, "pi", 4)
    assert first.cores == (0, 1, 2, 3)
    assert (second.host, second.port, second.user) == ("rpi4-02", 2222, "me")
    assert second.cores == (0, 2, 3)
    assert alone.runtime == "tflite_c"
    assert first.ssh_config == Path("lab/my_config")


def test_the_first_tag_names_queue_and_device():
    first, second, alone = parse(GOOD).boards
    assert first.device == second.device == "rpi4"
    assert alone.device == "alone"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], ["rpi4-01", "rpi4-02", "alone"]),
        (["rpi4"], ["rpi4-01", "rpi4-02"]),
        (["lab", "alone"], ["rpi4-01", "alone"]),
        (["shelf"], ["rpi4-02", "alone"]),
    ],
)
def test_boards_are_chosen_by_name_tag_and_group(names, chosen):
    assert [board.name for board in parse(GOOD).select(names)] == chosen


def test_an_unknown_choice_is_refused():
    with pytest.raises(InventoryError, match=r"lab/boards.yaml: no board, tag or group 'rpi5'"):
        parse(GOOD).select(["rpi5"])


def test_a_list_of_boards_with_names_is_read_too():
    inventory = parse("boards:\n  - {name: a, host: h}\n  - name: b\n")
    assert [(board.name, board.host) for board in inventory.boards] == [("a", "h"), ("b", "b")]


def test_a_host_may_hold_user_and_port():
    text = """
defaults: {user: nobody, port: 1}
boards:
  a: {host: "pi@10.0.0.11:2222"}
  b: {host: "[fe80::1]", port: 22}
  c: {host: "ssh://me@board.lab"}
"""
    found = [(board.host, board.port, board.user) for board in parse(text).boards]
    assert found == [
        ("10.0.0.11", 2222, "pi"),
        ("fe80::1", 22, "nobody"),
        ("board.lab", 1, "me"),
    ]


def test_yaml_merges_are_followed():
    text = """
common: &common {threads: 4, tags: [pi4], host: nowhere}
boards:
  a: &a {<<: *common, host: h1}
  b: {<<: [*a, *common], threads: 2}
  <<: {c: {host: h3}}
"""
    inventory = parse(text)
    assert not inventory.problems
    found = [(board.name, board.host, board.threads, board.tags) for board in inventory.boards]
    assert found == [
        ("a", "h1", 4, ("pi4",)),
        ("b", "h1", 2, ("pi4",)),
        ("c", "h3", None, ()),
    ]


def test_a_merge_of_itself_ends():
    assert [board.host for board in parse("boards: {a: &a {<<: *a, host: h}}").boards] == ["h"]


def test_values_of_the_environment_are_in_no_representation():
    assert "s3cret" not in repr(parse(GOOD))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("boards: {a: {host: [}", "line 1: not YAML"),
        ("boards:\n  a: {}\n b: {}\n", "line 3: not YAML"),
        ("boards:\n\t- a\n", "line 2: not YAML"),
        ("- a\n- b\n", "line 1: the file: wanted 'key: value' pairs"),
        ("", "no boards"),
        ("boards: {}", "no boards"),
        ("boards: 7", "line 1: the file: 'boards': wanted"),
        ("boards: {a: {}}\nboard: {}\n", "line 2: the file: 'board': unknown key; did you mean"),
        ("boards: {a: {}}\ngroups:\n  g: [b]\n", "line 3: groups: 'g': no board 'b'"),
        ("boards:\n  a: {}\n  b: {user: 'x\x07'}\n", "line 3: not YAML: the character '\\x07'"),
        ("boards: {a: {}}\n? [b]\n: c\n", "line 2: the file: a key that is not a word"),
    ],
)
def test_a_file_that_is_no_inventory_is_refused_with_the_line(text, message):
    with pytest.raises(InventoryError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{port: 70000}", "'port': '70000'; wanted an integer from 1 to 65535"),
        ("{port: x}", "'port': 'x'"),
        ("{host: 'h:0'}", "'host': 'h:0'; port '0'; wanted an integer from 1 to 65535"),
        ("{host: 'h:22', port: 23}", "'port': 23, but 'host' says 22"),
        ("{thread: 4}", "'thread': unknown key; did you mean 'threads'?"),
        ("{cores: 3-x}", "'cores': CPU list '3-x'"),
        ("{cores: 3-0}", "'cores': CPU list '3-0': '3-0' is no range of CPUs"),
        ("{? [a] : b}", "board 'bad': a key that is not a word"),
        ("{runtime: torch}", "'runtime': 'torch'; wanted one of onnxruntime"),
        ("{host: '-oProxyCommand=x'}", "'host': '-oProxyCommand=x'; wanted a host name"),
        ('{host: "a b;$(id)"}', "wanted a host name"),
        ("{user: 'a;b'}", "'user': 'a;b'; wanted a user name"),
        ("{folder: relative}", "'folder': 'relative'; wanted a path from / or ~/"),
        ("{folder: /}", "'folder': '/'"),
        ("{prepare: maybe}", "'prepare': 'maybe'; wanted true or false"),
        ("{environment: {'A=B': x}}", "'A=B': wanted the name of a variable"),
        ("{host: a, host: b}", "'host' stands twice"),
        ("{tags: {a: b}}", "'tags'"),
        ("[]", "wanted 'key: value' pairs"),
    ],
)
def test_a_faulty_board_is_named_with_its_line_and_the_others_go_on(entry, message):
    inventory = parse(f"boards:\n  good: {{}}\n  bad: {entry}\n  fine: {{}}\n")
    assert [board.name for board in inventory.boards] == ["good", "fine"]
    problem = str(inventory.problems["bad"])
    assert "line 3" in problem
    assert message in problem


def test_of_two_boards_of_one_name_neither_is_used():
    inventory = parse("boards:\n  a: {host: x}\n  b: {}\n  a: {host: y}\n")
    assert [board.name for board in inventory.boards] == ["b"]
    assert "line 4: board 'a': the name is also in line 2" in str(inventory.problems["a"])


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(InventoryError, match="cannot be read"):
        read_inventory(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("boards", "message"),
    [
        ("  - name: good\n  - host: h\n  - name: fine\n", "line 3: board without a name"),
        (
            "  - name: good\n  - {name: a, name: b}\n  - name: fine\n",
            "line 3: board: 'name' stands twice",
        ),
        ("  - name: good\n  - 7\n  - name: fine\n", "line 3: board: wanted 'key: value' pairs"),
        ("  good: {}\n  ? [a]\n  : {}\n  fine: {}\n", "line 3: board without a name"),
    ],
)
def test_an_entry_without_a_name_is_told_with_its_line_and_the_others_go_on(boards, message):
    inventory = parse(f"boards:\n{boards}")
    assert [board.name for board in inventory.boards] == ["good", "fine"]
    [problem] = inventory.problems.values()
    assert message in str(problem)


def test_only_the_faults_of_the_boards_asked_for_count():
    inventory = parse(
        "boards: {good: {}, bad: {port: x}, worse: {port: y}}\ngroups: {lab: [good, bad]}\n"
    )
    assert inventory.problems_of(["good"]) == ()
    assert inventory.problems_of(["lab"]) == (inventory.problems["bad"],)
    assert len(inventory.problems_of()) == 2


def test_a_library_lies_beside_the_inventory():
    [board] = parse("boards: {a: {runtime: tflite_c, library: libs/own.so}}").boards
    assert board.library == Path("lab/libs/own.so")


def test_a_board_may_have_runtime_options_and_a_runtime_of_its_own():
    text = """
boards:
  nano: {own_library: find, providers: [TensorRT, CUDA], options: {arena: false, level: basic}}
  orin: {own_library: /opt/ort/libonnxruntime.so, providers: CUDA}
"""
    nano, orin = parse(text).boards
    assert nano.options == {"arena": False, "level": "basic", "providers": ["TensorRT", "CUDA"]}
    assert (nano.own_library, orin.own_library) == ("find", "/opt/ort/libonnxruntime.so")
    assert orin.options == {"providers": ["CUDA"]}


def test_an_own_library_is_a_path_on_the_board():
    problems = parse("boards:\n  nano: {own_library: lib/a.so}\n  ok: {}\n").problems
    assert "wanted find, or a path from /" in str(problems["nano"])


def test_boards_are_found_by_name_tag_or_destination(tmp_path):
    path = tmp_path / "boards.yaml"
    assert find_boards("pi@10.0.0.7:2222", path) == (BoardSpec("10.0.0.7", "10.0.0.7", 2222, "pi"),)
    path.write_text(
        "boards:\n  a: {tags: [pi4]}\n  b: {tags: [pi4]}\n  c: {}\ngroups:\n  g: [a, c]\n"
    )
    assert [board.name for board in find_boards("a", path)] == ["a"]
    assert [board.name for board in find_boards("pi4", path)] == ["a", "b"]
    assert [board.name for board in find_boards("me@d", path)] == ["d"]
    with pytest.raises(InventoryError, match="no board, tag or group 'd'"):
        find_boards("d", path)
    with pytest.raises(InventoryError, match="several devices: a, c"):
        find_boards("g", path)
    path.write_text("boards:\n  a: {port: x}\n  b: {}\n")
    with pytest.raises(BoardSetupError, match="port"):
        find_boards("a", path)
