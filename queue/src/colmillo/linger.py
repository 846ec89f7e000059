"""Keeps a pool's connection for a moment after a call, for the call that comes next.

Giving a connection back to its pool costs a round trip (the pool resets the session), which is
as much as many a statement. The stores' statements leave nothing behind in a session, so a
store that is busy may go on with the connection it has.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import PoolConnectionProxy

    from colmillo.database import Pool

    Pooled = PoolConnectionProxy[Record]

SECONDS = 0.01
"""A connection that nobody asked for so long goes back to the pool."""

MOST = 2
"""So many connections are kept: one that claims and one that settles."""


class Lingering:
    """Connections of a pool, each given back to it `SECONDS` after its last use."""

    def __init__(self, pool: "Pool", timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._kept: list[tuple[float, Pooled]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._returns: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def acquire(self) -> "AsyncIterator[Pooled]":
        """A connection for the block. One that met an exception goes back to the pool at once."""
        connection = await self._take()
        try:
            yield connection
        except BaseException:
            await self._pool.release(connection)
            raise
        if connection.is_closed() or len(self._kept) >= MOST:
            await self._pool.release(connection)
        else:
            self._keep(connection)

    async def _take(self) -> "Pooled":
        while self._kept:
            _, connection = self._kept.pop()
            if not connection.is_closed():
                return connection
            await self._pool.release(connection)
        return await self._pool.acquire(timeout=self._timeout)

    def _keep(self, connection: "Pooled") -> None:
        loop = asyncio.get_running_loop()
        self._kept.append((loop.time(), connection))
        if self._timer is None:
            self._timer = loop.call_later(SECONDS, self._let_go)

    def _let_go(self) -> None:
        """Gives back what was not used since the timer was set; the last used stay on top."""
        loop = asyncio.get_running_loop()
        self._timer = None
        limit = loop.time() - SECONDS / 2
        for _, connection in [kept for kept in self._kept if kept[0] <= limit]:
            giving = loop.create_task(self._pool.release(connection))
            self._returns.add(giving)
            giving.add_done_callback(self._returns.discard)
        self._kept = [kept for kept in self._kept if kept[0] > limit]
        if self._kept:
            self._timer = loop.call_later(SECONDS, self._let_go)
