"""Schedules and pauses that change while workers run."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from colmillo import Cron, Every, InvalidTask, MemoryStore, PostgresStore, Queue, Worker, task
from colmillo.schedule_spec import schedule_from, spec_of
from colmillo.schedules import Schedules
from colmillo.store import State, Store
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

MINUTE = timedelta(minutes=1)
START = datetime(2030, 1, 1, 0, 0, 30, tzinfo=UTC)


@task(queue="tick", max_attempts=3, priority=7)
async def tick(user: str = "ana", tags: tuple[str, ...] = ()) -> None: ...


def plain_worker(store: Store, clock: FakeClock, *schedules: Every) -> Worker:
    return Worker(store, tasks=[], queues={"none": 1}, schedules=schedules, clock=clock)


async def waiting(store: MemoryStore) -> int:
    return (await store.counts()).get(("tick", State.WAITING), 0)


@pytest.mark.parametrize(
    "schedule",
    [
        Every("x", timedelta(seconds=90), tick.new()),
        Every("x", MINUTE, tick.new("eva", tags=("a", "ñ")).with_key("k"), overlap="skip"),
        Every(
            "x",
            MINUTE,
            tick.new().with_key("k", period=MINUTE, states="finished", duplicate="earlier"),
        ),
        Cron(
            "x",
            "0 7 * * mon-fri",
            "Europe/Madrid",
            tick.new().with_options(delay=5 * MINUTE),
            missed="all",
            missed_most=7,
            missed_age=timedelta(hours=3),
        ),
    ],
    ids=["every", "unique", "period", "cron"],
)
def test_a_definition_survives_its_row(schedule: Every | Cron) -> None:
    assert schedule_from("x", spec_of(schedule)) == schedule


@pytest.mark.parametrize(
    "spec",
    ["", "[]", "{}", '{"missed": "last", "missed_most": 1, "missed_age": 9, "overlap": "allow"}'],
)
def test_a_definition_that_cannot_be_read_says_so(spec: str) -> None:
    with pytest.raises(InvalidTask, match="schedule x: its definition cannot be read"):
        schedule_from("x", spec)


async def test_added_paused_resumed_and_removed_within_one_poll() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    schedules = Schedules(store)
    async with working(plain_worker(store, clock)):
        await clock.advance(600)
        await schedules.add(Every("x", MINUTE, tick.new()))
        await clock.advance(1)
        assert await waiting(store) == 0
        await clock.advance(5 * MINUTE)
        assert await waiting(store) == 5
        assert await schedules.pause("x")
        await clock.advance(10 * MINUTE)
        assert await waiting(store) == 5
        assert await schedules.resume("x")
        assert not await schedules.resume("x")
        await clock.advance(2 * MINUTE)
        assert await waiting(store) == 7
        assert await schedules.remove("x")
        await clock.advance(10 * MINUTE)
        assert await waiting(store) == 7


async def test_added_schedules_survive_the_workers() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    await Schedules(store).add(Every("x", MINUTE, tick.new()))
    for _ in range(2):
        async with working(plain_worker(store, clock)):
            await clock.advance(MINUTE)
    assert await waiting(store) == 2


async def test_a_static_schedule_is_listed_paused_and_stays() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    schedules = Schedules(store)
    static = Every("x", MINUTE, tick.new())
    async with working(plain_worker(store, clock, static)):
        await clock.advance(MINUTE)
        (row,) = await schedules.all()
        assert (row.name, row.timing, row.static) == ("x", "every 60 s", True)
        with pytest.raises(InvalidTask, match="schedule x: there is one of this name"):
            await schedules.add(static, replace=True)
        assert await schedules.pause("x")
    async with working(plain_worker(store, clock, static)):
        await clock.advance(5 * MINUTE)
        assert await waiting(store) == 1
        assert await schedules.remove("x")
        await clock.advance(MINUTE)
        (row,) = await schedules.all()
        assert (row.static, row.paused) == (True, False)
        await clock.advance(MINUTE)
    assert await waiting(store) > 1


async def test_a_row_that_cannot_be_read_stops_no_other() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    await store.add_schedule("newer", timing="?", spec='{"moon": "full"}', replace=False)
    await Schedules(store).add(Every("x", MINUTE, tick.new()))
    async with working(plain_worker(store, clock)):
        await clock.advance(5 * MINUTE)
    assert await waiting(store) == 5


async def test_a_task_that_cannot_be_stored_is_refused_at_once() -> None:
    broken = tick.new().with_options(queue="q" * 201)
    with pytest.raises(InvalidTask, match="queue's name"):
        await Schedules(MemoryStore()).add(Every("x", MINUTE, broken))


async def test_workers_leave_paused_queues_alone() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    queue = Queue(store)

    @task(queue="other")
    async def other() -> None: ...

    await queue.pause("tick")
    await queue.enqueue_many([tick.new(), other.new()])
    worker = Worker(store, tasks=[tick, other], queues={"tick": 2, "other": 2}, clock=clock)
    async with working(worker):
        await clock.advance(60)
        assert await store.counts() == {("tick", State.WAITING): 1}
        assert await queue.resume("tick")
        await clock.advance(1)
        assert await store.counts() == {}
        assert await queue.pause("tick")
        await clock.advance(1)
        await queue.enqueue(tick.new())
        await clock.advance(60)
        assert await store.counts() == {("tick", State.WAITING): 1}


async def test_nothing_is_claimed_before_the_pauses_are_known() -> None:
    clock = FakeClock(START)
    store = TroubledStore(MemoryStore(clock))

    async def fail() -> None:
        raise ConnectionError

    store.before["controls"] = fail
    await Queue(store).enqueue(tick.new())
    async with working(Worker(store, tasks=[tick], queues={"tick": 1}, clock=clock)):
        await clock.advance(60)
        assert store.calls["claim"] == 0
        del store.before["controls"]
        await clock.advance(10)
        assert await store.inner.counts() == {}


async def test_a_pause_waits_for_a_tick_under_way(pool: "Pool") -> None:
    """Once `pause` has returned, nothing is enqueued that was not there before."""
    store = PostgresStore(pool)
    await Schedules(store).add(Every("x", MINUTE, tick.new()))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await store.tick("x", START, tick.new(), connection=connection)
        pausing = asyncio.create_task(Schedules(store).pause("x"))
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not await pool.fetchval(blocked):
            assert not pausing.done()
        await transaction.commit()
        assert await pausing
    assert not await store.tick("x", START + MINUTE, tick.new())
    assert await store.counts() == {("tick", State.WAITING): 1}


async def test_a_tick_waits_for_a_pause_under_way(pool: "Pool") -> None:
    store = PostgresStore(pool)
    await Schedules(store).add(Every("x", MINUTE, tick.new()))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE colmillo.schedules SET paused = true")
        ticking = asyncio.create_task(store.tick("x", START, tick.new()))
        blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not await pool.fetchval(blocked):
            assert not ticking.done()
        await transaction.commit()
    assert not await ticking
    assert await store.counts() == {}


async def test_a_fleet_fires_an_added_schedule_once_per_time(pool: "Pool") -> None:
    store = PostgresStore(pool)
    poll = timedelta(milliseconds=50)
    workers = [Worker(store, tasks=[], queues={"none": 1}, poll=poll) for _ in range(3)]
    async with working(*workers):
        await Schedules(store).add(Every("x", timedelta(seconds=1), tick.new()))
        while sum((await store.counts()).values()) < 2:
            await store.now()
    fired = await pool.fetchval("SELECT count(*) FROM colmillo.ticks")
    assert fired == sum((await store.counts()).values())
