"""kill -9 of a real worker process in the middle of its work."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from colmillo import Context, PostgresStore, Queue, Worker, task
from colmillo.limits import Limits
from colmillo.store import State, WorkerId
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

VICTIM = Path(__file__).parent / "victim.py"
LEASE = timedelta(seconds=2)
SLOTS = 8
RUSH = 2000


@asynccontextmanager
async def victim(
    dsn: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """The process and what it says; dead at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(VICTIM), dsn, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_killed_workers_task_runs_again_elsewhere(dsn: str, pool: "Pool") -> None:
    await pool.execute("CREATE TABLE effects (number int, attempt int, who text)")
    ran = asyncio.Event()

    @task(queue="kill")
    async def hang(ctx: Context["Pool"], number: int) -> None:
        await ctx.resources.execute(
            "INSERT INTO effects VALUES ($1, $2, $3)", number, ctx.task.attempt, "survivor"
        )
        ran.set()

    store = PostgresStore(pool)
    held = (await Queue(store).enqueue(hang.new(1))).id
    survivor = Worker(store, tasks=[hang], queues={"kill": 1}, resources=pool, lease=LEASE)
    async with victim(dsn) as (process, says):
        assert await says.readline() == b"started 1\n"
        async with working(survivor):
            running = await store.get(held)
            assert running is not None
            assert (running.state, running.attempt) == (State.RUNNING, 1)
            process.kill()
            await ran.wait()
            await process.wait()
            survivor.stop()
    rows = await pool.fetch("SELECT number, attempt, who FROM effects ORDER BY attempt")
    assert [tuple(row) for row in rows] == [(1, 1, "victim"), (1, 2, "survivor")]
    assert await store.counts() == {}


async def test_a_killed_workers_places_under_a_limit_are_free_again(dsn: str, pool: "Pool") -> None:
    await pool.execute("CREATE TABLE effects (number int, attempt int, who text)")
    ran: set[int] = set()
    all_ran = asyncio.Event()

    @task(queue="kill")
    async def hang(number: int) -> None:
        ran.add(number)
        if len(ran) == 2:
            all_ran.set()

    store = PostgresStore(pool)
    queue = Queue(store)
    await queue.limit("kill", Limits(running=1, per_key=1))
    for number in (1, 2):
        await queue.enqueue(hang.new(number).with_options(concurrency_key="ana"))
    other = WorkerId(uuid4())
    await store.register(other, name="other", lease=timedelta(minutes=1))
    survivor = Worker(store, tasks=[hang], queues={"kill": 8}, lease=LEASE)
    async with victim(dsn) as (process, says):
        assert await says.readline() == b"started 1\n"
        assert await store.claim(other, {"kill": 8}) == []
        process.kill()
        await process.wait()
        assert await store.claim(other, {"kill": 8}) == []
        async with working(survivor):
            await all_ran.wait()
    assert await store.counts() == {}


async def test_effects_in_the_completing_transaction_happen_once_in_spite_of_the_kill(
    dsn: str, pool: "Pool"
) -> None:
    await pool.execute("CREATE TABLE effects (number int, attempt int, who text)")
    total = 300
    done = asyncio.Event()

    @task(queue="kill")
    async def count(ctx: Context["Pool"], number: int) -> None:
        async with ctx.resources.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO effects VALUES ($1, $2, $3)", number, ctx.task.attempt, "survivor"
            )
            await ctx.complete(connection=connection)
        if await ctx.resources.fetchval("SELECT count(*) FROM effects") >= total:
            done.set()

    store = PostgresStore(pool)
    await Queue(store).enqueue_many(count.new(number) for number in range(total))
    async with victim(dsn) as (process, says):
        for _ in range(20):
            assert (await says.readline()).startswith(b"counted")
        process.kill()
        await process.wait()
        survivor = Worker(store, tasks=[count], queues={"kill": 8}, resources=pool, lease=LEASE)
        async with working(survivor):
            await done.wait()
    rows = await pool.fetch("SELECT number, who FROM effects ORDER BY number")
    assert [row["number"] for row in rows] == list(range(total))
    assert {row["who"] for row in rows} == {"victim", "survivor"}
    assert await store.counts() == {}


async def test_waiting_in_a_killed_worker_counts_as_one_crash_at_most(
    dsn: str, pool: "Pool"
) -> None:
    """Of the second kill's victims only those that ran have two: none that waited its turn."""
    await pool.execute("CREATE TABLE effects (number int, attempt int, who text)")

    @task(queue="kill")
    async def rush(number: int) -> None:
        """Runs in the victim only."""

    store = PostgresStore(pool)
    await Queue(store).enqueue_many(rush.new(number) for number in range(5000))
    crashed: list[int] = []
    for crashes in (1, 2):
        async with victim(dsn) as (process, says):
            assert (await says.readline()).startswith(b"stuck")
            process.kill()
            await process.wait()
        for worker in await pool.fetch("SELECT id FROM colmillo.workers"):
            await store.retire(WorkerId(worker["id"]))
        await store.rescue(max_crashes=5)
        # Those that got stuck, and what came after them in the line. The quick ones before them
        # may have ended without a word to the store.
        query = "SELECT count(*) FROM colmillo.tasks WHERE crashes = $1 AND payload > $2"
        crashed.append(await pool.fetchval(query, crashes, f'{{"number":{RUSH + 40 - 1}}}'))
    assert crashed[0] > SLOTS, "too little was claimed ahead"
    assert 1 <= crashed[1] <= SLOTS
