"""SSH, through asyncssh.

Owns: connections, the check of host keys, and the mapping of everything that SSH may refuse to one
error of ours. asyncssh rather than paramiko: native deadlines and cancellation without a thread
for each board, and it reads ``~/.ssh/config`` (ProxyJump included). Rather than the ``ssh``
program: no process for each board, and an error has a type instead of a text.

One connection for each board, with at most two sessions at once (sshd's MaxSessions is 10). Boards
behind the same jump host share one connection to it. At most ``HANDSHAKES_AT_ONCE`` connections
are being made at any time: sshd's MaxStartups drops unauthenticated ones from the tenth on.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeprof.base.errors import BoardSetupError, BoardUnreachable, EdgeprofError
from edgeprof.base.extras import optional
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport.base import Chunks, Completed, Transport, as_chunks, shell_command

HANDSHAKES_AT_ONCE = 6
CONNECT_DEADLINE_S = 20.0
KEEPALIVE_INTERVAL_S = 15.0
KEEPALIVE_COUNT = 3
_CLOSE_DEADLINE_S = 3.0
_MARK = "--- edgeprof ---"
_DEFAULT_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")


class SshNetwork:
    """Makes connections; holds the jump hosts' until it is closed.

    Use it as an asynchronous context manager, from one event loop.
    """

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self._jumps: dict[tuple[str, Path | None], asyncio.Task[Any]] = {}

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
        target = _Target(board, board.host, board.port, board.user)
        connection = await self._connect(target)
        return SshTransport(board.name, connection)

    async def _connect(self, target: _Target, tunnel: Any = None) -> Any:
        asyncssh = _import_asyncssh()
        try:
            options = target.options(asyncssh)
            if not target.is_hop:
                tunnel = await self._jump(target.board, options.tunnel)
            async with self._gate:
                return await asyncio.wait_for(
                    asyncssh.connect(
                        target.host,
                        target.port or (),
                        tunnel=tunnel,
                        config=target.config(),
                        options=options,
                    ),
                    CONNECT_DEADLINE_S,
                )
        except (OSError, asyncio.TimeoutError, ValueError, asyncssh.Error) as error:
            raise target.explained(error, asyncssh) from error

    async def _jump(self, board: BoardSpec, hops: object) -> Any:
        """Return the connection to the last of the jump hosts (``user@host:port,...``).

        Boards that ask at the same time get the same answer, an error too: a dead jump host costs
        its deadline once, not once for each board behind it.
        """
        if not isinstance(hops, str) or hops.lower() == "none":
            return None
        key = (hops, board.ssh_config)
        making = self._jumps.get(key)
        if making is None or (making.done() and (_failed(making) or making.result().is_closed())):
            making = self._jumps[key] = asyncio.ensure_future(self._hop(board, hops))
            making.set_name(board.name)
        try:
            return await asyncio.shield(making)
        except EdgeprofError as error:
            message = str(error).replace(f"board {making.get_name()}:", f"board {board.name}:", 1)
            raise type(error)(message, **{**error.evidence, "board": board.name}) from error

    async def _hop(self, board: BoardSpec, hops: str) -> Any:
        connection = None
        for hop in hops.split(","):
            user, _, address = hop.strip().rpartition("@")
            host, colon, port = address.rpartition(":")
            target = _Target(
                board,
                host if colon else address,
                int(port) if colon else None,
                user or None,
                is_hop=True,
            )
            connection = await self._connect(target, connection)
        return connection


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


class SshTransport(Transport):
    """One connection to one board."""

    def __init__(self, name: str, connection: Any) -> None:
        self.name = name
        self._connection = connection

    async def run(
        self, argv: Sequence[str], *, deadline_s: float, stdin: Chunks = b"", silent: bool = False
    ) -> Completed:
        """Run a command in a session of its own; see :meth:`Transport.run`."""
        asyncssh = _import_asyncssh()
        if silent:
            self._connection.set_keepalive(0)
        try:
            completed = await asyncio.wait_for(
                self._run(f"echo {_MARK}; exec {shell_command(argv)}", stdin), deadline_s
            )
            # What a login script printed stands before the mark.
            _, mark, output = completed.stdout.partition(f"{_MARK}\n".encode())
            return replace(completed, stdout=output) if mark else completed
        except asyncio.TimeoutError as error:
            # A session that does not answer holds one of sshd's slots: the connection goes.
            self._connection.abort()
            raise self._unreachable(f"no answer within {deadline_s:g} s") from error
        except (OSError, asyncssh.Error) as error:
            self._connection.abort()
            raise self._unreachable(f"connection lost: {error}") from error
        finally:
            if silent:
                with suppress(OSError, asyncssh.Error):
                    self._connection.set_keepalive(KEEPALIVE_INTERVAL_S)

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
        # A command that ends early (no space left) stops reading: its own words say why.
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
    """One host to connect to on behalf of a board, and the words for what may go wrong.

    Attributes:
        is_hop: it is a jump host; its own ProxyJump has no say then.
    """

    def __init__(
        self,
        board: BoardSpec,
        host: str,
        port: int | None,
        user: str | None,
        *,
        is_hop: bool = False,
    ) -> None:
        self.board = board
        self.is_hop = is_hop
        self.host = host
        self.port = port
        self._user = user
        self._known_hosts: Any = None
        self._known_hosts_file = _DEFAULT_KNOWN_HOSTS[0]
        self._options: Any = None

    def config(self) -> Any:
        path = self.board.ssh_config
        if path is None:
            return ()  # asyncssh's word for the default, ~/.ssh/config
        if not path.is_file():
            raise BoardSetupError(
                f"board {self.board.name}: ssh_config {path}: no such file", board=self.board.name
            )
        return [str(path)]

    def options(self, asyncssh: Any) -> Any:
        given = {"config": self.config(), "host": self.host}
        if self.port is not None:
            given["port"] = self.port
        if self._user is not None:
            given["username"] = self._user
        resolved = asyncssh.SSHClientConnectionOptions(**given)
        self._options = asyncssh.SSHClientConnectionOptions(
            **given,
            known_hosts=self._read_known_hosts(asyncssh, resolved.known_hosts),
            # Nobody sits at the controller to type a password.
            password_auth=False,
            kbdint_auth=False,
            ignore_encrypted=True,
            keepalive_interval=KEEPALIVE_INTERVAL_S,
            keepalive_count_max=KEEPALIVE_COUNT,
            login_timeout=CONNECT_DEADLINE_S,
        )
        return self._options

    def _read_known_hosts(self, asyncssh: Any, files: object) -> Any:
        """Load known hosts; ``UserKnownHostsFile none`` does not switch the check off."""
        names = [str(name) for name in files] if isinstance(files, list) and files else []
        paths = [Path(name).expanduser() for name in names or _DEFAULT_KNOWN_HOSTS]
        self._known_hosts_file = str(paths[0])
        existing = [str(path) for path in paths if path.is_file()]
        # An empty value would mean the default to asyncssh, None no check at all.
        self._known_hosts = (
            asyncssh.read_known_hosts(existing) if existing else asyncssh.import_known_hosts("")
        )
        return self._known_hosts

    def explained(self, error: BaseException, asyncssh: Any) -> EdgeprofError:
        """Return our error for whatever kept the connection from being made."""
        name, where = self.board.name, self._address()
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._host_key_error(asyncssh)
        if isinstance(error, asyncssh.PermissionDenied):
            return BoardSetupError(
                f"board {name}: {where} refused every key for user {self._options.username!r}; "
                "check IdentityFile, the agent (ssh-add -l) and authorized_keys on the board",
                board=name,
            )
        if isinstance(error, ValueError):  # a key or configuration that cannot be parsed
            return BoardSetupError(f"board {name}: SSH configuration: {error}", board=name)
        if isinstance(error, asyncio.TimeoutError):
            return BoardUnreachable(
                f"board {name}: {where} did not answer within {CONNECT_DEADLINE_S:g} s; "
                "is it switched on?",
                board=name,
            )
        number = getattr(error, "errno", None)
        # asyncio's own text repeats the address instead of saying why.
        reason = os.strerror(number) if number and number > 0 else str(error)
        return BoardUnreachable(
            f"board {name}: {where}: {reason or type(error).__name__}", board=name
        )

    def _hops(self) -> str:
        hops = self._options.tunnel
        return hops if isinstance(hops, str) and hops.lower() != "none" else ""

    def _address(self) -> str:
        if self._options is None:
            return self.host
        return f"{self._options.host}:{self._options.port}"

    def _host_key_error(self, asyncssh: Any) -> BoardSetupError:
        host, port = self._options.host, self._options.port
        known = asyncssh.match_known_hosts(self._known_hosts, host, "", port)
        name = self.board.name
        entry = host if port == 22 else f"[{host}]:{port}"
        scan = shell_command(["ssh-keyscan", "-p", str(port), host])
        if not self.is_hop and self._hops():
            *before, last = self._hops().split(",")  # only the last of them sees the board
            jump = ["-J", ",".join(before)] if before else []
            scan = f"{shell_command(['ssh', *jump, last])} {shlex.quote(scan)}"
        file = shell_command([self._known_hosts_file])
        if any(known[:2]):
            forget = shell_command(["ssh-keygen", "-f", self._known_hosts_file, "-R", entry])
            return BoardSetupError(
                f"board {name}: the host key of {self._address()} is not the one in "
                f"{self._known_hosts_file}; another machine answers, or the board was installed "
                f"anew. If you know why: {forget} && {scan} >> {file}",
                board=name,
                host_key="changed",
            )
        return BoardSetupError(
            f"board {name}: host key of {self._address()} is unknown; compare it with the "
            f"board's (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there) and add it: "
            f"{scan} >> {file}",
            board=name,
            host_key="unknown",
        )


def _import_asyncssh() -> Any:
    with optional("reaching boards over SSH"):
        import asyncssh

    return asyncssh
