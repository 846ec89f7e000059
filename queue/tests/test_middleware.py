"""Code around tasks, and around the worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest

from colmillo import Cancel, Context, Done, MemoryStore, Outcome, Queue, Retry, Snooze, Worker, task
from colmillo.middleware import Middleware, Next
from colmillo.store import State, TaskId
from colmillo.testing import FakeClock
from colmillo.testing.working import working
from colmillo.threads import ThreadContext

S = timedelta(seconds=1)


class Scene:
    """A task "job" that returns or raises what the test says, and a diary."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.queue = Queue(self.store)
        self.diary: list[str] = []
        self.ends: Outcome | Exception | None = None

        @task(max_attempts=1)
        async def job(ctx: Context[object], word: str) -> Outcome | None:
            self.diary.append(word)
            if isinstance(self.ends, Exception):
                raise self.ends
            return self.ends

        self.job = job

    def layer(self, name: str) -> Middleware:
        async def layer(ctx: Context[Any], call_next: Next) -> None:
            self.diary.append(f"{name} in")
            try:
                self.diary.append(f"{name} out: {await call_next()}")
            except Exception as error:
                self.diary.append(f"{name} out: {error!r}")
                raise

        return layer

    async def run(self, *layers: Middleware, **options: Any) -> TaskId:
        worker = Worker(
            self.store,
            tasks=[self.job],
            queues={"default": 1},
            clock=self.clock,
            middleware=layers,
            **options,
        )
        added = await self.queue.enqueue(self.job.new("job"))
        async with working(worker):
            await self.clock.advance(1)
        return added.id


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_the_first_layer_is_the_outermost(scene: Scene) -> None:
    ran = await scene.run(scene.layer("a"), scene.layer("b"))
    assert scene.diary == ["a in", "b in", "job", f"b out: {Done()}", f"a out: {Done()}"]
    assert await scene.store.get(ran) is None


async def test_layers_see_exceptions_and_outcomes_pass_through(scene: Scene) -> None:
    scene.ends = ValueError("no")
    failed = await scene.store.get(await scene.run(scene.layer("a")))
    assert scene.diary[-1] == "a out: ValueError('no')"
    assert failed is not None
    assert failed.state is State.FAILED
    scene.ends = Cancel("unwanted")
    cancelled = await scene.store.get(await scene.run(scene.layer("a"), scene.layer("b")))
    assert cancelled is not None
    assert (cancelled.state, cancelled.errors) == (State.CANCELLED, ("unwanted",))


async def test_a_layer_can_answer_itself(scene: Scene) -> None:
    async def closed(ctx: Context[Any], call_next: Next) -> Outcome | None:
        return Snooze(60 * S)

    snoozed = await scene.store.get(await scene.run(scene.layer("a"), closed, scene.layer("b")))
    assert snoozed is not None
    assert (snoozed.state, snoozed.attempt) == (State.WAITING, 0)
    assert scene.diary == ["a in", f"a out: {Snooze(60 * S)}"]


async def test_a_layer_can_turn_one_outcome_into_another(scene: Scene) -> None:
    async def forgiving(ctx: Context[Any], call_next: Next) -> Outcome | None:
        try:
            await call_next()
        except ValueError:
            return Done()
        return Retry()

    scene.ends = ValueError("no")
    assert await scene.store.get(await scene.run(forgiving)) is None


async def test_what_is_no_outcome_is_a_failure(scene: Scene) -> None:
    scene.ends = cast("Any", 0)
    failed = await scene.store.get(await scene.run(scene.layer("a")))
    assert failed is not None
    assert failed.errors[0].startswith("TypeError: a task returns an Outcome or None, not int")


async def test_layers_go_around_threads_too(scene: Scene) -> None:
    done = asyncio.Event()

    async def last(ctx: Context[Any], call_next: Next) -> None:
        await call_next()
        scene.diary.append(f"after {ctx.task.name}")
        done.set()

    @task()
    def plain(ctx: ThreadContext[None]) -> None:
        scene.diary.append("plain")

    worker = Worker(
        scene.store, tasks=[plain], queues={"default": 1}, clock=scene.clock, middleware=[last]
    )
    await scene.queue.enqueue(plain.new())
    async with working(worker):
        await done.wait()
    assert scene.diary == ["plain", "after plain"]


async def test_the_lifespan_opens_first_and_closes_last(scene: Scene) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[dict[str, int]]:
        scene.diary.append("open")
        yield {"answer": 42}
        scene.diary.append(f"close {await scene.store.counts()} {scene.store._leases}")

    started = asyncio.Event()

    @task()
    async def slow(ctx: Context[dict[str, int]]) -> None:
        scene.diary.append(f"start {ctx.resources['answer']}")
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            scene.diary.append("cleaned up")

    worker = Worker(
        scene.store,
        tasks=[slow],
        queues={"default": 1},
        clock=scene.clock,
        lifespan=lifespan,
        grace=timedelta(0),
    )
    await scene.queue.enqueue(slow.new())
    running = asyncio.create_task(worker.run())
    await started.wait()
    worker.stop()
    await running
    given_back = {("default", State.WAITING): 1}
    assert scene.diary == ["open", "start 42", "cleaned up", f"close {given_back} {{}}"]


async def test_the_lifespan_closes_when_the_worker_is_cancelled(scene: Scene) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            yield
        finally:
            scene.diary.append("close")

    worker = Worker(
        scene.store, tasks=[], queues={"default": 1}, clock=scene.clock, lifespan=lifespan
    )
    running = asyncio.create_task(worker.run())
    await scene.clock.advance(1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert scene.diary == ["close"]


async def test_a_lifespan_that_fails_to_open_is_told_to_the_caller(scene: Scene) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise ConnectionError("no such host")
        yield

    worker = Worker(
        scene.store, tasks=[], queues={"default": 1}, clock=scene.clock, lifespan=lifespan
    )
    with pytest.raises(ConnectionError, match="no such host"):
        await worker.run()
    assert scene.store._leases == {}
    with pytest.raises(ValueError, match="resources or a lifespan"):
        Worker(scene.store, tasks=[], queues={"default": 1}, resources=1, lifespan=lifespan)
