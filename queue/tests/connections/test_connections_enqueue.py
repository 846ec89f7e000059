"""Enqueueing on connections of psycopg and SQLAlchemy: the answers are asyncpg's."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from colmillo import MemoryStore, NewTask, PostgresStore, Queue, migrate
from colmillo.errors import DuplicateTask
from colmillo.store import Finish, Settlement, State, TaskRecord, WorkerId

if TYPE_CHECKING:
    from colmillo.database import Pool

WAIT = 30
PLAIN = NewTask(name="work", queue="main", payload="{}")
UNIQUE = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))
BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
MADRID_IN_SUMMER = timezone(timedelta(hours=2))


class Caller(Protocol):
    """A connection with its transaction; see conftest."""

    connection: object

    async def execute(self, statement: str, /) -> object: ...
    async def commit(self) -> object: ...
    async def rollback(self) -> object: ...


Opening = Callable[[str], AbstractAsyncContextManager[Caller]]


@pytest.mark.parametrize("new", [PLAIN, UNIQUE], ids=["plain", "unique"])
async def test_what_is_enqueued_appears_with_the_commit(
    caller: Caller, bare: PostgresStore, store: PostgresStore, new: NewTask
) -> None:
    answer = await Queue(bare).enqueue(new, connection=caller.connection)
    assert answer.inserted
    assert await store.counts() == {}
    await caller.commit()
    found = await store.get(answer.id)
    assert found is not None
    assert (found.name, found.queue, found.payload) == (new.name, new.queue, new.payload)


@pytest.mark.parametrize("new", [PLAIN, UNIQUE], ids=["plain", "unique"])
async def test_what_is_enqueued_is_undone_with_a_rollback(
    caller: Caller, bare: PostgresStore, store: PostgresStore, new: NewTask
) -> None:
    await Queue(bare).enqueue(new, connection=caller.connection)
    await caller.rollback()
    assert await store.counts() == {}
    assert (await store.enqueue([new]))[0].inserted


async def test_together_with_the_callers_own_rows(
    caller: Caller, bare: PostgresStore, store: PostgresStore, pool: "Pool"
) -> None:
    await pool.execute("CREATE TABLE orders (id int)")
    for finish in (caller.rollback, caller.commit):
        await caller.execute("INSERT INTO orders VALUES (1)")
        await bare.enqueue([PLAIN], connection=caller.connection)
        await caller.execute("INSERT INTO orders VALUES (2)")
        await finish()
    assert await store.counts() == {("main", State.WAITING): 1}
    assert await pool.fetchval("SELECT count(*) FROM orders") == 2


async def test_a_duplicate_names_its_holder_and_aborts_nothing(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    (answer,) = await bare.enqueue([UNIQUE], connection=caller.connection)
    assert (answer.id, answer.inserted) == (holder.id, False)
    await bare.enqueue([PLAIN], connection=caller.connection)
    await caller.commit()
    assert await store.counts() == {("main", State.WAITING): 2}


def every_column() -> list[NewTask]:
    """Tasks whose values differ in every column, as do their types where a driver may care."""
    key = PLAIN.with_key("a key")
    return [
        NewTask(
            name="ñandú 😀 %s $1 :x {schema} \"'\\",
            queue="other",
            payload='{"x": "{\\"a\\", NULL} \\\\ %(p1)s"}',
            priority=-32_768,
            max_attempts=None,
            run_at=datetime(2030, 5, 6, 7, 8, 9, 123_456, tzinfo=MADRID_IN_SUMMER),
        ),
        key,
        PLAIN.with_options(priority=32_767, delay=timedelta(days=1, milliseconds=1)),
        key,
        NewTask(
            name="b",
            queue="main",
            payload="{}",
            max_attempts=2**31 - 1,
            run_at=datetime(1971, 1, 1, tzinfo=UTC),
        ),
        PLAIN.with_options(delay=timedelta(0)).with_key("another"),
    ]


def told(record: TaskRecord | None) -> tuple[object, ...]:
    """What does not depend on when and in which order it was enqueued."""
    assert record is not None
    waits = round((record.run_at - record.enqueued_at) / timedelta(milliseconds=1))
    return (
        record.name,
        record.queue,
        record.payload,
        record.priority,
        record.max_attempts,
        waits if waits in range(10**8) else record.run_at,
    )


@pytest.mark.parametrize("unique", [True, False], ids=["some unique", "none unique"])
async def test_many_at_once_are_stored_as_by_asyncpg(
    caller: Caller, bare: PostgresStore, store: PostgresStore, *, unique: bool
) -> None:
    tasks = [new for new in every_column() if unique or new.unique_hash is None]
    expected = await store.enqueue(tasks)
    memory = await MemoryStore().enqueue(tasks)
    assert [answer.inserted for answer in expected] == [answer.inserted for answer in memory]
    as_stored = [told(await store.get(answer.id)) for answer in expected]
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=timedelta(minutes=1))
    for claimed in await store.claim(worker, {"main": 10}):
        await store.settle([Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())])
    answers = await bare.enqueue(tasks, connection=caller.connection)
    await caller.commit()
    assert [answer.inserted for answer in answers] == [answer.inserted for answer in expected]
    assert [told(await store.get(answer.id)) for answer in answers] == as_stored


async def test_thousands_at_once(caller: Caller, bare: PostgresStore, store: PostgresStore) -> None:
    tasks = [PLAIN.with_key(str(n % 4_000)) for n in range(5_000)]
    answers = await bare.enqueue(tasks, connection=caller.connection)
    await caller.commit()
    assert [answer.inserted for answer in answers] == [True] * 4_000 + [False] * 1_000
    assert [answer.id for answer in answers[4_000:]] == [answer.id for answer in answers[:1_000]]
    assert await store.counts() == {("main", State.WAITING): 4_000}


async def test_listeners_hear_of_commits_only(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with store.listen(heard.put_nowait), asyncio.timeout(WAIT):
        await bare.enqueue([PLAIN.with_options(queue="lost")], connection=caller.connection)
        await caller.rollback()
        await bare.enqueue([PLAIN, UNIQUE, PLAIN], connection=caller.connection)
        assert heard.empty()
        await caller.commit()
        assert await heard.get() == "main"
    assert heard.empty()


async def test_a_schema_of_any_name(caller: Caller, store: PostgresStore, pool: "Pool") -> None:
    name = "we\"ird; {schema} '%s' %(p1)s $1 :x"
    await migrate(pool, name)
    answers = await PostgresStore(None, name).enqueue([PLAIN, UNIQUE], connection=caller.connection)
    assert all(answer.inserted for answer in answers)
    await caller.commit()
    assert await PostgresStore(pool, name).counts() == {("main", State.WAITING): 2}
    assert await store.counts() == {}


async def test_racing_enqueuers_leave_one_task(
    opening: Opening, dsn: str, bare: PostgresStore, store: PostgresStore
) -> None:
    inserted = 0

    async def racer() -> None:
        nonlocal inserted
        async with opening(dsn) as caller:
            for _ in range(20):
                (answer,) = await bare.enqueue([UNIQUE], connection=caller.connection)
                await caller.commit()
                inserted += answer.inserted

    async with asyncio.TaskGroup() as racers:
        for _ in range(8):
            racers.create_task(racer())
    assert inserted == 1
    assert await store.counts() == {("main", State.WAITING): 1}


async def test_psycopg_in_autocommit(dsn: str, bare: PostgresStore, store: PostgresStore) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await bare.enqueue([PLAIN, UNIQUE], connection=connection)
        assert await store.counts() == {("main", State.WAITING): 2}
        async with connection.transaction():
            await bare.enqueue([PLAIN, UNIQUE.with_key("x")], connection=connection)
            raise psycopg.Rollback
        assert await store.counts() == {("main", State.WAITING): 2}


async def test_a_savepoint_of_the_caller(
    dsn: str, bare: PostgresStore, store: PostgresStore
) -> None:
    url = dsn.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session, session.begin():
        await bare.enqueue([PLAIN], connection=session)
        savepoint = await session.begin_nested()
        await bare.enqueue([UNIQUE], connection=session)
        await savepoint.rollback()
        await bare.enqueue([PLAIN], connection=session)
    await engine.dispose()
    assert await store.counts() == {("main", State.WAITING): 2}
    assert (await store.enqueue([UNIQUE]))[0].inserted


async def test_a_refused_batch_is_undone_and_the_transaction_goes_on(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    await bare.enqueue([PLAIN], connection=caller.connection)
    refused = UNIQUE.with_options(duplicate="raise")
    with pytest.raises(DuplicateTask) as caught:
        await bare.enqueue([PLAIN, PLAIN.with_key("a"), refused], connection=caller.connection)
    assert caught.value.existing == holder.id
    await bare.enqueue([PLAIN], connection=caller.connection)
    await caller.commit()
    assert await store.counts() == {("main", State.WAITING): 3}


async def test_duplicates_change_the_task_that_waits(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    late = UNIQUE.with_options(delay=timedelta(hours=1), duplicate="earlier")
    lasting = replace(
        UNIQUE.with_key("b"), unique_states="finished", unique_period=timedelta(days=10_000)
    )
    (holder,) = await store.enqueue([late])
    (first, other) = await bare.enqueue(
        [late.with_options(delay=timedelta(0)), lasting], connection=caller.connection
    )
    assert (first.id, first.happened, other.happened) == (holder.id, "earlier", "inserted")
    changed = replace(UNIQUE, payload='{"x": 1}', duplicate="replace")
    (second, again) = await bare.enqueue([changed, lasting], connection=caller.connection)
    assert (second.id, second.happened) == (holder.id, "replaced")
    assert (again.id, again.happened) == (other.id, "existing")
    await caller.commit()
    found = await store.get(holder.id)
    assert found is not None
    assert found.payload == '{"x": 1}'


async def test_a_batch_that_fails_in_the_database_aborts_nothing(
    caller: Caller, bare: PostgresStore, store: PostgresStore, pool: "Pool"
) -> None:
    await pool.execute("ALTER TABLE colmillo.tasks ADD CHECK (name <> 'bad')")
    bad = [replace(PLAIN, name="bad").with_key("a"), UNIQUE]
    with pytest.raises(Exception, match="violates check constraint"):
        await bare.enqueue(bad, connection=caller.connection)
    await bare.enqueue([UNIQUE, PLAIN], connection=caller.connection)
    await caller.commit()
    assert await store.counts() == {("main", State.WAITING): 2}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_sqlalchemy_in_autocommit(
    dsn: str, bare: PostgresStore, store: PostgresStore, driver: str
) -> None:
    url = dsn.replace("postgresql://", f"postgresql+{driver}://")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await bare.enqueue([PLAIN, UNIQUE], connection=connection)
        assert await store.counts() == {("main", State.WAITING): 2}
        refused = UNIQUE.with_options(duplicate="raise")
        with pytest.raises(DuplicateTask):
            await bare.enqueue([PLAIN, refused], connection=connection)
        assert await store.counts() == {("main", State.WAITING): 2}
    await engine.dispose()


async def test_a_batch_in_a_ring_of_waiting_transactions_is_tried_again(
    caller: Caller, bare: PostgresStore, store: PostgresStore, pool: "Pool"
) -> None:
    mine, other, both = PLAIN.with_key("mine"), PLAIN.with_key("other"), PLAIN.with_key("both")
    async with asyncio.timeout(WAIT), pool.acquire() as held:
        opened = held.transaction()
        await opened.start()
        # The caller finds the ring, while the other one is patient for longer, then gives way.
        await held.execute("SET LOCAL deadlock_timeout = '1h'; SET LOCAL lock_timeout = '500ms'")
        await caller.execute("SET LOCAL deadlock_timeout = '300ms'")
        await bare.enqueue([other], connection=held)
        await bare.enqueue([mine], connection=caller.connection)
        waiting = asyncio.create_task(bare.enqueue([mine], connection=held))
        while not await pool.fetchval(BLOCKED):
            assert not waiting.done()
        batch = asyncio.create_task(bare.enqueue([both, other], connection=caller.connection))
        with pytest.raises(asyncpg.LockNotAvailableError):
            await waiting
        await opened.rollback()
        assert all(answer.inserted for answer in await batch)
        await caller.commit()
    assert await store.counts() == {("main", State.WAITING): 3}


async def test_an_answer_that_does_not_come_is_given_up(
    dsn: str, pool: "Pool", opening: Opening
) -> None:
    impatient = PostgresStore(None, command_timeout=timedelta(milliseconds=100))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE colmillo.tasks")
        async with opening(dsn) as caller:
            with pytest.raises(TimeoutError):
                await impatient.enqueue([PLAIN], connection=caller.connection)


async def test_what_would_block_the_event_loop_is_refused(dsn: str, bare: PostgresStore) -> None:
    message = r"would block .* use colmillo\.sync\.SyncQueue"
    with psycopg.connect(dsn) as connection, pytest.raises(TypeError, match=message):
        await bare.enqueue([PLAIN], connection=connection)


async def test_another_driver_of_sqlalchemy_is_refused(
    bare: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = AsyncConnection.__new__(AsyncConnection)
    dialect = SimpleNamespace(name="postgresql", driver="psycopg2")
    monkeypatch.setattr(AsyncConnection, "dialect", dialect)
    with pytest.raises(TypeError, match=r"use asyncpg or psycopg, not postgresql\+psycopg2"):
        await bare.enqueue([PLAIN], connection=other)


async def test_a_store_without_a_pool_says_so(bare: PostgresStore) -> None:
    with pytest.raises(TypeError, match="this store has no pool"):
        await bare.enqueue([PLAIN])


def test_neither_library_is_imported_with_colmillo() -> None:
    code = (
        "import sys, colmillo, colmillo.sync;"
        "print([name for name in ('psycopg', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
