"""Files and functions that a reader can take in: the limits of production code."""

import ast

import pytest
from tree import ROOT

MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 40


def sources():
    yield from (ROOT / "edgeprof").rglob("*.py")
    for path in (ROOT / "csrc").rglob("*"):
        if path.suffix in (".cpp", ".h") and "tests" not in path.parts:
            yield path


def long_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n_lines = node.end_lineno - node.lineno + 1
            if n_lines > MAX_FUNCTION_LINES:
                yield f"{node.name}: {n_lines} lines"


def test_no_file_is_longer_than_the_limit():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert len(lengths) > 200
    assert {path: n for path, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_the_limit():
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in sources()
        if path.suffix == ".py"
        for line in long_functions(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(("n_lines", "is_long"), [(39, False), (40, True)])
def test_a_long_function_is_found_inside_a_class_too(n_lines, is_long):
    body = "\n".join(["        pass"] * n_lines)
    assert bool(list(long_functions(f"class A:\n    async def f(self):\n{body}"))) is is_long
