"""The layout that docs/architecture.md promises: packages in levels, imports that point downwards.

The imports are read from the sources, those inside functions and for type checking included.
"""

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

import pytest
from tree import ROOT

LEVELS = (
    {"base"},
    {"networks"},
    {"export", "measuring", "records"},
    {"accuracy", "boards", "predictors"},
    {"runs"},
    {"report", "search"},
    {"cli"},
)
"""From the lowest. A package imports those below it, and those beside it in one direction only."""

LOOSE = {"__init__.py", "__main__.py", "_core.pyi", "py.typed"}


def imported_by(path):
    """Yield the dotted names that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(root):
    """Return, for every package under ``root`` and its sub-packages, those that it imports.

    A room is a tuple: ("cli",) or ("predictors", "gp").
    """
    ties = defaultdict(lambda: defaultdict(set))
    for path in sorted(root.rglob("*.py")):
        room = path.relative_to(root).parts[:-1]
        for name in imported_by(path):
            top, *parts = name.split(".")
            if top != root.name or not room:
                continue
            while parts and not (root / Path(*parts)).is_dir():
                parts.pop()
            if parts and tuple(parts) != room:
                ties[room][tuple(parts)].add(f"{path.relative_to(root)} imports {name}")
    return ties


def upward_imports(root, levels=LEVELS):
    """Return the imports of packages above, one line each."""
    level_of = {name: level for level, names in enumerate(levels) for name in names}
    return [
        line
        for room, targets in rooms_imported(root).items()
        for target, lines in targets.items()
        for line in sorted(lines)
        if level_of[target[0]] > level_of[room[0]]
    ]


def cycles(root):
    """Return the cycles between packages, and between sub-packages that share a parent."""
    graphs = defaultdict(lambda: defaultdict(set))
    for room, targets in rooms_imported(root).items():
        for target in targets:
            shared = sum(
                1
                for _ in takewhile(lambda pair: pair[0] == pair[1], zip(room, target, strict=False))
            )
            if shared < min(len(room), len(target)):
                graphs[room[:shared]][room[shared]].add(target[shared])
    return [cycle for graph in graphs.values() if (cycle := cycle_of(graph))]


def cycle_of(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def loose_files(folder, allowed=()):
    """Return the files of a folder that belong into one of its packages."""
    return sorted({path.name for path in folder.iterdir() if path.is_file()} - set(allowed))


def test_every_package_has_its_level():
    packages = {path.parent.name for path in (ROOT / "edgeprof").glob("*/__init__.py")}
    assert packages == set().union(*LEVELS)


def test_imports_point_downwards():
    assert upward_imports(ROOT / "edgeprof") == []


def test_no_cycle_between_packages():
    assert cycles(ROOT / "edgeprof") == []


def test_no_module_lies_loose():
    assert loose_files(ROOT / "edgeprof", LOOSE) == []
    assert loose_files(ROOT / "csrc") == []


@pytest.fixture
def house(tmp_path):
    """A package of two levels: ``high`` over the neighbours ``left`` and ``right``."""
    root = tmp_path / "house"
    modules = {"high_a": "from house.left import b", "left_b": "import os", "right_c": "x = 1"}

    def build(**changes):
        for name, text in {**modules, **changes}.items():
            path = root / f"{name.replace('_', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return build


TWO_LEVELS = ({"left", "right"}, {"high"})


def test_a_tree_in_order_passes(house):
    root = house(left_d="from house.right.c import x", loose="import house.high.a")
    assert upward_imports(root, TWO_LEVELS) == []
    assert cycles(root) == []


@pytest.mark.parametrize(
    "text",
    [
        "from house.high import a",
        "import house.high.a",
        "def f():\n    from house.high.a import b",
        "from house import high",
    ],
)
def test_an_upward_import_is_found_wherever_it_stands(house, text):
    (line,) = upward_imports(house(left_b=text), TWO_LEVELS)
    assert line.startswith("left/b.py imports house.high")


def test_neighbours_that_import_each_other_are_found(house):
    root = house(left_b="import house.right.c", right_c="from house.left.b import y")
    assert upward_imports(root, TWO_LEVELS) == []
    assert [set(cycle) for cycle in cycles(root)] == [{"left", "right"}]


def test_sub_packages_that_import_each_other_are_found(house):
    root = house(left_gp_m="import house.left.nn.m", left_nn_m="import house.left.gp.m")
    assert [set(cycle) for cycle in cycles(root)] == [{"gp", "nn"}]


def test_a_loose_module_is_found(house):
    assert loose_files(house(helpers=""), LOOSE) == ["helpers.py"]
