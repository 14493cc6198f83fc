"""A board that is a plain function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeprof.boards.transport.base import Chunks, Completed, Transport, as_chunks


class FakeTransport(Transport):
    """Answer each command with a function of its words and its standard input.

    Args:
        answer: ``answer(argv, stdin) -> Completed``; it may raise what a real transport raises.
        name: the board's name.
    """

    def __init__(
        self, answer: Callable[[Sequence[str], bytes], Completed], name: str = "fake"
    ) -> None:
        self.name = name
        self._answer = answer

    async def run(
        self,
        argv: Sequence[str],
        *,
        deadline_s: float,  # noqa: ARG002 - a function answers at once
        stdin: Chunks = b"",
        silent: bool = False,  # noqa: ARG002 - nor is it ever silent
    ) -> Completed:
        """Ask the function."""
        content = b"".join(as_chunks(stdin))
        self.sent_bytes += len(content)
        return self._answer(argv, content)

    async def close(self) -> None:
        """Nothing is open."""
