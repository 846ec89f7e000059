"""Limits while transactions are held open: no two of the connections here are the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from colmillo.limits import Limits, Rate
from colmillo.postgres import PostgresStore
from colmillo.schema import queries
from colmillo.store import (
    ClaimedTask,
    Finish,
    NewTask,
    Settlement,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

LEASE = timedelta(minutes=1)
PLAIN = NewTask(name="work", queue="main", payload="{}")
NO_FLOORS: list[list[object]] = [[], [], [], []]
BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


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


def keyed(key: str) -> NewTask:
    return PLAIN.with_options(concurrency_key=key)


async def worker(store: PostgresStore) -> WorkerId:
    identity = WorkerId(uuid4())
    await store.register(identity, name="test", lease=LEASE)
    return identity


async def claim_on(connection: "Connection", by: WorkerId, room: int) -> list[int]:
    """The claim of a limited queue, in that connection's transaction."""
    rows = await connection.fetch(
        queries("colmillo")["claim_limited"], by, "main", room, 0, False, *NO_FLOORS
    )
    return [row["id"] for row in rows if row["id"] is not None]


def done(claimed: ClaimedTask) -> list[Settlement]:
    return [Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())]


async def until_blocked(pool: "Pool") -> None:
    async with asyncio.timeout(30):
        while not await pool.fetchval(BLOCKED):
            pass


async def slots(pool: "Pool") -> tuple[int, int]:
    """How many slots of queues and of keys are held."""
    own = await pool.fetchval("SELECT count(*) FROM colmillo.slots WHERE task IS NOT NULL")
    return own, await pool.fetchval("SELECT count(*) FROM colmillo.key_slots")


async def parked(pool: "Pool") -> int:
    number: int = await pool.fetchval("SELECT count(*) FROM colmillo.tasks WHERE parked")
    return number


