"""The caller's transaction: what is enqueued, settled or ticked in it lives and dies with it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from colmillo.postgres import PostgresStore
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Finish,
    NewTask,
    SetAside,
    Settlement,
    State,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Pool

FIRE = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)
PLAIN = NewTask(name="work", queue="main", payload="{}")
UNIQUE = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


async def claimed_task(store: PostgresStore, task: NewTask = PLAIN) -> ClaimedTask:
    """Enqueues a task and claims it for a new worker."""
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=timedelta(minutes=1))
    await store.enqueue([task])
    (claimed,) = await store.claim(worker, {"main": 1})
    return claimed


@pytest.mark.parametrize("task", [PLAIN, UNIQUE], ids=["plain", "unique"])
async def test_enqueue_appears_with_the_commit(
    pool: "Pool", store: PostgresStore, task: NewTask
) -> None:
    async with pool.acquire() as connection:
        async with connection.transaction():
            (answer,) = await store.enqueue([task], connection=connection)
            assert answer.inserted
            assert await store.counts() == {}
        assert await store.counts() == {("main", State.WAITING): 1}


@pytest.mark.parametrize("task", [PLAIN, UNIQUE], ids=["plain", "unique"])
async def test_enqueue_is_undone_by_a_rollback(
    pool: "Pool", store: PostgresStore, task: NewTask
) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        (lost,) = await store.enqueue([task], connection=connection)
        await transaction.rollback()
    assert await store.get(lost.id) is None
    (answer,) = await store.enqueue([task])
    assert answer.inserted


async def test_duplicate_does_not_abort_the_transaction(pool: "Pool", store: PostgresStore) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    async with pool.acquire() as connection, connection.transaction():
        (answer,) = await store.enqueue([UNIQUE], connection=connection)
        assert (answer.id, answer.inserted) == (holder.id, False)
        (other,) = await store.enqueue([PLAIN], connection=connection)
        assert other.inserted
    assert await store.counts() == {("main", State.WAITING): 2}


async def test_holder_of_the_same_transaction_is_found(pool: "Pool", store: PostgresStore) -> None:
    async with pool.acquire() as connection, connection.transaction():
        (first,) = await store.enqueue([UNIQUE], connection=connection)
        (second,) = await store.enqueue([UNIQUE], connection=connection)
        assert (second.id, second.inserted) == (first.id, False)


async def test_listeners_hear_of_commits_only(pool: "Pool", store: PostgresStore) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    lost = NewTask(name="work", queue="lost", payload="{}")
    async with (
        store.listen(heard.put_nowait),
        pool.acquire() as connection,
        asyncio.timeout(30),
    ):
        transaction = connection.transaction()
        await transaction.start()
        await store.enqueue([lost], connection=connection)
        await transaction.rollback()
        async with connection.transaction():
            await store.enqueue([PLAIN, UNIQUE, PLAIN], connection=connection)
            assert heard.empty()
        assert await heard.get() == "main"
    assert heard.empty()


async def test_store_may_keep_silent(pool: "Pool", store: PostgresStore) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    silent = PostgresStore(pool, notify=False)
    async with store.listen(heard.put_nowait), asyncio.timeout(30):
        await silent.enqueue([NewTask(name="work", queue="silent", payload="{}")])
        await silent.enqueue([UNIQUE])
        await store.enqueue([NewTask(name="work", queue="loud", payload="{}")])
        assert await heard.get() == "loud"


@pytest.mark.parametrize(
    "verdict",
    [Finish(), Again(error="x"), SetAside(ending=Ending.FAILED, error="x")],
    ids=["finish", "again", "set aside"],
)
async def test_settle_is_undone_by_a_rollback(
    pool: "Pool", store: PostgresStore, verdict: Finish | Again | SetAside
) -> None:
    claimed = await claimed_task(store)
    before = await store.get(claimed.id)
    settlement = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await store.settle([settlement], connection=connection) == frozenset()
        assert await store.settle([settlement], connection=connection) == {claimed.id}
        assert await store.get(claimed.id) == before
        await transaction.rollback()
    assert await store.get(claimed.id) == before
    assert await store.settle([settlement]) == frozenset()


async def test_finish_and_successor_in_one_transaction(pool: "Pool", store: PostgresStore) -> None:
    claimed = await claimed_task(store, UNIQUE)
    done = Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())
    async with pool.acquire() as connection, connection.transaction():
        assert await store.settle([done], connection=connection) == frozenset()
        (next_one,) = await store.enqueue([UNIQUE], connection=connection)
        assert next_one.inserted
    assert await store.counts() == {("main", State.WAITING): 1}


async def test_tick_is_undone_by_a_rollback(pool: "Pool", store: PostgresStore) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await store.tick("clean", FIRE, PLAIN, connection=connection)
        assert not await store.tick("clean", FIRE, PLAIN, connection=connection)
        await transaction.rollback()
    assert await store.counts() == {}
    assert await store.tick("clean", FIRE, PLAIN)


async def test_old_ticks_are_forgotten(pool: "Pool", store: PostgresStore) -> None:
    now = await store.now()
    day = timedelta(days=1)
    for age in (30, 9, 8, 6, 1, 0):
        assert await store.tick("clean", now - age * day, PLAIN)
    assert await store.tick("other", now - 30 * day, PLAIN)
    assert await store.tick("ahead", now, PLAIN)
    assert await store.tick("ahead", now + 30 * day, PLAIN)
    assert not await store.tick("ahead", now, PLAIN)
    kept = await pool.fetch("SELECT fire_time FROM colmillo.ticks WHERE schedule = 'clean'")
    assert sorted(now - row[0] for row in kept) == [0 * day, 1 * day, 6 * day]


async def test_connection_has_to_be_one(store: PostgresStore) -> None:
    with pytest.raises(TypeError, match=r"has to be an asyncpg connection.*, not a str"):
        await store.enqueue([PLAIN], connection="postgresql://")
