"""Cancelling tasks, waiting and running, through the queue and the worker."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import Done, MemoryStore, Outcome, PostgresStore, Queue, Retry, Worker, task
from colmillo.clock import SystemClock
from colmillo.operations import Cancellation
from colmillo.store import State, TaskId, TaskRecord
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool


class Scene:
    """A task that waits for its cancellation and then answers with ``after``."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(self.clock)
        self.store = TroubledStore(self.memory)
        self.queue = Queue(self.store)
        self.started = asyncio.Event()
        self.after: Outcome | Exception | None = None
        self.cancelled = 0

        @task(timeout=timedelta(minutes=10))
        async def job() -> Outcome | None:
            self.started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                if self.after is None:
                    raise
                if isinstance(self.after, Exception):
                    raise self.after from None
            assert not isinstance(self.after, Exception)
            return self.after

        self.job = job
        self.worker = Worker(self.store, tasks=[job], queues={"default": 2}, clock=self.clock)

    async def run_and_cancel(self) -> TaskId:
        held = (await self.queue.enqueue(self.job.new())).id
        await self.started.wait()
        assert await self.queue.cancel(held, "nobody wants it") is Cancellation.REQUESTED
        await self.clock.advance(0)
        return held

    async def found(self, task_id: TaskId) -> TaskRecord:
        record = await self.memory.get(task_id)
        assert record is not None
        return record


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_running_task_is_cancelled_at_once(scene: Scene) -> None:
    async with working(scene.worker):
        record = await scene.found(await scene.run_and_cancel())
    assert (record.state, record.errors) == (State.CANCELLED, ("nobody wants it",))
    assert scene.cancelled == 1


async def test_without_notifications_within_a_third_of_the_lease(scene: Scene) -> None:
    scene.memory._wakers = Deaf()
    async with working(scene.worker):
        held = (await scene.queue.enqueue(scene.job.new())).id
        await scene.clock.advance(2)
        assert await scene.queue.cancel(held) is Cancellation.REQUESTED
        await scene.clock.advance(7)
        assert (await scene.found(held)).state is State.CANCELLED


async def test_what_the_function_does_about_it_counts(scene: Scene) -> None:
    scene.after = Done()
    async with working(scene.worker):
        held = await scene.run_and_cancel()
        assert await scene.memory.get(held) is None
        await scene.clock.advance(10)
        assert scene.memory._cancellations == {}


async def test_a_failure_on_the_way_out_is_still_a_cancellation(scene: Scene) -> None:
    scene.after = ValueError("in finally")
    async with working(scene.worker):
        record = await scene.found(await scene.run_and_cancel())
    assert (record.state, record.errors) == (State.CANCELLED, ("nobody wants it",))


async def test_an_attempt_that_wants_another_one_does_not_get_it(scene: Scene) -> None:
    scene.after = Retry(why="once more", after=timedelta(0))
    async with working(scene.worker):
        held = await scene.run_and_cancel()
        record = await scene.found(held)
    assert record.state is State.CANCELLED
    assert record.errors[-1] == "nobody wants it"


async def test_a_request_in_vain_is_asked_for_again(scene: Scene) -> None:
    async def fail() -> None:
        raise ConnectionError("lost")

    scene.store.before["cancel_requests"] = fail
    async with working(scene.worker):
        held = await scene.run_and_cancel()
        assert (await scene.found(held)).state is State.RUNNING
        del scene.store.before["cancel_requests"]
        await scene.clock.advance(7)
        assert (await scene.found(held)).state is State.CANCELLED


async def test_a_request_that_overtakes_the_claims_answer_is_heard(scene: Scene) -> None:
    first = (await scene.queue.enqueue(scene.job.new())).id
    asked = asyncio.Event()

    async def cancel_first() -> None:
        del scene.store.after["claim"]
        assert await scene.queue.cancel(first, "too late") is Cancellation.REQUESTED
        await scene.clock.advance(0)
        assert scene.store.calls["cancel_requests"] == 1
        asked.set()

    scene.store.after["claim"] = cancel_first
    async with working(scene.worker):
        await asked.wait()
        await scene.clock.advance(0)
        record = await scene.found(first)
    assert (record.state, record.errors) == (State.CANCELLED, ("too late",))
    assert not scene.started.is_set()


async def test_a_waiting_task_never_runs(scene: Scene) -> None:
    held = (await scene.queue.enqueue(scene.job.new())).id
    assert await scene.queue.cancel(held) is Cancellation.ARCHIVED
    assert await scene.queue.cancel(held) is Cancellation.ABSENT
    async with working(scene.worker):
        await scene.clock.advance(60)
    assert not scene.started.is_set()


