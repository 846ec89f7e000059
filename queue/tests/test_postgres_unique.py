"""Duplicates that meet a claim, a settle or one another, with a transaction held open between."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from colmillo.errors import DuplicateTask
from colmillo.postgres import PostgresStore
from colmillo.schema import queries
from colmillo.store import (
    Again,
    Enqueued,
    Finish,
    NewTask,
    Settlement,
    State,
    TaskId,
    TaskRecord,
    WorkerId,
)
from colmillo.testing import database_clock
from colmillo.unique import held_hash

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

HOUR = timedelta(hours=1)
PLAIN = NewTask(name="work", queue="main", payload="{}")
UNIQUE = replace(PLAIN, unique_hash=bytes(32))
BRIEF = replace(UNIQUE, unique_states="waiting")
LASTING = replace(UNIQUE, unique_states="finished", unique_period=timedelta(days=10_000))


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


@pytest.fixture
async def held(dsn: str) -> "AsyncIterator[Connection]":
    """A connection with an open transaction, rolled back if the test leaves it open."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("BEGIN")
    yield connection
    await connection.close()


async def worker(store: PostgresStore) -> WorkerId:
    identity = WorkerId(uuid4())
    await store.register(identity, name="test", lease=timedelta(minutes=1))
    return identity


async def claim_on(held: "Connection", by: WorkerId) -> int:
    """Claims one task in the held transaction."""
    (row,) = await held.fetch(queries("colmillo")["claim"], by, ["main"], [1], [], [], [], [])
    return int(row["lease"])


