"""Both stores against the suite that is shipped for everybody's."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from colmillo.memory import MemoryStore
from colmillo.postgres import PostgresStore
from colmillo.testing import FakeClock
from colmillo.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from colmillo.database import Pool

AGE = (
    "UPDATE colmillo.tasks SET run_at = run_at - $1::interval,"
    " enqueued_at = enqueued_at - $1::interval",
    "UPDATE colmillo.workers SET expires_at = expires_at - $1::interval",
    "UPDATE colmillo.results SET expires_at = expires_at - $1::interval",
)


class MemoryHarness:
    """A store in memory; it is its own sibling, as there is but one process."""

    def __init__(self) -> None:
        self._clock = FakeClock()
        self.store = MemoryStore(self._clock)
        self.sibling = self.store

    async def advance(self, by: timedelta) -> None:
        await self._clock.advance(by)


class PostgresHarness:
    """Two stores with pools of their own; time goes on by making what is stored older."""

    def __init__(self, pool: "Pool", other: "Pool") -> None:
        self._pool = pool
        self.store = PostgresStore(pool)
        self.sibling = PostgresStore(other)

    async def advance(self, by: timedelta) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            for statement in AGE:
                await connection.execute(statement, by)


class TestMemory(StoreConformance):
    @pytest.fixture
    async def harness(self) -> MemoryHarness:
        return MemoryHarness()


class TestPostgres(StoreConformance):
    @pytest.fixture
    async def harness(self, dsn: str, pool: "Pool") -> AsyncIterator[PostgresHarness]:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=10) as other:
            yield PostgresHarness(pool, other)
