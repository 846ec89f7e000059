"""Connections of every kind that takes part in a caller's transaction, with the same manners."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)

from colmillo import PostgresStore

if TYPE_CHECKING:
    from colmillo.database import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a program passes as ``connection``, and its own hands on the transaction, which is
    begun by itself."""

    connection: object
    execute: Callable[[str], Awaitable[object]]
    commit: Callable[[], Awaitable[object]]
    rollback: Callable[[], Awaitable[object]]


Opening = Callable[[str], AbstractAsyncContextManager[Caller]]


@asynccontextmanager
async def by_asyncpg(dsn: str) -> AsyncIterator[Caller]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN")
        yield Caller(
            connection=connection,
            execute=connection.execute,
            commit=lambda: connection.execute("COMMIT; BEGIN"),
            rollback=lambda: connection.execute("ROLLBACK; BEGIN"),
        )
    finally:
        await connection.close()


@asynccontextmanager
async def by_psycopg(dsn: str) -> AsyncIterator[Caller]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        yield Caller(
            connection=connection,
            execute=lambda statement: connection.execute(statement.encode()),
            commit=connection.commit,
            rollback=connection.rollback,
        )


def alchemy(driver: str, kind: str) -> Opening:
    @asynccontextmanager
    async def by_alchemy(dsn: str) -> AsyncIterator[Caller]:
        engine = create_async_engine(dsn.replace("postgresql://", f"postgresql+{driver}://"))
        sessions = async_sessionmaker(engine)
        given: AsyncConnection | AsyncSession | async_scoped_session[AsyncSession]
        if kind == "connection":
            given = await engine.connect().start()
        elif kind == "session":
            given = sessions()
        else:
            given = async_scoped_session(sessions, scopefunc=lambda: None)
        yield Caller(
            connection=given,
            execute=lambda statement: given.execute(text(statement)),
            commit=given.commit,
            rollback=given.rollback,
        )
        await given.close()
        await engine.dispose()

    return by_alchemy


OPENINGS: dict[str, Opening] = {
    "asyncpg": by_asyncpg,
    "psycopg": by_psycopg,
    "sqlalchemy connection over asyncpg": alchemy("asyncpg", "connection"),
    "sqlalchemy connection over psycopg": alchemy("psycopg", "connection"),
    "sqlalchemy session over asyncpg": alchemy("asyncpg", "session"),
    "sqlalchemy session over psycopg": alchemy("psycopg", "session"),
    "sqlalchemy scoped session": alchemy("asyncpg", "scoped session"),
}


@pytest.fixture(params=list(OPENINGS.values()), ids=list(OPENINGS))
def opening(request: pytest.FixtureRequest) -> Opening:
    found: Opening = request.param
    return found


@pytest.fixture
async def caller(opening: Opening, dsn: str) -> AsyncIterator[Caller]:
    """One connection to the test's database."""
    async with opening(dsn) as opened:
        yield opened


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    """The store as a worker has it."""
    return PostgresStore(pool)


@pytest.fixture
def bare() -> PostgresStore:
    """The same store for a program that has nothing but the caller's connection."""
    return PostgresStore(None)
