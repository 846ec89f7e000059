"""Real Postgres for every test that touches storage: a template database, copied per test.

Each process of a parallel run has a server of its own; what else tests open lies in their own
folders and on ports that the system chooses.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from hypothesis import settings
from memory_folder import memory_folder

import heraldo.ptb  # noqa: F401 - before the library is used, whichever test comes first
from colmillo import PostgresStore, Queue, schema
from colmillo.embedded import EmbeddedPostgres
from heraldo_sync.database import Pool
from heraldo_sync.statements import statements

# How long an example takes says how busy the machine is; what has to be quick measures itself.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

TEMPLATE = "template_application"

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-costs", action="store_true", help="write what was measured into docs/hostile.md"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: several at a time end sooner if none of these is left for the end."""
    items.sort(key=lambda item: item.path.parent.name != "end_to_end")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what tests measured, in whichever process: ``record_property("measured", text)``."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "call":
                for name, text in report.user_properties:
                    if name == "measured":
                        terminalreporter.write_line(str(text))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One embedded server for each process of the run, without the safety only crashes need."""
    with memory_folder(tmp_path_factory.mktemp("pg")) as folder:
        server = EmbeddedPostgres(folder, durable=False)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """A database with the queue's and the application's tables."""

    async def make() -> None:
        await _admin(server, f"CREATE DATABASE {TEMPLATE}")
        connection = await asyncpg.connect(server.dsn(TEMPLATE))
        for statement in [*schema.statements(), *statements("schema")]:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(make())
    return TEMPLATE


async def _admin(server: EmbeddedPostgres, statement: str) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def empty_dsn(server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The address of a database with nothing in it."""
    name = f"test_{next(_numbers)}"
    await _admin(server, f"CREATE DATABASE {name}")
    yield server.dsn(name)
    await _admin(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def dsn(server: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """The address of a fresh database with all tables."""
    name = f"test_{next(_numbers)}"
    await _admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.dsn(name)
    await _admin(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A pool on a fresh database."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=10) as pool:
        yield pool


@pytest.fixture
def store(pool: Pool) -> PostgresStore:
    """The queue's store on a fresh database."""
    return PostgresStore(pool)


@pytest.fixture
def queue(store: PostgresStore) -> Queue:
    """A queue on a fresh database."""
    return Queue(store)