async def test_an_uncommitted_claim_counts(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """The second claim cannot see the first one's tasks, and neither waits for it."""
    await store.set_limits("main", Limits(running=3))
    await store.enqueue([PLAIN] * 10)
    first, second = await worker(store), await worker(store)
    assert len(await claim_on(held, first, 2)) == 2
    claimed = await store.claim(second, {"main": 10})
    assert len(claimed) == 1
    assert await store.claim(second, {"main": 10}) == []
    await held.execute("COMMIT")
    assert await store.claim(second, {"main": 10}) == []
    assert await slots(pool) == (3, 0)
    await store.settle(done(claimed[0]))
    assert len(await store.claim(second, {"main": 10})) == 1


async def test_an_uncommitted_claim_that_is_undone_does_not_count(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    await store.set_limits("main", Limits(running=3, per_key=2))
    await store.enqueue([keyed("a")] * 2 + [keyed("b")] * 2)
    by = await worker(store)
    assert len(await claim_on(held, by, 3)) == 3
    await held.execute("ROLLBACK")
    assert await slots(pool) == (0, 0)
    assert len(await store.claim(by, {"main": 10})) == 3
    assert await slots(pool) == (3, 3)


async def test_a_completion_that_is_not_committed_keeps_its_slot_and_stops_nobody(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    await store.set_limits("main", Limits(running=2))
    await store.enqueue([PLAIN] * 10)
    by = await worker(store)
    first, second = await store.claim(by, {"main": 10})
    assert not await store.settle(done(first), connection=held)
    assert await store.claim(by, {"main": 10}) == []
    await store.settle(done(second))
    assert len(await store.claim(by, {"main": 10})) == 1
    await held.execute("COMMIT")
    assert len(await store.claim(by, {"main": 10})) == 1
    assert await slots(pool) == (2, 0)


async def test_two_claims_of_one_key_at_once(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """Both see the key's slot free; the second waits for the first, and gets nothing of it."""
    await store.set_limits("main", Limits(per_key=1))
    a, _, b = [answer.id for answer in await store.enqueue([keyed("a"), keyed("a"), keyed("b")])]
    first, second = await worker(store), await worker(store)
    assert await claim_on(held, first, 1) == [a]
    claim = asyncio.create_task(store.claim(second, {"main": 10}))
    await until_blocked(pool)
    await held.execute("COMMIT")
    assert [task.id for task in await claim] == [b]
    assert await slots(pool) == (0, 2)


async def test_two_claims_of_the_same_keys_do_not_lock_each_other_out(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    await store.set_limits("main", Limits(per_key=1))
    await store.enqueue([keyed("b"), keyed("a"), keyed("a"), keyed("b")])
    first, second = await worker(store), await worker(store)
    assert len(await claim_on(held, first, 2)) == 2
    claim = asyncio.create_task(store.claim(second, {"main": 2}))
    await until_blocked(pool)
    await held.execute("ROLLBACK")
    assert len(await claim) == 2
    assert await slots(pool) == (0, 2)


async def test_a_completion_of_a_key_that_is_not_committed(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """Claims pass by its key's other tasks, and take them once it is committed and settled."""
    await store.set_limits("main", Limits(per_key=1))
    await store.enqueue([keyed("a")] * 3 + [keyed("b")])
    by = await worker(store)
    (a,) = await store.claim(by, {"main": 1})
    assert not await store.settle(done(a), connection=held)
    (b,) = await store.claim(by, {"main": 5})
    assert b.id == a.id + 3
    assert await store.claim(by, {"main": 5}) == []
    await held.execute("COMMIT")
    # The worker's own word comes after the commit; it changes nothing but wakes the key.
    assert await store.settle(done(a)) == {a.id}
    assert [task.id for task in await store.claim(by, {"main": 5})] == [a.id + 1]
    assert await parked(pool) == 1


async def test_parking_and_freeing_at_once_lose_no_task(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    """The claim that parks is not committed when the key's slot comes free: that has to wait."""
    await store.set_limits("main", Limits(per_key=1))
    await store.enqueue([keyed("a")] * 3)
    by = await worker(store)
    (a,) = await store.claim(by, {"main": 1})
    assert await claim_on(held, by, 2) == []
    settle = asyncio.create_task(store.settle(done(a)))
    await until_blocked(pool)
    assert await parked(pool) == 0
    await held.execute("COMMIT")
    assert await settle == frozenset()
    assert await parked(pool) == 1
    assert [task.id for task in await store.claim(by, {"main": 5})] == [a.id + 1]


async def test_a_killed_holder_frees_its_slots_with_its_lease(
    pool: "Pool", store: PostgresStore
) -> None:
    await store.set_limits("main", Limits(running=2, per_key=1))
    await store.enqueue([keyed("a"), keyed("b"), keyed("a"), keyed("c")])
    killed, other = await worker(store), await worker(store)
    assert len(await store.claim(killed, {"main": 5})) == 2
    assert await store.claim(other, {"main": 5}) == []
    await pool.execute("UPDATE colmillo.workers SET expires_at = now() WHERE id = $1", killed)
    rescued = await store.rescue(max_crashes=5)
    assert rescued.released == 2
    assert await slots(pool) == (0, 0)
    assert [task.payload for task in await store.claim(other, {"main": 5})] == ["{}"] * 2
    assert await slots(pool) == (2, 2)


async def test_what_somebody_else_deletes_is_swept_up(pool: "Pool", store: PostgresStore) -> None:
    await store.set_limits("main", Limits(running=2, per_key=1))
    await store.enqueue([keyed("a"), keyed("b"), keyed("a"), keyed("b")])
    by = await worker(store)
    claimed = await store.claim(by, {"main": 5})
    await store.claim(by, {"main": 5})
    await pool.execute("DELETE FROM colmillo.tasks WHERE id = $1", claimed[0].id)
    assert await store.claim(by, {"main": 5}) == []
    await store.rescue(max_crashes=5)
    assert await slots(pool) == (1, 1)
    assert len(await store.claim(by, {"main": 5})) == 1
    assert await store.claim(by, {"main": 5}) == []


async def test_a_sweep_leaves_alone_what_is_completed_but_not_committed(
    pool: "Pool", store: PostgresStore, held: "Connection"
) -> None:
    await store.set_limits("main", Limits(running=1, per_key=1))
    await store.enqueue([keyed("a")] * 2)
    by = await worker(store)
    (first,) = await store.claim(by, {"main": 5})
    assert not await store.settle(done(first), connection=held)
    await store.rescue(max_crashes=5)
    assert await slots(pool) == (1, 1)
    await held.execute("ROLLBACK")
    assert await store.claim(by, {"main": 5}) == []
    assert not await store.settle(done(first))
    assert len(await store.claim(by, {"main": 5})) == 1


@pytest.mark.parametrize("kind", ["running", "per_key"])
async def test_a_lower_limit_counts_what_still_runs(
    pool: "Pool", store: PostgresStore, kind: str
) -> None:
    """However the slots are numbered that are free: the surplus has to end first."""

    def limit(number: int) -> Limits:
        return Limits(running=number) if kind == "running" else Limits(per_key=number)

    await store.set_limits("main", limit(5))
    await store.enqueue([keyed("a")] * 20)
    by = await worker(store)
    claimed = await store.claim(by, {"main": 10})
    assert len(claimed) == 5
    await store.set_limits("main", limit(2))
    for running, claim in zip((4, 3, 2), claimed, strict=False):
        await store.settle(done(claim))
        assert await store.claim(by, {"main": 10}) == []
        assert sum(await slots(pool)) == running
    await store.settle(done(claimed[3]))
    assert len(await store.claim(by, {"main": 10})) == 1
    assert sum(await slots(pool)) == 2
    await store.set_limits("main", limit(3))
    assert len(await store.claim(by, {"main": 10})) == 1
    await store.set_limits("main", Limits())
    assert len(await store.claim(by, {"main": 100})) == 20 - 5 - 1 - 1
    assert await parked(pool) == 0


async def test_a_limit_that_is_set_holds_for_a_store_that_does_not_know(
    pool: "Pool", store: PostgresStore
) -> None:
    other = PostgresStore(pool)
    await store.enqueue([PLAIN] * 10)
    by = await worker(store)
    assert len(await store.claim(by, {"main": 1})) == 1
    await other.set_limits("main", Limits(running=2))
    assert len(await store.claim(by, {"main": 5, "other": 5})) == 2
    assert await store.claim(by, {"main": 5}) == []
    await other.set_limits("main", Limits())
    assert len(await store.claim(by, {"main": 5})) == 5


async def test_tokens_are_counted_under_the_buckets_lock(
    store: PostgresStore, held: "Connection"
) -> None:
    await store.set_limits("main", Limits(rate=Rate(5, per=timedelta(hours=1))))
    await store.enqueue([PLAIN] * 20)
    first, second = await worker(store), await worker(store)
    assert len(await claim_on(held, first, 4)) == 4
    assert await store.claim(second, {"main": 10}) == []
    await held.execute("COMMIT")
    assert len(await store.claim(second, {"main": 10})) == 1
    assert await store.claim(second, {"main": 10}) == []


async def test_an_idle_claim_of_a_limited_queue_writes_nothing(
    pool: "Pool", store: PostgresStore
) -> None:
    await store.set_limits("main", Limits(running=2, per_key=1, rate=Rate(5)))
    await store.enqueue([keyed("a").with_options(delay=LEASE)])
    by = await worker(store)
    async with pool.acquire() as connection, connection.transaction():
        assert await claim_on(connection, by, 5) == []
        assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned()") is None


async def test_twenty_claimers_and_two_thousand_tasks(dsn: str, pool: "Pool") -> None:
    """A ledger in the database says how many ran at the same time."""
    await pool.execute("CREATE TABLE ledger (task bigint PRIMARY KEY, key text NOT NULL)")
    await pool.execute("CREATE TABLE seen (most bigint, most_of_key bigint)")
    store = PostgresStore(pool)
    await store.set_limits("main", Limits(running=6, per_key=2))
    keys = list("aaab" * 100 + "bcdefghi" * 200)
    await store.enqueue([keyed(key) for key in keys])
    left = len(keys)
    # Set when a place may be free: who gets nothing waits for that, not in a busy loop.
    freed = asyncio.Condition()

    async def claimer() -> None:
        nonlocal left
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as own:
            mine = PostgresStore(own)
            by = await worker(mine)
            while left:
                before = left
                claimed = await mine.claim(by, {"main": 3})
                if not claimed:
                    # As a worker does: tries again at once, or waits for somebody's end.
                    if await mine.next_due(["main"]) is None:
                        async with freed:
                            while left == before and left:
                                await freed.wait()
                    continue
                ids = [task.id for task in claimed]
                await own.execute(
                    "INSERT INTO ledger SELECT id, concurrency_key FROM colmillo.tasks"
                    " WHERE id = ANY ($1)",
                    ids,
                )
                await own.execute(
                    "INSERT INTO seen SELECT sum(tasks), max(tasks)"
                    " FROM (SELECT count(*) AS tasks FROM ledger GROUP BY key) AS keys"
                )
                await own.execute("DELETE FROM ledger WHERE task = ANY ($1)", ids)
                said = [Settlement(id=t.id, lease=t.lease, verdict=Finish()) for t in claimed]
                assert await mine.settle(said) == frozenset()
                left -= len(claimed)
                async with freed:
                    freed.notify(2 if left else 20)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(claimer())
    row = await pool.fetchrow("SELECT max(most) AS most, max(most_of_key) AS key FROM seen")
    assert row is not None
    assert 1 < row["most"] <= 6
    assert row["key"] == 2
    assert await store.counts() == {}
    assert await slots(pool) == (0, 0)
