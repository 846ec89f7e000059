"""The command line: ``migrate``, ``tasks``, ``queues``, ``schedules``, and what looks on.

Each command but the first is a module ``cli_…`` that adds its parser and is given a `Desk`.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg

from colmillo import cli_bench, cli_doctor, cli_queues, cli_schedules, cli_tasks
from colmillo.desk import Desk
from colmillo.errors import ColmilloError
from colmillo.schema import migrate, statements

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

CONNECT_SECONDS = 10
# Longer than any of them needs, so that a lock or a dead network ends a command all the same.
STATEMENT_SECONDS = 120
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = parser().parse_args(argv)
    try:
        if options.command == "migrate":
            return run_migrate(options)
        return asyncio.run(run_command(options))
    except TimeoutError:
        sys.stderr.write(
            "colmillo: the server did not answer in time; is it there, and not stuck?\n"
        )
        return 1
    except (ColmilloError, ValueError, OSError, asyncpg.PostgresError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        sys.stderr.write(f"colmillo: {text}\n")
        if isinstance(error, OSError) and options.dsn is None:
            sys.stderr.write("No --dsn was given; the PG… variables and their defaults counted.\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    whole = argparse.ArgumentParser(prog="colmillo", description="A task queue in PostgreSQL.")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--dsn", help="postgresql://user@host/database; libpq's PG… variables when left out"
    )
    common.add_argument("--schema", default="colmillo", help="where the tables live")
    commands = whole.add_subparsers(dest="command", required=True)
    migration = commands.add_parser(
        "migrate",
        parents=[common],
        help="create or update the queue's tables",
        description="Create or update the queue's tables. Does nothing when they are current.",
    )
    migration.add_argument(
        "--sql", action="store_true", help="print the statements and touch no database"
    )
    for module in (cli_tasks, cli_queues, cli_schedules, cli_doctor):
        module.add(commands, common)
    cli_bench.add(commands)
    return whole


def run_migrate(options: argparse.Namespace) -> int:
    """Migrates, or prints what it would run."""
    if options.sql:
        for statement in statements(options.schema):
            sys.stdout.write(f"{statement.strip().rstrip(';')};\n\n")
    else:
        asyncio.run(run_migrations(options.dsn, options.schema))
        sys.stdout.write(f"The tables in schema {options.schema} are up to date.\n")
    return 0


async def run_migrations(dsn: str | None, schema: str) -> None:
    """Connects and migrates."""
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection, schema=schema)
    finally:
        await connection.close()


async def run_command(options: argparse.Namespace) -> int:
    """Connects and runs a command. Nothing is prepared, so that a pooler is no hindrance."""
    connection = await asyncpg.connect(
        options.dsn,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        statement_cache_size=0,
    )
    try:
        desk = Desk(connection, options.schema)
        if options.command != "bench":
            await desk.check()
        status: int = await options.run(desk, options)
        return status
    finally:
        await connection.close()
