"""Parents that end at once, transactions held open, and deaths at the awkward moment."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import pytest

from colmillo import Context, Done, PostgresStore, Queue, Worker, task
from colmillo.flows import Flow, Step, chain, group
from colmillo.operations import Cancellation
from colmillo.postgres_flows import follow_up
from colmillo.schema import queries
from colmillo.store import (
    ClaimedTask,
    Ending,
    Finish,
    NewTask,
    SetAside,
    Settlement,
    State,
    TaskId,
    Verdict,
    WorkerId,
)
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Connection, Pool

VICTIM = Path(__file__).parent / "victim_of_flows.py"
PLAIN = NewTask(name="work", queue="main", payload="{}")
FAILED = SetAside(ending=Ending.FAILED, error="no")
SQL = queries("colmillo")
BLOCKED = """
SELECT pid FROM pg_stat_activity
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


@pytest.fixture
async def other(dsn: str) -> "AsyncIterator[Connection]":
    """One more of these."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("BEGIN")
    yield connection
    await connection.close()


async def planted(
    store: PostgresStore, flow: Flow
) -> tuple[WorkerId, list[TaskId], dict[TaskId, ClaimedTask]]:
    """The flow in the store, and what of it can run, claimed."""
    by = WorkerId(uuid4())
    await store.register(by, name="test", lease=timedelta(minutes=5))
    ids = await store.enqueue_flow(flow.tasks())
    return by, ids, {claimed.id: claimed for claimed in await store.claim(by, {"main": 1000})}


async def settle(
    store: PostgresStore,
    claimed: ClaimedTask,
    verdict: Verdict | None = None,
    connection: Any = None,
) -> bool:
    """Settles one claim; whether it counted."""
    settlement = Settlement(
        id=claimed.id, lease=claimed.lease, verdict=verdict or Finish(), linked=claimed.linked
    )
    return not await store.settle([settlement], connection=connection)


async def state(store: PostgresStore, task: TaskId) -> State:
    record = await store.get(task)
    assert record is not None
    return record.state


async def sweep(store: PostgresStore) -> None:
    """What every worker does now and then."""
    await store.rescue(max_crashes=5)


async def left(pool: "Pool") -> tuple[int, int]:
    """How many dependencies and ends that were not passed on there are."""
    return (
        await pool.fetchval("SELECT count(*) FROM colmillo.dependencies"),
        await pool.fetchval("SELECT count(*) FROM colmillo.followups"),
    )


async def until_blocked(pool: "Pool") -> int:
    """The session of this database that waits for a lock, when there is one."""
    async with asyncio.timeout(30):
        while (pid := await pool.fetchval(BLOCKED)) is None:
            pass
    return int(pid)


TWO = group(PLAIN, PLAIN).then(PLAIN)
TOLERANT = chain(group(PLAIN, PLAIN), Step(PLAIN, on_failure="run"))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_parents_do_not_wait_for_each_others_transactions(
    store: PostgresStore, held: "Connection", pool: "Pool", order: tuple[int, int]
) -> None:
    by, ids, claimed = await planted(store, TWO)
    slow, quick = (claimed[ids[n]] for n in order)
    assert await settle(store, slow, connection=held)
    assert await settle(store, quick)
    assert await state(store, ids[2]) == State.BLOCKED
    assert await left(pool) == (2, 0)
    await held.execute("COMMIT")
    # As the worker does for a task that was completed in a transaction.
    assert not await settle(store, slow)
    assert [task.id for task in await store.claim(by, {"main": 9})] == [ids[2]]


async def test_an_end_that_is_undone_did_not_happen(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    by, ids, claimed = await planted(store, TWO)
    assert await settle(store, claimed[ids[0]], Finish(result='"undone"'), connection=held)
    assert await settle(store, claimed[ids[1]])
    await held.execute("ROLLBACK")
    await sweep(store)
    assert await state(store, ids[2]) == State.BLOCKED
    assert await settle(store, claimed[ids[0]], Finish(result='"done"'))
    (child,) = await store.claim(by, {"main": 9})
    assert [parent.result for parent in await store.parents(child.id)] == ['"done"', None]


async def test_two_ends_in_open_transactions_release_the_child(
    store: PostgresStore, held: "Connection", other: "Connection", pool: "Pool"
) -> None:
    """Neither saw the other; whatever comes after both commits does."""
    by, ids, claimed = await planted(store, TWO)
    assert await settle(store, claimed[ids[0]], connection=held)
    assert await settle(store, claimed[ids[1]], connection=other)
    await held.execute("COMMIT")
    await other.execute("COMMIT")
    assert await state(store, ids[2]) == State.BLOCKED
    assert await left(pool) == (2, 2)
    await sweep(store)
    assert [task.id for task in await store.claim(by, {"main": 9})] == [ids[2]]
    assert await left(pool) == (2, 0)


async def test_a_last_task_that_ends_in_a_transaction_leaves_nothing_behind(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    by, ids, claimed = await planted(store, TWO)
    for parent in ids[:2]:
        assert await settle(store, claimed[parent])
    (last,) = await store.claim(by, {"main": 9})
    assert await settle(store, last, connection=held)
    await held.execute("COMMIT")
    assert await left(pool) == (0, 0)


async def test_a_follow_up_under_way_keeps_nobody_waiting(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    """One has the child in its hands and has not committed; the other goes by."""
    by, ids, claimed = await planted(store, TWO)
    for parent in ids[:2]:
        async with pool.acquire() as connection:
            assert await settle(store, claimed[parent], connection=connection)
    await follow_up(held.fetch, SQL, [ids[0]], None)
    async with asyncio.timeout(10):
        await store.follow_up([ids[1]])
    assert await state(store, ids[2]) == State.BLOCKED
    await held.execute("ROLLBACK")
    assert await state(store, ids[2]) == State.BLOCKED
    await sweep(store)
    assert [task.id for task in await store.claim(by, {"main": 9})] == [ids[2]]


async def test_two_follow_ups_release_a_child_once(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    by, ids, claimed = await planted(store, TWO)
    for parent in ids[:2]:
        async with pool.acquire() as connection:
            assert await settle(store, claimed[parent], connection=connection)
    await follow_up(held.fetch, SQL, [ids[0]], None)
    await store.follow_up([ids[1]])
    await held.execute("COMMIT")
    (child,) = await store.claim(by, {"main": 9})
    assert child.id == ids[2]
    await sweep(store)
    assert await store.claim(by, {"main": 9}) == []
    assert await settle(store, child)
    assert await store.counts() == {}
    assert await left(pool) == (0, 0)


async def test_a_late_follow_up_of_a_task_that_runs_changes_nothing(
    store: PostgresStore, pool: "Pool"
) -> None:
    by, ids, claimed = await planted(store, TOLERANT)
    assert await settle(store, claimed[ids[0]], FAILED)
    assert await settle(store, claimed[ids[1]])
    (child,) = await store.claim(by, {"main": 9})
    await store.follow_up(ids)
    await store.follow_up([child.id])
    assert await state(store, child.id) == State.RUNNING
    assert len(await store.parents(child.id)) == 2
    assert await settle(store, child)
    assert await left(pool) == (0, 0)


async def test_a_failure_that_nobody_was_told_of_is_not_overlooked(
    store: PostgresStore, pool: "Pool"
) -> None:
    """The last parent is done; that the first failed is known, but was not acted upon."""
    _, ids, claimed = await planted(store, TWO)
    async with pool.acquire() as connection:
        assert await settle(store, claimed[ids[0]], FAILED, connection=connection)
    assert await settle(store, claimed[ids[1]])
    assert await state(store, ids[2]) == State.BLOCKED
    await sweep(store)
    assert await state(store, ids[2]) == State.CANCELLED
    assert await left(pool) == (0, 0)


async def test_a_child_cancelled_early_leaves_nothing_behind(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    """One parent fails while the other ends in a transaction that is held open."""
    _, ids, claimed = await planted(store, TWO)
    assert await settle(store, claimed[ids[1]], connection=held)
    assert await settle(store, claimed[ids[0]], FAILED)
    assert await state(store, ids[2]) == State.CANCELLED
    await held.execute("COMMIT")
    await sweep(store)
    assert await left(pool) == (0, 0)


async def test_a_child_that_somebody_holds_is_released_later(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    by, ids, claimed = await planted(store, chain(PLAIN, PLAIN))
    await held.fetch("SELECT FROM colmillo.tasks WHERE id = $1 FOR UPDATE", ids[1])
    assert await settle(store, claimed[ids[0]])
    assert await left(pool) == (1, 1)
    await sweep(store)
    assert await state(store, ids[1]) == State.BLOCKED
    await held.execute("COMMIT")
    await sweep(store)
    assert [task.id for task in await store.claim(by, {"main": 9})] == [ids[1]]
    assert await left(pool) == (1, 0)


async def test_a_child_that_is_being_cancelled_is_not_released(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    _, ids, claimed = await planted(store, chain(PLAIN, PLAIN, PLAIN))
    assert await store.cancel(ids[1], "why", connection=held) is Cancellation.ARCHIVED
    assert await settle(store, claimed[ids[0]])
    await held.execute("COMMIT")
    assert await state(store, ids[2]) == State.BLOCKED
    await sweep(store)
    assert [await state(store, task) for task in ids[1:]] == [State.CANCELLED] * 2
    assert await left(pool) == (0, 0)


async def test_a_cascade_that_stops_half_way_is_taken_up_again(
    store: PostgresStore, pool: "Pool"
) -> None:
    _, ids, claimed = await planted(store, chain(*[PLAIN] * 5))
    async with pool.acquire() as connection:
        assert await settle(store, claimed[ids[0]], FAILED, connection=connection)
        (row,) = await connection.fetch(SQL["follow_up"], [ids[0]], 10, None)
    assert row["ended"] == [ids[1]]
    assert await state(store, ids[2]) == State.BLOCKED
    await sweep(store)
    assert await state(store, ids[4]) == State.CANCELLED
    assert await left(pool) == (0, 0)


async def test_a_flow_in_a_transaction_is_there_when_it_commits(
    store: PostgresStore, held: "Connection"
) -> None:
    by, _, _ = await planted(store, group())
    ids = await store.enqueue_flow(TWO.tasks(), connection=held)
    assert await store.claim(by, {"main": 9}) == []
    await held.execute("COMMIT")
    assert [task.id for task in await store.claim(by, {"main": 9})] == ids[:2]


async def test_a_connection_that_dies_between_the_end_and_the_follow_up(
    store: PostgresStore, held: "Connection", pool: "Pool"
) -> None:
    """The follow-up hangs, and its session is ended: the verdict counted all the same."""
    _, ids, claimed = await planted(store, chain(PLAIN, PLAIN))
    await pool.execute(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END $$"
    )
    await pool.execute(
        "CREATE TRIGGER hang BEFORE DELETE ON colmillo.followups"
        " FOR EACH ROW EXECUTE FUNCTION hang()"
    )
    await held.execute("SELECT pg_advisory_xact_lock(1)")
    settling = asyncio.create_task(settle(store, claimed[ids[0]]))
    assert await pool.fetchval("SELECT pg_terminate_backend($1)", await until_blocked(pool))
    assert await settling
    assert await state(store, ids[1]) == State.BLOCKED
    await held.execute("COMMIT")
    await sweep(store)
    assert await state(store, ids[1]) == State.WAITING


async def test_a_worker_killed_between_the_end_and_the_follow_up(dsn: str, pool: "Pool") -> None:
    handed_on: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @task(queue="kill")
    async def first() -> Done:
        return Done("from the living")

    @task(queue="orphan")
    async def second(ctx: Context[Any]) -> None:
        (parent,) = await ctx.parents()
        handed_on.set_result(parent.result)

    store = PostgresStore(pool)
    ids = await Queue(store).enqueue_flow(chain(first.new(), second.new()))
    process = await asyncio.create_subprocess_exec(sys.executable, str(VICTIM), dsn)
    assert await process.wait() == -signal.SIGKILL
    assert await store.get(ids[0]) is None
    assert await state(store, ids[1]) == State.BLOCKED
    lease = timedelta(seconds=2)
    async with working(Worker(store, tasks=[second], queues={"orphan": 1}, lease=lease)):
        async with asyncio.timeout(60):
            assert await handed_on == "from the dead"


async def test_many_parents_that_end_at_once_release_one_child(
    store: PostgresStore, pool: "Pool"
) -> None:
    by, ids, claimed = await planted(store, group(*[PLAIN] * 200).then(PLAIN))
    await asyncio.gather(*(settle(store, claimed[parent]) for parent in ids[:-1]))
    assert [task.id for task in await store.claim(by, {"main": 9})] == ids[-1:]
    await sweep(store)
    assert await left(pool) == (200, 0)
