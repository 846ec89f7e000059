"""Schedules: when they fire, and that they fire once."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import Cron, Every, InvalidTask, MemoryStore, PostgresStore, Task, Worker, task
from colmillo.store import State
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

MINUTE = timedelta(minutes=1)
START = datetime(2030, 1, 1, 0, 0, 30, tzinfo=UTC)


@task(queue="tick")
async def tick() -> None: ...


def test_every_fires_at_multiples_of_its_interval() -> None:
    every = Every("x", timedelta(minutes=7), tick.new())
    latest, following = every.latest(START), every.next(START)
    assert latest <= START < following
    assert following - latest == timedelta(minutes=7)
    assert (latest - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(minutes=7) == timedelta(0)
    assert every.latest(following) == following


def test_every_refuses_a_tiny_interval() -> None:
    with pytest.raises(InvalidTask, match="under one second"):
        Every("x", timedelta(microseconds=1), tick.new())


def test_cron_latest_and_next() -> None:
    cron = Cron("x", "*/5 * * * *", zone="UTC", task=tick.new())
    on_time = datetime(2030, 1, 1, 0, 5, tzinfo=UTC)
    assert cron.latest(on_time) == on_time
    assert cron.latest(on_time - timedelta(microseconds=1)) == on_time - 5 * MINUTE
    assert cron.latest(on_time + timedelta(seconds=59)) == on_time
    assert cron.next(on_time) == on_time + 5 * MINUTE


@pytest.mark.parametrize(
    ("expression", "zone", "message"),
    [
        ("* * * *", "UTC", "schedule x: '\\* \\* \\* \\*':"),
        ("99 * * * *", "UTC", "schedule x: '99"),
        ("0 0 30 2 *", "UTC", "schedule x: '0 0 30 2"),
        ("* * * * * *", "UTC", "schedule x: .*has 5 fields"),
        ("* * * * *", "Europe/Madird", "no time zone is called 'Europe/Madird'"),
        ("* * * * *", "../../etc/passwd", "no time zone is called"),
    ],
)
def test_cron_refuses(expression: str, zone: str, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        Cron("x", expression, zone, tick.new())


def test_cron_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(InvalidTask, match=r"pip install colmillo\[cron\]"):
        Cron("x", "* * * * *", "UTC", tick.new())


def scheduler(store: Any, clock: FakeClock, *schedules: Any) -> Worker:
    return Worker(store, tasks=[], queues={"none": 1}, schedules=schedules, clock=clock)


async def test_ticks_come_on_time_and_in_between_is_nothing() -> None:
    clock = FakeClock(START)
    store = TroubledStore(MemoryStore(clock))
    async with working(scheduler(store, clock, Every("x", MINUTE, tick.new()))):
        await clock.advance(0)
        await clock.advance(29.9)
        assert store.calls["tick"] == 0
        await clock.advance(0.2)
        assert store.calls["tick"] == 1
        await clock.advance(600)
    assert await store.inner.counts() == {("tick", State.WAITING): 11}
    assert store.calls["tick"] == 11


async def test_of_missed_ticks_only_the_latest_is_made_up_for() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    every = Every("x", MINUTE, tick.new())
    async with working(scheduler(store, clock, every)):
        await clock.advance(30)
    await clock.advance(3600)
    async with working(scheduler(store, clock, every)):
        await clock.advance(0)
    assert await store.counts() == {("tick", State.WAITING): 2}
    async with working(scheduler(store, clock, every)):
        await clock.advance(0)
    assert await store.counts() == {("tick", State.WAITING): 2}


async def test_ticks_survive_an_outage() -> None:
    clock = FakeClock(START)
    store = TroubledStore(MemoryStore(clock))
    async with working(scheduler(store, clock, Every("x", MINUTE, tick.new()))):
        await clock.advance(35)
        store.down = True
        await clock.advance(300)
        assert await store.inner.counts() == {("tick", State.WAITING): 1}
        store.down = False
        await clock.advance(20)
        assert await store.inner.counts() == {("tick", State.WAITING): 2}


def test_two_schedules_of_one_name_are_refused() -> None:
    every = Every("x", MINUTE, tick.new())
    with pytest.raises(InvalidTask, match="two schedules are called x"):
        scheduler(MemoryStore(), FakeClock(), every, every)


async def test_three_workers_fire_each_tick_once(pool: "Pool") -> None:
    store = PostgresStore(pool)
    ran: list[datetime] = []
    enough = asyncio.Event()

    @task(queue="tick")
    async def note() -> None:
        ran.append(await store.now())
        if len(ran) == 3:
            enough.set()

    noted: Task[[]] = note
    every = Every("x", timedelta(seconds=1), noted.new())
    workers = [Worker(store, tasks=[note], queues={"tick": 3}, schedules=[every]) for _ in range(3)]
    async with working(*workers):
        await enough.wait()
    fired = await pool.fetch("SELECT fire_time FROM colmillo.ticks ORDER BY fire_time")
    waiting = sum((await store.counts()).values())
    assert len(fired) == len(ran) + waiting
    times = [row["fire_time"] for row in fired]
    assert len(set(times)) == len(times) >= 3
    assert all(moment.microsecond == 0 for moment in times)