async def test_a_thread_is_told(scene: Scene) -> None:
    from colmillo.threads import ThreadContext

    entered = threading.Event()

    @task()
    def patient(ctx: ThreadContext[None]) -> None:
        entered.set()
        assert ctx.stopping.wait(30)
        raise InterruptedError

    worker = Worker(scene.store, tasks=[patient], queues={"default": 1}, clock=scene.clock)
    async with working(worker):
        held = (await scene.queue.enqueue(patient.new())).id
        while not entered.is_set():
            await SystemClock().sleep(0.001)
        await scene.queue.cancel(held, "enough")
        while (record := await scene.found(held)).state is State.RUNNING:
            await SystemClock().sleep(0.001)
    assert (record.state, record.errors) == (State.CANCELLED, ("enough",))


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield import_module("process_tasks")
    del sys.modules["process_tasks"]


async def test_a_process_is_killed(pool: "Pool", processes: Any, tmp_path: Path) -> None:
    store = PostgresStore(pool)
    queue = Queue(store)
    worker = Worker(store, tasks=[processes.spin], queues={"cpu": 1})
    async with working(worker):
        held = (await queue.enqueue(processes.spin.new(str(tmp_path / "pid")))).id
        while not there(tmp_path / "pid"):
            await SystemClock().sleep(0.01)
        assert await queue.cancel(held, "enough") is Cancellation.REQUESTED
        while (record := await store.get(held)) and record.state is State.RUNNING:
            await SystemClock().sleep(0.01)
    assert record is not None
    assert (record.state, record.errors) == (State.CANCELLED, ("enough",))


async def test_a_cancel_becomes_part_of_the_callers_transaction(pool: "Pool") -> None:
    @task()
    async def job() -> None: ...

    store = PostgresStore(pool)
    queue = Queue(store)
    held = (await queue.enqueue(job.new())).id
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await queue.cancel(held, connection=connection) is Cancellation.ARCHIVED
        await transaction.rollback()
    record = await store.get(held)
    assert record is not None
    assert record.state is State.WAITING


async def test_a_waiting_task_that_somebody_holds_is_cancelled_later(pool: "Pool") -> None:
    """The cancel does not wait for the transaction, nor does it get lost."""

    @task(queue="held")
    async def job() -> None: ...

    store = PostgresStore(pool)
    queue = Queue(store)
    held = (await queue.enqueue(job.new())).id
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM colmillo.tasks WHERE id = $1 FOR UPDATE", held)
        assert await queue.cancel(held, "enough") is Cancellation.REQUESTED
    # A worker of another queue sees to it: whoever asks for its own requests does.
    async with working(Worker(store, tasks=[], queues={"other": 1}, lease=timedelta(seconds=1))):
        while (record := await store.get(held)) and record.state is State.WAITING:
            await SystemClock().sleep(0.01)
        while await pool.fetchval("SELECT count(*) FROM colmillo.cancellations"):
            await SystemClock().sleep(0.01)
    assert record is not None
    assert (record.state, record.errors) == (State.CANCELLED, ("enough",))


async def test_cancels_race_with_completions_and_every_task_ends_once(pool: "Pool") -> None:
    """300 tasks, each cancelled at some moment of its life: none is lost, none does both."""
    completed: list[int] = []

    @task(queue="race", max_attempts=1)
    async def job(number: int) -> None:
        await SystemClock().sleep(0.001 * (number % 7))
        completed.append(number)

    store = PostgresStore(pool)
    queue = Queue(store)
    worker = Worker(store, tasks=[job], queues={"race": 10}, lease=timedelta(seconds=10))
    added = await queue.enqueue_many(job.new(number) for number in range(300))
    answers = []
    async with working(worker):
        for answer in added:
            answers.append(await queue.cancel(answer.id, "raced"))
            await SystemClock().sleep(0)
        while (await store.counts()).keys() - {("race", State.CANCELLED)}:
            await SystemClock().sleep(0.01)
        while await pool.fetchval("SELECT count(*) FROM colmillo.cancellations"):
            await SystemClock().sleep(0.01)
    counts = await store.counts()
    assert answers.count(Cancellation.ARCHIVED) <= counts.get(("race", State.CANCELLED), 0)
    assert len(set(completed)) == len(completed)
    assert counts.get(("race", State.CANCELLED), 0) + len(completed) == 300


def there(file: Path) -> bool:
    return file.exists()


class Deaf(list[Any]):
    """Wakers that are never called."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())
