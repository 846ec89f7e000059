"""Both stores against the suite that is shipped for everybody's."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from colmillo.memory import MemoryStore
from colmillo.postgres import PostgresStore
from colmillo.testing import FakeClock, database_clock
from colmillo.testing.conformance import StoreConformance

if TYPE_CHECKING:
    from colmillo.database import Pool


class MemoryHarness:
    """A store in memory; it is its own sibling, as there is but one process."""

    def __init__(self) -> None:
        self._clock = FakeClock()
        self.store = MemoryStore(self._clock)
        self.sibling = self.store

    async def advance(self, by: timedelta) -> None:
        await self._clock.advance(by)


class PostgresHarness:
    """Two stores with pools of their own on a database whose clock can be moved."""

    def __init__(self, pool: "Pool", other: "Pool") -> None:
        self._pool = pool
        self.store = PostgresStore(pool)
        self.sibling = PostgresStore(other)

    async def advance(self, by: timedelta) -> None:
        await database_clock.advance(self._pool, by)


class TestMemory(StoreConformance):
    @pytest.fixture
    async def harness(self) -> MemoryHarness:
        return MemoryHarness()


class TestPostgres(StoreConformance):
    @pytest.fixture
    async def harness(self, dsn: str) -> AsyncIterator[PostgresHarness]:
        await database_clock.install(dsn)
        settings = database_clock.SETTINGS
        async with (
            asyncpg.create_pool(dsn, min_size=1, server_settings=settings) as pool,
            asyncpg.create_pool(dsn, min_size=1, server_settings=settings) as other,
        ):
            yield PostgresHarness(pool, other)
