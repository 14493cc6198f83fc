"""The seam between edgeprof and a board.

Owns: what a transport can do, and how arguments become a command line. A transport runs argument
vectors; the one place where they are joined to a line for a shell is :func:`shell_command`. Shell
scripts are constants of this package, and whatever varies reaches them as positional parameters.
"""

from __future__ import annotations

import asyncio
import shlex
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeprof.base.errors import BoardSetupError
from edgeprof.base.files import sha256_of
from edgeprof.base.text import printable

Chunks = bytes | Iterable[bytes]
"""Standard input of a command: bytes, or an iterable that is read while it is sent."""

_CHUNK_BYTES = 1 << 18

# Parameters: target, SHA-256, mode. The file appears whole and verified, or not at all.
_PUT = """
set -eu
umask 077
mkdir -p -- "$(dirname -- "$1")"
part="$1.part.$$"
trap 'rm -f -- "$part"' EXIT
gzip -dc > "$part"
found=$(sha256sum < "$part" | cut -c 1-64)
[ "$found" = "$2" ] || { echo "SHA-256 is $found after the transfer, want $2" >&2; exit 65; }
chmod "$3" "$part"
mv -f -- "$part" "$1"
"""


@dataclass(frozen=True)
class Completed:
    """How a command ended.

    Attributes:
        status: exit status; negative for the signal that ended it.
    """

    status: int
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def text(self) -> str:
        """Standard output as text; what is not UTF-8 is escaped, control characters are not."""
        return self.stdout.decode("utf-8", "backslashreplace")

    @property
    def complaint(self) -> str:
        """The last line of standard error, fit to be shown; the status where there is none."""
        lines = self.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        return printable(lines[-1]) if lines else f"exit status {self.status}"


def shell_command(argv: Sequence[str]) -> str:
    """Join words to a line that a POSIX shell splits into the same words.

    Raises:
        BoardSetupError: a word with a NUL character, which no argument can hold.
    """
    for word in argv:
        if "\0" in word:
            raise BoardSetupError(f"{word!r}: a NUL character cannot be in a name")
    return " ".join(shlex.quote(word) for word in argv)


def script(text: str, *parameters: str) -> list[str]:
    """Return the argument vector that runs a constant shell script with these parameters."""
    return ["/bin/sh", "-c", text, "edgeprof", *parameters]


class Transport(ABC):
    """A connection to one board, for one user at a time.

    Attributes:
        name: the board's name, for messages.
        sent_bytes: what was given to commands there so far, command lines included.
        shares_files: whether a path of this machine is the same file there: then nothing is sent.
    """

    name: str
    sent_bytes: int = 0
    shares_files: bool = False

    @abstractmethod
    async def run(
        self, argv: Sequence[str], *, deadline_s: float, stdin: Chunks = b"", silent: bool = False
    ) -> Completed:
        """Run a command on the board.

        Args:
            argv: program and arguments; no shell sees them unquoted.
            deadline_s: seconds after which the connection is given up.
            stdin: what the command reads.
            silent: send nothing while it runs, keep-alives neither.

        Raises:
            BoardUnreachable: no connection, it was lost, or the deadline passed; a retry may help.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let the board go; never raises."""

    async def put(
        self, source: Path, target: str, *, deadline_s: float, executable: bool = False
    ) -> None:
        """Send a file, compressed, and verify its SHA-256 there.

        Raises:
            BoardSetupError: it cannot be written there, or arrived with another SHA-256.
        """
        mode = "700" if executable else "600"
        try:
            # In a thread: other boards' connections are kept alive meanwhile.
            sha256 = await asyncio.to_thread(sha256_of, source)
        except OSError as error:
            raise unreadable(source, error) from error
        argv = script(_PUT, target, sha256, mode)
        completed = await self.run(argv, stdin=compressed(source), deadline_s=deadline_s)
        if completed.status != 0:
            raise BoardSetupError(
                f"board {self.name}: {target}: {completed.complaint}", board=self.name
            )


def compressed(source: Path) -> Iterator[bytes]:
    """Yield a file in the gzip format, without holding it in memory."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    try:
        with source.open("rb") as stream:
            while block := stream.read(_CHUNK_BYTES):
                if packed := packer.compress(block):
                    yield packed
    except OSError as error:
        raise unreadable(source, error) from error
    yield packer.flush()


def unreadable(source: Path, error: OSError) -> BoardSetupError:
    """Return the error for a file of this machine that cannot be sent."""
    return BoardSetupError(f"{source}: cannot be read: {error.strerror or error}")


def as_chunks(stdin: Chunks) -> Iterator[bytes]:
    """Yield standard input in pieces."""
    if isinstance(stdin, bytes):
        if stdin:
            yield stdin
    else:
        yield from stdin
