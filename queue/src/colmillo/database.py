"""How a store talks to Postgres: every call on a connection of its own or of the caller's, and
none without a time limit, so that a network which went silent cannot hold a worker for ever."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, TypeGuard, cast, overload

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from colmillo.foreign import Opened, Row, adapted, sqlstate
from colmillo.linger import Lingering

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

_SAVE = "SAVEPOINT colmillo"
_KEEP = ("RELEASE SAVEPOINT colmillo",)
_UNDO = ("ROLLBACK TO SAVEPOINT colmillo", *_KEEP)

_NO_TRANSACTION = "25P01"


class Database:
    """A pool, if there is one, and the time limit, in seconds, of everything done through it."""

    def __init__(self, pool: "Pool | None", timeout: float) -> None:
        self.pool = pool
        self.timeout = timeout
        self._lingering = None if pool is None else Lingering(pool, timeout)

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
        if self._lingering is None:
            raise TypeError("this store has no pool: it works on a connection of yours only")
        async with self._lingering.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, given: object | None) -> AsyncIterator[Opened]:
        async with self._connection(given) as connection:
            if is_asyncpg(connection) and connection.is_in_transaction():
                yield connection
                return
            # What others say about an open transaction is not to be relied on; see `_begin`.
            async with self.undoable(connection):
                yield connection

    @asynccontextmanager
    async def undoable(self, connection: Opened) -> AsyncIterator[None]:
        """All or nothing: a transaction for the block, within one that is open a savepoint.

        A caller may have opened its transaction by BEGIN, which asyncpg's own nesting refuses.
        """
        if not connection.is_in_transaction():
            async with connection.transaction():
                yield
            return
        keep, undo = await self._begin(connection)
        try:
            yield
        except BaseException:
            if not connection.is_closed():
                await self._run(connection, undo)
            raise
        await self._run(connection, keep)

    async def _begin(self, connection: Opened) -> tuple[Sequence[str], Sequence[str]]:
        """Makes a savepoint; returns the statements that keep and undo what comes after it."""
        try:
            await self._run(connection, [_SAVE])
        except Exception as error:
            if sqlstate(error) != _NO_TRANSACTION:
                raise
            # SQLAlchemy says that a transaction is open under AUTOCOMMIT too.
            await self._run(connection, ["BEGIN"])
            return ["COMMIT"], ["ROLLBACK"]
        return _KEEP, _UNDO

    async def _run(self, connection: Opened, statements: Sequence[str]) -> None:
        for statement in statements:
            await connection.fetch(statement, timeout=self.timeout)


def is_asyncpg(connection: Opened) -> "TypeGuard[Connection]":
    """Whether the connection can do more than every `Opened` one, as COPY."""
    return isinstance(connection, asyncpg.Connection | PoolConnectionProxy)


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
