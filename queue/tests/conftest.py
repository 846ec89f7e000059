"""One Postgres for the session, one database per test, copied from a migrated template."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from colmillo.embedded import EmbeddedPostgres
from colmillo.schema import migrate

if TYPE_CHECKING:
    from colmillo.database import Pool

pytest.register_assert_rewrite("colmillo.testing.suite")

TEMPLATE = "colmillo_template"

_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Collected from the repository's root these modules would be called queue.tests.*, and the
    folder would stand where everybody expects the standard library's queue."""
    if config.rootpath != Path(__file__).parents[1]:
        raise pytest.UsageError("Run the queue's tests alone: pytest queue")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The session's server, without the promise to survive a power cut."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """The name of a database in which the queue's schema is installed."""

    async def make() -> None:
        await _execute(server, f'CREATE DATABASE "{TEMPLATE}"')
        connection = await asyncpg.connect(server.dsn(TEMPLATE))
        try:
            await migrate(connection)
        finally:
            await connection.close()

    asyncio.run(make())
    return TEMPLATE


@pytest.fixture
async def dsn(server: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """A database of the test's own, with the queue's schema."""
    async for address in _database(server, template):
        yield address


@pytest.fixture
async def empty_dsn(server: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database of the test's own with nothing in it."""
    async for address in _database(server, "template0"):
        yield address


@pytest.fixture
async def pool(dsn: str) -> "AsyncIterator[Pool]":
    """A pool on the test's database."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=10) as opened:
        yield opened


@pytest.fixture
async def empty_pool(empty_dsn: str) -> "AsyncIterator[Pool]":
    """A pool on the test's empty database."""
    async with asyncpg.create_pool(empty_dsn, min_size=1, max_size=10) as opened:
        yield opened


async def _database(server: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    name = f"test_{next(_numbers)}"
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield server.dsn(name)
    await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
