"""What becomes of a task, by what its function did. On a clock that the test moves."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from colmillo import (
    Backoff,
    Cancel,
    Context,
    Discard,
    Done,
    MemoryStore,
    NewTask,
    Outcome,
    Queue,
    Retry,
    Snooze,
    Task,
    Worker,
    task,
)
from colmillo.store import State, TaskId, TaskRecord
from colmillo.testing import FakeClock
from colmillo.testing.working import working

S = timedelta(seconds=1)


class Desk:
    """A memory store, and a task "job" whose function is whatever the test says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.queue = Queue(self.store)
        self.attempts: list[int] = []

    def job(
        self,
        act: Callable[[Context[Any]], Any],
        *,
        max_attempts: int | None = 3,
        timeout: timedelta | None = None,
        backoff: Backoff | None = None,
    ) -> Task[[str]]:
        @task(
            max_attempts=max_attempts,
            timeout=timeout,
            backoff=backoff or Backoff.constant(5 * S),
        )
        async def job(ctx: Context[None], word: str) -> Outcome | None:
            self.attempts.append(ctx.task.attempt)
            result: Outcome | None = await act(ctx)
            return result

        return job

    def worker(self, *tasks: Task[...]) -> Worker:
        return Worker(self.store, tasks=tasks, queues={"default": 5}, clock=self.clock)

    async def put(self, new: NewTask) -> TaskId:
        return (await self.queue.enqueue(new)).id

    async def found(self, task_id: TaskId) -> TaskRecord:
        record = await self.store.get(task_id)
        assert record is not None
        return record


@pytest.fixture
def desk() -> Desk:
    return Desk()


def answer(outcome: object) -> Callable[[Context[Any]], Any]:
    async def act(ctx: Context[Any]) -> Any:
        return outcome

    return act


async def forever(ctx: Context[Any]) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("outcome", [None, Done()])
async def test_done_leaves_nothing(desk: Desk, outcome: object) -> None:
    job = desk.job(answer(outcome))
    async with working(desk.worker(job)):
        done = await desk.put(job.new("x"))
        await desk.clock.advance(0)
        assert await desk.store.get(done) is None
    assert desk.attempts == [1]


async def test_retry_counts_and_ends_in_the_archive(desk: Desk) -> None:
    job = desk.job(answer(Retry(why="not yet", after=7 * S)))
    async with working(desk.worker(job)):
        tried = await desk.put(job.new("x"))
        await desk.clock.advance(6.9)
        assert desk.attempts == [1]
        await desk.clock.advance(20)
    assert desk.attempts == [1, 2, 3]
    record = await desk.found(tried)
    assert (record.state, record.errors) == (State.FAILED, ("not yet",) * 3)


async def test_retry_without_a_time_takes_the_backoff(desk: Desk) -> None:
    job = desk.job(answer(Retry()), max_attempts=None)
    async with working(desk.worker(job)):
        await desk.put(job.new("x"))
        await desk.clock.advance(5 * 100 - 0.5)
    assert desk.attempts == list(range(1, 101))


async def test_snooze_costs_no_attempt(desk: Desk) -> None:
    job = desk.job(answer(Snooze(10 * S)), max_attempts=1)
    async with working(desk.worker(job)):
        snoozed = await desk.put(job.new("x"))
        await desk.clock.advance(35)
    record = await desk.found(snoozed)
    assert desk.attempts == [1, 1, 1, 1]
    assert (record.state, record.attempt, record.errors) == (State.WAITING, 0, ())


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Cancel("unwanted"), State.CANCELLED), (Discard("unwanted"), State.DISCARDED)],
)
async def test_cancel_and_discard_go_to_the_archive(
    desk: Desk, outcome: Outcome, state: State
) -> None:
    job = desk.job(answer(outcome))
    async with working(desk.worker(job)):
        ended = await desk.put(job.new("x"))
        await desk.clock.advance(100)
    record = await desk.found(ended)
    assert desk.attempts == [1]
    assert (record.state, record.errors) == (state, ("unwanted",))


