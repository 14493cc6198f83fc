"""One board's connection in a run: connect, deploy, prepare, restore, disconnect.

Owns: whether the board is connected and whether it has been prepared. Errors are raised, not dealt
with: what follows from them is ``run.py``'s.
"""

from __future__ import annotations

import asyncio

from edgeprof.base.errors import BoardBusy
from edgeprof.boards.claim import refuse_others
from edgeprof.boards.deploy import Software
from edgeprof.boards.facts import read_facts
from edgeprof.boards.inventory import BoardSpec
from edgeprof.boards.prepared import prepare, restore
from edgeprof.boards.session import BoardSession
from edgeprof.boards.transport import Transport
from edgeprof.runs.context import RunContext

_LEASE_MARGIN_S = 600.0
_LOOKS_AT_OWN_COMMAND = 60
_LOOK_INTERVAL_S = 0.5


class BoardConnection:
    """The connection to one board.

    Attributes:
        session: the board, connected; ``None`` while it is not.
        is_prepared: whether its state may be changed, so that it must be restored.
    """

    def __init__(self, spec: BoardSpec, context: RunContext) -> None:
        self.session: BoardSession | None = None
        self.is_prepared = False
        self._spec = spec
        self._context = context
        self._sent_before = 0

    @property
    def sent_bytes(self) -> int:
        """What was sent over this connection and the ones before."""
        now = 0 if self.session is None else self.session.transport.sent_bytes
        return self._sent_before + now

    @property
    def prepares(self) -> bool:
        """Whether the board's state is set for measuring at all."""
        return self._context.options.prepare and self._spec.prepare

    async def open(self) -> Software:
        """Connect, find the board's software, and see that nobody else measures there."""
        context = self._context
        transport = await context.connect(self._spec)
        try:
            facts = await read_facts(transport, self._spec)
            # Before anything heavy is done there. A batch of our own may be running: what it needs
            # is there, and so nothing is sent.
            refuse_others(self._spec, facts.holders, context.owner.session)
            async with context.finding.setdefault(facts.architecture, asyncio.Lock()):
                # In a thread: it may compile a program or fetch a library.
                software = await asyncio.to_thread(context.find_software, self._spec, facts)
        except BaseException:
            await self._close(transport)
            raise
        self.session = BoardSession(transport, self._spec, facts, software, context.owner)
        return software

    async def close(self) -> None:
        """Let the connection go; never raises."""
        session, self.session = self.session, None
        if session is not None:
            await self._close(session.transport)

    async def _close(self, transport: Transport) -> None:
        self._sent_before += transport.sent_bytes
        await transport.close()

    def expect_prepared(self) -> None:
        """Take it that an earlier run has prepared the board."""
        self.is_prepared = self.is_prepared or self.prepares

    async def prepare(self, n_items: int) -> str | None:
        """Set the board's state for a batch; returns why that was not possible, if it was not.

        It is set again for each batch, since others may take turns there.
        """
        session, context = self.session, self._context
        assert session is not None
        if not self.prepares:
            return None
        self.is_prepared = True  # before the first write: whatever happens, it is restored
        lease_s = n_items * context.options.item_limit_s + _LEASE_MARGIN_S
        try:
            state = await prepare(
                session.transport, self._spec, session.facts, context.owner, lease_s=lease_s
            )
        except BoardBusy as error:
            if error.evidence["session"] == context.owner.session:
                return None  # the batch is being measured already, in the state set for it
            raise
        return state.reason

    async def restore(self) -> str | None:
        """Put the board's state back; returns why it was left to its lease, if it was."""
        session, owner, error = self.session, self._context.owner, None
        assert session is not None
        if not self.is_prepared:
            return None
        for _ in range(_LOOKS_AT_OWN_COMMAND):
            try:
                await restore(session.transport, self._spec, session.facts, owner)
                self.is_prepared = False
                return None
            except BoardBusy as busy:
                error = busy
                if busy.evidence["session"] != owner.session:
                    break
            # A command of ours that was interrupted here is still running there.
            await asyncio.sleep(_LOOK_INTERVAL_S)
        # Another measures in the state that is set, and has renewed its lease if wanted.
        self.is_prepared = False
        return f"{error}; what is set there lasts as long as its lease"
