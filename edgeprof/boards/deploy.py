"""What a board needs to measure, sent once.

Owns: the choice of the board program and of the runtime's library for a board, their place there
(``objects/<sha256>/<name>``), and the check that the board's C library is new enough. Content is
the address: a new release is a new folder, an interrupted or damaged transfer is never used.
"""

from __future__ import annotations

import platform
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.cpu_list import format_cpus
from edgeprof.base.errors import RuntimeUnavailable, StableError
from edgeprof.base.files import sha256_of
from edgeprof.base.units import format_bytes
from edgeprof.boards.board_runtimes import fetch_runtime
from edgeprof.boards.elf import format_version, parse_version
from edgeprof.boards.facts import BoardFacts
from edgeprof.boards.folder import claim_folder
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.toolchain import DEFAULT_GLIBC, build_harness, check_board_glibc, target_of
from edgeprof.boards.transport import Transport
from edgeprof.boards.transport.base import unreadable
from edgeprof.measuring.harness import PROGRAM
from edgeprof.measuring.runtimes import NULL, RUNTIMES, find_runtime

PUT_DEADLINE_S = 600.0
DEFAULT_RUNTIME = RUNTIMES[0]
_MARGIN_BYTES = 16 << 20
_FINDING: dict[str, threading.Lock] = {}  # by processor: fifty boards need one build, not fifty


@dataclass(frozen=True)
class Payload:
    """One file to deploy.

    Attributes:
        source: where it lies here.
        sha256: of its content, and its address on the board.
        executable: whether it is a program.
        is_there: whether it is the board's own and lies at ``source`` there: it is not sent.
    """

    source: Path
    sha256: str
    executable: bool
    is_there: bool = False

    @classmethod
    def of(cls, source: Path, *, executable: bool) -> Payload:
        """Describe a file.

        Raises:
            BoardSetupError: if it cannot be read.
        """
        try:
            return cls(source, sha256_of(source), executable)
        except OSError as error:
            raise unreadable(source, error) from error

    @property
    def address(self) -> str:
        """Its place below ``objects``."""
        return f"{self.sha256}/{self.source.name}"

    def path_on(self, facts: BoardFacts) -> str:
        """Its absolute path on a board."""
        if self.is_there:
            return str(self.source)
        return f"{facts.folder}/objects/{self.address}"


@dataclass(frozen=True)
class Software:
    """The files that one board needs."""

    program: Payload
    library: Payload | None

    @property
    def payloads(self) -> tuple[Payload, ...]:
        """What has to lie on the board: the program, and the library where it is sent."""
        is_sent = self.library is not None and not self.library.is_there
        return (self.program, self.library) if self.library and is_sent else (self.program,)

    def missing_on(self, facts: BoardFacts) -> tuple[Payload, ...]:
        """Return what would have to be sent."""
        return tuple(item for item in self.payloads if item.address not in facts.objects)


SoftwareSource = Callable[[BoardSpec, BoardFacts], Software]
"""Chooses the software for a board; may build or fetch it."""


def find_software(board: BoardSpec, facts: BoardFacts) -> Software:
    """Find or build the program, find or fetch the runtime's library.

    What this machine has is taken where it runs on the board; else the program is built and the
    library fetched for the board's processor and C library.

    Raises:
        BoardSetupError: there is none for this processor or C library; which would do, is said.
    """
    check_cores(board, facts)
    with _FINDING.setdefault(facts.architecture, threading.Lock()), _named(board):
        program = _local_program(facts) or _built_program(facts)
        library = None if board.runtime == NULL else _library_for(board, facts)
    return Software(Payload.of(program, executable=True), library)


async def deploy(
    transport: Transport, board: BoardSpec, facts: BoardFacts, software: Software
) -> Sequence[Payload]:
    """Send what is missing, verify it there; returns what was sent.

    Raises:
        BoardSetupError: no space, or it cannot be written.
        BoardUnreachable: the connection was lost; what arrived whole stays.
    """
    missing = software.missing_on(facts)
    check_space(board, facts, missing)
    if missing:
        addresses = [f"objects/{item.address}" for item in software.payloads]
        await claim_folder(transport, board, facts.folder, addresses)
    for item in missing:
        await transport.put(
            item.source,
            item.path_on(facts),
            deadline_s=PUT_DEADLINE_S,
            executable=item.executable,
        )
    return missing


