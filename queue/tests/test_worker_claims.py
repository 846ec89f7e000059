"""How a worker asks for tasks: as many as it has room for, and only when there is a reason."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from colmillo import MemoryStore, NewTask, Queue, Task, Worker, task
from colmillo.store import State, TaskId, TaskRecord
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working


class Scene:
    """Tasks that run until they are told, and count how many run at a time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(self.clock)
        self.store = TroubledStore(self.memory)
        self.finish = asyncio.Event()
        self.started: list[int] = []
        self.running: dict[str, int] = {"a": 0, "b": 0}
        self.peak: dict[str, int] = {"a": 0, "b": 0}

        @task(queue="a", name="a")
        async def job_a(number: int) -> None:
            await self.hold("a", number)

        @task(queue="b", name="b")
        async def job_b(number: int) -> None:
            await self.hold("b", number)

        self.a: Task[[int]] = job_a
        self.b: Task[[int]] = job_b

    async def hold(self, queue: str, number: int) -> None:
        self.started.append(number)
        self.running[queue] += 1
        self.peak[queue] = max(self.peak[queue], self.running[queue])
        await self.finish.wait()
        self.running[queue] -= 1

    def worker(self, poll: float = 1.0, room: int = 3) -> Worker:
        return Worker(
            self.store,
            tasks=[self.a, self.b],
            queues={"a": room, "b": 1},
            poll=timedelta(seconds=poll),
            clock=self.clock,
        )

    async def put(self, *new: NewTask) -> list[TaskId]:
        return [added.id for added in await Queue(self.memory).enqueue_many(new)]

    async def found(self, task_id: TaskId) -> TaskRecord:
        record = await self.memory.get(task_id)
        assert record is not None
        return record


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_each_queue_has_its_own_limit(scene: Scene) -> None:
    await scene.put(*(scene.a.new(n) for n in range(10)), *(scene.b.new(n) for n in range(10)))
    async with working(scene.worker()):
        await scene.clock.advance(5)
        assert scene.running == {"a": 3, "b": 1}
        scene.finish.set()
        await scene.clock.advance(0)
    assert scene.peak == {"a": 3, "b": 1}
    assert sorted(scene.started) == sorted([*range(10), *range(10)])


async def test_a_full_worker_asks_for_nothing(scene: Scene) -> None:
    await scene.put(*(scene.a.new(n) for n in range(10)), scene.b.new(1))
    async with working(scene.worker()):
        await scene.clock.advance(1)
        scene.store.calls.clear()
        await scene.clock.advance(5)
        assert scene.store.calls["claim"] == 0
        assert scene.store.calls["next_due"] == 0


async def test_an_idle_worker_asks_once_per_poll(scene: Scene) -> None:
    async with working(scene.worker()):
        await scene.clock.advance(1)
        scene.store.calls.clear()
        await scene.clock.advance(10)
        assert scene.store.calls["claim"] == 10
        assert scene.store.calls["next_due"] == 10


async def test_a_notification_wakes_it_at_once(scene: Scene) -> None:
    async with working(scene.worker(poll=3600)):
        await scene.clock.advance(1)
        await scene.put(scene.a.new(1))
        await scene.clock.advance(0)
        assert scene.started == [1]


