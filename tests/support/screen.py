"""Run edgeprof in a pseudo-terminal and read its screens, as a user sees them."""

from __future__ import annotations

import fcntl
import os
import pty
import shlex
import struct
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

import pyte

ROWS = 24


@dataclass(frozen=True)
class Session:
    """What a terminal showed.

    Attributes:
        screens: after each piece that came, without blanks at the ends of lines.
        sent: all that came.
        status: the command's.
    """

    screens: list[list[str]]
    sent: bytes
    status: int

    @property
    def last(self) -> list[str]:
        """The lines of the last screen."""
        return self.screens[-1]


def _environment() -> dict[str, str]:
    """Return what a new terminal has: no size, which readline puts behind Python's back."""
    there = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    return {**there, "TERM": "xterm-256color"}


def in_terminal(
    *words: object, columns: int = 80, cwd: Path | None = None, shell: str = "{}"
) -> Session:
    """Run ``edgeprof WORDS``; ``shell`` may stand around it, as in ``"{} | cat"``."""
    edgeprof = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-m", "edgeprof"]
    command = shell.format(shlex.join([*edgeprof, *map(str, words)]))
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd or ".")
        os.execvpe("sh", ["sh", "-c", command], _environment())
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    screen = pyte.Screen(columns, ROWS)
    stream, screens, sent = pyte.ByteStream(screen), [], b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux tells the end so
            break
        if not part:
            break
        sent += part
        stream.feed(part)
        screens.append([line.rstrip() for line in screen.display])
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Session(screens, sent, status)