def check_cores(board: BoardSpec, facts: BoardFacts) -> None:
    """Refuse cores that the board lacks: every item would fail by them.

    Raises:
        BoardSetupError: with the cores that are there.
    """
    absent = [core for core in board.cores if facts.online and core not in facts.online]
    if absent:
        raise board.error(
            f"no core {format_cpus(absent)} there, only "
            f"{format_cpus(facts.online)}; set 'cores' in boards.yaml, or --cpus"
        )


def check_space(board: BoardSpec, facts: BoardFacts, missing: Sequence[Payload]) -> None:
    """Refuse to send what cannot fit.

    Raises:
        BoardSetupError: with what is needed and what is free.
    """
    free = facts.free_bytes
    needed_bytes = sum(item.source.stat().st_size for item in missing)
    if free is not None and missing and free < needed_bytes + _MARGIN_BYTES:
        raise board.error(
            f"{facts.folder}: {format_bytes(free)} free, need "
            f"{format_bytes(needed_bytes + _MARGIN_BYTES)}; free some space or set 'folder' of "
            "this board to another place in boards.yaml"
        )


def glibc_needed(library: Path) -> tuple[int, int] | None:
    """Return the newest glibc version that a program or library of this machine asks for.

    By its symbols' names alone: unlike ``edgeprof.boards.elf``, this needs no package.
    """
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library.read_bytes())
    return max(((int(major), int(minor)) for major, minor in versions), default=None)


def _runs_there(path: Path, facts: BoardFacts) -> bool:
    """Whether a file of this machine runs on a board."""
    if facts.architecture != platform.machine():
        return False
    needed = glibc_needed(path)
    return needed is None or (facts.glibc is not None and facts.glibc >= needed)


@contextmanager
def _named(board: BoardSpec) -> Iterator[None]:
    """Say which board an error of building or fetching is about."""
    try:
        yield
    except StableError as error:
        raise board.error(str(error)) from error


def _local_program(facts: BoardFacts) -> Path | None:
    return PROGRAM if PROGRAM.is_file() and _runs_there(PROGRAM, facts) else None


def _built_program(facts: BoardFacts) -> Path:
    """Build the program for the board's processor, and for its C library where that is older."""
    is_old = facts.glibc is not None and facts.glibc < parse_version(DEFAULT_GLIBC)
    glibc = facts.glibc_text if is_old else None  # whatever the compiler gives will do, or not
    build = build_harness(target_of(facts.architecture).name, glibc=glibc)
    check_board_glibc(
        build.facts,
        facts.glibc or (0, 0),
        "the board program",
        "build it with zig (unset EDGEPROF_TOOLCHAIN), which links for an older one; musl will "
        "not do",
    )
    return build.path


def _own_library(path: Path, facts: BoardFacts) -> Path:
    if not path.is_file():
        raise RuntimeUnavailable(f"library {path}: no such file")
    needed = glibc_needed(path)
    if needed is not None and (facts.glibc is None or needed > facts.glibc):
        raise RuntimeUnavailable(
            f"library {path} needs glibc {format_version(needed)}, the board has "
            f"{facts.glibc_text}; build it on an older system"
        )
    return path


def _library_for(board: BoardSpec, facts: BoardFacts) -> Payload:
    if board.own_library is None:
        return Payload.of(_find_library(board, facts), executable=False)
    if facts.library is None:
        raise RuntimeUnavailable(
            f"the board has no library {board.own_library}; name its path there as 'own_library'"
        )
    sha256, path = facts.library
    return Payload(Path(path), sha256, executable=False, is_there=True)


def _find_library(board: BoardSpec, facts: BoardFacts) -> Path:
    if board.library is not None:
        return _own_library(board.library, facts)
    runtime = board.runtime or DEFAULT_RUNTIME
    with suppress(RuntimeUnavailable):
        # With its links followed: what is sent is named as the release is.
        local = find_runtime(runtime).path.resolve()
        if _runs_there(local, facts):
            return local
    if facts.glibc is None:
        raise RuntimeUnavailable(
            f"{runtime} comes for glibc, the board has none (musl?); use a glibc system there"
        )
    return fetch_runtime(target_of(facts.architecture).name, runtime, facts.glibc).path
