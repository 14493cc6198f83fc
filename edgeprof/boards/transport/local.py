"""This machine as a board."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from edgeprof.base.errors import BoardUnreachable
from edgeprof.boards.transport.base import Chunks, Completed, Transport, as_chunks


class LocalTransport(Transport):
    """Run the board's commands as child processes of this one, out of the terminal's reach.

    Ctrl-C is this process' affair: it ends the commands in order.

    Args:
        name: the board's name.
        environment: the whole environment of the commands; ``None`` for this process' own.
    """

    shares_files = True

    def __init__(self, name: str = "local", environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._environment = environment

    async def run(
        self,
        argv: Sequence[str],
        *,
        deadline_s: float,
        stdin: Chunks = b"",
        silent: bool = False,  # noqa: ARG002 - nothing is sent here
    ) -> Completed:
        """Run a child process; it is killed when the deadline passes."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self._environment,
            start_new_session=True,
        )
        content = await asyncio.to_thread(lambda: b"".join(as_chunks(stdin)))
        self.sent_bytes += len(content)
        try:
            out, err = await asyncio.wait_for(process.communicate(content), deadline_s)
        except asyncio.TimeoutError as error:
            raise BoardUnreachable(
                f"board {self.name}: no answer within {deadline_s:g} s", board=self.name
            ) from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        assert process.returncode is not None
        return Completed(process.returncode, out, err)

    async def close(self) -> None:
        """Nothing is open."""
