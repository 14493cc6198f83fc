"""A board written into ``boards.yaml`` by a command; all else in the file stays as it stands.

Owns: where an entry goes in the text, and its form. What entries mean is ``inventory.py``'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeprof.base.errors import InventoryError
from edgeprof.base.files import write_whole
from edgeprof.base.yaml_lines import YamlMapping, compose
from edgeprof.boards.destination import Destination, parse_destination
from edgeprof.boards.inventory import BoardSpec, Inventory, parse_inventory

_HEADING = "# Written by `edgeprof boards add`. docs/boards.md says what else an entry may have.\n"
_PLAIN = re.compile(r"[A-Za-z_][\w.-]*|\d+\.\d+\.\d+\.\d+", re.ASCII)


@dataclass(frozen=True)
class Addition:
    """A board, and the inventory that has it.

    Attributes:
        board: as the inventory has it.
        path: of the inventory.
        text: of the whole file with the new entry; ``None`` where the board stands in it already.
    """

    board: BoardSpec
    path: Path
    text: str | None = None

    def write(self) -> None:
        """Write the file; its mode stays, and so does a link to it.

        Raises:
            OutputError: it cannot be written.
        """
        if self.text is None:
            return
        path = self.path.resolve()
        mode = path.stat().st_mode if path.exists() else None
        write_whole(path, self.text)
        if mode is not None:
            path.chmod(mode & 0o7777)


def add_board(
    path: Path,
    text: str,
    *,
    name: str | None = None,
    tags: Sequence[str] = (),
    ssh_config: Path | None = None,
) -> Addition:
    """Find a board in an inventory, or work out the text with a new entry. Writes nothing.

    Args:
        path: of the inventory; need not be there yet.
        text: the name of a board that is there, or ``user@host:port``.
        name: of a new board; its host by default.
        tags: of a new board.
        ssh_config: SSH configuration of a new inventory.

    Raises:
        InventoryError: no destination, an inventory that cannot be read or extended, a name that
            another board has, or a known board that differs from what was asked for.
        BoardSetupError: the board's entry has a fault.
    """
    said = _parsed(text)
    content = _content(path)
    known = parse_inventory(content, path, may_be_empty=True)
    if (board := _find(known, text, said)) is not None:
        _check_same(board, known, text, name, tags)
        _check_ssh_config(board, path, ssh_config)
        return Addition(board, path)
    name = name or said.host
    _check_free(known, name, text)
    addition = _added(known, content, name, _entry(said, tags), ssh_config)
    _check_ssh_config(addition.board, path, ssh_config)
    return addition


def _added(
    known: Inventory, content: str, name: str, entry: str, ssh_config: Path | None
) -> Addition:
    """Return the board of a new entry; what is read of the others must be the same as before."""
    path = known.source
    extended = _extended(content, path, name, entry, ssh_config)
    try:
        after = parse_inventory(extended, path)
    except InventoryError as error:
        raise _by_hand(path, name, entry) from error
    if name in after.problems:
        raise after.problems[name]
    added = [board for board in after.boards if board.name == name]
    others = [replace(board, line=None) for board in after.boards if board.name != name]
    before = [replace(board, line=None) for board in known.boards]
    if len(added) != 1 or others != before or known.groups != after.groups:
        raise _by_hand(path, name, entry)
    return Addition(added[0], path, extended)


def _parsed(text: str) -> Destination:
    try:
        return parse_destination(text)
    except ValueError as error:
        raise InventoryError(f"{text!r}: {error}") from error


def _content(path: Path) -> str:
    """Return the text as it stands, line ends included; empty where there is no file."""
    try:
        return path.read_bytes().decode("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InventoryError(f"{path}: cannot be read: {reason}") from error


def _check_ssh_config(board: BoardSpec, path: Path, wanted: Path | None) -> None:
    has = board.ssh_config
    if wanted is not None and (has is None or has.resolve() != wanted.resolve()):
        raise InventoryError(
            f"{path}: its boards are reached by {has or '~/.ssh/config'}, not by {wanted}; change "
            "'ssh_config' there, or give another --boards"
        )


def _find(known: Inventory, text: str, said: Destination) -> BoardSpec | None:
    """Return the board of this name or destination; what is not said of the latter may be any."""
    for board in known.boards:
        is_host = board.host == said.host
        if board.name == text or (
            is_host and said.port in (None, board.port) and said.user in (None, board.user)
        ):
            return board
    return None


def _check_same(
    board: BoardSpec, known: Inventory, text: str, name: str | None, tags: Sequence[str]
) -> None:
    if (name and name != board.name) or (tags and tuple(tags) != board.tags):
        tagged = f" with the tags {', '.join(board.tags)}" if board.tags else ""
        raise InventoryError(
            f"{known.source}, line {board.line}: {text} is there as {board.name!r}{tagged}; "
            "change it there"
        )


def _check_free(known: Inventory, name: str, text: str) -> None:
    if name in known.problems:
        raise known.problems[name]
    for board in known.boards:
        if board.name == name:
            raise InventoryError(
                f"{known.source}, line {board.line}: a board {name!r} is there, and is not {text}; "
                "give --name"
            )


def _entry(said: Destination, tags: Sequence[str]) -> str:
    parts = [f"host: {_word(said.host)}"]
    parts += [f"user: {_word(said.user)}"] if said.user else []
    parts += [f"port: {said.port}"] if said.port else []
    parts += [f"tags: [{', '.join(map(_word, tags))}]"] if tags else []
    return f"{{{', '.join(parts)}}}"


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _by_hand(path: Path, name: str, entry: str) -> InventoryError:
    return InventoryError(
        f"{path}: its form leaves no place to add a board; add this under 'boards' yourself: "
        f"{_word(name)}: {entry}"
    )


def _extended(text: str, path: Path, name: str, entry: str, ssh_config: Path | None) -> str:
    """Return the text with one more line, or with what a new file needs."""
    import yaml

    line = f"{_word(name)}: {entry}"
    top = compose(text, path)
    values = YamlMapping.of(top, path, "the file").values
    boards = values.get("boards")
    if boards is None:
        head = text or _HEADING
        head += "" if head.endswith("\n") else "\n"
        if ssh_config is not None and "ssh_config" not in values:
            head += f"ssh_config: {_word(str(ssh_config.absolute()))}\n"
        return f"{head}boards:\n  {line}\n"
    lines = text.split("\n")
    at, column = _last_line(boards), boards.start_mark.column
    if isinstance(boards, yaml.ScalarNode):  # nothing under it yet
        column = 2
    elif boards.flow_style:
        raise _by_hand(path, name, entry)
    elif isinstance(boards, yaml.SequenceNode):
        line = f"- {{name: {_word(name)}, {entry[1:]}"
    end = "\r" if lines[at].endswith("\r") else ""
    lines.insert(at + 1, f"{' ' * column}{line}{end}")
    return "\n".join(lines)


def _last_line(node: Any) -> int:
    """Return the number of the last line of a node, without the comments that follow."""
    if not isinstance(node.value, str) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(last, tuple):  # the value may be another node's, by an alias
            return max(int(last[0].end_mark.line), _last_line(last[1]))
        return _last_line(last)
    start, end = node.start_mark, node.end_mark
    line: int = end.line
    return line - 1 if end.column == 0 and line > start.line else line
