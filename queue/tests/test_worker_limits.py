"""Workers of queues with limits: never too many, never idle, never in a busy loop."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest

from colmillo import Context, InvalidTask, MemoryStore, PostgresStore, Queue, Task, Worker, task
from colmillo.limits import Limits, Rate
from colmillo.store import State
from colmillo.task import declare
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

MINUTE = timedelta(minutes=1)


class Scene:
    """Tasks of one queue that take a second each, in a store with a clock that can be moved."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.memory = MemoryStore(self.clock)
        self.store = TroubledStore(self.memory)
        self.queue = Queue(self.memory)
        self.seconds = 1.0
        self.running = Counter[str]()
        self.peak = Counter[str]()
        self.ended = 0

        @task(queue="main", key="key")
        async def job(ctx: Context[None], key: str) -> None:
            self.running[key] += 1
            self.peak[key] = max(self.peak[key], self.running[key])
            self.peak["all"] = max(self.peak["all"], self.running.total())
            await ctx.clock.sleep(self.seconds)
            self.running[key] -= 1
            self.ended += 1

        self.job: Task[[str]] = job

    def worker(self, slots: int = 10) -> Worker:
        poll = timedelta(hours=1)
        return Worker(
            self.store, tasks=[self.job], queues={"main": slots}, clock=self.clock, poll=poll
        )

    async def put(self, keys: str) -> None:
        await self.queue.enqueue_many(self.job.new(key) for key in keys)


async def test_two_workers_share_a_limit_and_leave_no_place_idle() -> None:
    scene = Scene()
    await scene.queue.limit("main", Limits(running=3, per_key=2))
    await scene.put("aaaaaabbbbbb")
    async with working(scene.worker()), working(scene.worker()):
        await scene.clock.advance(0)
        # The last three are b's, of which two may run.
        for ended in (0, 3, 6, 9, 11, 12):
            assert scene.ended == ended
            await scene.clock.advance(1)
    assert scene.peak == {"a": 2, "b": 2, "all": 3}


async def test_a_full_queue_is_not_asked_again_and_again() -> None:
    scene = Scene()
    scene.seconds = 600
    await scene.queue.limit("main", Limits(running=1))
    await scene.put("ab")
    async with working(scene.worker()):
        await scene.clock.advance(1)
        scene.store.calls.clear()
        await scene.clock.advance(300)
        assert scene.store.calls["claim"] == 0
        await scene.queue.limit("main", Limits(running=2))
        await scene.clock.advance(1)
        assert scene.running.total() == 2
        await scene.clock.advance(700)
    assert scene.ended == 2


async def test_it_sleeps_exactly_until_the_next_token() -> None:
    scene = Scene()
    await scene.queue.limit("main", Limits(rate=Rate(2, per=MINUTE, burst=1)))
    await scene.put("abc")
    async with working(scene.worker()):
        await scene.clock.advance(29.9)
        assert scene.peak.total() - scene.peak["all"] == 1
        scene.store.calls.clear()
        await scene.clock.advance(0.2)
        assert scene.running.total() == 1
        assert scene.store.calls["claim"] <= 2
        await scene.clock.advance(29.5)
        assert scene.ended == 2
        await scene.clock.advance(2)
        assert scene.ended == 3


async def test_limited_queues_are_not_claimed_ahead() -> None:
    """Nor is what was claimed ahead kept once a limit is set."""
    scene = Scene()
    scene.seconds = 0.005
    await scene.put("a" * 2000)
    async with working(scene.worker(slots=2)):
        for _ in range(100):
            await scene.clock.advance(0.005)
        assert (await scene.memory.counts())["main", State.RUNNING] > 2
        await scene.queue.limit("main", Limits(running=500))
        for _ in range(40):
            await scene.clock.advance(0.005)
        assert (await scene.memory.counts())["main", State.RUNNING] <= 2
        ended = scene.ended
        for _ in range(40):
            await scene.clock.advance(0.005)
        assert scene.ended > ended
    assert scene.peak["all"] == 2


async def test_two_workers_on_postgres_wake_each_other(dsn: str, pool: "Pool") -> None:
    """They poll once an hour: each start after the first ones is a wake-up that came."""
    total = 60
    running = Counter[str]()
    peak = Counter[str]()
    done = asyncio.Event()
    ended = Counter[int]()

    @task(queue="main", key="key")
    async def job(ctx: Context["Pool"], key: str, number: int) -> None:
        running[key] += 1
        peak[key] = max(peak[key], running[key])
        peak["all"] = max(peak["all"], running.total())
        if number % 2:
            async with ctx.resources.acquire() as connection, connection.transaction():
                await ctx.complete(connection=connection)
                running[key] -= 1
        else:
            await ctx.resources.execute("SELECT 1")
            running[key] -= 1
        ended[number] += 1
        if len(ended) == total:
            done.set()

    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as other:
        stores = [PostgresStore(pool), PostgresStore(other)]
        await stores[0].set_limits("main", Limits(running=3, per_key=1))
        await Queue(stores[0]).enqueue_many(job.new("abcde"[n % 5], n) for n in range(total))
        first, second = (
            Worker(
                store,
                tasks=[job],
                queues={"main": 2},
                poll=timedelta(hours=1),
                lease=timedelta(minutes=10),
                resources=pool,
            )
            for store in stores
        )
        async with working(first), working(second), asyncio.timeout(60):
            await done.wait()
    assert set(ended.values()) == {1}
    assert peak.pop("all") <= 3
    assert set(peak.values()) == {1}


def test_the_key_is_the_arguments_value() -> None:
    @task(key="customer")
    async def one(customer: str, number: int) -> None: ...

    @task(key=("number", "customer"))
    async def two(customer: str, number: int) -> None: ...

    @declare(key="number")
    async def three(number: int | None = None) -> None: ...

    assert one.new("ana", 3).concurrency_key == "ana"
    assert two.new("ana", 3).concurrency_key == '[3,"ana"]'
    assert three.new(7).concurrency_key == "7"
    assert three.new(None).concurrency_key is None
    assert one.new("ana", 3).with_options(concurrency_key="x").concurrency_key == "x"
    assert one.new("ana", 3).with_options(priority=1).concurrency_key == "ana"


def test_a_key_that_is_no_parameter_is_refused() -> None:
    with pytest.raises(InvalidTask, match="its key is 'client'"):

        @task(key="client")
        async def one(customer: str) -> None: ...


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_numbers_that_make_no_sense_are_refused(number: int) -> None:
    for make in (
        lambda: Limits(running=number),
        lambda: Limits(per_key=number),
        lambda: Rate(number),
        lambda: Rate(1, burst=number),
        lambda: Rate(1, per=timedelta(0)),
        lambda: Rate(1, per=timedelta(days=366)),
    ):
        with pytest.raises(InvalidTask):
            make()
    assert not Limits()
    assert Limits(running=1)
