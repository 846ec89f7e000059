"""The database: a server the operator names, or the embedded one; its pool; its migrations."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from colmillo.embedded import EmbeddedPostgres
from heraldo.errors import DatabaseUnavailable
from heraldo.settings import Settings
from heraldo_sync.database import Pool

logger = logging.getLogger(__name__)

# In the wheel the migrations lie inside the package; in the repository this is a link.
MIGRATIONS = Path(__file__).parent / "migrations"


@asynccontextmanager
async def database(settings: Settings, *, name: str = "heraldo") -> AsyncIterator[str]:
    """The address of the database, which is there while the context is open.

    With DATABASE_URL that one; without, ``name`` on the embedded server: the one that another
    command runs on the same data folder, or one of our own that stops with us.

    Raises:
        DatabaseUnavailable: it cannot be reached or started; the message says why.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    async with EmbeddedPostgres(settings.heraldo_data_dir / "postgres") as server:
        await _create(server.dsn(), name)
        yield server.dsn(name)


async def _create(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=30)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    except asyncpg.DuplicateDatabaseError:
        logger.debug("another process made the database")
    finally:
        await connection.close()


@asynccontextmanager
async def open_pool(dsn: str, *, size: int) -> AsyncIterator[Pool]:
    """A pool of connections, each call of which gives up after 30 seconds.

    Raises:
        DatabaseUnavailable: the database does not let us in.
    """
    try:
        pool = await asyncpg.create_pool(
            dsn, min_size=1, max_size=size, timeout=15, command_timeout=30, reset=_leave_as_it_is
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(str(error)) from error
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), 5)
        except TimeoutError:
            pool.terminate()


async def _leave_as_it_is(_: object) -> None:
    """Saves a round trip at every use of a connection.

    Nothing that we do outlives its transaction: no setting, no lock, no cursor; who listens stops
    listening. A transaction that was left open asyncpg undoes before it comes here.
    """


def alembic_config(dsn: str) -> Config:
    """Alembic's settings for this database, wherever the application is installed."""
    config = Config()
    config.set_main_option("script_location", quote(str(MIGRATIONS), safe="/:\\"))
    config.attributes["dsn"] = dsn
    return config


async def migrate(dsn: str) -> None:
    """Brings the database's tables, the queue's included, to what this version needs.

    Safe to run in several processes at once; does nothing when there is nothing to do.
    """
    try:
        await asyncio.to_thread(command.upgrade, alembic_config(dsn), "head")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable(str(error)) from error


async def check_migrated(pool: Pool) -> None:
    """Raises DatabaseUnavailable unless the tables are of this version."""
    wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    try:
        found = await pool.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        found = None
    if found != wanted:
        raise DatabaseUnavailable(
            f"its tables are of version {found or 'none'}, this program needs {wanted}. "
            "Run `heraldo migrate` first."
        )
