"""Two transactions at once, one of them held open at the awkward moment."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from colmillo.postgres import PostgresStore
from colmillo.schema import queries
from colmillo.store import (
    ClaimedTask,
    Finish,
    NewTask,
    Rescued,
    Settlement,
    State,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

PLAIN = NewTask(name="work", queue="main", payload="{}")
UNIQUE = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))
LEASE = timedelta(minutes=1)


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
    await store.register(identity, name="test", lease=LEASE)
    return identity


async def claimed_unique(store: PostgresStore) -> ClaimedTask:
    await store.enqueue([UNIQUE])
    (claimed,) = await store.claim(await worker(store), {"main": 1})
    return claimed


def done(claimed: ClaimedTask) -> list[Settlement]:
    return [Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())]


async def until_blocked(pool: "Pool") -> None:
    """Returns when a session of this database waits for a lock."""
    async with asyncio.timeout(30):
        while not await pool.fetchval(BLOCKED):
            pass


async def expire(connection: Any, by: WorkerId) -> None:
    await connection.execute(
        "UPDATE colmillo.workers SET expires_at = now() - interval '1 hour' WHERE id = $1", by
    )


async def test_overlapping_claims_share_without_waiting(
    store: PostgresStore, held: "Connection"
) -> None:
    ids = [answer.id for answer in await store.enqueue([PLAIN] * 10)]
    first, second = await worker(store), await worker(store)
    rows = await held.fetch(queries("colmillo")["claim"], first, ["main"], [4], *[[]] * 4)
    assert [row["id"] for row in rows] == ids[:4]
    claimed = await store.claim(second, {"main": 4})
    assert [task.id for task in claimed] == ids[4:8]
    await held.execute("COMMIT")
    assert [task.id for task in await store.claim(second, {"main": 4})] == ids[8:]


async def test_claim_that_is_undone_gives_everything_back(
    store: PostgresStore, held: "Connection"
) -> None:
    ids = [answer.id for answer in await store.enqueue([PLAIN] * 3)]
    by = await worker(store)
    assert len(await held.fetch(queries("colmillo")["claim"], by, ["main"], [2], *[[]] * 4)) == 2
    await held.execute("ROLLBACK")
    assert [task.id for task in await store.claim(by, {"main": 9})] == ids


async def test_duplicate_waits_for_the_holders_end(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    claimed = await claimed_unique(store)
    assert await store.settle(done(claimed), connection=held) == frozenset()
    enqueue = asyncio.create_task(store.enqueue([PLAIN, UNIQUE]))
    await until_blocked(pool)
    await held.execute("COMMIT")
    _, answer = await enqueue
    assert answer.inserted
    assert answer.id > claimed.id
    assert await store.counts() == {("main", State.WAITING): 2}


async def test_duplicate_of_a_holder_that_did_not_end(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    claimed = await claimed_unique(store)
    await store.settle(done(claimed), connection=held)
    enqueue = asyncio.create_task(store.enqueue([UNIQUE]))
    await until_blocked(pool)
    await held.execute("ROLLBACK")
    (answer,) = await enqueue
    assert (answer.id, answer.inserted) == (claimed.id, False)


@pytest.mark.parametrize("batch", [[UNIQUE], [PLAIN, UNIQUE, UNIQUE]], ids=["one", "batch"])
async def test_duplicate_of_a_holder_not_committed_yet(
    pool: "Pool", store: PostgresStore, held: "Connection", batch: list[NewTask]
) -> None:
    (holder,) = await store.enqueue([UNIQUE], connection=held)
    enqueue = asyncio.create_task(store.enqueue(batch))
    await until_blocked(pool)
    await held.execute("COMMIT")
    answer = (await enqueue)[-1]
    assert (answer.id, answer.inserted) == (holder.id, False)


async def test_duplicate_of_a_holder_that_never_was(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    (holder,) = await store.enqueue([UNIQUE], connection=held)
    enqueue = asyncio.create_task(store.enqueue([UNIQUE]))
    await until_blocked(pool)
    await held.execute("ROLLBACK")
    (answer,) = await enqueue
    assert answer.inserted
    assert answer.id != holder.id


async def test_caller_that_waited_for_a_duplicate_goes_on(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    (holder,) = await store.enqueue([UNIQUE], connection=held)
    async with pool.acquire() as mine, mine.transaction():
        enqueue = asyncio.create_task(store.enqueue([UNIQUE], connection=mine))
        await until_blocked(pool)
        await held.execute("COMMIT")
        (answer,) = await enqueue
        assert (answer.id, answer.inserted) == (holder.id, False)
        await store.enqueue([PLAIN], connection=mine)
    assert await store.counts() == {("main", State.WAITING): 2}


async def test_batches_in_opposite_order_do_not_lock_each_other_out(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    """While it waits for the early hash, the batch must not have taken the late one yet."""
    early = NewTask(name="work", queue="main", payload="{}", unique_hash=bytes(32))
    late = NewTask(name="work", queue="main", payload="{}", unique_hash=b"\xff" * 32)
    first = await store.enqueue([early], connection=held)
    enqueue = asyncio.create_task(store.enqueue([late, early]))
    await until_blocked(pool)
    second = await store.enqueue([late], connection=held)
    await held.execute("COMMIT")
    assert [answer.inserted for answer in first + second] == [True, True]
    assert [answer.id for answer in await enqueue] == [second[0].id, first[0].id]


async def test_rescue_passes_by_a_task_that_is_being_settled(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    by = await worker(store)
    first, second = await store.enqueue([PLAIN] * 2)
    claimed = await store.claim(by, {"main": 2})
    await store.settle(done(claimed[0]), connection=held)
    await expire(pool, by)
    assert await store.rescue(max_crashes=5) == Rescued(released=1, quarantined=())
    await held.execute("COMMIT")
    assert await store.rescue(max_crashes=5) == Rescued(released=0, quarantined=())
    assert await store.get(first.id) is None
    assert await store.get(second.id) is not None


async def test_settle_that_was_undone_leaves_the_task_to_the_next_rescue(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    claimed = await claimed_unique(store)
    await store.settle(done(claimed), connection=held)
    record = await store.get(claimed.id)
    assert record is not None
    assert record.worker is not None
    await expire(pool, record.worker)
    assert await store.rescue(max_crashes=5) == Rescued(released=0, quarantined=())
    await held.execute("ROLLBACK")
    assert await store.rescue(max_crashes=5) == Rescued(released=1, quarantined=())


async def test_renewal_under_way_is_waited_for(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """The rescue saw a lease that was over; the renewal that came first counts."""
    by = await worker(store)
    await store.enqueue([PLAIN])
    await store.claim(by, {"main": 1})
    await expire(pool, by)
    await held.execute(
        "UPDATE colmillo.workers SET expires_at = now() + interval '1 hour' WHERE id = $1", by
    )
    rescue = asyncio.create_task(store.rescue(max_crashes=5))
    await until_blocked(pool)
    await held.execute("COMMIT")
    assert await rescue == Rescued(released=0, quarantined=())


async def test_renewal_that_came_second_is_refused(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """The lease ends, by retiring, while a renewal waits for the row."""
    by = await worker(store)
    await held.execute(queries("colmillo")["retire"], by)
    renewal = asyncio.create_task(store.renew(by, LEASE))
    await until_blocked(pool)
    await held.execute("COMMIT")
    assert not await renewal


async def test_rescue_waits_for_a_claim_under_the_lease_that_is_over(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """Else it would forget the worker, and nobody would ever look for what the claim took."""
    by = await worker(store)
    await store.enqueue([PLAIN])
    assert len(await held.fetch(queries("colmillo")["claim"], by, ["main"], [1], *[[]] * 4)) == 1
    await expire(pool, by)
    rescue = asyncio.create_task(store.rescue(max_crashes=5))
    await until_blocked(pool)
    await held.execute("COMMIT")
    assert await rescue == Rescued(released=1, quarantined=())


async def test_first_rescue_finds_the_tasks_of_workers_nobody_knows(
    pool: "Pool", store: PostgresStore
) -> None:
    claimed = await claimed_unique(store)
    await pool.execute("DELETE FROM colmillo.workers")
    assert await PostgresStore(pool).rescue(max_crashes=5) == Rescued(released=1, quarantined=())
    record = await store.get(claimed.id)
    assert record is not None
    assert record.state is State.WAITING


async def test_late_commit_below_the_floor_is_found(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    (late,) = await store.enqueue([PLAIN], connection=held)
    ids = [answer.id for answer in await store.enqueue([PLAIN] * 6)]
    by = await worker(store)
    assert [task.id for task in await store.claim(by, {"main": 2})] == ids[:2]
    await held.execute("COMMIT")
    rest: list[int] = []
    async with asyncio.timeout(30):
        while late.id not in rest or len(rest) < 5:
            rest += [task.id for task in await store.claim(by, {"main": 2})]
    assert sorted(rest) == sorted([late.id, *ids[2:]])


async def test_two_schedulers_of_which_one_fails(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    fire = await store.now()
    assert await store.tick("clean", fire, PLAIN, connection=held)
    tick = asyncio.create_task(store.tick("clean", fire, PLAIN))
    await until_blocked(pool)
    await held.execute("ROLLBACK")
    assert await tick
    assert await store.counts() == {("main", State.WAITING): 1}
