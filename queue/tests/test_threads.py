"""Plain functions in threads."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from colmillo import (
    Backoff,
    Context,
    Done,
    InvalidTask,
    MemoryStore,
    Outcome,
    Queue,
    Worker,
    declare,
    task,
)
from colmillo.clock import SystemClock
from colmillo.store import State
from colmillo.testing import FakeClock
from colmillo.testing.working import working
from colmillo.threads import ThreadContext

S = timedelta(seconds=1)


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until threads brought it about."""
    while not condition():
        await SystemClock().sleep(0.001)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


async def test_a_def_runs_in_a_thread_with_what_is_thread_safe(
    clock: FakeClock, store: MemoryStore
) -> None:
    @task()
    async def follow_up(word: str) -> None:
        followed.set()

    @task()
    def blocking(ctx: ThreadContext[list[str]], word: str) -> None:
        ctx.check_lease()
        assert threading.current_thread() is not threading.main_thread()
        ctx.resources.append(f"{word} {ctx.task.attempt}")
        added = ctx.wait(ctx.queue.enqueue(follow_up.new("x")))
        assert added.inserted

    followed = asyncio.Event()
    said: list[str] = []
    await Queue(store).enqueue(blocking.new(word="hello"))
    tasks = [blocking, follow_up]
    async with working(
        Worker(store, tasks=tasks, queues={"default": 1}, resources=said, clock=clock)
    ):
        await followed.wait()
    assert said == ["hello 1"]


async def test_outcomes_and_exceptions_count_as_in_async_functions(
    clock: FakeClock, store: MemoryStore
) -> None:
    ends = iter(range(3))
    ran = threading.Event()

    @task(max_attempts=5, backoff=Backoff.constant(5 * S))
    def job(n: int) -> Outcome | None:
        turn = next(ends)
        if turn == 0:
            raise ValueError("first")
        if turn == 1:
            raise SystemExit(3)
        ran.set()
        return Done()

    job_id = (await Queue(store).enqueue(job.new(1))).id
    async with working(Worker(store, tasks=[job], queues={"default": 1}, clock=clock)):
        for attempt in (1, 2):
            while (record := await store.get(job_id)) and len(record.errors) < attempt:
                await SystemClock().sleep(0.001)
            assert record is not None
            assert record.errors[-1].startswith(("ValueError: first", "RuntimeError: the func"))
            await clock.advance(5)
        await until(ran.is_set)
        while await store.get(job_id) is not None:
            await SystemClock().sleep(0.001)


async def test_threads_are_kept_and_not_more_than_slots(
    clock: FakeClock, store: MemoryStore
) -> None:
    names: list[str] = []
    together = threading.Barrier(3, timeout=30)

    @task()
    def job(n: int) -> None:
        together.wait()
        names.append(threading.current_thread().name)

    await Queue(store).enqueue_many(job.new(n) for n in range(9))
    async with working(Worker(store, tasks=[job], queues={"default": 3}, clock=clock)):
        await until(lambda: len(names) == 9)
    assert len(set(names)) == 3


async def test_a_thread_that_overruns_is_told_reported_and_keeps_its_slot(
    clock: FakeClock, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    entered, leave, second = threading.Event(), threading.Event(), threading.Event()
    told: list[bool] = []

    @task(timeout=5 * S, max_attempts=1)
    def stubborn(ctx: ThreadContext[None]) -> None:
        entered.set()
        told.append(ctx.stopping.wait(30))
        leave.wait(30)
        raise ValueError("too late")

    @task()
    def after() -> None:
        second.set()

    caplog.set_level(logging.INFO, "colmillo")
    queue = Queue(store)
    late = (await queue.enqueue(stubborn.new())).id
    async with working(Worker(store, tasks=[stubborn, after], queues={"default": 1}, clock=clock)):
        await until(entered.is_set)
        await queue.enqueue(after.new())
        await clock.advance(5)
        await until(lambda: told == [True])
        await clock.advance(30)
        assert "the task goes on although it was cancelled" in caplog.messages
        record = await store.get(late)
        assert record is not None
        assert record.state is State.RUNNING
        assert not second.is_set()
        leave.set()
        await until(second.is_set)
        record = await store.get(late)
    assert record is not None
    assert (record.state, record.errors) == (State.FAILED, ("timed out after 0:00:05",))


async def test_a_worker_goes_on_without_a_thread_but_does_not_give_its_task_away(
    clock: FakeClock, store: MemoryStore
) -> None:
    entered, leave = threading.Event(), threading.Event()

    @task()
    def stubborn() -> None:
        entered.set()
        leave.wait(30)

    stuck = (await Queue(store).enqueue(stubborn.new())).id
    worker = Worker(store, tasks=[stubborn], queues={"default": 1}, clock=clock)
    running = asyncio.create_task(worker.run())
    await until(entered.is_set)
    worker.stop()
    worker.stop()
    while not running.done():
        await clock.advance(1)
    await running
    await store.rescue(max_crashes=5)
    record = await store.get(stuck)
    assert record is not None
    assert record.state is State.RUNNING
    leave.set()


def test_declarations_that_cannot_run_in_a_thread() -> None:
    def wants_context(ctx: Context[None]) -> None: ...
    async def wants_thread_context(ctx: ThreadContext[None]) -> None: ...
    async def is_async() -> None: ...
    def yields() -> Iterator[None]:
        yield

    anything: Any = task()
    with pytest.raises(InvalidTask, match="in a thread a ThreadContext"):
        anything(wants_context)
    with pytest.raises(InvalidTask, match="in a thread a ThreadContext"):
        anything(wants_thread_context)
    with pytest.raises(InvalidTask, match="event loop, not a thread"):
        task(run="thread")(is_async)
    with pytest.raises(InvalidTask, match="does not yield"):
        anything(yields)


async def test_a_declared_task_may_be_handled_by_a_def(
    clock: FakeClock, store: MemoryStore
) -> None:
    @declare()
    async def elsewhere(word: str) -> None: ...

    heard: list[str] = []

    def here(ctx: ThreadContext[None], word: str) -> None:
        heard.append(word)

    await Queue(store).enqueue(elsewhere.new("hi"))
    handled = elsewhere.handled_by(here)
    async with working(Worker(store, tasks=[handled], queues={"default": 1}, clock=clock)):
        await until(lambda: heard == ["hi"])
