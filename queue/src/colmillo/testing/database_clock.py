"""A hand on PostgreSQL's clock, for tests with a `PostgresStore` that would have to wait.

`DatabaseClock` is a `FakeClock` that takes a database along::

    clock = await DatabaseClock.install(dsn)
    pool = asyncpg.create_pool(dsn, server_settings=SETTINGS)
    await clock.advance(timedelta(hours=1))

Connections opened with `SETTINGS` (``SET search_path`` does it too) find the clock's functions
before PostgreSQL's own, in this database's ``now()``, ``statement_timestamp()`` and
``clock_timestamp()``; ``CURRENT_TIMESTAMP`` and the defaults of existing columns stay as they
are. With `install` and `advance` alone the database's clock goes on by itself, ahead of the
real one by what it was moved.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import asyncpg

from colmillo.testing.clock import FakeClock

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

SETTINGS = {"search_path": "colmillo_clock, pg_catalog, public"}

START = datetime(2030, 1, 1, tzinfo=UTC)

_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS colmillo_clock;
CREATE TABLE IF NOT EXISTS colmillo_clock.ahead (by interval NOT NULL, stopped timestamptz);
TRUNCATE colmillo_clock.ahead;
INSERT INTO colmillo_clock.ahead VALUES ('0');
CREATE OR REPLACE FUNCTION colmillo_clock.statement_timestamp() RETURNS timestamptz
    STABLE LANGUAGE sql AS
    'SELECT coalesce(ahead.stopped, pg_catalog.statement_timestamp()) + ahead.by
    FROM colmillo_clock.ahead';
CREATE OR REPLACE FUNCTION colmillo_clock.now() RETURNS timestamptz STABLE LANGUAGE sql AS
    'SELECT coalesce(ahead.stopped, pg_catalog.now()) + ahead.by FROM colmillo_clock.ahead';
CREATE OR REPLACE FUNCTION colmillo_clock.clock_timestamp() RETURNS timestamptz
    VOLATILE LANGUAGE sql AS
    'SELECT coalesce(ahead.stopped, pg_catalog.clock_timestamp()) + ahead.by
    FROM colmillo_clock.ahead';
"""


class DatabaseClock(FakeClock):
    """Time that a test moves, in the process and in a database at once.

    Made by `install`. It stands still: a task with a delay of an hour is due exactly an hour
    after ``clock.now()``, and nothing is due until the clock is moved.
    """

    def __init__(self, dsn: str, now: datetime) -> None:
        super().__init__(now)
        self._dsn = dsn

    @classmethod
    async def install(cls, dsn: str, now: datetime = START) -> Self:
        """Puts the clock into a database, or sets the one that is there; it stands at ``now``.

        The role needs to be allowed to create a schema. Never do this to a database that is
        not a test's own.
        """
        await install(dsn)
        clock = cls(dsn, now)
        await clock._execute("UPDATE colmillo_clock.ahead SET stopped = $1", now)
        return clock

    async def advance(self, seconds: float | timedelta) -> None:
        """Moves the database on, then the process; see `FakeClock.advance`."""
        by = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        if by > timedelta(0):
            await self._execute("UPDATE colmillo_clock.ahead SET by = ahead.by + $1", by)
        await super().advance(by)

    async def _execute(self, statement: str, argument: object) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute(statement, argument)
        finally:
            await connection.close()


async def install(dsn: str) -> None:
    """Puts the clock into a database. It starts at the server's time."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_SCHEMA)
    finally:
        await connection.close()


async def advance(pool: "Pool | Connection", by: timedelta) -> None:
    """Moves the clock on for every connection that was opened with `SETTINGS`."""
    await pool.execute("UPDATE colmillo_clock.ahead SET by = ahead.by + $1", by)
