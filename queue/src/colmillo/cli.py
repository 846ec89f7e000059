"""The command line: ``colmillo migrate``."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

import asyncpg

from colmillo.errors import ColmilloError
from colmillo.schema import migrate, statements


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="colmillo", description="A task queue in PostgreSQL.")
    commands = parser.add_subparsers(dest="command", required=True)
    migration = commands.add_parser(
        "migrate",
        help="create or update the queue's tables",
        description="Create or update the queue's tables. Does nothing when they are current.",
    )
    migration.add_argument(
        "--dsn", help="postgresql://user@host/database; libpq's PG… variables when left out"
    )
    migration.add_argument("--schema", default="colmillo", help="where the tables live")
    migration.add_argument(
        "--sql", action="store_true", help="print the statements and touch no database"
    )
    options = parser.parse_args(argv)
    try:
        if options.sql:
            for statement in statements(options.schema):
                sys.stdout.write(f"{statement.strip().rstrip(';')};\n\n")
        else:
            asyncio.run(run_migrations(options.dsn, options.schema))
            sys.stdout.write(f"The tables in schema {options.schema} are up to date.\n")
    except (ColmilloError, ValueError, OSError, asyncpg.PostgresError) as error:
        sys.stderr.write(f"colmillo: {error}\n")
        return 1
    return 0


async def run_migrations(dsn: str | None, schema: str) -> None:
    """Connects and migrates."""
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection, schema=schema)
    finally:
        await connection.close()
