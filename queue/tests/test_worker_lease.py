"""A worker and its lease: it stops by itself before others may take over, and then goes on."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from colmillo import Context, LeaseLost, MemoryStore, Queue, Task, Worker, task
from colmillo.errors import SchemaOutdated
from colmillo.store import Finish, NewTask, Settlement, State, TaskId, TaskRecord, WorkerId
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

LEASE = timedelta(seconds=30)


class Scene:
    """One task that runs until it is told, a store with troubles, a clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(self.clock)
        self.store = TroubledStore(self.memory)
        self.events: list[tuple[str, float]] = []
        self.contexts: list[Context[Any]] = []
        self.finish = asyncio.Event()

        @task(max_attempts=5)
        async def job(ctx: Context[None]) -> None:
            self.contexts.append(ctx)
            self.note("started")
            try:
                await self.finish.wait()
            except asyncio.CancelledError:
                self.note("cancelled")
                raise
            self.note("finished")

        self.job: Task[[]] = job

    def note(self, what: str) -> None:
        self.events.append((what, self.clock.monotonic()))

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def worker(self) -> Worker:
        return Worker(
            self.store, tasks=[self.job], queues={"default": 5}, lease=LEASE, clock=self.clock
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


async def test_a_lease_is_renewed_three_times_per_duration(scene: Scene) -> None:
    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(300)
        assert scene.store.calls["renew"] == 30
        assert (await scene.found(held)).state is State.RUNNING
    assert scene.names() == ["started", "cancelled"]


async def test_a_worker_that_cannot_renew_stops_itself_before_its_lease_is_over(
    scene: Scene,
) -> None:
    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(15)
        scene.store.down = True
        await scene.clock.advance(100)
        # Renewed at 10 s for 30 s: over at 40 s for the store, at 35 s for the worker.
        assert scene.events == [("started", 0.0), ("cancelled", 35.0)]
        with pytest.raises(LeaseLost):
            scene.contexts[0].check_lease()
        assert (await scene.found(held)).state is State.RUNNING

        scene.finish.set()
        scene.store.down = False
        await scene.clock.advance(3)
        # What was cancelled is given back by the worker itself, which then takes it again.
        assert scene.names() == ["started", "cancelled", "started", "finished"]
        assert await scene.memory.get(held) is None
    assert scene.contexts[1].task.attempt == 1
    assert scene.contexts[1].task.lease > scene.contexts[0].task.lease


async def test_renewals_that_hang_are_no_better_than_failing_ones(scene: Scene) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async with working(scene.worker()):
        await scene.put(scene.job.new())
        await scene.clock.advance(15)
        scene.store.before["renew"] = hang
        await scene.clock.advance(19.9)
        assert scene.names() == ["started"]
        await scene.clock.advance(0.2)
        assert scene.events[1] == ("cancelled", 35.0)
        await scene.clock.advance(1)
        assert scene.names() == ["started", "cancelled", "started"]


async def test_a_short_outage_costs_nothing(scene: Scene) -> None:
    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(15)
        scene.store.down = True
        scene.finish.set()
        await scene.clock.advance(15)
        assert (await scene.found(held)).state is State.RUNNING
        scene.store.down = False
        await scene.clock.advance(3)
        assert await scene.memory.get(held) is None
    assert scene.names() == ["started", "finished"]
    assert scene.store.calls["register"] == 1


async def test_work_that_finished_counts_after_a_long_outage_if_nobody_took_it(
    scene: Scene,
) -> None:
    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(15)
        scene.store.down = True
        scene.finish.set()
        await scene.clock.advance(500)
        scene.store.down = False
        await scene.clock.advance(20)
        assert await scene.memory.get(held) is None
    assert scene.names() == ["started", "finished"]


async def test_after_an_outage_verdicts_are_delivered_before_anything_is_rescued(
    scene: Scene,
) -> None:
    async def fail() -> None:
        raise ConnectionError

    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(15)
        scene.store.down = True
        scene.finish.set()
        await scene.clock.advance(100)
        scene.store.before["settle"] = fail
        scene.store.down = False
        scene.store.calls.clear()
        await scene.clock.advance(100)
        assert scene.store.calls["rescue"] == 0
        scene.store.before.clear()
        await scene.clock.advance(15)
        assert scene.store.calls["rescue"] > 0
        assert await scene.memory.get(held) is None
    assert scene.names() == ["started", "finished"]


async def test_work_that_finished_counts_for_nothing_when_somebody_took_the_task(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    other = WorkerId(uuid4())
    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(15)
        scene.store.down = True
        scene.finish.set()
        await scene.clock.advance(500)
        await scene.memory.register(other, name="other", lease=LEASE)
        await scene.memory.rescue(max_crashes=5)
        taken = await scene.memory.claim(other, {"default": 5})
        assert [claimed.id for claimed in taken] == [held]
        scene.store.down = False
        await scene.clock.advance(5)
        record = await scene.found(held)
        assert (record.state, record.worker) == (State.RUNNING, other)
    assert scene.names() == ["started", "finished"]
    answer = Settlement(id=held, lease=taken[0].lease, verdict=Finish())
    assert await scene.memory.settle([answer]) == frozenset()


async def test_a_lease_that_was_taken_away_cancels_what_runs(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(5)
        worker = (await scene.found(held)).worker
        assert worker is not None
        await scene.memory.retire(worker)
        await scene.memory.rescue(max_crashes=5)
        await scene.clock.advance(4.9)
        assert scene.names() == ["started"]
        await scene.clock.advance(0.2)
        assert scene.names() == ["started", "cancelled", "started"]
        record = await scene.found(held)
        assert record.worker not in (None, worker)
        assert (record.attempt, record.crashes) == (2, 1)
    assert "lease lost: the verdict changed nothing" in caplog.messages


async def test_complete_raises_when_the_task_is_somebody_elses(scene: Scene) -> None:
    async with working(scene.worker()):
        held = await scene.put(scene.job.new())
        await scene.clock.advance(5)
        worker = (await scene.found(held)).worker
        assert worker is not None
        await scene.memory.retire(worker)
        await scene.memory.rescue(max_crashes=5)
        with pytest.raises(LeaseLost):
            await scene.contexts[0].complete(connection=None)
        assert not scene.contexts[0].completed


async def test_a_worker_waits_for_a_store_that_is_down_at_the_start(scene: Scene) -> None:
    scene.store.down = True
    async with working(scene.worker()):
        await scene.put(scene.job.new())
        await scene.clock.advance(100)
        assert scene.names() == []
        scene.store.down = False
        await scene.clock.advance(3)
        assert scene.names() == ["started"]


async def test_a_store_of_the_wrong_version_ends_the_worker(scene: Scene) -> None:
    async def outdated() -> None:
        raise SchemaOutdated("run colmillo migrate")

    scene.store.before["register"] = outdated
    with pytest.raises(SchemaOutdated, match="run colmillo migrate"):
        await scene.worker().run()


async def test_a_dead_workers_task_runs_again_within_its_lease_and_a_third(
    scene: Scene,
) -> None:
    dead = WorkerId(uuid4())
    held = await scene.put(scene.job.new())
    await scene.memory.register(dead, name="dead", lease=timedelta(seconds=20))
    await scene.memory.claim(dead, {"default": 1})
    worker = Worker(scene.store, tasks=[scene.job], queues={"default": 5}, clock=scene.clock)
    async with working(worker):
        await scene.clock.advance(30)
        assert scene.names() == ["started"]
        assert 20 <= scene.events[0][1] <= 20 * 4 / 3
        record = await scene.found(held)
        assert (record.attempt, record.crashes) == (2, 1)


async def test_a_task_that_kills_its_workers_is_quarantined(scene: Scene) -> None:
    held = await scene.put(scene.job.new())
    for crash in range(5):
        dead = WorkerId(uuid4())
        await scene.memory.register(dead, name="dead", lease=LEASE)
        assert len(await scene.memory.claim(dead, {"default": 1})) == 1
        await scene.memory.retire(dead)
        if crash < 4:
            await scene.memory.rescue(max_crashes=100)
    async with working(scene.worker()):
        await scene.clock.advance(15)
    assert (await scene.found(held)).state is State.QUARANTINED
    assert scene.names() == []