async def blocked(pool: "Pool", call: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Starts the call and returns when it waits for a lock."""
    started = asyncio.create_task(call)
    async with asyncio.timeout(30):
        while not await pool.fetchval(BLOCKED):
            assert not started.done(), started
    return started


async def found(store: PostgresStore, task: TaskId) -> TaskRecord:
    record = await store.get(task)
    assert record is not None
    return record


def replacing(task: NewTask) -> NewTask:
    return replace(task, duplicate="replace", payload='{"n":2}', priority=7)


def sooner(task: NewTask) -> NewTask:
    return replace(task, duplicate="earlier", delay=None)


@pytest.mark.parametrize("change", [replacing, sooner])
async def test_change_waits_for_a_claim_and_leaves_what_runs(
    pool: "Pool", store: PostgresStore, held: "Connection", change: Any
) -> None:
    task = replace(UNIQUE, run_at=await store.now())
    (holder,) = await store.enqueue([task])
    lease = await claim_on(held, await worker(store))
    long_ago = replace(change(task), run_at=await store.now() - HOUR)
    enqueue = await blocked(pool, store.enqueue([long_ago]))
    await held.execute("COMMIT")
    assert await enqueue == [Enqueued(id=holder.id, happened="existing")]
    record = await found(store, holder.id)
    assert (record.state, record.payload, record.run_at) == (State.RUNNING, "{}", task.run_at)
    done = Settlement(id=holder.id, lease=lease, verdict=Finish())
    assert await store.settle([done]) == frozenset()


@pytest.mark.parametrize(("change", "said"), [(replacing, "replaced"), (sooner, "earlier")])
async def test_change_goes_through_when_the_claim_is_undone(
    pool: "Pool", store: PostgresStore, held: "Connection", change: Any, said: str
) -> None:
    task = replace(UNIQUE, run_at=await store.now())
    (holder,) = await store.enqueue([task])
    await claim_on(held, await worker(store))
    long_ago = replace(change(task), run_at=await store.now() - HOUR)
    enqueue = await blocked(pool, store.enqueue([long_ago]))
    await held.execute("ROLLBACK")
    assert [answer.happened for answer in await enqueue] == [said]
    assert (await found(store, holder.id)).run_at == long_ago.run_at


@pytest.mark.parametrize("change", [replacing, sooner])
async def test_waiting_only_task_is_enqueued_when_the_claim_took_the_holder(
    pool: "Pool", store: PostgresStore, held: "Connection", change: Any
) -> None:
    """The newer payload must not be lost between a claim and the replacement."""
    (holder,) = await store.enqueue([BRIEF])
    await claim_on(held, await worker(store))
    enqueue = await blocked(pool, store.enqueue([change(BRIEF)]))
    await held.execute("COMMIT")
    (answer,) = await enqueue
    assert (answer.happened, answer.id > holder.id) == ("inserted", True)
    assert await store.counts() == {("main", State.RUNNING): 1, ("main", State.WAITING): 1}


@pytest.mark.parametrize("change", [replacing, sooner])
async def test_claims_pass_by_a_task_that_is_being_changed(
    store: PostgresStore, held: "Connection", change: Any
) -> None:
    by = await worker(store)
    run_at = await store.now()
    (holder,) = await store.enqueue([replace(UNIQUE, run_at=run_at)])
    before = replace(change(UNIQUE), run_at=run_at - HOUR)
    assert await store.enqueue([before], connection=held) != [Enqueued(id=holder.id)]
    assert await store.claim(by, {"main": 1}) == []
    await held.execute("COMMIT")
    (claimed,) = await store.claim(by, {"main": 1})
    assert (claimed.id, claimed.run_at) == (holder.id, before.run_at)
    assert claimed.payload == before.payload


async def test_later_replacement_wins_over_one_that_commits_later(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    await store.enqueue([replacing(UNIQUE)], connection=held)
    last = replace(replacing(UNIQUE), payload='{"n":3}')
    enqueue = await blocked(pool, store.enqueue([last]))
    await held.execute("COMMIT")
    assert await enqueue == [Enqueued(id=holder.id, happened="replaced")]
    assert (await found(store, holder.id)).payload == '{"n":3}'


@pytest.mark.parametrize("task", [UNIQUE, BRIEF, LASTING], ids=["live", "waiting", "finished"])
async def test_replacement_waits_for_an_uncommitted_holder(
    pool: "Pool", store: PostgresStore, held: "Connection", task: NewTask
) -> None:
    (holder,) = await store.enqueue([task], connection=held)
    enqueue = await blocked(pool, store.enqueue([PLAIN, replacing(task)]))
    await held.execute("COMMIT")
    assert (await enqueue)[1] == Enqueued(id=holder.id, happened="replaced")
    assert (await found(store, holder.id)).payload == '{"n":2}'


async def test_keep_earlier_against_an_uncommitted_keep_earlier(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    base = await store.now() + 9 * HOUR
    early, earlier, earliest = (
        replace(UNIQUE, duplicate="earlier", run_at=base - hours * HOUR) for hours in (0, 1, 2)
    )
    (holder,) = await store.enqueue([early])
    await store.enqueue([earliest], connection=held)
    enqueue = await blocked(pool, store.enqueue([earlier]))
    await held.execute("COMMIT")
    assert await enqueue == [Enqueued(id=holder.id, happened="existing")]
    assert (await found(store, holder.id)).run_at == earliest.run_at


@pytest.mark.parametrize("batch", [[UNIQUE], [PLAIN, UNIQUE]], ids=["one", "batch"])
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_refusal_waits_for_the_holders_commit(
    pool: "Pool", store: PostgresStore, held: "Connection", batch: list[NewTask], end: str
) -> None:
    refuse = [replace(task, duplicate="raise") if task.unique_hash else task for task in batch]
    (holder,) = await store.enqueue([UNIQUE], connection=held)
    enqueue = await blocked(pool, store.enqueue(refuse))
    await held.execute(end)
    if end == "ROLLBACK":
        assert all(answer.inserted for answer in await enqueue)
        return
    with pytest.raises(DuplicateTask, match=f"work is task {holder.id}") as caught:
        await enqueue
    assert caught.value.existing == holder.id
    assert await store.counts() == {("main", State.WAITING): 1}


@pytest.mark.parametrize("batch", [[UNIQUE], [PLAIN, UNIQUE]], ids=["one", "batch"])
async def test_refusal_does_not_abort_the_callers_transaction(
    pool: "Pool", store: PostgresStore, batch: list[NewTask]
) -> None:
    refuse = [replace(task, duplicate="raise") if task.unique_hash else task for task in batch]
    (holder,) = await store.enqueue([UNIQUE])
    async with pool.acquire() as connection, connection.transaction():
        (before,) = await store.enqueue([PLAIN], connection=connection)
        with pytest.raises(DuplicateTask):
            await store.enqueue(refuse, connection=connection)
        (after,) = await store.enqueue([replacing(UNIQUE)], connection=connection)
    assert after == Enqueued(id=holder.id, happened="replaced")
    assert await store.counts() == {("main", State.WAITING): 2}
    assert await store.get(before.id) is not None


async def test_what_the_caller_undoes_changes_nothing(
    store: PostgresStore, held: "Connection"
) -> None:
    (holder,) = await store.enqueue([UNIQUE])
    before = await found(store, holder.id)
    batch = [replacing(UNIQUE), replacing(LASTING)]
    answers = await store.enqueue(batch, connection=held)
    assert [answer.happened for answer in answers] == ["replaced", "inserted"]
    await held.execute("ROLLBACK")
    assert await found(store, holder.id) == before
    assert (await store.enqueue([LASTING]))[0].inserted


async def test_running_holder_can_be_settled_while_a_duplicate_is_not_committed(
    store: PostgresStore, held: "Connection"
) -> None:
    """A duplicate must not lock what a worker has to settle."""
    for task in (UNIQUE, LASTING):
        (holder,) = await store.enqueue([task])
        (claimed,) = await store.claim(await worker(store), {"main": 1})
        for duplicate in ("skip", "replace", "earlier"):
            again = replace(task, duplicate=duplicate, run_at=await store.now() - HOUR)
            (answer,) = await store.enqueue([again], connection=held)
            assert answer == Enqueued(id=holder.id, happened="existing")
        done = Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())
        assert await asyncio.wait_for(store.settle([done]), 20) == frozenset()


async def test_retry_of_a_released_task_waits_for_nobody(
    store: PostgresStore, held: "Connection"
) -> None:
    """Its hash is held by a newer task that is not even committed."""
    await store.enqueue([BRIEF])
    by = await worker(store)
    (claimed,) = await store.claim(by, {"main": 1})
    (newer,) = await store.enqueue([BRIEF], connection=held)
    assert newer.inserted
    retry = Settlement(id=claimed.id, lease=claimed.lease, verdict=Again())
    assert await asyncio.wait_for(store.settle([retry]), 20) == frozenset()
    (again,) = await store.claim(by, {"main": 9})
    assert (again.id, again.lease, again.attempt) == (claimed.id, 2, 2)
    await held.execute("COMMIT")
    assert [task.id for task in await store.claim(by, {"main": 9})] == [newer.id]


@pytest.mark.parametrize("task", [UNIQUE, BRIEF, LASTING], ids=["live", "waiting", "finished"])
async def test_changing_batches_in_opposite_order_do_not_lock_each_other_out(
    pool: "Pool", store: PostgresStore, held: "Connection", task: NewTask
) -> None:
    """While it waits for the first waiting holder, the batch must not have locked the second."""
    far = [replace(task, unique_hash=bytes([n]) * 32, delay=9 * HOUR) for n in range(12)]
    rows = [answer.id for answer in await store.enqueue(far)]
    hashes = await pool.fetch("SELECT id FROM colmillo.tasks ORDER BY unique_hash")
    first, *others = [far[rows.index(row["id"])] for row in hashes]
    await store.enqueue([replacing(first)], connection=held)
    batch = [replacing(one) for one in reversed(far)]
    enqueue = await blocked(pool, store.enqueue(batch))
    changed = await store.enqueue([sooner(one) for one in others], connection=held)
    assert {answer.happened for answer in changed} == {"earlier"}
    await held.execute("COMMIT")
    assert {answer.happened for answer in await enqueue} == {"replaced"}


async def test_batch_that_meets_a_deadlock_is_tried_again(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """Two calls in one transaction can close a ring: Postgres ends one of the waits, and
    whichever it is, both transactions get through."""
    await pool.execute(
        "ALTER DATABASE "
        + await pool.fetchval("SELECT quote_ident(current_database())")
        + " SET deadlock_timeout = '50ms'"
    )
    early, late = (replace(UNIQUE, unique_hash=bytes([n]) * 32) for n in (1, 2))
    await store.enqueue([PLAIN, late], connection=held)
    enqueue = await blocked(pool, store.enqueue([early, late]))
    first = asyncio.create_task(store.enqueue([PLAIN, early], connection=held))
    answers = await first
    await held.execute("COMMIT")
    assert len(answers) == 2
    assert [answer.happened for answer in await enqueue] == ["existing", "existing"]


async def test_old_periods_are_forgotten_on_the_way(dsn: str) -> None:
    await database_clock.install(dsn)
    settings = database_clock.SETTINGS
    async with asyncpg.create_pool(dsn, min_size=1, server_settings=settings) as pool:
        store = PostgresStore(pool)
        hourly = replace(LASTING, unique_period=HOUR)
        for _ in range(6):
            keys = [replace(hourly, unique_hash=bytes([n]) * 32) for n in range(10)]
            assert all(answer.inserted for answer in await store.enqueue(keys))
            assert not any(answer.inserted for answer in await store.enqueue(keys))
            await database_clock.advance(pool, HOUR)
        kept = await pool.fetchval("SELECT count(*) FROM colmillo.uniques")
        assert 10 <= kept <= 30


async def test_the_hash_of_a_period_is_the_same_in_both_stores(
    pool: "Pool", store: PostgresStore
) -> None:
    for task in (UNIQUE, BRIEF, LASTING, replace(BRIEF, unique_period=timedelta(days=9_999))):
        (answer,) = await store.enqueue([task])
        stored = await pool.fetchval(
            "SELECT unique_hash FROM colmillo.tasks WHERE id = $1", answer.id
        )
        now = await store.now()
        assert stored == held_hash(bytes(32), task.unique_period, task.unique_states, now)
