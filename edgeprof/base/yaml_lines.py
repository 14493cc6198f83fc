"""YAML whose faults name the file and the line.

Owns: access to a mapping by key and type. Does not own: what the keys mean (``inventory.py``).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InventoryError
from edgeprof.base.extras import optional
from edgeprof.base.parse import first_double


class YamlMapping:
    """A YAML mapping with typed access that remembers its lines for error messages."""

    def __init__(self, source: Path, what: str, line: int, values: dict[str, Any]) -> None:
        self.source = source
        self.what = what
        self.line = line
        self.values = values  # key -> YAML node

    @classmethod
    def of(cls, node: Any, source: Path, what: str) -> YamlMapping:
        """Read a node, of a file and called something there; an empty one is an empty mapping."""
        import yaml

        line = 1 if node is None else node.start_mark.line + 1
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value == ""):
            return cls(source, what, line, {})
        if not isinstance(node, yaml.MappingNode):
            raise InventoryError(f"{source}, line {line}: {what}: wanted 'key: value' pairs")
        values: dict[str, Any] = {}
        for key, value in pairs_of(node):
            line_of_key, name = key.start_mark.line + 1, str(key.value)
            where = f"{source}, line {line_of_key}: {what}"
            if not isinstance(key, yaml.ScalarNode):
                raise InventoryError(f"{where}: a key that is not a word")
            if name in values:
                raise InventoryError(f"{where}: {name!r} stands twice")
            values[name] = value
        return cls(source, what, line, values)

    def error(self, key: str, message: str) -> InventoryError:
        """Return an error about a key, with its line."""
        line = self.values[key].start_mark.line + 1 if key in self.values else self.line
        return InventoryError(f"{self.source}, line {line}: {self.what}: {key!r}: {message}")

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """Raise for a key that is none of these."""
        for key in self.values:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
                raise self.error(key, f"unknown key; {hint}")

    def scalar(self, key: str) -> str | None:
        """Return the text of a value."""
        import yaml

        node = self.values.get(key)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(key, "wanted one value")
        return str(node.value)

    def integer(self, key: str, low: int, high: int) -> int | None:
        """Return a number from ``low`` to ``high``."""
        text = self.scalar(key)
        if text is None:
            return None
        if not text.isdecimal() or not low <= int(text) <= high:
            raise self.error(key, f"{text!r}; wanted an integer from {low} to {high}")
        return int(text)

    def boolean(self, key: str) -> bool | None:
        """Return true or false."""
        text = self.scalar(key)
        if text is None:
            return None
        if text.lower() not in ("true", "false", "yes", "no"):
            raise self.error(key, f"{text!r}; wanted true or false")
        return text.lower() in ("true", "yes")

    def strings(self, key: str) -> tuple[str, ...]:
        """Return a list of words, or a single one."""
        import yaml

        node = self.values.get(key)
        if node is None:
            return ()
        items = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(item, yaml.ScalarNode) for item in items):
            raise self.error(key, "wanted a list of names")
        return tuple(str(item.value) for item in items)

    def mapping(self, key: str) -> YamlMapping:
        """Return a mapping within."""
        return YamlMapping.of(self.values.get(key), self.source, key)


def pairs_of(node: Any) -> list[tuple[Any, Any]]:
    """Return the keys and values of a mapping node; those that ``<<`` brings are the last.

    What the mapping says itself goes before what it merges, and the first merged one before others.
    """
    own = [pair for pair in node.value if not _is_merge(pair[0])]
    found = {str(key.value) for key, _ in own}
    merged: list[tuple[Any, Any]] = []
    for part in _merged_by(node):
        for key, value in part.value:
            if not _is_merge(key) and str(key.value) not in found:
                found.add(str(key.value))
                merged.append((key, value))
    return own + merged


def merged_anywhere(top: Any) -> set[int]:
    """Return the identities of the nodes below ``top`` that some ``<<`` merges."""
    found: set[int] = set()
    seen: set[int] = set()
    left = [top]
    while left:
        node = left.pop()
        if node is None or id(node) in seen or isinstance(node.value, str):
            continue
        seen.add(id(node))
        items = node.value
        if node.id == "mapping":
            found.update(map(id, _merged_by(node)))
            items = [part for pair in node.value for part in pair]
        left += items
    return found


def _is_merge(key: Any) -> bool:
    return bool(key.tag == "tag:yaml.org,2002:merge")


def _merged_by(node: Any) -> list[Any]:
    """Return the mappings that a mapping merges, and those that they merge in turn."""
    found: list[Any] = []
    left = [node]
    while left:
        for key, value in left.pop(0).value:
            if _is_merge(key):
                parts = value.value if value.id == "sequence" else [value]
                new = [part for part in parts if part.id == "mapping" and part not in found]
                found += new
                left += new
    return found


def compose(text: str, source: Path) -> Any:
    """Return the top node of a YAML text.

    Raises:
        InventoryError: it is no YAML; the line is named.
        MissingDependency: PyYAML is not installed.
    """
    with optional("reading boards.yaml"):
        import yaml

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InventoryError(f"{source}, line {line}: not YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character {text[error.position]!r} is not allowed"
        raise InventoryError(f"{source}, line {line}: not YAML: {what}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InventoryError(f"{source}: not YAML: {' '.join(str(error).split())}") from error


def load_yaml(text: str) -> Any:
    """Return the values of a YAML text.

    Raises:
        ValueError: it is no YAML, or a mapping has a key twice.
        MissingDependency: PyYAML is not installed.
    """
    with optional("reading YAML"):
        import yaml

    # mypy cannot see which of the two classes it is.
    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            names = (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            if (double := first_double(names)) is not None:
                line = node.start_mark.line + 1
                raise ValueError(f"the key {double!r} stands twice in the mapping of line {line}")
            values: dict[Any, Any] = super().construct_mapping(node, deep)
            return values

    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error
