"""What colmillo does on somebody's own database: the measurements of ``colmillo bench``.

Everything happens in a schema of its own, in one process, over one pool.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from colmillo.clock import Clock
from colmillo.errors import ColmilloError
from colmillo.postgres import PostgresStore
from colmillo.queue import Queue
from colmillo.schema import migrate, queries
from colmillo.task import Task, task
from colmillo.worker import Worker

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

QUEUE = "bench"
BATCH = 1000
ROUND_TRIPS = 200
LATENCIES = 200
WARM_UP = 10
PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured: rates in tasks per second, times in seconds."""

    tasks: int
    round_trip_p50: float
    round_trip_p99: float
    one_by_one: float
    in_bulk: float
    drain_at_10: float
    drain_at_100: float
    pick_up_p50: float
    pick_up_p99: float


@asynccontextmanager
async def own_schema(connection: "Connection", schema: str) -> AsyncIterator[None]:
    """The queue's tables in a schema that exists for the block only.

    Raises:
        ColmilloError: there is such a schema already; it is left alone.
    """
    sql = queries(schema)
    try:
        await connection.execute(sql["bench_create"])
    except asyncpg.DuplicateSchemaError:
        raise ColmilloError(
            f"there is a schema {schema} already, and this would drop it: choose another name "
            "with --schema, or drop it if an earlier bench that was killed left it"
        ) from None
    try:
        await migrate(connection, schema)
        yield
    finally:
        await connection.execute(sql["bench_drop"])


async def measure(pool: "Pool", schema: str, tasks: int, clock: Clock) -> Figures:
    """Measures everything, one thing after the other. Leaves the schema's tables empty."""
    store = PostgresStore(pool, schema)
    trips = await round_trips(pool)
    singly = max(1, tasks // 5)
    one_by_one = await enqueue(store, singly, 1)
    in_bulk = await enqueue(store, tasks, BATCH)
    at_10 = await drain(store, 10, tasks + singly)
    await enqueue(store, tasks, BATCH)
    at_100 = await drain(store, 100, tasks)
    waits = await pick_ups(store, min(LATENCIES, tasks), clock)
    if left := await store.counts():
        raise ColmilloError(f"tasks were left, which should not be: {left}")
    return Figures(
        tasks=tasks,
        round_trip_p50=quantile(trips, 0.5),
        round_trip_p99=quantile(trips, 0.99),
        one_by_one=one_by_one,
        in_bulk=in_bulk,
        drain_at_10=at_10,
        drain_at_100=at_100,
        pick_up_p50=quantile(waits, 0.5),
        pick_up_p99=quantile(waits, 0.99),
    )


async def round_trips(pool: "Pool") -> list[float]:
    """The times of statements that do nothing."""
    times: list[float] = []
    async with pool.acquire() as connection:
        statement = await connection.prepare("SELECT 1")
        for _ in range(ROUND_TRIPS):
            started = time.perf_counter()
            await statement.fetchval()
            times.append(time.perf_counter() - started)
    return times


async def enqueue(store: PostgresStore, tasks: int, at_once: int) -> float:
    """The rate at which tasks are enqueued, each call a transaction of its own."""
    queue, work = Queue(store), job(lambda _: None)
    started = time.perf_counter()
    for first in range(0, tasks, at_once):
        batch = range(first, min(first + at_once, tasks))
        await queue.enqueue_many([work.new(number=number) for number in batch])
    return tasks / (time.perf_counter() - started)


async def drain(store: PostgresStore, slots: int, tasks: int) -> float:
    """The rate of one worker, from its first task's start until all are settled."""
    started: list[float] = []
    ran = asyncio.Event()

    def note(_: int) -> None:
        started.append(time.perf_counter())
        if len(started) == tasks:
            ran.set()

    async with worker(store, slots, job(note)) as running:
        await either(ran, running)
    return tasks / (time.perf_counter() - started[0])


async def pick_ups(store: PostgresStore, tasks: int, clock: Clock) -> list[float]:
    """The times from the start of an enqueue to the start of the task, on an idle worker."""
    queue, times = Queue(store), list[float]()
    ran = asyncio.Event()

    def note(_: int) -> None:
        times.append(time.perf_counter() - asked)
        ran.set()

    work = job(note)
    async with worker(store, 10, work) as running:
        for number in range(WARM_UP + tasks):
            ran.clear()
            asked = time.perf_counter()
            await queue.enqueue(work.new(number=number))
            await either(ran, running)
            await clock.sleep(PAUSE_SECONDS)
    return times[WARM_UP:]


def job(note: Callable[[int], None]) -> Task[...]:
    """A task that does next to nothing."""

    @task(name="bench", queue=QUEUE)
    async def bench(number: int) -> None:
        note(number)

    return bench


@asynccontextmanager
async def worker(
    store: PostgresStore, slots: int, work: Task[...]
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker for the block, after which all is settled; cancelled with it."""
    one = Worker(store, tasks=[work], queues={QUEUE: slots})
    running = asyncio.create_task(one.run())
    try:
        yield running
        one.stop()
        await running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def either(event: asyncio.Event, running: asyncio.Task[None]) -> None:
    """Waits for the event, or for a worker that fails, and raises what it raised."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if running.done():
        await running


def quantile(times: list[float], share: float) -> float:
    """By nearest rank."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]
