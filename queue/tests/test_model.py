"""Both stores against a plain model: whatever is called in whatever order, they agree."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg

from colmillo.memory import MemoryStore
from colmillo.postgres import PostgresStore
from colmillo.store import Store
from colmillo.testing import FakeClock, database_clock
from colmillo.testing.machine import check_store
from colmillo.testing.machine_calls import PERIOD

T = TypeVar("T")


class MemoryEnvironment:
    """A store in memory for each example."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.clock = FakeClock()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    async def store(self) -> Store:
        self.clock = FakeClock()
        return MemoryStore(self.clock)

    async def advance(self, by: timedelta) -> None:
        await self.clock.advance(by)

    async def close(self) -> None: ...


class PostgresEnvironment(MemoryEnvironment):
    """One database, emptied for each example."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self.dsn = dsn
        self.pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def store(self) -> Store:
        if self.pool is None:
            await database_clock.install(self.dsn)
            self.pool = await asyncpg.create_pool(
                self.dsn, min_size=1, max_size=2, server_settings=database_clock.SETTINGS
            )
        tables = await self.pool.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_catalog.pg_tables"
            " WHERE schemaname = 'colmillo' AND tablename <> 'versions'"
        )
        await self.pool.execute(
            "TRUNCATE " + ", ".join(row["name"] for row in tables) + " RESTART IDENTITY"
        )
        store = PostgresStore(self.pool)
        # To the start of a period: what a test takes must not reach into the next one.
        past = (await store.now()).timestamp() % PERIOD.total_seconds()
        await self.advance(PERIOD - timedelta(seconds=past))
        return store

    async def advance(self, by: timedelta) -> None:
        assert self.pool is not None
        await database_clock.advance(self.pool, by)

    async def close(self) -> None:
        if self.pool is not None:
            await self.pool.close()


def test_memory_agrees_with_the_model() -> None:
    environment = MemoryEnvironment()
    try:
        check_store(environment, examples=80, steps=40)
    finally:
        environment.runner.close()


def test_postgres_agrees_with_the_model(dsn: str) -> None:
    environment = PostgresEnvironment(dsn)
    try:
        check_store(environment, examples=12, steps=30)
    finally:
        environment.run(environment.close())
        environment.runner.close()
