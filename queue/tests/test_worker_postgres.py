"""Workers on a real database: each task once, the caller's transactions, lost connections."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from colmillo import (
    Context,
    LeaseLost,
    Outcome,
    PostgresStore,
    Queue,
    Retry,
    Task,
    Worker,
    task,
)
from colmillo.errors import SchemaOutdated
from colmillo.store import State, WorkerId
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

LEASE = timedelta(seconds=30)


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


class Ledger:
    """A task that writes each of its executions down, and notes what runs at the same time."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.runs = Counter[int]()
        self.now: set[int] = set()
        self.overlaps: list[int] = []
        self.milestones = {number: asyncio.Event() for number in (total // 4, total // 2, total)}

        @task(name="write")
        async def write(ctx: Context["Pool"], number: int) -> None:
            if number in self.now:
                self.overlaps.append(number)
            self.now.add(number)
            try:
                await ctx.resources.execute("INSERT INTO effects VALUES ($1)", number)
            finally:
                self.now.discard(number)
            self.runs[number] += 1
            if event := self.milestones.get(len(self.runs)):
                event.set()

        self.write: Task[[int]] = write

    async def wait(self, share: int) -> None:
        await self.milestones[self.total // share].wait()


@pytest.fixture
async def effects(dsn: str) -> "AsyncIterator[Pool]":
    """The application's own pool, with a table for the effects of tasks."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        await pool.execute("CREATE TABLE effects (number int)")
        yield pool


async def test_two_workers_run_each_of_4000_tasks_once(
    dsn: str, store: PostgresStore, effects: "Pool"
) -> None:
    ledger = Ledger(4000)
    queue = Queue(store)

    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as other_pool:
        workers = [
            Worker(each, tasks=[ledger.write], queues={"default": 50}, resources=effects)
            for each in (store, PostgresStore(other_pool))
        ]
        await queue.enqueue_many(ledger.write.new(number) for number in range(2000))
        async with working(*workers):
            await queue.enqueue_many(ledger.write.new(number) for number in range(2000, 4000))
            await ledger.wait(1)
        assert await store.counts() == {}
    assert ledger.runs == Counter(range(4000))
    assert ledger.overlaps == []
    rows = await effects.fetch("SELECT number FROM effects ORDER BY number")
    assert [row["number"] for row in rows] == list(range(4000))


async def test_the_database_drops_every_connection_again_and_again(
    dsn: str, effects: "Pool"
) -> None:
    ledger = Ledger(1200)
    settings = {"application_name": "victim"}
    async with asyncpg.create_pool(
        dsn, min_size=1, max_size=5, server_settings=settings
    ) as worker_pool:
        store = PostgresStore(worker_pool)
        await Queue(store).enqueue_many(ledger.write.new(number) for number in range(1200))
        worker = Worker(store, tasks=[ledger.write], queues={"default": 20}, resources=effects)
        async with working(worker):
            for share in (4, 2):
                await ledger.wait(share)
                for _ in range(3):
                    await effects.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'victim'"
                    )
            await ledger.wait(1)
        assert await store.counts() == {}
    assert ledger.runs == Counter(range(1200))
    assert ledger.overlaps == []
    assert await effects.fetchval("SELECT count(*) FROM effects") == 1200


class Completion:
    """A task that has an effect and completes in one transaction, which may be undone."""

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.attempts: list[int] = []
        self.raised: list[BaseException] = []
        self.ran = asyncio.Event()
        self.take_away = False
        self.roll_back = False
        self.answer: Outcome | None = None

        @task(max_attempts=2)
        async def job(ctx: Context[None]) -> Outcome | None:
            self.attempts.append(ctx.task.attempt)
            try:
                await self.act(ctx)
            except LeaseLost as error:
                self.raised.append(error)
                raise
            finally:
                self.ran.set()
            return self.answer

        self.job: Task[[]] = job

    async def act(self, ctx: Context[None]) -> None:
        if self.take_away:
            await take_away(self.pool)
        async with self.pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("INSERT INTO effects VALUES (1)")
            try:
                await ctx.complete(connection=connection)
            except LeaseLost:
                await transaction.rollback()
                raise
            if self.roll_back:
                await transaction.rollback()
            else:
                await transaction.commit()


async def take_away(pool: "Pool") -> None:
    """Everything that runs is taken by another worker."""
    store = PostgresStore(pool)
    await pool.execute("DELETE FROM colmillo.workers")
    await store.rescue(max_crashes=5)
    other = WorkerId(uuid4())
    await store.register(other, name="other", lease=LEASE)
    assert await store.claim(other, {"default": 1})


async def run_once(pool: "Pool", completion: Completion) -> PostgresStore:
    store = PostgresStore(pool)
    await Queue(store).enqueue(completion.job.new())
    worker = Worker(store, tasks=[completion.job], queues={"default": 1}, lease=LEASE)
    run = asyncio.create_task(worker.run())
    await completion.ran.wait()
    worker.stop()
    await run
    return store


async def test_complete_commits_with_the_callers_transaction(effects: "Pool") -> None:
    store = await run_once(effects, Completion(effects))
    assert await store.counts() == {}
    assert await effects.fetchval("SELECT count(*) FROM effects") == 1


async def test_complete_that_was_rolled_back_leaves_the_word_to_the_outcome(
    effects: "Pool",
) -> None:
    completion = Completion(effects)
    completion.roll_back = True
    completion.answer = Retry(after=timedelta(hours=1))
    store = await run_once(effects, completion)
    assert await store.counts() == {("default", State.WAITING): 1}
    assert await effects.fetchval("SELECT count(*) FROM effects") == 0


async def test_complete_that_was_rolled_back_and_no_outcome_is_done(effects: "Pool") -> None:
    completion = Completion(effects)
    completion.roll_back = True
    store = await run_once(effects, completion)
    assert await store.counts() == {}


async def test_an_outcome_after_a_committed_complete_changes_nothing(effects: "Pool") -> None:
    completion = Completion(effects)
    completion.answer = Retry()
    store = await run_once(effects, completion)
    assert await store.counts() == {}
    assert completion.attempts == [1]


async def test_complete_after_the_lease_was_lost(
    effects: "Pool", caplog: pytest.LogCaptureFixture
) -> None:
    completion = Completion(effects)
    completion.take_away = True
    store = await run_once(effects, completion)
    assert len(completion.raised) == 1
    assert await store.counts() == {("default", State.RUNNING): 1}
    assert await effects.fetchval("SELECT count(*) FROM effects") == 0
    assert "lease lost: the verdict changed nothing" in caplog.messages


async def test_enqueue_follows_the_callers_transaction(pool: "Pool", store: PostgresStore) -> None:
    ledger = Ledger(4)
    queue = Queue(store)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await queue.enqueue(ledger.write.new(1), connection=connection)
        assert await store.counts() == {}
        await transaction.rollback()
        assert await store.counts() == {}
        async with connection.transaction():
            await queue.enqueue_many([ledger.write.new(1)], connection=connection)
    assert await store.counts() == {("default", State.WAITING): 1}
    assert await queue.enqueue_many([]) == []


async def test_a_task_is_started_by_its_notification(effects: "Pool", store: PostgresStore) -> None:
    ledger = Ledger(4)
    worker = Worker(
        store,
        tasks=[ledger.write],
        queues={"default": 4},
        resources=effects,
        poll=timedelta(hours=1),
    )
    async with working(worker):
        for number in range(4):
            await Queue(store).enqueue(ledger.write.new(number))
        await ledger.wait(1)
    assert ledger.runs == Counter(range(4))


async def test_a_worker_without_tables_says_what_to_do(empty_pool: "Pool") -> None:
    worker = Worker(PostgresStore(empty_pool), tasks=[], queues={"default": 1})
    with pytest.raises(SchemaOutdated, match="migrate"):
        await worker.run()
