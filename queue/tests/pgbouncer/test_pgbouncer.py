"""Everything through PgBouncer in transaction mode: the next statement may meet another session.

PgBouncer here has three sessions for thirty clients of each pool.
"""

import ast
import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from colmillo import Context, NewTask, PostgresStore, Queue, Worker, migrate, task
from colmillo.schema import check, latest
from colmillo.store import Finish, Settlement, State, WorkerId
from colmillo.sync import SyncQueue
from colmillo.testing import database_clock
from colmillo.testing.conformance import StoreConformance
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

PAGE = Path(__file__).parents[3] / "docs" / "colmillo" / "pgbouncer.md"
WAIT = 60
TASKS = 1_000
PLAIN = NewTask(name="work", queue="main", payload="{}")
UNIQUE = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))


@pytest.fixture
def store(pooled_pool: "Pool") -> PostgresStore:
    return PostgresStore(pooled_pool, notify=False)


class Harness:
    """Two stores with pools of their own through one PgBouncer; they hear on direct pools."""

    def __init__(self, direct: "Pool", pool: "Pool", other: "Pool") -> None:
        self._pool = pool
        self.store = PostgresStore(pool, listen_pool=direct)
        self.sibling = PostgresStore(other, listen_pool=direct)

    async def advance(self, by: timedelta) -> None:
        await database_clock.advance(self._pool, by)


class TestThroughPgbouncer(StoreConformance):
    @pytest.fixture
    async def clock(self, dsn: str) -> None:
        """PgBouncer hands no search_path on: its sessions find the clock by the database's."""
        await database_clock.install(dsn)
        connection = await asyncpg.connect(dsn)
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        path = database_clock.SETTINGS["search_path"]
        await connection.execute(f"ALTER DATABASE {name} SET search_path = {path}")
        await connection.close()

    @pytest.fixture
    async def harness(
        self, clock: None, pool: "Pool", pooled_pool: "Pool", pooled_dsn: str
    ) -> AsyncIterator[Harness]:
        async with asyncpg.create_pool(
            pooled_dsn, min_size=1, max_size=10, statement_cache_size=0
        ) as other:
            yield Harness(pool, pooled_pool, other)


async def test_sessions_really_are_shared(pooled_pool: "Pool") -> None:
    """Else this module would show nothing: thirty clients at once meet three sessions."""
    sessions = await asyncio.gather(
        *(pooled_pool.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.01)") for _ in range(300))
    )
    assert len(set(sessions)) <= 3


async def test_schema_is_installed_by_many_at_once(
    empty_dsn: str, pooled: Callable[[str], str]
) -> None:
    async with asyncpg.create_pool(
        pooled(empty_dsn), min_size=1, max_size=10, statement_cache_size=0
    ) as pool:
        assert await asyncio.gather(*(migrate(pool) for _ in range(8))) == [latest()] * 8
        await asyncio.gather(*(check(pool) for _ in range(30)))


async def test_each_task_runs_once(pooled_pool: "Pool", store: PostgresStore) -> None:
    """Three workers, each task enqueued by itself and each by ten at once with the same key."""
    runs = Counter[int]()
    done = asyncio.Event()

    @task(unique=True)
    async def count(number: int) -> None:
        runs[number] += 1
        if len(runs) == TASKS:
            done.set()

    queue = Queue(store)
    tasks = [count.new(number) for number in range(TASKS)]

    async def enqueue(mine: list[NewTask]) -> int:
        return sum([(await queue.enqueue(new)).inserted for new in mine])

    inserted = await asyncio.gather(*(enqueue(tasks[n % 10 :: 10]) for n in range(30)))
    assert sum(inserted) == TASKS
    workers = [
        Worker(PostgresStore(pooled_pool, notify=False), tasks=[count], queues={"default": 20})
        for _ in range(3)
    ]
    async with working(workers[0]), working(workers[1]), working(workers[2]), asyncio.timeout(WAIT):
        await done.wait()
    assert set(runs.values()) == {1}
    assert await store.counts() == {}


async def test_different_statements_at_once_get_their_own_answers(store: PostgresStore) -> None:
    async def life(n: int) -> None:
        worker = WorkerId(uuid4())
        queue = f"queue {n}"
        await store.register(worker, name="test", lease=timedelta(minutes=1))
        for _ in range(10):
            (answer,) = await store.enqueue([PLAIN.with_options(queue=queue)])
            (claimed,) = await store.claim(worker, {queue: 5})
            assert claimed.id == answer.id
            assert await store.renew(worker, timedelta(minutes=1))
            assert await store.next_due([queue]) is None
            found = await store.get(claimed.id)
            assert found is not None
            assert (found.queue, found.state, found.worker) == (queue, State.RUNNING, worker)
            done = Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())
            assert await store.settle([done]) == frozenset()

    await asyncio.gather(*(life(n) for n in range(30)))


