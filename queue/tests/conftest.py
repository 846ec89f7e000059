"""One Postgres for the session, one database per test, copied from a migrated template.

The server is the embedded one, or that of COLMILLO_TEST_DSN, the address of a superuser's
database in the form postgresql://user@host/database?…; see on_postgres.py.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import settings
from memory_folder import memory_folder

from colmillo.embedded import EmbeddedPostgres
from colmillo.schema import migrate

if TYPE_CHECKING:
    from colmillo.database import Pool

pytest.register_assert_rewrite("colmillo.testing.suite", "pages")

# How long an example takes says how busy the machine is.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

TEMPLATE = f"colmillo_template_{os.getpid()}"

_numbers = count(1)


class Server(Protocol):
    """A running Postgres."""

    def dsn(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        ...


class GivenServer:
    """A server that somebody else runs."""

    def __init__(self, address: str) -> None:
        self._parts = urlsplit(address)

    def dsn(self, database: str = "postgres") -> str:
        """See `Server.dsn`."""
        # Not geturl(): it would drop the empty host of an address with a socket.
        parts = self._parts
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}/{database}{query}"


def pytest_configure(config: pytest.Config) -> None:
    """Collected from the repository's root these modules would be called queue.tests.*, and the
    folder would stand where everybody expects the standard library's queue."""
    if config.rootpath != Path(__file__).parents[1]:
        raise pytest.UsageError("Run the queue's tests alone: pytest queue")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The session's server; an embedded one is without the promise to survive a power cut."""
    if address := os.environ.get("COLMILLO_TEST_DSN"):
        yield GivenServer(address)
        return
    with memory_folder(tmp_path_factory.mktemp("postgres")) as folder:
        embedded = EmbeddedPostgres(folder, durable=False)
        embedded.start()
        try:
            yield embedded
        finally:
            embedded.stop()


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """The name of a database in which the queue's schema is installed."""

    async def make() -> None:
        await _execute(server, f'CREATE DATABASE "{TEMPLATE}"')
        connection = await asyncpg.connect(server.dsn(TEMPLATE))
        try:
            await migrate(connection)
        finally:
            await connection.close()

    asyncio.run(make())
    yield TEMPLATE
    asyncio.run(_execute(server, f'DROP DATABASE "{TEMPLATE}"'))


@pytest.fixture
async def dsn(server: Server, template: str) -> AsyncIterator[str]:
    """A database of the test's own, with the queue's schema."""
    async for address in _database(server, template):
        yield address


@pytest.fixture
async def empty_dsn(server: Server) -> AsyncIterator[str]:
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


async def _database(server: Server, template: str) -> AsyncIterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield server.dsn(name)
    await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _execute(server: Server, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
