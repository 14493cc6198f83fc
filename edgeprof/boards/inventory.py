"""The boards of a fleet: ``boards.yaml`` on top of ``~/.ssh/config``.

Owns: the form of the file, its checks, and the choice of boards by name, tag or group. Host names,
users, keys and jumps of ``~/.ssh/config`` need not be repeated; ``boards.yaml`` takes
precedence. Nothing here opens a connection.

::

    ssh_config: lab_ssh_config        # optional; default ~/.ssh/config
    defaults:                         # optional; for every board that does not say otherwise
      user: pi
    boards:
      rpi4-01: {host: 10.0.0.11, tags: [rpi4], threads: 4, cores: 0-3}
      rpi4-02: {tags: [rpi4]}         # host: a name of ~/.ssh/config
    groups:
      lab: [rpi4-01, rpi4-02]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgeprof.base.cpu_list import parse_cpus
from edgeprof.base.errors import BoardSetupError, InventoryError
from edgeprof.base.parse import ENCODING, parse_json
from edgeprof.base.yaml_lines import YamlMapping, compose, merged_anywhere, pairs_of
from edgeprof.boards.destination import Destination, is_name, parse_destination
from edgeprof.measuring.runtimes import BOARD_RUNTIMES

DEFAULT_FOLDER = "~/.edgeprof"
DEFAULT_LOCK = "/tmp/edgeprof-board.lock"
FIND = "find"
"""As ``own_library``: look where packages put it."""


@dataclass(frozen=True)
class BoardSpec:
    """One entry of the inventory.

    Attributes:
        name: what the board is called in tables, records and on the command line.
        host: address, or a ``Host`` of the SSH configuration; the name where it is not said.
        port, user: ``None`` leaves them to the SSH configuration.
        tags: the first names the queue that the board shares with others of its kind, and the
            device that its measurements are filed under.
        threads, runtime: to measure with; ``None`` leaves them to the command.
        cores: cores to run on; empty leaves them to the command.
        library: the runtime's library, on this machine, to send instead of the one it would find.
        own_library: the runtime's library that the board has, to use instead of sending one: its
            path there, or ``"find"`` (of JetPack's onnxruntime-gpu and the like).
        options: the runtime's own, beside those of the command.
        environment: variables for the measuring process. Values never appear in a log.
        folder: private folder on the board; another one where the home is mounted ``noexec``.
        lock: file that keeps two users from measuring on the board at once.
        prepare: whether the clock governor and the like are set before and restored after.
        ssh_config: SSH configuration to read instead of ``~/.ssh/config``.
        line: of the entry in the file.
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    threads: int | None = None
    cores: tuple[int, ...] = ()
    runtime: str | None = None
    library: Path | None = None
    own_library: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    folder: str = DEFAULT_FOLDER
    lock: str = DEFAULT_LOCK
    prepare: bool = True
    ssh_config: Path | None = None
    line: int | None = None

    @property
    def device(self) -> str:
        """Name that measurements are filed under, and of the shared queue."""
        return self.tags[0] if self.tags else self.name

    @property
    def destination(self) -> Destination:
        """Where to connect to."""
        return Destination(self.host, self.port, self.user)

    def error(self, what: str, **evidence: object) -> BoardSetupError:
        """Return the error that says what is wrong with this board."""
        return BoardSetupError(f"board {self.name}: {what}", board=self.name, **evidence)


@dataclass(frozen=True)
class Inventory:
    """The boards that can be used, and one error for each entry that cannot.

    Attributes:
        problems: error by board name; the other boards can be used.
    """

    boards: tuple[BoardSpec, ...]
    groups: Mapping[str, tuple[str, ...]]
    problems: Mapping[str, BoardSetupError]
    source: Path

    def problems_of(self, names: Sequence[str] = ()) -> tuple[BoardSetupError, ...]:
        """Return the errors of the boards with one of these names or groups; all without any."""
        wanted = {*names, *(board for name in names for board in self.groups.get(name, ()))}
        return tuple(error for name, error in self.problems.items() if not names or name in wanted)

    def select(self, names: Sequence[str] = ()) -> tuple[BoardSpec, ...]:
        """Return the boards with one of these names, tags or groups, in order; all without any.

        Raises:
            InventoryError: a name that is neither a board, a tag nor a group.
        """
        if not names:
            return self.boards
        wanted: set[str] = set()
        for name in names:
            chosen = {board.name for board in self.boards if name in (board.name, *board.tags)}
            chosen.update(self.groups.get(name, ()))
            if not chosen and name not in self.problems:
                raise InventoryError(f"{self.source}: no board, tag or group {name!r}")
            wanted |= chosen
        return tuple(board for board in self.boards if board.name in wanted)


def read_inventory(path: Path) -> Inventory:
    """Read ``boards.yaml``.

    Raises:
        InventoryError: no such file, not YAML, or no boards in it; the line is named. Faults of
            single entries do not raise: they are in ``Inventory.problems``.
        MissingDependency: without PyYAML.
    """
    try:
        text = path.read_text(encoding=ENCODING)
    except (OSError, UnicodeDecodeError) as error:
        is_missing = isinstance(error, FileNotFoundError)
        remedy = "; `edgeprof boards add USER@HOST` makes one" if is_missing else ""
        reason = getattr(error, "strerror", None) or error
        raise InventoryError(f"{path}: cannot be read: {reason}{remedy}") from error
    return parse_inventory(text, path)


def find_boards(text: str, inventory: Path) -> tuple[BoardSpec, ...]:
    """Return the boards of a name, tag or group of an inventory, or the one at ``user@host``.

    Raises:
        InventoryError: no such boards, or boards of several devices.
        BoardSetupError: the board's entry has a fault.
    """
    if "@" in text and not inventory.exists():
        return (_board_at(text),)
    known = read_inventory(inventory)
    try:
        boards = known.select([text])
    except InventoryError:
        if "@" in text:
            return (_board_at(text),)
        raise
    for problem in known.problems_of([text]):
        raise problem
    if len({board.device for board in boards}) > 1:
        names = ", ".join(board.name for board in boards)
        raise InventoryError(f"{inventory}: {text!r} is boards of several devices: {names}")
    return boards


def _board_at(text: str) -> BoardSpec:
    try:
        said = parse_destination(text)
    except ValueError as error:
        raise InventoryError(f"{text!r}: {error}") from error
    return BoardSpec(said.host, said.host, said.port, said.user)


def parse_inventory(text: str, source: Path, *, may_be_empty: bool = False) -> Inventory:
    """Parse the text of a ``boards.yaml``; see :func:`read_inventory`."""
    node = compose(text, source)
    top = YamlMapping.of(node, source, "the file")
    merged = merged_anywhere(node)  # templates, which are there only to be merged by ``<<``
    templates = (key for key, value in top.values.items() if id(value) in merged)
    top.refuse_unknown(("ssh_config", "defaults", "boards", "groups", *templates))
    ssh_config = _path_beside(source, top.scalar("ssh_config"))
    defaults = top.mapping("defaults")
    boards: dict[str, BoardSpec] = {}
    problems: dict[str, BoardSetupError] = {}
    seen: dict[str, int] = {}
    for name, line, node in _entries(top, source, problems):
        what = f"board {name!r}"
        try:
            if name in seen:
                boards.pop(name, None)
                raise InventoryError(
                    f"{source}, line {line}: {what}: the name is also in line {seen[name]}; "
                    "neither is used"
                )
            seen[name] = line
            entry = YamlMapping.of(node, source, what)
            boards[name] = _read_board(name, entry, defaults, ssh_config)
        except InventoryError as error:
            problems[name] = BoardSetupError(str(error), board=name)
    if not (seen or problems or may_be_empty):
        raise InventoryError(f"{source}: no boards; list them under 'boards:'")
    return Inventory(tuple(boards.values()), _read_groups(top, source, seen), problems, source)


def _entries(
    top: YamlMapping, source: Path, problems: dict[str, BoardSetupError]
) -> Iterable[tuple[str, int, Any]]:
    """Yield name, line and settings of each board, from a mapping or from a list with ``name``.

    What has no name is a problem by its line.
    """
    import yaml

    node = top.values.get("boards")
    if isinstance(node, yaml.MappingNode):
        entries = [(key, key, value) for key, value in pairs_of(node)]
    elif isinstance(node, yaml.SequenceNode):
        entries = [(None, item, item) for item in node.value]
    elif node is not None and node.value:
        raise top.error("boards", "wanted 'name: {...}' pairs or a list")
    else:
        entries = []
    for key, place, item in entries:
        line = place.start_mark.line + 1
        try:
            yield _name_of(key, item, source, line), line, item
        except InventoryError as error:
            problems[f"line {line}"] = BoardSetupError(str(error))


def _name_of(key: Any, item: Any, source: Path, line: int) -> str:
    """Return the name of an entry: its key in a mapping, its ``name`` in a list."""
    import yaml

    if key is None:
        name = YamlMapping.of(item, source, "board").scalar("name")
    else:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else None
    if name is None:
        raise InventoryError(f"{source}, line {line}: board without a name")
    return name


_BOARD_KEYS = (
    *(item.name for item in fields(BoardSpec) if item.name not in ("ssh_config", "line")),
    "providers",
)


def _read_board(
    name: str, entry: YamlMapping, defaults: YamlMapping, ssh_config: Path | None
) -> BoardSpec:
    entry.refuse_unknown(_BOARD_KEYS)
    defaults.refuse_unknown(tuple(key for key in _BOARD_KEYS if key not in ("name", "host")))
    merged = YamlMapping(entry.source, entry.what, entry.line, {**defaults.values, **entry.values})
    if not name.strip() or not name.isprintable():
        raise merged.error("name", f"{name!r}; wanted printable characters")
    host, port, user = _read_destination(name, entry, defaults)
    optional: dict[str, Any] = {
        "port": port,
        "user": user,
        "tags": merged.strings("tags") or None,
        "threads": merged.integer("threads", 1, 1024),
        "cores": _read_cores(merged),
        "runtime": merged.scalar("runtime"),
        "library": _path_beside(entry.source, merged.scalar("library")),
        "own_library": merged.scalar("own_library"),
        "options": _read_options(merged),
        "environment": _read_environment(merged),
        "folder": merged.scalar("folder"),
        "lock": merged.scalar("lock"),
        "prepare": merged.boolean("prepare"),
    }
    board = BoardSpec(
        name=name,
        host=host,
        ssh_config=ssh_config,
        line=entry.line,
        **{key: value for key, value in optional.items() if value is not None},
    )
    _check_board(board, merged)
    return board


def _check_board(board: BoardSpec, entry: YamlMapping) -> None:
    checks: tuple[tuple[str, str, Callable[[str], bool], str], ...] = (
        ("user", board.user or "x", is_name, "wanted a user name"),
        (
            "runtime",
            board.runtime or BOARD_RUNTIMES[0],
            BOARD_RUNTIMES.__contains__,
            f"wanted one of {', '.join(BOARD_RUNTIMES)}",
        ),
        ("folder", board.folder, _is_remote_path, "wanted a path from / or ~/"),
        ("lock", board.lock, _is_remote_path, "wanted a path from / or ~/"),
        (
            "own_library",
            board.own_library or FIND,
            _is_own_library,
            "wanted find, or a path from /",
        ),
    )
    for key, value, is_good, wanted in checks:
        if not is_good(value):
            raise entry.error(key, f"{value!r}; {wanted}")


def _read_destination(
    name: str, entry: YamlMapping, defaults: YamlMapping
) -> tuple[str, int | None, str | None]:
    """Read host, port and user; ``host`` may hold all three: ``user@host:port``."""
    text = entry.scalar("host") or name
    try:
        said = parse_destination(text)
    except ValueError as error:
        raise entry.error("host", f"{text!r}; {error}") from error
    port, user = entry.integer("port", 1, 65535), entry.scalar("user")
    for key, value, in_host in (("port", port, said.port), ("user", user, said.user)):
        if value is not None and in_host is not None and value != in_host:
            raise entry.error(key, f"{value!r}, but 'host' says {in_host!r}")
    return (
        said.host,
        port or said.port or defaults.integer("port", 1, 65535),
        user or said.user or defaults.scalar("user"),
    )


def _is_remote_path(text: str) -> bool:
    return text.startswith(("/", "~/")) and text.isprintable() and text.rstrip("/") not in ("", "~")


def _read_cores(entry: YamlMapping) -> tuple[int, ...] | None:
    """Read ``[0, 1]``, ``0-3`` or ``0,2-3``."""
    texts = entry.strings("cores")
    try:
        return tuple(parse_cpus(",".join(texts))) if texts else None
    except ValueError as error:
        raise entry.error("cores", str(error)) from error


def _is_own_library(text: str) -> bool:
    # The board's shell splits at spaces and expands patterns.
    return text == FIND or (text.startswith("/") and text.isprintable() and " " not in text)


def _read_options(entry: YamlMapping) -> dict[str, Any] | None:
    """Read ``providers`` (a name or a list) and ``options``, whose values may be JSON."""
    options = {}
    if "options" in entry.values:
        settings = entry.mapping("options")
        options = {key: _json_or_text(settings.scalar(key) or "") for key in settings.values}
    if providers := entry.strings("providers"):
        options["providers"] = list(providers)
    return options or None


def _json_or_text(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text


def _read_environment(entry: YamlMapping) -> dict[str, str] | None:
    if "environment" not in entry.values:
        return None
    settings = entry.mapping("environment")
    for key in settings.values:
        if not key.isidentifier() or not key.isascii():
            raise settings.error(key, "wanted the name of a variable")
    return {key: settings.scalar(key) or "" for key in settings.values}


def _read_groups(
    top: YamlMapping, source: Path, known: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    groups = top.mapping("groups")
    members = {name: groups.strings(name) for name in groups.values}
    for name, boards in members.items():
        for board in boards:
            if board not in known:
                raise groups.error(name, f"no board {board!r} in {source}")
    return members


def _path_beside(source: Path, text: str | None) -> Path | None:
    """Return a path as the file means it: from home, absolute, or from the file's own folder."""
    try:
        return None if text is None else source.parent / Path(text).expanduser()
    except RuntimeError as error:
        raise InventoryError(f"{source}: {text!r}: there is no home folder: {error}") from error
