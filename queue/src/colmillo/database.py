"""How a store talks to Postgres: every call on a connection of its own or of the caller's, and
none without a time limit, so that a network which went silent cannot hold a worker for ever."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from colmillo.linger import Lingering

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

_SAVE = "SAVEPOINT colmillo"
_UNDO = "ROLLBACK TO SAVEPOINT colmillo"
_KEEP = "RELEASE SAVEPOINT colmillo"


class Database:
    """A pool and the time limit, in seconds, of everything done through it."""

    def __init__(self, pool: "Pool", timeout: float) -> None:
        self.pool = pool
        self.timeout = timeout
        self._lingering = Lingering(pool, timeout)

    @asynccontextmanager
    async def connection(self, given: object | None = None) -> "AsyncIterator[Connection]":
        """The caller's connection if there is one, else one of the pool for the block.

        Raises TypeError when what was given is no asyncpg connection.
        """
        if given is not None:
            yield _checked(given)
            return
        async with self._lingering.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, given: object | None = None) -> "AsyncIterator[Connection]":
        """The same within a transaction: the caller's if one is open, else one for the block."""
        async with self.connection(given) as connection:
            if connection.is_in_transaction():
                yield connection
                return
            async with connection.transaction():
                yield connection

    @asynccontextmanager
    async def undoable(self, connection: "Connection") -> AsyncIterator[None]:
        """All or nothing: a transaction for the block, within one that is open a savepoint.

        A caller may have opened its transaction by BEGIN, which asyncpg's own nesting refuses.
        """
        if not connection.is_in_transaction():
            async with connection.transaction():
                yield
            return
        await connection.execute(_SAVE, timeout=self.timeout)
        try:
            yield
        except BaseException:
            if not connection.is_closed():
                await connection.execute(f"{_UNDO}; {_KEEP}", timeout=self.timeout)
            raise
        await connection.execute(_KEEP, timeout=self.timeout)

    async def fetch(
        self, query: str, *args: object, connection: object | None = None
    ) -> list[asyncpg.Record]:
        """Runs one statement by itself and returns its rows."""
        async with self.connection(connection) as open_connection:
            return await open_connection.fetch(query, *args, timeout=self.timeout)


def _checked(given: object) -> "Connection":
    if isinstance(given, asyncpg.Connection | PoolConnectionProxy):
        return given
    raise TypeError(f"connection has to be an asyncpg connection, not a {type(given).__name__}")
