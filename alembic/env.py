"""Runs the application's migrations: the queue's tables and the feed domain's, side by side.

The connection is handed over by `heraldo migrate` (``attributes["dsn"]``); the plain
``alembic`` command takes DATABASE_URL as the application does. All of one upgrade is one
transaction under a lock, so several processes may start at once.
"""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from heraldo.settings import Settings

# Any number will do, as long as nobody else uses it in this database.
LOCK = 0x4E5A1D0


def dsn() -> str:
    """The database to migrate."""
    given = context.config.attributes.get("dsn")
    if isinstance(given, str):
        return given
    settings = Settings.read()
    if settings.database_url is None:
        raise SystemExit("Set DATABASE_URL, or run `heraldo migrate` for the embedded one.")
    return settings.database_url.get_secret_value()


def run(connection: Connection) -> None:
    """Upgrades over an open connection."""
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.run_migrations()


async def online() -> None:
    """Connects through asyncpg itself, so that every form of its addresses works."""
    address = dsn()
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(address, timeout=30),
        poolclass=NullPool,
    )
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(online())
