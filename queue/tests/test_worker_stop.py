"""Shutdown: what runs may finish, then is cancelled and given back; nothing waits for a lease."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from colmillo import Context, MemoryStore, Queue, Task, Worker, task
from colmillo.store import NewTask, State, TaskId, TaskRecord
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore

GRACE = timedelta(seconds=20)


class Scene:
    """A worker with one task that runs until it is told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(self.clock)
        self.store = TroubledStore(self.memory)
        self.events: list[str] = []
        self.finish = asyncio.Event()
        self.cleanup = 0.0

        @task(max_attempts=1)
        async def job(ctx: Context[None]) -> None:
            self.events.append("started")
            try:
                await self.finish.wait()
            except asyncio.CancelledError:
                await ctx.clock.sleep(self.cleanup)
                self.events.append("cancelled")
                raise
            self.events.append("finished")

        self.job: Task[[]] = job
        self.worker = Worker(
            self.store,
            tasks=[job],
            queues={"default": 2},
            grace=GRACE,
            clock=self.clock,
        )

    async def put(self, new: NewTask) -> TaskId:
        return (await Queue(self.memory).enqueue(new)).id

    async def found(self, task_id: TaskId) -> TaskRecord:
        record = await self.memory.get(task_id)
        assert record is not None
        return record


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_stop_lets_what_runs_finish_and_starts_nothing_new(scene: Scene) -> None:
    run = asyncio.create_task(scene.worker.run())
    held = await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.worker.stop()
    late = await scene.put(scene.job.new())
    await scene.clock.advance(19)
    assert not run.done()
    scene.finish.set()
    await scene.clock.advance(0)
    assert run.done()
    assert scene.events == ["started", "finished"]
    assert await scene.memory.get(held) is None
    assert (await scene.found(late)).state is State.WAITING


async def test_after_the_grace_period_tasks_are_given_back_with_their_attempt(
    scene: Scene,
) -> None:
    run = asyncio.create_task(scene.worker.run())
    held = await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.worker.stop()
    await scene.clock.advance(19.9)
    assert scene.events == ["started"]
    await scene.clock.advance(0.2)
    assert run.done()
    record = await scene.found(held)
    assert scene.events == ["started", "cancelled"]
    assert (record.state, record.attempt, record.errors) == (State.WAITING, 0, ())
    assert record.run_at <= scene.clock.now()


async def test_a_second_stop_is_immediate(scene: Scene) -> None:
    run = asyncio.create_task(scene.worker.run())
    held = await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.worker.stop()
    await scene.clock.advance(1)
    scene.worker.stop()
    await scene.clock.advance(0)
    assert run.done()
    record = await scene.found(held)
    assert (record.state, record.attempt) == (State.WAITING, 0)


async def test_cancelling_run_is_immediate_and_still_gives_back(scene: Scene) -> None:
    run = asyncio.create_task(scene.worker.run())
    held = await scene.put(scene.job.new())
    await scene.clock.advance(1)
    run.cancel()
    await scene.clock.advance(0)
    assert run.cancelled()
    record = await scene.found(held)
    assert scene.events == ["started", "cancelled"]
    assert (record.state, record.attempt) == (State.WAITING, 0)


async def test_a_cancelled_task_has_time_to_clean_up(scene: Scene) -> None:
    scene.cleanup = 8.0
    run = asyncio.create_task(scene.worker.run())
    held = await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.worker.stop()
    scene.worker.stop()
    await scene.clock.advance(7.9)
    assert not run.done()
    assert (await scene.found(held)).state is State.RUNNING
    await scene.clock.advance(0.2)
    assert run.done()
    assert (await scene.found(held)).state is State.WAITING


async def test_a_task_that_ignores_everything_keeps_nobody_from_stopping(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.cleanup = 9999.0
    run = asyncio.create_task(scene.worker.run())
    held = await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.worker.stop()
    scene.worker.stop()
    await scene.clock.advance(11)
    assert run.done()
    assert "tasks go on although cancelled" in caplog.messages
    # Its lease ended with the worker: others may have it at once.
    assert (await scene.memory.rescue(max_crashes=5)).released == 1
    assert (await scene.found(held)).state is State.WAITING


async def test_a_timeout_stays_a_failed_attempt_when_the_shutdown_comes_on_top(
    scene: Scene,
) -> None:
    @task(max_attempts=1, timeout=timedelta(seconds=3))
    async def slow(ctx: Context[None]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await ctx.clock.sleep(5)
            raise

    worker = Worker(scene.store, tasks=[slow], queues={"default": 1}, clock=scene.clock)
    run = asyncio.create_task(worker.run())
    held = await scene.put(slow.new())
    await scene.clock.advance(4)
    worker.stop()
    worker.stop()
    await scene.clock.advance(6)
    assert run.done()
    record = await scene.found(held)
    assert (record.state, record.errors) == (State.FAILED, ("timed out after 0:00:03",))


async def test_stop_before_run(scene: Scene) -> None:
    scene.worker.stop()
    held = await scene.put(scene.job.new())
    await scene.worker.run()
    assert scene.events == []
    assert (await scene.found(held)).state is State.WAITING


async def test_a_worker_runs_once(scene: Scene) -> None:
    scene.worker.stop()
    await scene.worker.run()
    with pytest.raises(RuntimeError, match="a worker runs once"):
        await scene.worker.run()


async def test_a_claim_that_was_under_way_is_given_back(scene: Scene) -> None:
    going, go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        going.set()
        await go.wait()

    held = await scene.put(scene.job.new())
    scene.store.after["claim"] = slow
    run = asyncio.create_task(scene.worker.run())
    await going.wait()
    scene.worker.stop()
    go.set()
    await run
    record = await scene.found(held)
    assert scene.events == []
    assert (record.state, record.attempt) == (State.WAITING, 0)


async def test_a_claim_that_was_cancelled_under_way_is_given_back(scene: Scene) -> None:
    going = asyncio.Event()

    async def hang() -> None:
        going.set()
        await asyncio.Event().wait()

    held = await scene.put(scene.job.new())
    scene.store.after["claim"] = hang
    run = asyncio.create_task(scene.worker.run())
    await going.wait()
    assert (await scene.found(held)).state is State.RUNNING
    run.cancel()
    await scene.clock.advance(0)
    assert run.cancelled()
    record = await scene.found(held)
    assert (record.state, record.attempt, record.crashes) == (State.WAITING, 0, 0)


async def test_stopping_while_the_store_is_down_ends_with_the_lease(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    run = asyncio.create_task(scene.worker.run())
    held = await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.store.down = True
    scene.worker.stop()
    scene.worker.stop()
    await scene.clock.advance(20)
    assert run.done()
    assert "lease lost: verdicts could not be delivered" in caplog.messages
    assert (await scene.found(held)).state is State.RUNNING
    assert (await scene.memory.rescue(max_crashes=5)).released == 1


async def test_the_summary_says_what_became_of_everything(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "colmillo")
    run = asyncio.create_task(scene.worker.run())
    await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.finish.set()
    await scene.clock.advance(0)
    scene.finish.clear()
    await scene.put(scene.job.new())
    await scene.clock.advance(1)
    scene.worker.stop()
    scene.worker.stop()
    await run
    stopped: Any = caplog.records[-1]
    assert stopped.message == "worker stopped"
    assert stopped.summary == {"finish": 1, "given_back": 1, "leases_lost": 0}
