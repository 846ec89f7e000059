"""`colmillo.testing.drain` and `run_one`, on both stores."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from colmillo import (
    Backoff,
    Context,
    Discard,
    Done,
    InvalidTask,
    MemoryStore,
    PostgresStore,
    Queue,
    Retry,
    Snooze,
    task,
)
from colmillo.errors import UnknownTask
from colmillo.middleware import Next
from colmillo.store import State, Store
from colmillo.testing import DatabaseClock, DrainFailed, Ended, FakeClock, drain, run_one
from colmillo.testing.database_clock import SETTINGS
from colmillo.threads import ThreadContext

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "postgres"])
async def kit(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[tuple[Store, FakeClock]]:
    """A store of each kind with a clock that moves it."""
    if request.param == "memory":
        clock = FakeClock()
        yield MemoryStore(clock), clock
        return
    stopped = await DatabaseClock.install(dsn)
    async with asyncpg.create_pool(dsn, min_size=1, server_settings=SETTINGS) as pool:
        yield PostgresStore(pool), stopped


Kit = tuple[Store, FakeClock]


@task(max_attempts=3, backoff=Backoff.constant(MINUTE))
async def shaky(ctx: Context[list[str]], name: str) -> Done:
    ctx.resources.append(f"{name} {ctx.task.attempt}")
    if ctx.task.attempt < 2 or name == "bad":
        raise ValueError(f"no {name}")
    return Done(name)


@task(queue="other")
async def parent(ctx: Context[list[str]], children: int) -> None:
    ctx.resources.append("parent")
    await ctx.queue.enqueue_many(shaky.new(name=str(n)) for n in range(children))


@task()
async def restless() -> Snooze:
    return Snooze(timedelta(0))


async def test_runs_what_is_due_and_what_that_enqueues(kit: Kit) -> None:
    store, clock = kit
    ran: list[str] = []
    later = shaky.new(name="later").with_options(delay=MINUTE * 2)
    await Queue(store).enqueue_many([parent.new(children=2), later])
    drained = await drain(store, tasks=[parent, shaky], resources=ran, clock=clock)
    assert ran == ["parent", "0 1", "1 1"]
    assert [attempt.ended for attempt in drained.attempts] == [Ended.DONE] + [Ended.RETRIED] * 2
    assert dict(drained.attempts[1].arguments) == {"name": "0"}
    assert [attempt.delay for attempt in drained.of(shaky)] == [MINUTE, MINUTE]
    assert isinstance(drained.attempts[2].error, ValueError)
    waiting = {record.payload: record.run_at - clock.now() for record in drained.waiting}
    assert waiting == {'{"name":"0"}': MINUTE, '{"name":"1"}': MINUTE, later.payload: MINUTE * 2}
    assert "3 attempts (1 done, 2 retried)" in str(drained)
    assert "3 still waiting" in str(drained)


async def test_moves_time_to_what_becomes_due(kit: Kit) -> None:
    store, clock = kit
    began, ran = clock.now(), list[str]()
    names = ("good", "bad")
    await Queue(store).enqueue_many(shaky.new(name=name) for name in names)
    drained = await drain(
        store, tasks=[shaky], resources=ran, clock=clock, through=timedelta(minutes=10)
    )
    assert sorted(ran) == ["bad 1", "bad 2", "bad 3", "good 1", "good 2"]
    assert drained.ended == {Ended.RETRIED: 3, Ended.DONE: 1, Ended.FAILED: 1}
    (aside,) = drained.set_aside
    assert (aside.state, len(aside.errors), drained.waiting) == (State.FAILED, 3, ())
    assert aside.archived_at == began + MINUTE * 2
    assert clock.now() == await store.now() == began + timedelta(minutes=10)
    assert "ValueError: no bad" in str(drained)
    (good,) = [attempt for attempt in drained.attempts if attempt.ended is Ended.DONE]
    assert good.result == "good"


async def test_what_becomes_due_after_the_time_stays(kit: Kit) -> None:
    store, clock = kit
    await Queue(store).enqueue(restless.new().with_options(delay=MINUTE * 3))
    drained = await drain(store, tasks=[restless], clock=clock, through=MINUTE * 2)
    assert (drained.attempts, len(drained.waiting)) == ((), 1)
    assert drained.waiting[0].run_at - await store.now() == MINUTE


async def test_an_endless_task_is_named(kit: Kit) -> None:
    store, clock = kit
    await Queue(store).enqueue(restless.new())
    with pytest.raises(DrainFailed, match=r"20 attempts and no end: 'restless' \(task 1\) ran 20"):
        await drain(store, tasks=[restless], clock=clock, most=20)
    assert await store.counts() == {("default", State.WAITING): 1}


async def test_a_task_that_enqueues_itself_is_named() -> None:
    @task()
    async def again(ctx: Context[Any], n: int) -> None:
        await ctx.queue.enqueue(again.new(n=n + 1))

    store = MemoryStore()
    await Queue(store).enqueue(again.new(n=0))
    with pytest.raises(DrainFailed, match="'again' ran 5 times, as 5 tasks: does it enqueue"):
        await drain(store, tasks=[again], most=5)


async def test_failures_are_raised_as_they_were(kit: Kit) -> None:
    store, clock = kit
    await Queue(store).enqueue(shaky.new(name="bad"))
    with pytest.raises(ValueError, match="no bad") as caught:
        await drain(store, tasks=[shaky], resources=[], clock=clock, raise_failures=True)
    (note,) = caught.value.__notes__
    assert note.startswith("raised by shaky(name='bad') [task 1, attempt 1]: retried, again in")
    found = await store.get((await store.live())[0].id)
    assert found is not None
    assert found.errors[0].startswith("ValueError: no bad")


async def test_a_failure_without_an_exception_is_raised_too() -> None:
    @task()
    async def busy() -> Retry:
        return Retry("the line is busy")

    store = MemoryStore()
    await Queue(store).enqueue(busy.new())
    with pytest.raises(DrainFailed, match="the line is busy"):
        await drain(store, tasks=[busy], raise_failures=True)


async def test_a_rule_does_not_hide_the_exception() -> None:
    @task(discard_on=KeyError)
    async def strict() -> None:
        raise KeyError("secret")

    store = MemoryStore()
    await Queue(store).enqueue(strict.new())
    drained = await drain(store, tasks=[strict])
    (attempt,) = drained.attempts
    assert (attempt.ended, type(attempt.error)) == (Ended.DISCARDED, KeyError)
    assert isinstance(attempt.outcome, Discard)
    assert attempt.failed


async def test_middleware_and_lifespan_are_the_workers() -> None:
    said: list[str] = []

    @asynccontextmanager
    async def life() -> AsyncIterator[list[str]]:
        said.append("open")
        yield said
        said.append("closed")

    async def layer(ctx: Context[Any], call_next: Next) -> None:
        said.append("before")
        await call_next()
        said.append("after")

    store = MemoryStore()
    await Queue(store).enqueue(parent.new(children=0))
    await drain(store, tasks=[parent], lifespan=life, middleware=[layer])
    assert said == ["open", "before", "parent", "after", "closed"]


async def test_threads_and_timeouts_are_the_workers() -> None:
    clock = FakeClock()
    started = asyncio.Event()

    @task()
    def in_thread(ctx: ThreadContext[str]) -> Done:
        return Done(ctx.resources)

    @task(timeout=MINUTE)
    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    assert (await run_one(in_thread, in_thread.new(), resources="r")).result == "r"
    running = asyncio.create_task(run_one(slow, slow.new(), clock=clock))
    await started.wait()
    await clock.advance(MINUTE)
    attempt = await running
    assert (attempt.ended, attempt.why) == (Ended.RETRIED, "timed out after 0:01:00")
    assert attempt.failed


async def test_only_the_queues_that_are_named_and_not_paused(kit: Kit) -> None:
    store, clock = kit
    queue, ran = Queue(store), list[str]()
    new = shaky.new(name="x")
    await queue.enqueue_many(new.with_options(queue=name) for name in ("a", "b", "c"))
    await queue.pause("b")
    drained = await drain(store, tasks=[shaky], resources=ran, queues=["a", "b"], clock=clock)
    assert [attempt.task.queue for attempt in drained.attempts] == ["a"]


async def test_a_task_that_is_not_named_is_asked_for(kit: Kit) -> None:
    store, clock = kit
    await Queue(store).enqueue(parent.new(children=0))
    with pytest.raises(UnknownTask, match=r"'parent' \(task 1 in queue 'other'\): add it to tasks"):
        await drain(store, tasks=[shaky], clock=clock)
    (record,) = await store.live()
    assert (record.state, record.attempt) == (State.WAITING, 0)


async def test_a_clock_that_is_not_the_stores_is_noticed() -> None:
    store = MemoryStore(FakeClock())
    await Queue(store).enqueue(restless.new().with_options(delay=MINUTE))
    with pytest.raises(DrainFailed, match="but the store's time was not"):
        await drain(store, tasks=[restless], clock=FakeClock(), through=MINUTE)
    with pytest.raises(ValueError, match="needs the FakeClock"):
        await drain(store, tasks=[restless], through=MINUTE)


async def test_a_cancelled_drain_gives_its_task_back(kit: Kit) -> None:
    store, clock = kit
    started = asyncio.Event()

    @task()
    async def stuck() -> None:
        started.set()
        await asyncio.Event().wait()

    await Queue(store).enqueue(stuck.new())
    draining = asyncio.create_task(drain(store, tasks=[stuck], clock=clock))
    await started.wait()
    draining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await draining
    (record,) = await store.live()
    assert (record.state, record.attempt) == (State.WAITING, 0)


async def test_run_one_calls_it_once_whatever_else_is_there(kit: Kit) -> None:
    store, clock = kit
    queue, ran = Queue(store), list[str]()
    await queue.enqueue_many(shaky.new(name=str(n)) for n in range(3))
    new = shaky.new(name="mine").with_options(delay=MINUTE, priority=-1)
    attempt = await run_one(shaky, new, resources=ran, store=store, attempt=2, clock=clock)
    assert ran == ["mine 2"]
    assert (attempt.ended, attempt.result, attempt.failed) == (Ended.DONE, "mine", False)
    assert attempt.task.lease == 2
    assert [r.attempt for r in await store.live() if r.state is State.WAITING] == [0, 0, 0]


async def test_run_one_shows_what_was_raised() -> None:
    attempt = await run_one(shaky, shaky.new(name="bad"), resources=[], attempt=3)
    assert (attempt.ended, repr(attempt.error)) == (Ended.FAILED, "ValueError('no bad')")
    assert attempt.outcome is None
    with pytest.raises(InvalidTask, match="no attempt 4"):
        await run_one(shaky, shaky.new(name="bad"), resources=[], attempt=4)
    with pytest.raises(InvalidTask, match="a call of 'restless' for the task 'shaky'"):
        await run_one(shaky, restless.new())


async def test_completing_in_a_transaction_is_real(dsn: str) -> None:
    @task()
    async def pay(ctx: Context["asyncpg.Pool[asyncpg.Record]"], fail: bool) -> None:
        async with ctx.resources.acquire() as connection, connection.transaction():
            await ctx.complete(connection=connection)
            if fail:
                raise ValueError("rolled back")

    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        store = PostgresStore(pool)
        paid = await run_one(pay, pay.new(fail=False), store=store, resources=pool)
        assert (paid.ended, await store.counts()) == (Ended.DONE, {})
        unpaid = await run_one(pay, pay.new(fail=True), store=store, resources=pool)
        assert (unpaid.ended, await store.counts()) == (
            Ended.RETRIED,
            {("default", State.WAITING): 1},
        )
