"""Lookup tables as files: Once-For-All's folder of YAML, and ProxylessNAS's single one.

Owns: reading, checking, writing and converting them. Entries are ``{count, mean, std}`` in ms;
ProxylessNAS keeps ``var`` in place of ``std``. ``lut.json`` beside them, where there is one, names
space and device (tables built by edgeprof have it; published ones do not).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprof.base.errors import LookupTableError
from edgeprof.base.extras import optional
from edgeprof.base.files import atomic_write, make_folder
from edgeprof.base.parse import ENCODING, first_double, parse_integer, parse_json
from edgeprof.base.yaml_lines import load_yaml
from edgeprof.predictors.lut.lut_keys import Grammar, parse_key

ABOUT_FILE = "lut.json"
_SUFFIX = "_lookup_table.yaml"
_PROXYLESS_FILE = "mobile_trim.yaml"


@dataclass(frozen=True)
class Entry:
    """Latency of one block.

    Attributes:
        count: number of timed runs.
        mean_ms: their mean.
        std_ms: their standard deviation.
    """

    count: int
    mean_ms: float
    std_ms: float


Table = dict[str, Entry]
"""Entries of one resolution by key."""


@dataclass(frozen=True, repr=False)
class TableSet:
    """Tables as read.

    Attributes:
        source: the folder or file.
        grammar: of their keys.
        tables: one per resolution in pixels.
        about: content of ``lut.json``; empty where there is none.
    """

    source: str
    grammar: Grammar
    tables: Mapping[int, Table]
    about: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<TableSet {self.source}: {len(self.tables)} tables>"


def read_tables(path: Path) -> TableSet:
    """Read a folder of tables, or a single one.

    Raises:
        LookupTableError: naming file and key of what is wrong.
    """
    path = Path(path)
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise LookupTableError(f"{path}: holds no lookup table, want files *{_SUFFIX}")
    tables: dict[int, Table] = {}
    grammars: set[Grammar] = set()
    for file in files:
        table, resolution, grammar = _read_table(file)
        if resolution in tables:
            raise LookupTableError(f"{file}: is a second table for {resolution} pixels")
        tables[resolution] = table
        grammars.add(grammar)
    if len(grammars) != 1:
        raise LookupTableError(f"{path}: mixes tables of OFA's and of ProxylessNAS's grammar")
    return TableSet(str(path), grammars.pop(), tables, read_about(path))


def write_tables(tables: TableSet, folder: Path, grammar: Grammar) -> list[Path]:
    """Write tables in a grammar, with its spread field and file names.

    Raises:
        LookupTableError: if the grammar cannot say a key, or several resolutions.
        OutputError: if a file cannot be written.
    """
    if grammar is Grammar.PROXYLESS and len(tables.tables) != 1:
        raise LookupTableError(
            f"{tables.source}: has {len(tables.tables)} resolutions, ProxylessNAS's form one"
        )
    rewritten = {
        resolution: _rewritten(table, grammar, tables.source)
        for resolution, table in tables.tables.items()
    }
    make_folder(folder)
    written = []
    for resolution, table in rewritten.items():
        proxyless = grammar is Grammar.PROXYLESS
        path = folder / (_PROXYLESS_FILE if proxyless else f"{resolution}{_SUFFIX}")
        with atomic_write(path) as stream:
            _yaml().safe_dump(_plain(table, grammar), stream, sort_keys=True)
        written.append(path)
    if tables.about:
        with atomic_write(folder / ABOUT_FILE) as stream:
            json.dump(dict(tables.about), stream, indent=1)
    return written


def _rewritten(table: Table, grammar: Grammar, source: str) -> Table:
    names = [parse_key(key)[0].text(grammar) for key in table]
    if double := first_double(names):
        raise LookupTableError(f"{source}: two of its keys are {double!r} in the other form")
    return dict(zip(names, table.values(), strict=True))


def _plain(table: Table, grammar: Grammar) -> dict[str, dict[str, float]]:
    if grammar is Grammar.OFA:
        return {
            key: {"count": entry.count, "mean": entry.mean_ms, "std": entry.std_ms}
            for key, entry in table.items()
        }
    return {
        key: {"count": entry.count, "mean": entry.mean_ms, "var": entry.std_ms**2}
        for key, entry in table.items()
    }


def _read_table(file: Path) -> tuple[Table, int, Grammar]:
    try:
        content = load_yaml(file.read_text(encoding=ENCODING))
    except OSError as error:
        raise LookupTableError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LookupTableError(f"{file}: {error}") from error
    if not isinstance(content, dict) or not content:
        raise LookupTableError(f"{file}: is no lookup table, want a map of keys to entries")
    table: Table = {}
    grammar: Grammar | None = None
    resolution = 0
    for text, value in content.items():
        try:
            key, its_grammar = parse_key(str(text))
        except LookupTableError as error:
            raise LookupTableError(f"{file}: {error}") from None
        if its_grammar is not None and grammar not in (None, its_grammar):
            raise LookupTableError(f"{file}: key {text!r} is of another grammar than those before")
        grammar = its_grammar or grammar
        if key.kind == "Conv":
            resolution = key.in_shape.height
        table[str(text)] = _entry(file, str(text), value)
    if grammar is None or not resolution:
        raise LookupTableError(f"{file}: has no key of a Conv or of an expanded_conv")
    if file.name.endswith(_SUFFIX) and file.name != f"{resolution}{_SUFFIX}":
        raise LookupTableError(f"{file}: its Conv key is of {resolution} pixels, its name is not")
    return table, resolution, grammar


def _entry(file: Path, key: str, value: object) -> Entry:
    try:
        if not isinstance(value, dict):
            raise TypeError
        spread = float(value["std"]) if "std" in value else math.sqrt(float(value["var"]))
        entry = Entry(parse_integer(value["count"]), float(value["mean"]), spread)
    except (KeyError, OverflowError, TypeError, ValueError):
        raise LookupTableError(
            f"{file}: entry {key!r} is {value!r}, want count, mean and std or var"
        ) from None
    if not (math.isfinite(entry.mean_ms) and entry.mean_ms > 0):
        raise LookupTableError(f"{file}: entry {key!r}: mean is {entry.mean_ms}, want > 0 ms")
    return entry


def read_about(path: Path) -> Mapping[str, Any]:
    """Return what the entries of a folder of tables share; empty where nothing is said."""
    file = path / ABOUT_FILE
    if not path.is_dir() or not file.exists():
        return {}
    try:
        about = parse_json(file.read_text(encoding=ENCODING))
    except (OSError, ValueError) as error:
        raise LookupTableError(f"{file}: is no JSON: {error}") from error
    return about if isinstance(about, dict) else {}


def _yaml() -> Any:
    with optional("reading or writing lookup tables"):
        import yaml

    return yaml
