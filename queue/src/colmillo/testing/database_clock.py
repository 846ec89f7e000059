"""A hand on PostgreSQL's clock, for tests with a `PostgresStore` that would have to wait.

Connections opened with `SETTINGS` find the clock's functions before PostgreSQL's own::

    await install(dsn)
    pool = asyncpg.create_pool(dsn, server_settings=SETTINGS)
    await advance(pool, timedelta(hours=1))         # for every such pool of the database

Only the database is moved on: what a worker measures by its own clock is `FakeClock`'s.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

SETTINGS = {"search_path": "colmillo_clock, pg_catalog"}

_SCHEMA = """
CREATE SCHEMA colmillo_clock;
CREATE TABLE colmillo_clock.ahead (by interval NOT NULL);
INSERT INTO colmillo_clock.ahead VALUES ('0');
CREATE FUNCTION colmillo_clock.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS
    'SELECT pg_catalog.statement_timestamp() + ahead.by FROM colmillo_clock.ahead';
CREATE FUNCTION colmillo_clock.now() RETURNS timestamptz STABLE LANGUAGE sql AS
    'SELECT pg_catalog.now() + ahead.by FROM colmillo_clock.ahead';
CREATE FUNCTION colmillo_clock.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS
    'SELECT pg_catalog.clock_timestamp() + ahead.by FROM colmillo_clock.ahead';
"""


async def install(dsn: str) -> None:
    """Puts the clock into a database, once. It starts at the server's time."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_SCHEMA)
    finally:
        await connection.close()


async def advance(pool: "Pool | Connection", by: timedelta) -> None:
    """Moves the clock on for every connection that was opened with `SETTINGS`."""
    await pool.execute("UPDATE colmillo_clock.ahead SET by = ahead.by + $1", by)