async def test_without_notifications_it_polls(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deaf(wake: Callable[[str], None]) -> Any:
        return MemoryStore(scene.clock).listen(wake)

    monkeypatch.setattr(scene.store, "listen", deaf)
    async with working(scene.worker(poll=7)):
        await scene.clock.advance(0)
        await scene.put(scene.a.new(1))
        await scene.clock.advance(6.9)
        assert scene.started == []
        await scene.clock.advance(0.2)
        assert scene.started == [1]


async def test_it_sleeps_exactly_until_the_next_task_is_due(scene: Scene) -> None:
    await scene.put(scene.a.new(1).with_options(delay=timedelta(seconds=100)))
    async with working(scene.worker(poll=3600)):
        await scene.clock.advance(99.9)
        assert scene.started == []
        assert scene.store.calls["claim"] == 1
        await scene.clock.advance(0.2)
        assert scene.started == [1]


async def test_higher_priorities_start_first(scene: Scene) -> None:
    await scene.put(*(scene.b.new(n).with_options(priority=n) for n in (1, 3, 2)))
    scene.finish.set()
    async with working(scene.worker()):
        await scene.clock.advance(0)
    assert scene.started == [3, 2, 1]


async def test_a_claim_whose_answer_was_lost_strands_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    losses = 0

    async def lose() -> None:
        nonlocal losses
        losses += 1
        if losses == 1:
            raise ConnectionError("the answer is lost")

    scene.store.after["claim"] = lose
    first, second = await scene.put(scene.a.new(1), scene.a.new(2))
    async with working(scene.worker()):
        await scene.clock.advance(2)
        assert sorted(scene.started) == [1, 2]
        assert (await scene.found(first)).attempt == 1
        assert (await scene.found(second)).state is State.RUNNING
    assert "gave back tasks of a claim that failed" in caplog.messages


async def test_claims_that_fail_are_repeated_with_growing_pauses(scene: Scene) -> None:
    async def fail() -> None:
        raise ConnectionError

    scene.store.before["claim"] = fail
    async with working(scene.worker()):
        await scene.clock.advance(60)
        assert 30 <= scene.store.calls["claim"] <= 80
        scene.store.before.clear()
        await scene.put(scene.a.new(1))
        await scene.clock.advance(3)
        assert scene.started == [1]


async def test_verdicts_go_in_batches_and_at_once(scene: Scene) -> None:
    scene.finish.set()
    await scene.put(*(scene.a.new(n) for n in range(3)))
    async with working(scene.worker()):
        await scene.clock.advance(0)
        assert scene.store.calls["settle"] == 1
        assert await scene.memory.counts() == {}


async def test_a_verdict_whose_answer_was_lost_is_sent_again_and_harmless(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async def lose() -> None:
        scene.store.after.clear()
        raise ConnectionError("the answer is lost")

    scene.finish.set()
    scene.store.after["settle"] = lose
    (held,) = await scene.put(scene.a.new(1))
    async with working(scene.worker()):
        await scene.clock.advance(3)
        assert await scene.memory.get(held) is None
    assert scene.started == [1]
    assert scene.store.calls["settle"] == 2
    assert "lease lost: the verdict changed nothing" not in caplog.messages


async def test_no_more_is_started_while_verdicts_pile_up(scene: Scene) -> None:
    async def fail() -> None:
        raise ConnectionError

    scene.finish.set()
    scene.store.before["settle"] = fail
    await scene.put(*(scene.a.new(n) for n in range(3000)))
    async with working(scene.worker(room=400)):
        await scene.clock.advance(30)
        assert 1000 <= len(scene.started) < 1400
        scene.store.before.clear()
        await scene.clock.advance(3)
        assert sorted(scene.started) == list(range(3000))
        assert await scene.memory.counts() == {}


async def test_one_verdict_that_cannot_be_stored_holds_up_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    (poison,) = await scene.put(scene.a.new(0))
    settle = scene.memory.settle

    async def picky(settlements: Any, *, connection: object | None = None) -> Any:
        if any(settlement.id == poison for settlement in settlements):
            raise RuntimeError("will not store this one")
        return await settle(settlements, connection=connection)

    monkeypatch.setattr(scene.memory, "settle", picky)
    await scene.put(*(scene.a.new(n) for n in range(1, 40)))
    scene.finish.set()
    async with working(scene.worker()):
        for _ in range(30):
            await scene.clock.advance(2)
        assert await scene.memory.counts() == {("a", State.RUNNING): 1}
        monkeypatch.undo()
        await scene.clock.advance(3)
    assert sorted(scene.started) == list(range(40))


@pytest.mark.parametrize(
    "options",
    [
        {"queues": {}},
        {"queues": {"a": 0}},
        {"queues": {"a": 1}, "lease": timedelta(0)},
        {"queues": {"a": 1}, "poll": timedelta(0)},
        {"queues": {"a": 1}, "grace": timedelta(seconds=-1)},
        {"queues": {"a": 1}, "max_crashes": 0},
    ],
)
def test_senseless_numbers_are_refused(scene: Scene, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"worker needs|must be positive"):
        Worker(scene.store, tasks=[scene.a], **options)
