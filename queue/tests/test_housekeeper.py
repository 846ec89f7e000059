"""The worker's housekeeping: when it is done, and that trouble with it harms nobody."""

import asyncio
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from colmillo import MemoryStore, PostgresStore, Worker, task
from colmillo.housekeeper import AGAIN_SECONDS, SECONDS, Housekeeper
from colmillo.housekeeping import Housekept
from colmillo.store import NewTask, State
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool


@task(queue="main", name="work")
async def work() -> None:
    pass


class Busy(MemoryStore):
    """Has more to do for a few rounds."""

    rounds = 3

    async def housekeep(self) -> Housekept:
        self.rounds -= 1
        return Housekept(removed=1, more=self.rounds > 0)


class Longest(Random):
    """Draws the longest pause each time."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Scene:
    def __init__(self, inner: MemoryStore | None = None) -> None:
        self.clock = FakeClock()
        self.store = TroubledStore(inner or MemoryStore(self.clock))
        self.done = asyncio.Event()
        self.store.after["housekeep"] = self._count

    async def _count(self) -> None:
        self.done.set()

    async def rounds(self, seconds: float) -> int:
        """Moves the clock on in small steps; how often house was kept meanwhile."""
        before = self.store.calls["housekeep"]
        for _ in range(round(seconds * 20)):
            await self.clock.advance(timedelta(seconds=0.05))
        return self.store.calls["housekeep"] - before


async def test_a_worker_keeps_house_every_few_seconds() -> None:
    scene = Scene()
    worker = Worker(scene.store, tasks=[work], queues={"main": 1}, clock=scene.clock)
    async with working(worker):
        assert await scene.rounds(SECONDS / 2 - 0.1) == 0
        assert 10 <= await scene.rounds(15 * SECONDS) <= 30


async def test_more_to_do_is_done_soon() -> None:
    scene = Scene(Busy())
    keeper = Housekeeper(scene.store, scene.clock, Longest(), ready=lambda: True)
    role = asyncio.create_task(keeper.run())
    assert await scene.rounds(SECONDS + 4 * AGAIN_SECONDS) == 3
    assert await scene.rounds(SECONDS / 2 - 4 * AGAIN_SECONDS) == 0
    role.cancel()


async def test_a_failure_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()

    async def fail() -> None:
        raise OSError("no disk")

    scene.store.before["housekeep"] = fail
    worker = Worker(scene.store, tasks=[work], queues={"main": 1}, clock=scene.clock)
    async with working(worker):
        assert await scene.rounds(5 * SECONDS) >= 4
        assert not scene.done.is_set()
        del scene.store.before["housekeep"]
        await scene.rounds(SECONDS)
        assert scene.done.is_set()
    assert any("no disk" in getattr(record, "error", "") for record in caplog.records)


async def test_nobody_keeps_house_at_a_bad_time() -> None:
    scene = Scene()
    keeper = Housekeeper(scene.store, scene.clock, Random(), ready=lambda: False)
    role = asyncio.create_task(keeper.run())
    assert await scene.rounds(5 * SECONDS) == 0
    role.cancel()


async def archived(store: PostgresStore | MemoryStore) -> int:
    (added,) = await store.enqueue([NewTask(name="work", queue="main", payload="{}")])
    await store.cancel(added.id, "no")
    await store.housekeep()
    return (await store.counts()).get(("main", State.CANCELLED), 0)


async def test_how_long_archived_tasks_are_kept_can_be_said(pool: "Pool") -> None:
    assert await archived(PostgresStore(pool, keep_archived=timedelta(0))) == 0
    assert await archived(PostgresStore(pool, keep_archived=None)) == 1
    assert await archived(PostgresStore(pool)) == 2
    assert await archived(MemoryStore(keep_archived=None)) == 1
    for store in (PostgresStore, MemoryStore):
        with pytest.raises(ValueError, match="negative"):
            store(None, keep_archived=timedelta(seconds=-1))


async def test_many_rows_go_in_batches(pool: "Pool") -> None:
    store = PostgresStore(pool)
    await pool.execute(
        "INSERT INTO colmillo.results (id, expires_at, result)"
        " SELECT n, now() - interval '1 day', '1' FROM generate_series(1, 1500) AS n"
    )
    assert await store.housekeep() == Housekept(removed=1000, more=True)
    assert await store.housekeep() == Housekept(removed=500)
