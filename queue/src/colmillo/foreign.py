"""Connections of other libraries, so that a store can work in the transaction they hold.

None of them is imported before one of its objects was given. Statements are written for
asyncpg (``$1``); psycopg 3 takes them like that in its raw cursors, SQLAlchemy passes them on
to its driver as they are for asyncpg and with named parameters for psycopg.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from psycopg import AsyncConnection as PsycopgConnection
    from psycopg import Connection as SyncPsycopgConnection
    from sqlalchemy import Connection as SyncAlchemyConnection
    from sqlalchemy.engine import Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection as AlchemyConnection

_PARAMETER = re.compile(r"\$(\d+)")


class Row(Protocol):
    """A row of an answer, by column name."""

    def keys(self) -> Iterable[str]:
        """The names of the columns."""
        ...

    def __getitem__(self, key: str, /) -> Any: ...


class Opened(Protocol):
    """What a store needs of a connection whose transaction may be the caller's.

    asyncpg's connections are of this kind; `adapted` makes those of others so.
    """

    def fetch(
        self, query: str, /, *args: object, timeout: float | None = None
    ) -> Coroutine[Any, Any, Sequence[Row]]:
        """Runs one statement and returns its rows. Raises TimeoutError after ``timeout`` s."""
        ...

    def is_in_transaction(self) -> bool:
        """Whether what is run now waits for a commit that is the caller's to make."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """A transaction for the block; asked for only when none is open."""
        ...

    def is_closed(self) -> bool:
        """Whether no statement can be run any more."""
        ...


class Adapter(ABC):
    """Base of everything here that makes another library's connection an `Opened` one."""

    @abstractmethod
    def fetch(
        self, query: str, /, *args: object, timeout: float | None = None
    ) -> Coroutine[Any, Any, Sequence[Row]]:
        """See `Opened.fetch`."""

    @abstractmethod
    def is_in_transaction(self) -> bool:
        """See `Opened.is_in_transaction`."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager[object]:
        """See `Opened.transaction`."""

    @abstractmethod
    def is_closed(self) -> bool:
        """See `Opened.is_closed`."""


class _Waiting(Adapter):
    """An adapter of a connection of an async library."""

    def fetch(
        self, query: str, /, *args: object, timeout: float | None = None
    ) -> Coroutine[Any, Any, Sequence[Row]]:
        """See `Opened.fetch`."""
        return self._limited(query, _arrays_as_lists(args), timeout)

    async def _limited(
        self, query: str, args: tuple[object, ...], seconds: float | None
    ) -> Sequence[Row]:
        async with asyncio.timeout(seconds):
            return await self.rows(query, args)

    @abstractmethod
    async def rows(self, query: str, args: tuple[object, ...]) -> Sequence[Row]:
        """Runs one statement and returns its rows."""


class _Blocking(Adapter):
    """An adapter that blocks; only `blocking` makes them. Its coroutines never wait: they are
    done when they are begun. The time limit is the caller's ``statement_timeout``."""

    def fetch(
        self, query: str, /, *args: object, timeout: float | None = None
    ) -> Coroutine[Any, Any, Sequence[Row]]:
        """See `Opened.fetch`."""
        return self._at_once(query, _arrays_as_lists(args))

    async def _at_once(self, query: str, args: tuple[object, ...]) -> Sequence[Row]:
        return self.rows(query, args)

    @abstractmethod
    def rows(self, query: str, args: tuple[object, ...]) -> Sequence[Row]:
        """Runs one statement and returns its rows."""


class Psycopg(_Waiting):
    """A psycopg 3 AsyncConnection. Without autocommit its first statement opens a transaction."""

    def __init__(self, connection: "PsycopgConnection[Any]") -> None:
        self._connection = connection

    async def rows(self, query: str, args: tuple[object, ...]) -> Sequence[Row]:
        """See `Opened.fetch`."""
        from psycopg import AsyncRawCursor
        from psycopg.rows import dict_row

        async with AsyncRawCursor(self._connection, row_factory=dict_row) as cursor:
            await cursor.execute(query.encode(), args)
            return [] if cursor.description is None else await cursor.fetchall()

    def is_in_transaction(self) -> bool:
        """See `Opened.is_in_transaction`."""
        return _psycopg_is_in_transaction(self._connection)

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """See `Opened.transaction`."""
        return self._connection.transaction()

    def is_closed(self) -> bool:
        """See `Opened.is_closed`."""
        return self._connection.closed


