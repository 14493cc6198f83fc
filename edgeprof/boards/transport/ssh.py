"""SSH, through asyncssh.

Owns: connections, the check of host keys, and the mapping of everything that SSH may refuse to
errors of ours. asyncssh rather than paramiko: native deadlines and cancellation without a thread
for each board. Rather than the ``ssh`` program: no process for each board, and an error has a type
instead of a text. What the user's configuration says, ``ssh_config.py`` asks ``ssh`` itself.

One connection for each board, with at most two sessions at once (sshd's MaxSessions is 10). Boards
behind the same jump host share one connection to it. At most ``HANDSHAKES_AT_ONCE`` connections
are being made at any time: sshd's MaxStartups drops unauthenticated ones from the tenth on.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeprof.base.errors import BoardSetupError, BoardUnreachable, EdgeprofError
from edgeprof.base.extras import optional
from edgeprof.base.text import reason_of
from edgeprof.boards.destination import Destination, parse_destination
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport.base import Chunks, Completed, Transport, as_chunks, shell_command
from edgeprof.boards.transport.ssh_config import SshSettings, ask_ssh

HANDSHAKES_AT_ONCE = 6
CONNECT_DEADLINE_S = 20.0
KEEPALIVE_INTERVAL_S = 15.0
KEEPALIVE_COUNT = 3
_CLOSE_DEADLINE_S = 3.0
_MAX_JUMPS = 8
_MARK = "--- edgeprof ---"


class SshNetwork:
    """Makes connections; holds the jump hosts' until it is closed.

    Use it as an asynchronous context manager, from one event loop.
    """

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self._jumps: dict[tuple[str, Path | None, int], asyncio.Task[Any]] = {}

    async def __aenter__(self) -> SshNetwork:
        return self

    async def __aexit__(self, *_: object) -> None:
        for making in self._jumps.values():
            making.cancel()
            with suppress(asyncio.CancelledError, Exception):
                (await making).abort()

    async def connect(self, board: BoardSpec) -> SshTransport:
        """Connect to a board.

        Raises:
            BoardUnreachable: no answer; a retry may help.
            BoardSetupError: host key unknown or changed, or login refused; a retry will not help.
        """
        target = _Target(board, board.destination)
        return SshTransport(board.name, await self._connect(target))

    async def _connect(self, target: _Target) -> Any:
        asyncssh = _import_asyncssh()
        with _mapped_errors(target.explained):
            await asyncio.to_thread(target.resolve, asyncssh)
            tunnel = await self._jump(target.board, target.jump, target.depth + 1)
            async with self._gate:
                way = {"tunnel": tunnel}
                if target.proxy_command:
                    way = {"sock": await asyncio.to_thread(_start_proxy, target.proxy_command)}
                connecting = asyncssh.connect(
                    target.settings.host,
                    target.settings.port,
                    config=None,
                    options=target.options,
                    **way,
                )
                return await asyncio.wait_for(connecting, CONNECT_DEADLINE_S)

    async def _jump(self, board: BoardSpec, hops: str, depth: int) -> Any:
        """Return the connection to the last of the jump hosts (``user@host:port,...``).

        Boards that ask at the same time get the same answer, an error too: a dead jump host costs
        its deadline once, not once for each board behind it.
        """
        if not hops:
            return None
        if depth > _MAX_JUMPS:
            raise ValueError(f"ProxyJump {hops}: more than {_MAX_JUMPS} hosts, or a circle")
        key = (hops, board.ssh_config, depth)  # with the depth, a circle cannot wait for itself
        making = self._jumps.get(key)
        if making is None or (making.done() and (_failed(making) or making.result().is_closed())):
            *before, last = (hop.strip() for hop in hops.split(","))
            target = _Target(board, parse_destination(last), ",".join(before), depth)
            making = self._jumps[key] = asyncio.ensure_future(self._connect(target))
            making.set_name(board.name)
        try:
            return await asyncio.shield(making)
        except EdgeprofError as error:
            message = str(error).replace(f"board {making.get_name()}:", f"board {board.name}:", 1)
            raise type(error)(message, **{**error.evidence, "board": board.name}) from error


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


def _start_proxy(command: str) -> socket.socket:
    """Start a ProxyCommand; returns our end of its input and output."""
    ours, theirs = socket.socketpair()
    with theirs:
        # A session of its own: Ctrl-C must not cut the connection by which boards are restored.
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            start_new_session=True,
        )
    # It ends when our end is closed; a thread collects its status then.
    threading.Thread(target=process.wait, daemon=True).start()
    return ours


@contextmanager
def _mapped_errors(explained: Callable[[BaseException], EdgeprofError]) -> Iterator[None]:
    """Raise an error of ours for whatever SSH, the system or a configuration refuses."""
    asyncssh = _import_asyncssh()
    try:
        yield
    except (OSError, asyncio.TimeoutError, ValueError, asyncssh.Error) as error:
        raise explained(error) from error


class SshTransport(Transport):
    """One connection to one board."""

    def __init__(self, name: str, connection: Any) -> None:
        self.name = name
        self._connection = connection

    async def run(
        self, argv: Sequence[str], *, deadline_s: float, stdin: Chunks = b"", silent: bool = False
    ) -> Completed:
        """Run a command in a session of its own; see :meth:`Transport.run`."""
        command = f"echo {_MARK}; exec {shell_command(argv)}"
        if silent:
            self._connection.set_keepalive(0)
        try:
            with _mapped_errors(lambda error: self._lost(error, deadline_s)):
                completed = await asyncio.wait_for(self._run(command, stdin), deadline_s)
        finally:
            if silent:
                with suppress(OSError, _import_asyncssh().Error):
                    self._connection.set_keepalive(KEEPALIVE_INTERVAL_S)
        # What a login script printed comes before the mark.
        _, mark, output = completed.stdout.partition(f"{_MARK}\n".encode())
        return replace(completed, stdout=output) if mark else completed

    def _lost(self, error: BaseException, deadline_s: float) -> EdgeprofError:
        # A session that does not answer holds one of sshd's slots: the connection goes.
        self._connection.abort()
        if isinstance(error, asyncio.TimeoutError):
            return self._unreachable(f"no answer within {deadline_s:g} s")
        return self._unreachable(f"connection lost: {reason_of(error)}")

    async def _run(self, command: str, stdin: Chunks) -> Completed:
        self.sent_bytes += len(command)
        process = await self._connection.create_process(command, encoding=None)
        try:
            _, out, err = await asyncio.gather(
                self._feed(process.stdin, stdin), process.stdout.read(), process.stderr.read()
            )
            await process.wait_closed()
        finally:
            process.close()
        if process.returncode is None:
            raise self._unreachable("connection lost while a command ran")
        return Completed(process.returncode, out, err)

    async def _feed(self, pipe: Any, stdin: Chunks) -> None:
        # A command that ends early (no space left) stops reading: its own message says why.
        with suppress(BrokenPipeError, ConnectionResetError):
            chunks = as_chunks(stdin)
            # In a thread: packing takes its time, and other boards' keep-alives must not wait.
            while chunk := await asyncio.to_thread(next, chunks, b""):
                self.sent_bytes += len(chunk)
                pipe.write(chunk)
                await pipe.drain()
            pipe.write_eof()

    def _unreachable(self, what: str) -> BoardUnreachable:
        return BoardUnreachable(f"board {self.name}: {what}", board=self.name)

    async def close(self) -> None:
        """Close the connection politely, then firmly."""
        self._connection.close()
        try:
            await asyncio.wait_for(self._connection.wait_closed(), _CLOSE_DEADLINE_S)
        except (asyncio.TimeoutError, OSError):
            self._connection.abort()


class _Target:
    """One host to connect to on behalf of a board, and the messages for what may go wrong.

    Args:
        before: jump hosts before it in a list; where there are any, its own ProxyJump is ignored.
        depth: how many hosts lie behind it, the board included; 0 for the board itself.

    Attributes:
        settings, options: of the connection, once resolved.
    """

    settings: SshSettings
    options: Any

    def __init__(
        self, board: BoardSpec, asked: Destination, before: str = "", depth: int = 0
    ) -> None:
        self.board = board
        self.depth = depth
        self._asked = asked
        self._before = before
        self._where = asked.host
        self._known_hosts: Any = None

    @property
    def jump(self) -> str:
        """The jump hosts to go through."""
        return self._before or self.settings.jump

    @property
    def proxy_command(self) -> str | None:
        """The command to connect through, where there is no jump host."""
        return None if self.jump else self.settings.proxy_command

    def resolve(self, asyncssh: Any) -> None:
        """Find out how to connect.

        Raises:
            ValueError: the configuration cannot be used.
        """
        path = self.board.ssh_config
        if path is not None and not path.exists():
            raise self.board.error(f"ssh_config {path}: no such file")
        self.settings = ask_ssh(self._asked, path)
        host = self.settings.host
        self._where = f"{f'[{host}]' if ':' in host else host}:{self.settings.port}"
        existing = [name for name in self.settings.known_hosts if Path(name).is_file()]
        # To asyncssh an empty list means its default, and None no check at all.
        self._known_hosts = (
            asyncssh.read_known_hosts(existing) if existing else asyncssh.import_known_hosts("")
        )
        self.options = asyncssh.SSHClientConnectionOptions(
            **self.settings.options(asyncssh, self._known_hosts),
            # Nobody sits at the controller to type a password.
            password_auth=False,
            kbdint_auth=False,
            keepalive_interval=KEEPALIVE_INTERVAL_S,
            keepalive_count_max=KEEPALIVE_COUNT,
            login_timeout=CONNECT_DEADLINE_S,
        )

    def explained(self, error: BaseException) -> EdgeprofError:
        """Return our error for whatever kept the connection from being made."""
        asyncssh = _import_asyncssh()
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._host_key_error(asyncssh)
        if isinstance(error, asyncssh.PermissionDenied):
            return self._setup_error(
                f"{self._where} refused every key for user {self.settings.user!r}; "
                "check IdentityFile, the agent (ssh-add -l) and authorized_keys on the board"
            )
        if isinstance(error, ValueError):  # a key or configuration that cannot be parsed
            return self._setup_error(f"SSH configuration: {error}")
        if isinstance(error, asyncio.TimeoutError):
            reason = f"did not answer within {CONNECT_DEADLINE_S:g} s; is it switched on?"
            return self._unreachable(f"{self._where} {reason}")
        number = getattr(error, "errno", None)
        # asyncio's own text repeats the address instead of saying why.
        reason = os.strerror(number) if number and number > 0 else reason_of(error)
        return self._unreachable(f"{self._where}: {reason or type(error).__name__}")

    def _host_key_error(self, asyncssh: Any) -> BoardSetupError:
        port, name = self.settings.port, self.settings.key_name
        known = asyncssh.match_known_hosts(self._known_hosts, name, "", port)
        scan = shell_command(["ssh-keyscan", "-p", str(port), self.settings.host])
        if self.jump:
            *before, last = self.jump.split(",")  # only the last of them sees the board
            jump = ["-J", ",".join(before)] if before else []
            scan = f"{shell_command(['ssh', *jump, last])} {shlex.quote(scan)}"
        file = self.settings.known_hosts[0]
        add = f"{scan} >> {shell_command([file])}"
        if any(known[:2]):
            entry = name if port == 22 else f"[{name}]:{port}"
            forget = shell_command(["ssh-keygen", "-f", file, "-R", entry])
            return self._setup_error(
                f"the host key of {self._where} is not the one in {file}; another machine answers, "
                f"or the board was installed anew. If you know why: {forget} && {add}",
                host_key="changed",
            )
        return self._setup_error(
            f"host key of {self._where} is unknown; compare it with the board's "
            "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there) and add it: " + add,
            host_key="unknown",
        )

    def _setup_error(self, what: str, **evidence: str) -> BoardSetupError:
        name = self.board.name
        return BoardSetupError(f"board {name}: {what}", board=name, **evidence)

    def _unreachable(self, what: str) -> BoardUnreachable:
        return BoardUnreachable(f"board {self.board.name}: {what}", board=self.board.name)


def _import_asyncssh() -> Any:
    with optional("reaching boards over SSH"):
        import asyncssh

    return asyncssh
