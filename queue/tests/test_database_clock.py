"""The clock that takes a database along."""

from datetime import UTC, datetime, timedelta

import asyncpg

from colmillo import PostgresStore, Queue, task
from colmillo.testing import DatabaseClock
from colmillo.testing.database_clock import SETTINGS

HOUR = timedelta(hours=1)
START = datetime(2031, 2, 3, tzinfo=UTC)


@task()
async def job() -> None: ...


async def test_the_database_stands_still_and_is_moved_with_the_process(dsn: str) -> None:
    clock = await DatabaseClock.install(dsn, START)
    async with asyncpg.create_pool(dsn, min_size=1, server_settings=SETTINGS) as pool:
        store = PostgresStore(pool)
        assert await store.now() == clock.now() == START
        await Queue(store).enqueue(job.new().with_options(delay=HOUR))
        assert await store.next_due(["default"]) == HOUR
        await clock.advance(HOUR / 2)
        await clock.advance(-HOUR)
        assert await store.next_due(["default"]) == HOUR / 2
        assert await store.now() == clock.now() == START + HOUR / 2
        assert await pool.fetchval("SELECT now()") == clock.now()
        again = await DatabaseClock.install(dsn, START)
        assert await store.now() == again.now() == START


async def test_tables_in_the_public_schema_are_found_as_ever(dsn: str) -> None:
    await DatabaseClock.install(dsn)
    async with asyncpg.create_pool(dsn, min_size=1, server_settings=SETTINGS) as pool:
        await pool.execute("CREATE TABLE public.users (id int)")
        assert await pool.fetchval("SELECT count(*) FROM users") == 0
