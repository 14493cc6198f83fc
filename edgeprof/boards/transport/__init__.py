"""Reaching a board: run a command there, put a file there.

``base.py`` owns the seam and the quoting, ``ssh.py`` SSH, ``local.py`` this machine, ``fake.py``
the plain function that tests use.
"""

from edgeprof.boards.transport.base import Completed, Transport, script, shell_command
from edgeprof.boards.transport.fake import FakeTransport
from edgeprof.boards.transport.local import LocalTransport

__all__ = [
    "Completed",
    "FakeTransport",
    "LocalTransport",
    "Transport",
    "script",
    "shell_command",
]