async def test_an_exception_is_a_failed_attempt_with_its_traceback(desk: Desk) -> None:
    async def act(ctx: Context[Any]) -> None:
        raise ValueError("bad \0 news \ud800" + "x" * 100_000)

    job = desk.job(act, max_attempts=2)
    async with working(desk.worker(job)):
        failed = await desk.put(job.new("x"))
        await desk.clock.advance(4.9)
        assert (await desk.found(failed)).state is State.WAITING
        await desk.clock.advance(1)
    record = await desk.found(failed)
    assert record.state is State.FAILED
    assert len(record.errors) == 2
    assert record.errors[0].startswith("ValueError: bad � news ?xxx")
    assert len(record.errors[0]) <= 2000


async def test_the_traceback_names_the_line(desk: Desk) -> None:
    async def act(ctx: Context[Any]) -> None:
        raise KeyError("gone")

    job = desk.job(act, max_attempts=1)
    async with working(desk.worker(job)):
        failed = await desk.put(job.new("x"))
        await desk.clock.advance(0)
    error = (await desk.found(failed)).errors[0]
    assert error.startswith("KeyError: 'gone'\nTraceback")
    assert 'raise KeyError("gone")' in error


async def own_cancel(ctx: Context[Any]) -> None:
    raise asyncio.CancelledError


async def leave(ctx: Context[Any]) -> None:
    raise SystemExit(3)


async def base(ctx: Context[Any]) -> None:
    raise BaseException("odd")


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (own_cancel, "the function was cancelled, but not by the worker"),
        (leave, "RuntimeError: the function called exit(3)"),
        (base, "BaseException: odd"),
        (answer(5), "TypeError: a task returns an Outcome or None, not int"),
        (answer(0), "TypeError: a task returns an Outcome or None, not int"),
    ],
)
async def test_other_ways_to_fail(desk: Desk, act: Any, error: str) -> None:
    job = desk.job(act, max_attempts=1)
    async with working(desk.worker(job)):
        failed = await desk.put(job.new("x"))
        await desk.clock.advance(0)
        record = await desk.found(failed)
        assert record.state is State.FAILED
        assert record.errors[0].startswith(error)


async def test_a_timeout_cancels_and_counts(desk: Desk) -> None:
    unwound: list[float] = []

    async def act(ctx: Context[Any]) -> None:
        try:
            await forever(ctx)
        finally:
            unwound.append(desk.clock.monotonic())

    job = desk.job(act, max_attempts=2, timeout=3 * S)
    async with working(desk.worker(job)):
        slow = await desk.put(job.new("x"))
        await desk.clock.advance(30)
    record = await desk.found(slow)
    assert unwound == [3.0, 11.0]
    assert (record.state, record.errors) == (State.FAILED, ("timed out after 0:00:03",) * 2)


async def test_a_function_that_swallows_its_timeout_is_cancelled_again(desk: Desk) -> None:
    async def act(ctx: Context[Any]) -> None:
        try:
            await forever(ctx)
        except asyncio.CancelledError:
            await forever(ctx)

    job = desk.job(act, max_attempts=1, timeout=3 * S)
    async with working(desk.worker(job)):
        slow = await desk.put(job.new("x"))
        await desk.clock.advance(12.9)
        assert (await desk.found(slow)).state is State.RUNNING
        await desk.clock.advance(0.2)
        assert (await desk.found(slow)).state is State.FAILED


async def test_an_outcome_counts_even_after_the_timeout(desk: Desk) -> None:
    async def act(ctx: Context[Any]) -> Outcome:
        with contextlib.suppress(asyncio.CancelledError):
            await forever(ctx)
        return Snooze(50 * S)

    job = desk.job(act, max_attempts=1, timeout=3 * S)
    async with working(desk.worker(job)):
        slow = await desk.put(job.new("x"))
        await desk.clock.advance(4)
        record = await desk.found(slow)
    assert (record.state, record.attempt) == (State.WAITING, 0)


