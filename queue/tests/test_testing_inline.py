"""`colmillo.testing.InlineStore`, around both stores."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import Context, Done, MemoryStore, PostgresStore, Queue, task
from colmillo.errors import UnknownTask
from colmillo.store import State
from colmillo.testing import Ended, FakeClock, InlineStore

if TYPE_CHECKING:
    from colmillo.database import Pool

HOUR = timedelta(hours=1)


@task(keep_result=HOUR)
async def child(ctx: Context[list[str]], name: str) -> Done:
    ctx.resources.append(name)
    return Done(name.upper())


@task(queue="parents")
async def parent(ctx: Context[list[str]], name: str) -> None:
    await ctx.queue.enqueue(child.new(name=f"{name}'s child"))
    ctx.resources.append(name)


@task()
async def broken() -> None:
    raise ValueError("no")


async def test_a_task_has_run_when_enqueue_returns() -> None:
    ran: list[str] = []
    store = InlineStore(tasks=[parent, child], resources=ran)
    queue = Queue(store)
    await queue.enqueue(parent.new(name="ana"))
    assert ran == ["ana", "ana's child"]
    answer = await queue.enqueue(child.new(name="luis"))
    assert await queue.result(answer.id) == "LUIS"
    assert [attempt.task.name for attempt in store.attempts] == ["parent", "child", "child"]
    assert await store.counts() == {}


async def test_what_is_due_later_waits_for_its_time() -> None:
    ran: list[str] = []
    clock = FakeClock()
    store = InlineStore(tasks=[child], resources=ran, clock=clock)
    await Queue(store).enqueue(child.new(name="late").with_options(delay=HOUR))
    assert ran == []
    await clock.advance(HOUR)
    drained = await store.run_due()
    assert (ran, drained.ended) == (["late"], {Ended.DONE: 1})


async def test_failures_come_out_of_enqueue() -> None:
    with pytest.raises(ValueError, match="no"):
        await Queue(InlineStore(tasks=[broken])).enqueue(broken.new())
    quiet = InlineStore(tasks=[broken], raise_failures=False)
    await Queue(quiet).enqueue(broken.new())
    assert [attempt.ended for attempt in quiet.attempts] == [Ended.RETRIED]
    assert await quiet.counts() == {("default", State.WAITING): 1}
    with pytest.raises(UnknownTask):
        await Queue(InlineStore(tasks=[broken])).enqueue(child.new(name="x"))


@pytest.mark.parametrize("kind", ["memory", "postgres"])
async def test_on_a_connection_nothing_runs_before_the_commit(kind: str, pool: "Pool") -> None:
    ran: list[str] = []
    inner = MemoryStore() if kind == "memory" else PostgresStore(pool)
    store = InlineStore(inner, tasks=[child], resources=ran)
    async with pool.acquire() as connection, connection.transaction():
        await Queue(store).enqueue(child.new(name="ana"), connection=connection)
        assert ran == []
    await store.run_due()
    assert ran == ["ana"]


async def test_a_task_in_a_rolled_back_transaction_never_runs(pool: "Pool") -> None:
    ran: list[Any] = []
    store = InlineStore(PostgresStore(pool), tasks=[child], resources=ran)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await Queue(store).enqueue(child.new(name="ana"), connection=connection)
        await transaction.rollback()
    drained = await store.run_due()
    assert (ran, drained.attempts) == ([], ())
