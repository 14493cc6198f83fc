"""A rack of boards on this machine: OpenSSH servers on loopback, each with a home of its own.

Throwaway keys, high ports, nothing outside of one folder. Used by the tests and by
``benchmarks/fleet.py``.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tree import BOARDS

TREE = BOARDS / "rpi4b"
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"

_SSHD_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {keys}
PidFile {folder}/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
SetEnv HOME={folder}/home EDGEPROF_BOARD={name} EDGEPROF_ROOT={folder}/root
"""


def missing() -> str | None:
    """Say what keeps a rack from being built, if anything does."""
    if not Path(SSHD).exists():
        return "sshd is not installed (Debian: openssh-server)"
    return None if shutil.which("ssh-keygen") else "ssh-keygen is not installed"


@dataclass
class LoopbackBoard:
    """One sshd with a home."""

    name: str
    port: int
    folder: Path
    ssh_port: int = 0  # where clients connect; another than ``port`` behind a proxy
    _server: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def root(self) -> Path:
        """The tree whose clocks ``setup_board.sh`` moves instead of this machine's."""
        return self.folder / "root"

    @property
    def governor(self) -> str:
        policy = self.root / "sys/devices/system/cpu/cpufreq/policy0"
        return (policy / "scaling_governor").read_text().strip()

    def start(self) -> None:
        """Start sshd and wait until its port answers."""
        with (self.folder / "sshd.log").open("ab") as log:
            self._server = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stderr=log
            )
        for _ in range(200):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.name}: sshd does not answer: {self.log()}")

    def kill_sshd(self) -> int:
        """SIGKILL sshd and its sessions; what runs detached on the board lives on.

        Returns:
            How many sessions there were.
        """
        if self._server is None:
            return 0
        # OpenSSH from 9.8 on has a program of its own for sessions.
        sessions = [
            pid
            for name in ("sshd", "sshd-session", "sshd-auth")
            for pid in descendants(self._server.pid, name)
        ]
        for pid in [*sessions, self._server.pid]:
            kill(pid)
        self._server.wait()
        self._server = None
        return len(sessions)

    def refuse_keys(self) -> None:
        """Know no key of the user's any more."""
        self._reconfigure(self._config().replace("user_key.pub", "nobody.pub"))

    def answer_with(self, name: str, answer: str) -> None:
        """Let a command of the board print this."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\necho {answer}\n")
        (folder / name).chmod(0o755)
        command = f'PATH="{folder}:$PATH" exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"'
        self._reconfigure(f"{self._config()}ForceCommand {command}\n")

    def _config(self) -> str:
        return (self.folder / "sshd_config").read_text()

    def _reconfigure(self, text: str) -> None:
        (self.folder / "sshd_config").write_text(text)
        self.kill_sshd()
        self.start()

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def processes(self, word: str) -> list[int]:
        """Return the processes of this board whose command line has a word."""
        mark = f"EDGEPROF_BOARD={self.name}\0".encode()
        home = f"HOME={self.home}\0".encode()
        found = []
        for pid in _pids():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if mark in environment and home in environment and word.encode() in command:
                found.append(pid)
        return found


class Rack:
    """Boards that are started and stopped together; use as a context manager."""

    def __init__(self, folder: Path, count: int, prefix: str = "b") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd's, where no service manager made it
        _make_key(folder / "user_key")
        ports = _free_ports(count)
        self.boards = [self._make(f"{prefix}{i:02}", port) for i, port in enumerate(ports, 1)]
        self.ssh_config = folder / "ssh_config"
        self._write_configuration()

    def _make(self, name: str, port: int) -> LoopbackBoard:
        board = LoopbackBoard(name, port, self.folder / name)
        board.home.mkdir(parents=True, exist_ok=True)
        if not board.root.exists():
            shutil.copytree(TREE, board.root)
        _make_key(board.folder / "host_key")
        (board.folder / "sshd_config").write_text(
            _SSHD_CONFIG.format(
                port=port, folder=board.folder, name=name, keys=self.folder / "user_key.pub"
            )
        )
        return board

    def _ssh_config(self) -> str:
        hosts = "".join(
            f"Host {board.name}\n  HostName 127.0.0.1\n  Port {board.ssh_port or board.port}\n"
            for board in self.boards
        )
        return (
            f"{hosts}Host *\n  User {getpass.getuser()}\n  IdentityFile {self.folder}/user_key\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.folder}/known_hosts\n"
        )

    def connect_through(self, board: LoopbackBoard, port: int) -> None:
        """Send clients of a board to another port, e.g. a proxy's."""
        board.ssh_port = port
        self._write_configuration()

    def _write_configuration(self) -> None:
        known = "".join(
            f"[127.0.0.1]:{board.ssh_port or board.port} "
            f"{(board.folder / 'host_key.pub').read_text()}"
            for board in self.boards
        )
        (self.folder / "known_hosts").write_text(known)
        self.ssh_config.write_text(self._ssh_config())

    def inventory(
        self, extra: str = 'runtime: "null"', tags: Sequence[str] = ("loopback",)
    ) -> Path:
        """Write ``boards.yaml``; ``extra`` stands in each board's entry."""
        path = self.folder / "boards.yaml"
        entry = f"tags: [{', '.join(tags)}], lock: ~/lock{', ' if extra else ''}{extra}"
        boards = "".join(f"  {board.name}: {{{entry}}}\n" for board in self.boards)
        path.write_text(f"ssh_config: ssh_config\nboards:\n{boards}")
        return path

    def __enter__(self) -> Rack:
        for board in self.boards:
            board.start()
        return self

    def __exit__(self, *_: object) -> None:
        for board in self.boards:
            board.kill_sshd()
            for pid in board.processes("edgeprof"):
                kill(pid)


def descendants(pid: int, name: str) -> list[int]:
    """Return the processes below one, by the kernel's table, whose program has this name."""
    parents: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for other in _pids():
        try:
            stat = Path(f"/proc/{other}/stat").read_text()
        except OSError:
            continue
        names[other] = stat[stat.index("(") + 1 : stat.rindex(")")]
        parents.setdefault(int(stat[stat.rindex(")") + 2 :].split()[1]), []).append(other)
    found: list[int] = []
    todo = [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return [child for child in found if names[child] == name]


def kill(pid: int) -> None:
    """SIGKILL a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _make_key(path: Path) -> None:
    if not path.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throwaway", "-f", str(path)],
            check=True,
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()
