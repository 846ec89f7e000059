"""A worker to be killed: ``victim.py <dsn>``. Run by test_kill.py, says on stdout what it does."""

import asyncio
import sys
from datetime import timedelta

import asyncpg

from colmillo import Context, PostgresStore, Worker, task

LEASE = timedelta(seconds=2)
RUSH = 2000
MOST = 200


@task(queue="kill")
async def hang(ctx: Context["asyncpg.Pool[asyncpg.Record]"], number: int) -> None:
    """Starts, says so, and never ends."""
    await ctx.resources.execute(
        "INSERT INTO effects VALUES ($1, $2, $3)", number, ctx.task.attempt, "victim"
    )
    sys.stdout.write(f"started {number}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


@task(queue="kill")
async def count(ctx: Context["asyncpg.Pool[asyncpg.Record]"], number: int) -> None:
    """Has its effect and completes in one transaction. Stops before it has done them all: who is
    to kill it may be late."""
    if number >= MOST:
        await asyncio.Event().wait()
    async with ctx.resources.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO effects VALUES ($1, $2, $3)", number, ctx.task.attempt, "victim"
        )
        await ctx.complete(connection=connection)
    sys.stdout.write(f"counted {number}\n")
    sys.stdout.flush()


@task(queue="kill")
async def rush(ctx: Context[object], number: int) -> None:
    """Quick at first, so that others are claimed ahead, then stuck; later with each attempt."""
    if number >= RUSH + 20 * ctx.task.attempt:
        sys.stdout.write(f"stuck {number}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def main(dsn: str) -> None:
    """Works until it is killed."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=8) as pool:
        worker = Worker(
            PostgresStore(pool),
            tasks=[hang, count, rush],
            queues={"kill": 8},
            resources=pool,
            lease=LEASE,
        )
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
