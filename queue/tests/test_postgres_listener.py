"""The listener against connections that are cut and a database that is away for a while."""

import asyncio
import logging
from typing import TYPE_CHECKING

import asyncpg
import pytest

from colmillo.clock import SystemClock
from colmillo.database import Database
from colmillo.embedded import EmbeddedPostgres
from colmillo.listener import Listener
from colmillo.postgres import PostgresStore
from colmillo.schema import channel
from colmillo.store import NewTask

if TYPE_CHECKING:
    from colmillo.database import Pool

PLAIN = NewTask(name="work", queue="main", payload="{}")

CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = $1 AND pid <> pg_backend_pid() AND query LIKE 'LISTEN %'
"""


class SteppedClock(SystemClock):
    """Says how long somebody wants to sleep, and lets them sleep until told otherwise."""

    def __init__(self) -> None:
        self.pauses: asyncio.Queue[float] = asyncio.Queue()
        self.go = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.pauses.put_nowait(seconds)
        await self.go.acquire()


async def cut(server: EmbeddedPostgres, database: str) -> None:
    """Ends the sessions that listen."""
    connection = await asyncpg.connect(server.dsn())
    try:
        assert await connection.fetchval(CUT, database) == 1
    finally:
        await connection.close()


async def test_reconnects_and_wakes_once(pool: "Pool", server: EmbeddedPostgres) -> None:
    store = PostgresStore(pool)
    database = await pool.fetchval("SELECT current_database()")
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with store.listen(heard.put_nowait), asyncio.timeout(60):
        await store.enqueue([PLAIN])
        assert await heard.get() == "main"
        await cut(server, database)
        assert await heard.get() == ""
        await store.enqueue([PLAIN])
        assert await heard.get() == "main"
    assert heard.empty()


async def test_database_that_is_away_is_tried_with_growing_pauses(
    dsn: str, server: EmbeddedPostgres
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    clock = SteppedClock()
    admin = await asyncpg.connect(server.dsn())
    try:
        async with asyncpg.create_pool(dsn, min_size=0) as pool, asyncio.timeout(60):
            name = await pool.fetchval("SELECT current_database()")
            database = Database(pool, 30.0)
            listener = Listener(database, channel("colmillo"), heard.put_nowait, clock=clock)
            async with listener.open():
                await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
                await cut(server, name)
                pauses = []
                for _ in range(12):
                    pauses.append(await clock.pauses.get())
                    clock.go.release()
                assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
                assert pauses[-2:] == [30.0, 30.0]
                await clock.pauses.get()
                await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
                assert heard.empty()
                clock.go.release()
                assert await heard.get() == ""
    finally:
        await admin.close()


async def test_starts_although_the_database_is_away(pool: "Pool") -> None:
    """A closed pool stands in for a database that cannot be reached when listening begins."""
    await pool.close()
    clock = SteppedClock()
    listener = Listener(Database(pool, 30.0), "nothing", lambda queue: None, clock=clock)
    async with asyncio.timeout(60), listener.open():
        assert await clock.pauses.get() == 0.1


async def test_failing_wake_does_not_end_it(pool: "Pool", caplog: pytest.LogCaptureFixture) -> None:
    store = PostgresStore(pool)
    heard: asyncio.Queue[str] = asyncio.Queue()

    def wake(queue: str) -> None:
        heard.put_nowait(queue)
        raise LookupError(queue)

    with caplog.at_level(logging.ERROR, logger="colmillo"):
        async with store.listen(wake), asyncio.timeout(60):
            for _ in range(2):
                await store.enqueue([PLAIN])
                assert await heard.get() == "main"
    assert [record.message for record in caplog.records] == ["wake-up of a queue failed"] * 2


async def test_gives_its_connection_back(pool: "Pool") -> None:
    async with PostgresStore(pool).listen(lambda queue: None):
        assert pool.get_size() - pool.get_idle_size() == 1
    assert pool.get_size() - pool.get_idle_size() == 0
    channels = await pool.fetch("SELECT pg_listening_channels()")
    assert channels == []