async def test_effects_happen_once(pooled_pool: "Pool", store: PostgresStore) -> None:
    await pooled_pool.execute("CREATE TABLE payments (account int)")
    paid = asyncio.Semaphore(0)

    @task()
    async def pay(ctx: Context["Pool"], account: int) -> None:
        async with ctx.resources.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO payments VALUES ($1)", account)
            await ctx.complete(connection=connection)
        paid.release()

    await store.enqueue([pay.new(n) for n in range(50)])
    worker = Worker(store, tasks=[pay], queues={"default": 20}, resources=pooled_pool)
    async with working(worker), asyncio.timeout(WAIT):
        for _ in range(50):
            await paid.acquire()
    paid_for = await pooled_pool.fetchval(
        "SELECT array_agg(account ORDER BY account) FROM payments"
    )
    assert paid_for == list(range(50))
    assert await store.counts() == {}


async def test_notifications_pass_and_are_heard_on_a_direct_pool(
    pool: "Pool", pooled_pool: "Pool"
) -> None:
    store = PostgresStore(pooled_pool, listen_pool=pool)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with store.listen(heard.put_nowait), asyncio.timeout(WAIT):
        await store.enqueue([PLAIN, UNIQUE])
        assert await heard.get() == "main"


async def test_without_notifications_nothing_listens_anywhere(
    pool: "Pool", store: PostgresStore
) -> None:
    async with store.listen(lambda _: None):
        listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert await pool.fetchval(listening) == 0


async def test_enqueue_by_psycopg(pooled_dsn: str, store: PostgresStore) -> None:
    bare = PostgresStore(None)

    async def racer() -> int:
        inserted = 0
        async with await psycopg.AsyncConnection.connect(
            pooled_dsn, prepare_threshold=None
        ) as connection:
            for _ in range(10):
                (answer,) = await bare.enqueue([UNIQUE], connection=connection)
                await connection.commit()
                inserted += answer.inserted
        return inserted

    assert sum(await asyncio.gather(*(racer() for _ in range(20)))) == 1
    with psycopg.connect(pooled_dsn, prepare_threshold=None) as blocking:
        for _ in range(10):
            assert not SyncQueue().enqueue(UNIQUE, connection=blocking).inserted
            blocking.commit()


async def test_enqueue_by_sqlalchemy(pooled_dsn: str, store: PostgresStore) -> None:
    bare = PostgresStore(None)
    engine = create_async_engine(
        pooled_dsn.replace("postgresql://", "postgresql+asyncpg://"),
        poolclass=NullPool,
        connect_args={"statement_cache_size": 0, "prepared_statement_name_func": lambda: ""},
    )

    async def racer() -> int:
        inserted = 0
        async with AsyncSession(engine) as session:
            for _ in range(10):
                (answer,) = await bare.enqueue([UNIQUE], connection=session)
                await session.commit()
                inserted += answer.inserted
        return inserted

    assert sum(await asyncio.gather(*(racer() for _ in range(20)))) == 1
    await engine.dispose()
    blocking = create_engine(
        pooled_dsn.replace("postgresql://", "postgresql+psycopg://"),
        connect_args={"prepare_threshold": None},
    )
    with Session(blocking) as session:
        for _ in range(10):
            assert not SyncQueue().enqueue(UNIQUE, connection=session).inserted
            session.commit()
    blocking.dispose()


async def test_the_page_about_it_can_be_followed(pooled_dsn: str, pool: "Pool") -> None:
    names: dict[str, Any] = {**globals(), "dsn": pooled_dsn, "direct": pool}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        block = compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if (waiting := eval(block, names)) is not None:
            await waiting
    store: PostgresStore = names["store"]
    async with store.listen(lambda _: None):
        assert (await store.enqueue([UNIQUE]))[0].inserted
    assert not (await store.enqueue([UNIQUE], connection=names["connection"]))[0].inserted
    async with names["engine"].connect() as connection:
        assert not (await store.enqueue([UNIQUE], connection=connection))[0].inserted
    await names["connection"].close()
    await names["engine"].dispose()
    await names["pool"].close()
