"""Settling, ticking and completing on connections of psycopg and SQLAlchemy."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import pytest

from colmillo import ColmilloError, Context, NewTask, PostgresStore, Worker, task
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Finish,
    SetAside,
    Settlement,
    State,
    WorkerId,
)
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

WAIT = 30
PLAIN = NewTask(name="work", queue="main", payload="{}")


class Caller(Protocol):
    """A connection with its transaction; see conftest."""

    connection: object

    async def execute(self, statement: str, /) -> object: ...
    async def commit(self) -> object: ...
    async def rollback(self) -> object: ...


async def claimed_task(store: PostgresStore, new: NewTask = PLAIN) -> ClaimedTask:
    """Enqueues a task and claims it for a new worker."""
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=timedelta(minutes=1))
    await store.enqueue([new])
    (claimed,) = await store.claim(worker, {"main": 1})
    return claimed


@pytest.mark.parametrize(
    "verdict",
    [Finish(), Again(error="x %s"), SetAside(ending=Ending.FAILED, error="x")],
    ids=["finish", "again", "set aside"],
)
async def test_settling_is_fenced_and_undone_by_a_rollback(
    caller: Caller,
    bare: PostgresStore,
    store: PostgresStore,
    verdict: Finish | Again | SetAside,
) -> None:
    claimed = await claimed_task(store)
    before = await store.get(claimed.id)
    stale = Settlement(id=claimed.id, lease=claimed.lease - 1, verdict=verdict)
    settlement = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
    assert await bare.settle([stale], connection=caller.connection) == {claimed.id}
    assert await bare.settle([settlement], connection=caller.connection) == frozenset()
    assert await bare.settle([settlement], connection=caller.connection) == {claimed.id}
    await caller.rollback()
    assert await store.get(claimed.id) == before
    assert await bare.settle([settlement], connection=caller.connection) == frozenset()
    await caller.commit()
    assert await store.get(claimed.id) != before


async def test_a_tick_is_the_callers_too(
    caller: Caller, bare: PostgresStore, store: PostgresStore
) -> None:
    fire = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)
    for finish in (caller.rollback, caller.commit):
        assert await bare.tick("clean", fire, PLAIN, connection=caller.connection)
        assert not await bare.tick("clean", fire, PLAIN, connection=caller.connection)
        await finish()
    assert not await store.tick("clean", fire, PLAIN)
    assert await store.counts() == {("main", State.WAITING): 1}


async def test_a_task_completes_in_the_transaction_of_its_effects(
    caller: Caller, store: PostgresStore, pool: "Pool"
) -> None:
    """The first attempt rolls back, so it is as if it had not been; the second one counts."""
    await pool.execute("CREATE TABLE payments (cents int)")
    paid = asyncio.Event()

    @task()
    async def pay(ctx: Context[None]) -> None:
        await caller.execute("INSERT INTO payments VALUES (250)")
        await ctx.complete(connection=caller.connection)
        if ctx.task.attempt == 1:
            await caller.rollback()
            raise ColmilloError("not yet")
        await caller.commit()
        paid.set()

    await store.enqueue([pay.new()])
    retry_at_once = "UPDATE colmillo.tasks SET run_at = now() WHERE worker IS NULL"
    poll = timedelta(milliseconds=50)
    async with working(Worker(store, tasks=[pay], queues={"default": 1}, poll=poll)):
        async with asyncio.timeout(WAIT):
            while not paid.is_set():
                await pool.execute(retry_at_once)
    assert await pool.fetchval("SELECT array_agg(cents) FROM payments") == [250]
    assert await store.counts() == {}
