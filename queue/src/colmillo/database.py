"""How a store talks to Postgres: every call on a connection of its own or of the caller's, and
none without a time limit, so that a network which went silent cannot hold a worker for ever."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, cast, overload

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from colmillo.foreign import Opened, Row, adapted

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]


class Database:
    """A pool, if there is one, and the time limit, in seconds, of everything done through it."""

    def __init__(self, pool: "Pool | None", timeout: float) -> None:
        self.pool = pool
        self.timeout = timeout

    @overload
    def connection(self) -> "AbstractAsyncContextManager[Connection]": ...
    @overload
    def connection(self, given: object | None) -> AbstractAsyncContextManager[Opened]: ...
    def connection(self, given: object | None = None) -> AbstractAsyncContextManager[Opened]:
        """The caller's connection if there is one, else one of the pool for the block.

        Raises TypeError when what was given is no connection that can be used, or when nothing
        was given and there is no pool.
        """
        return self._connection(given)

    @overload
    def transaction(self) -> "AbstractAsyncContextManager[Connection]": ...
    @overload
    def transaction(self, given: object | None) -> AbstractAsyncContextManager[Opened]: ...
    def transaction(self, given: object | None = None) -> AbstractAsyncContextManager[Opened]:
        """The same within a transaction: the caller's if one is open, else one for the block."""
        return self._transaction(given)

    @overload
    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]: ...
    @overload
    async def fetch(
        self, query: str, *args: object, connection: object | None
    ) -> Sequence[Row]: ...
    async def fetch(
        self, query: str, *args: object, connection: object | None = None
    ) -> Sequence[Row]:
        """Runs one statement by itself and returns its rows."""
        async with self._connection(connection) as open_connection:
            return await open_connection.fetch(query, *args, timeout=self.timeout)

    @asynccontextmanager
    async def _connection(self, given: object | None) -> AsyncIterator[Opened]:
        if given is not None:
            yield _checked(given)
            return
        if self.pool is None:
            raise TypeError("this store has no pool: it works on a connection of yours only")
        async with self.pool.acquire(timeout=self.timeout) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, given: object | None) -> AsyncIterator[Opened]:
        async with self._connection(given) as connection:
            if connection.is_in_transaction():
                yield connection
                return
            async with connection.transaction():
                yield connection


def _checked(given: object) -> Opened:
    if isinstance(given, asyncpg.Connection | PoolConnectionProxy):
        return cast("Connection", given)
    connection = adapted(given)
    if connection is None:
        raise TypeError(
            "connection has to be an asyncpg connection, or psycopg's or SQLAlchemy's async one, "
            f"not a {type(given).__name__}"
        )
    return connection