class BlockingPsycopg(_Blocking):
    """A psycopg 3 Connection."""

    def __init__(self, connection: "SyncPsycopgConnection[Any]") -> None:
        self._connection = connection

    def rows(self, query: str, args: tuple[object, ...]) -> Sequence[Row]:
        """See `Opened.fetch`."""
        from psycopg import RawCursor
        from psycopg.rows import dict_row

        with RawCursor(self._connection, row_factory=dict_row) as cursor:
            cursor.execute(query.encode(), args)
            return [] if cursor.description is None else cursor.fetchall()

    def is_in_transaction(self) -> bool:
        """See `Opened.is_in_transaction`."""
        return _psycopg_is_in_transaction(self._connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[object]:
        """See `Opened.transaction`."""
        with self._connection.transaction() as opened:
            yield opened

    def is_closed(self) -> bool:
        """See `Opened.is_closed`."""
        return self._connection.closed


class _AlwaysInTransaction(Adapter):
    """SQLAlchemy begins by itself and never commits by itself."""

    def is_in_transaction(self) -> bool:
        """See `Opened.is_in_transaction`."""
        return True

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[object]:
        """See `Opened.transaction`: there is one always."""
        yield None


class Alchemy(_AlwaysInTransaction, _Waiting):
    """An AsyncConnection of SQLAlchemy 2, or an AsyncSession's.

    A session says which connection it uses when it is asked for the first time, not before.
    """

    def __init__(self, given: Any) -> None:
        self._given = given
        self._used: AlchemyConnection | None = None

    async def rows(self, query: str, args: tuple[object, ...]) -> Sequence[Row]:
        """See `Opened.fetch`."""
        connection = await self._connection()
        result = await connection.exec_driver_sql(*_for_driver(connection.dialect, query, args))
        return result.mappings().all() if result.returns_rows else []

    async def _connection(self) -> "AlchemyConnection":
        from sqlalchemy.ext.asyncio import AsyncConnection

        given = self._given
        connection: AlchemyConnection = (
            given if isinstance(given, AsyncConnection) else await given.connection()
        )
        self._used = connection
        return connection

    def is_closed(self) -> bool:
        """See `Opened.is_closed`."""
        return self._used is not None and (self._used.closed or self._used.invalidated)


class BlockingAlchemy(_AlwaysInTransaction, _Blocking):
    """A Connection of SQLAlchemy 2, or a Session's."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self._used: SyncAlchemyConnection | None = None

    def rows(self, query: str, args: tuple[object, ...]) -> Sequence[Row]:
        """See `Opened.fetch`."""
        connection = self._connection()
        result = connection.exec_driver_sql(*_for_driver(connection.dialect, query, args))
        return result.mappings().all() if result.returns_rows else []

    def _connection(self) -> "SyncAlchemyConnection":
        from sqlalchemy import Connection

        given = self._given
        connection: SyncAlchemyConnection = (
            given if isinstance(given, Connection) else given.connection()
        )
        self._used = connection
        return connection

    def is_closed(self) -> bool:
        """See `Opened.is_closed`."""
        return self._used is not None and (self._used.closed or self._used.invalidated)


def adapted(given: object) -> Adapter | None:
    """The connection as a store uses it; None when it is of no kind that is known.

    An adapter stays what it is. Raises TypeError for what would block the event loop.
    """
    if isinstance(given, Adapter):
        return given
    if blocking(given) is not None:
        raise TypeError(
            f"connection: a {type(given).__name__} would block the event loop; "
            "in functions that are not async use colmillo.sync.SyncQueue"
        )
    libraries = _libraries(given)
    if "psycopg" in libraries:
        from psycopg import AsyncConnection as PsycopgConnection

        if isinstance(given, PsycopgConnection):
            return Psycopg(given)
    if "sqlalchemy" in libraries:
        from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

        if isinstance(given, AsyncConnection | AsyncSession | async_scoped_session):
            return Alchemy(given)
    return None


def blocking(given: object) -> Adapter | None:
    """The same for connections of synchronous programs."""
    libraries = _libraries(given)
    if "psycopg" in libraries:
        from psycopg import Connection as SyncPsycopgConnection

        if isinstance(given, SyncPsycopgConnection):
            return BlockingPsycopg(given)
    if "sqlalchemy" in libraries:
        from sqlalchemy import Connection
        from sqlalchemy.orm import Session, scoped_session

        if isinstance(given, Connection | Session | scoped_session):
            return BlockingAlchemy(given)
    return None


def sqlstate(error: BaseException) -> str | None:
    """Postgres' code of the error, whichever library raised it; None when it has none.

    SQLAlchemy's errors hold their driver's.
    """
    state: object = getattr(getattr(error, "orig", error), "sqlstate", None)
    return state if isinstance(state, str) else None


def _libraries(given: object) -> frozenset[str]:
    """The packages that the object's classes come from; subclasses of anybody's count."""
    return frozenset(cls.__module__.partition(".")[0] for cls in type(given).__mro__)


def _arrays_as_lists(args: tuple[object, ...]) -> tuple[object, ...]:
    """asyncpg takes any sequence for an array, psycopg a list: its tuples are records."""
    return tuple(list(arg) if isinstance(arg, tuple) else arg for arg in args)


def _psycopg_is_in_transaction(
    connection: "PsycopgConnection[Any] | SyncPsycopgConnection[Any]",
) -> bool:
    from psycopg.pq import TransactionStatus

    idle = connection.info.transaction_status == TransactionStatus.IDLE
    return not (connection.autocommit and idle)


def _for_driver(dialect: "Dialect", query: str, args: tuple[object, ...]) -> tuple[str, Any]:
    """Statement and parameters as the driver below SQLAlchemy takes them."""
    if dialect.driver == "asyncpg":
        return query, args
    if dialect.driver in {"psycopg", "psycopg_async"}:
        return _named(query), {f"p{n}": value for n, value in enumerate(args, start=1)}
    raise TypeError(
        f"connection: SQLAlchemy has to use asyncpg or psycopg, not {dialect.name}+{dialect.driver}"
    )


@lru_cache(maxsize=256)
def _named(query: str) -> str:
    return _PARAMETER.sub(r"%(p\1)s", query.replace("%", "%%"))
