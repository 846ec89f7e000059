"""Claiming ahead of the slots: for quick tasks only, and never at anybody's cost."""

import asyncio
import sys
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest

from colmillo import Context, MemoryStore, Queue, Task, Worker, task
from colmillo.claiming import STARTS
from colmillo.operations import Cancellation
from colmillo.store import State, TaskId, WorkerId
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

SLOTS = 2
QUICK = 0.005
BACKLOG = 2000


class Scene:
    """A worker with two slots and tasks of a length that can be changed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(self.clock)
        self.store = TroubledStore(self.memory)
        self.seconds = QUICK
        self.running = 0
        self.peak = 0
        self.ran = Counter[int]()

        @task()
        async def job(ctx: Context[None], number: int) -> None:
            self.running += 1
            self.peak = max(self.peak, self.running)
            self.ran[number] += 1
            try:
                await ctx.clock.sleep(self.seconds)
            finally:
                self.running -= 1

        self.job: Task[[int]] = job
        self.worker = Worker(self.store, tasks=[job], queues={"default": SLOTS}, clock=self.clock)

    async def fill(self) -> None:
        await Queue(self.memory).enqueue_many([self.job.new(n) for n in range(BACKLOG)])

    async def held(self) -> int:
        """How many tasks the store thinks are running."""
        return (await self.memory.counts()).get(("default", State.RUNNING), 0)


@pytest.fixture
async def scene() -> Scene:
    scene = Scene()
    await scene.fill()
    return scene


async def advance(scene: Scene, seconds: float) -> None:
    """In steps, so that time passes between a task's end and the next one's start."""
    for _ in range(round(seconds / QUICK)):
        await scene.clock.advance(QUICK)


async def test_quick_tasks_are_claimed_ahead_and_run_two_at_a_time(scene: Scene) -> None:
    async with working(scene.worker):
        await advance(scene, 1)
        assert SLOTS < await scene.held() <= 2 * SLOTS / QUICK * 0.1
        scene.store.calls.clear()
        before = scene.ran.total()
        await advance(scene, 1)
        assert scene.ran.total() - before > 100
        assert scene.store.calls["claim"] <= 30
    assert scene.peak == SLOTS


async def test_slow_tasks_are_never_claimed_ahead(scene: Scene) -> None:
    scene.seconds = 0.5
    async with working(scene.worker):
        for _ in range(100):
            await scene.clock.advance(0.1)
            assert await scene.held() <= SLOTS + 1


async def test_when_tasks_become_slow_what_was_claimed_ahead_is_given_back(scene: Scene) -> None:
    async with working(scene.worker):
        await advance(scene, 1)
        assert await scene.held() > SLOTS
        scene.seconds = 60
        await advance(scene, 4)
        assert await scene.held() == SLOTS
    assert scene.ran.most_common(1)[0][1] == 1


async def test_a_pause_gives_back_what_has_not_started(scene: Scene) -> None:
    often = timedelta(seconds=0.1)
    queues = {"default": SLOTS}
    worker = Worker(scene.store, tasks=[scene.job], queues=queues, clock=scene.clock, poll=often)
    async with working(worker):
        await advance(scene, 1)
        scene.seconds = 3
        await scene.clock.advance(QUICK)
        assert await scene.held() > SLOTS
        await scene.memory.pause_queue("default", paused=True)
        await advance(scene, 0.3)
        assert await scene.held() == SLOTS
        started = scene.ran.total()
        await advance(scene, 5)
        assert await scene.held() == 0
        assert scene.ran.total() == started
        scene.seconds = QUICK
        await scene.memory.pause_queue("default", paused=False)
        await advance(scene, 2)
        assert scene.ran.total() > started
    assert scene.ran.most_common(1)[0][1] == 1


async def test_a_cancel_of_what_has_not_started_is_seen_at_once(scene: Scene) -> None:
    async with working(scene.worker):
        await advance(scene, 1)
        scene.seconds = 0.5
        await scene.clock.advance(QUICK)
        last = TaskId(scene.ran.total() + await scene.held() - SLOTS)
        assert (record := await scene.memory.get(last)) is not None
        assert record.state is State.RUNNING
        assert scene.ran[last - 1] == 0
        assert await Queue(scene.memory).cancel(last, "not needed") is Cancellation.REQUESTED
        await scene.clock.advance(QUICK)
        assert (record := await scene.memory.get(last)) is not None
        assert (record.state, record.errors[-1]) == (State.CANCELLED, "not needed")
        await advance(scene, 3)
        assert scene.ran[last - 1] == 0


async def test_stop_gives_back_what_has_not_started(scene: Scene) -> None:
    run = asyncio.create_task(scene.worker.run())
    await advance(scene, 1)
    scene.seconds = 10
    await scene.clock.advance(QUICK)
    assert await scene.held() > SLOTS
    scene.worker.stop()
    await scene.clock.advance(0.1)
    assert await scene.held() == SLOTS
    started = scene.ran.total()
    await scene.clock.advance(20)
    assert run.done()
    assert scene.ran.total() == started
    assert await scene.memory.counts() == {("default", State.WAITING): BACKLOG - started}
    assert await scene.memory.next_due(["default"]) == timedelta(0)


async def test_what_is_claimed_ahead_under_a_lost_lease_is_not_started(scene: Scene) -> None:
    async with working(scene.worker):
        await advance(scene, 1)
        scene.seconds = 1
        scene.store.down = True
        before = scene.ran.total()
        await scene.clock.advance(60)
        assert scene.ran.total() - before < 100
        scene.store.down = False
        scene.seconds = QUICK
        await advance(scene, 12)
    assert scene.ran.most_common(1)[0][1] <= 2


async def crash(scene: Scene) -> int:
    """Another worker claims the next tasks in the line and dies; how many it had."""
    dead = WorkerId(uuid4())
    await scene.memory.register(dead, name="dead", lease=timedelta(seconds=1))
    claimed = await scene.memory.claim(dead, {"default": 10 * SLOTS})
    await scene.memory.retire(dead)
    await scene.memory.rescue(max_crashes=5)
    return len(claimed)


async def test_a_task_that_crashed_a_worker_is_never_kept_ahead(scene: Scene) -> None:
    """All that this worker holds at any moment, if it crashed one already, runs."""
    crashed = await crash(scene)
    seen = 0
    async with working(scene.worker):
        for _ in range(400):
            await scene.clock.advance(QUICK)
            rows = [await scene.memory.get(TaskId(n)) for n in range(1, crashed + 1)]
            held = [row for row in rows if row is not None and row.state is State.RUNNING]
            assert len(held) <= scene.running
            seen = max(seen, len(held))
        assert all(scene.ran[n] == 1 for n in range(crashed))
        assert scene.ran.total() > 200, "the others are claimed ahead again"
    assert 0 < seen <= SLOTS
    assert scene.peak == SLOTS


async def test_one_that_comes_when_all_slots_are_taken_is_given_back_as_it_was(
    scene: Scene,
) -> None:
    async with working(scene.worker):
        await advance(scene, 1)
        crashed = await crash(scene)
        ahead = scene.ran.total() + await scene.held()
        before = scene.store.calls["claim"]
        scene.seconds = 0.5
        await advance(scene, 0.5)
        assert scene.store.calls["claim"] - before < 100
        scene.seconds = QUICK
        await advance(scene, 3)
        assert scene.ran.total() > ahead + crashed
        assert all(scene.ran[n] == 1 for n in range(ahead + crashed))
    assert scene.ran.most_common(1)[0][1] == 1


async def test_nothing_is_claimed_ahead_where_one_crash_is_enough(scene: Scene) -> None:
    queues = {"default": SLOTS}
    worker = Worker(scene.store, tasks=[scene.job], queues=queues, clock=scene.clock, max_crashes=1)
    async with working(worker):
        for _ in range(200):
            await scene.clock.advance(QUICK)
            assert await scene.held() <= SLOTS + 1
    assert scene.ran.total() > 100


async def test_tasks_that_never_wait_leave_the_loop_to_others() -> None:
    """On Python 3.12 and newer they end while they are started, and the next could follow."""
    turn = 0
    ran = Counter[int]()
    all_ran = asyncio.Event()

    @task()
    async def brief() -> None:
        ran[turn] += 1
        if ran.total() == BACKLOG:
            all_ran.set()

    async def count_turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    store = MemoryStore()
    await Queue(store).enqueue_many([brief.new()] * BACKLOG)
    counting = asyncio.create_task(count_turns())
    async with working(Worker(store, tasks=[brief], queues={"default": 1000})):
        await all_ran.wait()
    counting.cancel()
    # Without an eager start all slots' tasks run in one turn: nothing to be seen here.
    assert sys.version_info < (3, 12) or max(ran.values()) <= STARTS


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio starts no task eagerly")
async def test_a_task_that_interrupts_the_program_is_given_back() -> None:
    started = asyncio.Event()

    @task()
    async def interrupt() -> None:
        started.set()
        raise KeyboardInterrupt

    def work() -> None:
        async def main() -> None:
            await Queue(store).enqueue(interrupt.new())
            await Worker(store, tasks=[interrupt], queues={"default": 1}).run()

        asyncio.run(main())

    store = MemoryStore()
    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(work)
    assert started.is_set()
    assert await store.counts() == {("default", State.WAITING): 1}