async def test_a_fast_task_is_not_touched_by_its_timeout(desk: Desk) -> None:
    job = desk.job(answer(None), timeout=3 * S)
    async with working(desk.worker(job)):
        await desk.put(job.new("x"))
        await desk.clock.advance(10)
    assert desk.attempts == [1]


async def test_a_broken_backoff_loses_no_task(desk: Desk) -> None:
    def broken(attempt: int) -> timedelta:
        raise ZeroDivisionError

    job = desk.job(answer(Retry()), backoff=Backoff.custom(broken), max_attempts=None)
    async with working(desk.worker(job)):
        await desk.put(job.new("x"))
        await desk.clock.advance(59)
        assert desk.attempts == [1]
        await desk.clock.advance(2)
        assert desk.attempts == [1, 2]


async def test_a_task_that_is_unknown_here_is_left_for_others(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    old = desk.job(answer(None))

    @task()
    async def newer(x: int) -> None: ...

    async with working(desk.worker(old)):
        unknown = await desk.put(newer.new(1))
        known = await desk.put(old.new("x"))
        await desk.clock.advance(1)
        record = await desk.found(unknown)
        assert (record.state, record.attempt) == (State.WAITING, 0)
        assert record.run_at > desk.clock.now()
        assert await desk.store.get(known) is None
    assert "no such task here, giving it back" in caplog.messages
    async with working(desk.worker(newer)):
        await desk.clock.advance(15)
        assert await desk.store.get(unknown) is None


async def test_a_payload_from_before_a_deploy_is_discarded_with_the_reason(desk: Desk) -> None:
    @task(name="job")
    async def before(feed: int) -> None: ...

    job = desk.job(answer(None))
    async with working(desk.worker(job)):
        stale = await desk.put(before.new(1))
        await desk.clock.advance(1)
    record = await desk.found(stale)
    assert desk.attempts == []
    assert record.state is State.DISCARDED
    assert record.errors == ("the payload does not fit the function: feed: no such parameter",)


async def test_an_invalid_task_inside_a_function_is_an_ordinary_failure(desk: Desk) -> None:
    job: Task[[str]]

    async def act(ctx: Context[Any]) -> None:
        bad: Any = 5
        job.new(bad)

    job = desk.job(act, max_attempts=1)
    async with working(desk.worker(job)):
        failed = await desk.put(job.new("x"))
        await desk.clock.advance(0)
    assert (await desk.found(failed)).state is State.FAILED


async def test_a_function_without_a_context(desk: Desk) -> None:
    seen: list[int] = []

    @task()
    async def plain(x: int, y: int = 2) -> None:
        seen.extend([x, y])

    async with working(desk.worker(plain)):
        await desk.put(plain.new(1))
        await desk.clock.advance(0)
    assert seen == [1, 2]


async def test_the_context_reaches_resources_clock_and_queue(desk: Desk) -> None:
    seen: list[object] = []

    @task()
    async def second(word: str) -> None:
        seen.append(word)

    @task()
    async def first(ctx: Context[list[object]], word: str) -> None:
        ctx.resources.append(ctx.clock.now())
        ctx.check_lease()
        await ctx.queue.enqueue(second.new(word))

    worker = Worker(
        desk.store,
        tasks=[first, second],
        queues={"default": 1},
        resources=seen,
        clock=desk.clock,
    )
    async with working(worker):
        await desk.put(first.new("on"))
        await desk.clock.advance(0)
    assert seen == [desk.clock.now(), "on"]


async def test_no_payload_and_no_message_of_an_exception_in_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(ctx: Context[Any]) -> None:
        raise ValueError(f"cannot use {ctx.task.payload}")

    caplog.set_level(logging.INFO, "colmillo")
    job = desk.job(act, max_attempts=1)
    async with working(desk.worker(job)):
        await desk.put(job.new("hunter2"))
        await desk.clock.advance(0)
    assert "task failed" in caplog.messages
    for record in caplog.records:
        assert "hunter2" not in repr(vars(record))


def test_names_are_unique_within_a_worker(desk: Desk) -> None:
    job = desk.job(answer(None))
    with pytest.raises(Exception, match="two tasks are called job"):
        desk.worker(job, job)
