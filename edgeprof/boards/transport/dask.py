"""Boards behind other hosts, reached through the workers of a Dask cluster.

Owns: the transport that has each command run by a worker which offers the board as a resource
(``dask worker ... --resources "rpi4-01=1"``). The worker makes the SSH connection; the boards
themselves know nothing of Dask. Every command of ``edgeprof.boards`` may be repeated, so a worker
that is killed half-way costs that command and nothing else: another worker that offers the board
does it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from edgeprof.base.errors import BoardUnreachable, ClusterUnreachable, EdgeprofError
from edgeprof.base.executors import open_client
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.transport.base import Chunks, Completed, Transport, as_chunks
from edgeprof.boards.transport.ssh import CONNECT_DEADLINE_S, SshNetwork

# The resource says where a command may run, not how many may run there: those of one board are
# one after the other anyhow, but for a stop that must get past a wait.
_SHARE = 0.001
_LOOK_INTERVAL_S = 2.0
_PATIENCE_S = 10.0
_SCATTER_FROM_BYTES = 1 << 20


class DaskNetwork:
    """Makes transports through a Dask scheduler; use it as an asynchronous context manager.

    Args:
        address: of the scheduler, e.g. ``tcp://host:8786``.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._opened: AbstractContextManager[Any] | None = None
        self._client: Any = None

    async def __aenter__(self) -> DaskNetwork:
        self._opened = open_client(self._address)
        self._client = await asyncio.to_thread(self._opened.__enter__)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            await asyncio.to_thread(self._opened.__exit__, None, None, None)

    async def connect(self, board: BoardSpec) -> DaskTransport:
        """Return the transport to a board; the first command shows whether it can be reached."""
        return DaskTransport(board, self._client)


class DaskTransport(Transport):
    """Has commands for one board run by the workers that own it."""

    def __init__(self, board: BoardSpec, client: Any) -> None:
        self.name = board.name
        self._board = board
        self._client = client
        self._executor = client.get_executor(pure=False, resources={board.name: _SHARE})

    async def run(
        self, argv: Sequence[str], *, deadline_s: float, stdin: Chunks = b"", silent: bool = False
    ) -> Completed:
        """Run a command through a worker; see :meth:`Transport.run`."""
        content: Any = await asyncio.to_thread(lambda: b"".join(as_chunks(stdin)))
        self.sent_bytes += len(content)
        if len(content) > _SCATTER_FROM_BYTES:
            content = await asyncio.to_thread(self._client.scatter, content, hash=True)
        future = None
        try:
            future = self._executor.submit(
                run_on_board, self._board, list(argv), content, deadline_s, silent
            )
            return await self._result(future, deadline_s + 2 * CONNECT_DEADLINE_S)
        except EdgeprofError:
            raise
        except Exception as error:  # KilledWorker and the like: whatever became of the worker
            raise self._unreachable(f"the Dask worker failed: {error}") from error
        finally:
            if future is not None:
                future.cancel()

    async def _result(self, future: Any, deadline_s: float) -> Completed:
        """Wait for a command, as long as there is a worker to run it."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + deadline_s
        owned_s = loop.time()
        waiting = asyncio.ensure_future(asyncio.wrap_future(future))
        while loop.time() < end_s:
            done, _ = await asyncio.wait({waiting}, timeout=_LOOK_INTERVAL_S)
            if waiting.cancelled():
                # Dask cancels what is running when it loses its scheduler.
                raise ClusterUnreachable(
                    f"board {self.name}: the Dask scheduler was lost", board=self.name
                )
            if done:
                completed: Completed = waiting.result()
                return completed
            if await asyncio.to_thread(self._is_owned):
                owned_s = loop.time()
            elif loop.time() - owned_s > _PATIENCE_S:
                raise self._unreachable(
                    f"no Dask worker offers it; start one with --resources {self.name}=1"
                )
        raise self._unreachable(f"no answer through Dask within {deadline_s:g} s")

    def _is_owned(self) -> bool:
        workers = self._client.scheduler_info()["workers"].values()
        return any(self.name in worker.get("resources", {}) for worker in workers)

    def _unreachable(self, what: str) -> BoardUnreachable:
        return BoardUnreachable(f"board {self.name}: {what}", board=self.name)

    async def close(self) -> None:
        """Nothing is held: each command has a connection of its own."""


def run_on_board(
    board: BoardSpec, argv: Sequence[str], stdin: bytes, deadline_s: float, silent: bool
) -> Completed:
    """Run a command on a board from this process; what a Dask worker does."""

    async def run() -> Completed:
        async with SshNetwork() as network:
            transport = await network.connect(board)
            try:
                return await transport.run(argv, stdin=stdin, deadline_s=deadline_s, silent=silent)
            finally:
                await transport.close()

    return asyncio.run(run())
