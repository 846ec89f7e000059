"""What was missed while no scheduler ran, and what overlaps."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import Cron, Every, InvalidTask, MemoryStore, PostgresStore, Worker, task
from colmillo.schedule import Schedule, due
from colmillo.store import State, Store
from colmillo.testing import FakeClock
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

MINUTE = timedelta(minutes=1)
START = datetime(2030, 1, 1, 0, 0, 30, tzinfo=UTC)


@task(queue="tick")
async def tick() -> None: ...


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2030, 1, 1, hour, minute, tzinfo=UTC)


def scheduler(store: Store, clock: FakeClock, *schedules: Schedule) -> Worker:
    return Worker(store, tasks=[], queues={"none": 1}, schedules=schedules, clock=clock)


async def outage(schedule: Schedule, hours: float, schedulers: int = 3) -> int:
    """How many tasks come of it when all schedulers stop for so long and then start again."""
    clock = FakeClock(START)
    store = MemoryStore(clock)
    async with working(*(scheduler(store, clock, schedule) for _ in range(schedulers))):
        await clock.advance(30)
    before = sum((await store.counts()).values())
    await clock.advance(timedelta(hours=hours))
    async with working(*(scheduler(store, clock, schedule) for _ in range(schedulers))):
        for _ in range(20):
            await clock.advance(0)
        return sum((await store.counts()).values()) - before


def every(minutes: int, **policy: Any) -> Every:
    return Every("x", minutes * MINUTE, tick.new(), **policy)


async def test_none_passes_over_all_that_was_missed() -> None:
    assert await outage(every(7, missed="none"), hours=5) == 0


async def test_last_makes_up_for_one_and_is_the_default() -> None:
    assert await outage(every(7, missed="last"), hours=5) == 1
    assert await outage(every(7), hours=5) == 1


async def test_all_makes_up_for_each_once_however_many_schedulers() -> None:
    schedule = every(7, missed="all")
    missed = due(schedule, START, at(5, 1))
    assert await outage(schedule, hours=5) == len(missed) == 43


async def test_all_is_bounded_in_number_and_in_age() -> None:
    assert await outage(every(1, missed="all", missed_most=20), hours=5) == 20
    assert await outage(every(1, missed="all", missed_age=40 * MINUTE), hours=5) == 41


async def test_what_is_too_old_is_passed_over() -> None:
    daily = Cron("x", "0 6 * * *", "UTC", tick.new(), missed_age=timedelta(hours=2))
    assert await outage(daily, hours=7) == 1
    assert await outage(daily, hours=9) == 0


async def test_a_short_gap_is_no_miss() -> None:
    """A scheduler that is restarted over a fire time loses nothing even under "none"."""
    assert await outage(every(1, missed="none"), hours=1 + 20 / 3600) == 1


async def test_a_new_schedule_has_missed_nothing() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    for schedule in (every(60, missed="all"), Cron("y", "0 0 * * *", "UTC", tick.new())):
        async with working(scheduler(store, clock, schedule)):
            await clock.advance(60)
    assert await store.counts() == {}


async def test_a_schedule_whose_times_change_has_missed_nothing_of_the_new_ones() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    async with working(scheduler(store, clock, Cron("x", "5 0 * * *", "UTC", tick.new()))):
        await clock.advance(600)
    assert await store.counts() == {("tick", State.WAITING): 1}
    await clock.advance(3600)
    async with working(scheduler(store, clock, Cron("x", "0 1 * * *", "UTC", tick.new()))):
        await clock.advance(0)
    assert await store.counts() == {("tick", State.WAITING): 1}


async def test_an_outage_of_the_store_is_made_up_for_too() -> None:
    clock = FakeClock(START)
    store = TroubledStore(MemoryStore(clock))
    async with working(scheduler(store, clock, every(1, missed="all"))):
        await clock.advance(35)
        store.down = True
        await clock.advance(600)
        store.down = False
        await clock.advance(5)
        assert await store.inner.counts() == {("tick", State.WAITING): 11}


def test_due_lists_the_oldest_first() -> None:
    found = due(every(60, missed="all"), at(2), at(5, 30))
    assert found == [at(3), at(4), at(5)]
    assert due(every(60), at(2), at(5, 30)) == [at(5)]
    assert due(every(60, missed="none"), at(2), at(5, 30)) == []
    assert due(every(60, missed="all"), at(5), at(5, 30)) == []


def test_overlap_needs_the_unique_hash_for_itself() -> None:
    keyed = tick.new().with_key("k", period=timedelta(hours=1))
    Every("x", MINUTE, keyed)
    for other in (keyed, tick.new().with_key("k", states="waiting")):
        with pytest.raises(InvalidTask, match="schedule x: a task that is unique per period"):
            Every("x", MINUTE, other, overlap="skip")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"missed": "some"}, "missed is none, last or all"),
        ({"overlap": "maybe"}, "overlap is allow or skip"),
        ({"missed_most": 0}, "missed_most"),
        ({"missed_age": timedelta(days=8)}, "missed_age"),
        ({"missed_age": timedelta(0)}, "missed_age"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(policy: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidTask, match=f"schedule x: {message}"):
        every(1, **policy)


@pytest.mark.parametrize(("overlap", "waiting"), [("skip", 1), ("allow", 10)])
async def test_overlap(overlap: str, waiting: int) -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    async with working(scheduler(store, clock, every(1, overlap=overlap))):
        await clock.advance(600)
    assert await store.counts() == {("tick", State.WAITING): waiting}


async def test_skip_covers_a_running_task_and_ends_with_it() -> None:
    clock = FakeClock(START)
    store = MemoryStore(clock)
    worker = Worker(
        store,
        tasks=[tick],
        queues={"tick": 5},
        schedules=[every(1, overlap="skip"), Every("y", MINUTE, tick.new(), overlap="skip")],
        clock=clock,
    )
    # The queue is paused for five minutes: there is one task of each schedule.
    await store.pause_queue("tick", paused=True)
    async with working(worker):
        await clock.advance(300)
        assert await store.counts() == {("tick", State.WAITING): 2}
        await store.pause_queue("tick", paused=False)
        await clock.advance(2)
        assert await store.counts() == {}


async def test_missed_runs_in_postgres(pool: "Pool") -> None:
    """Ticks and marks are rows: what the last scheduler saw, the next one knows."""
    store = PostgresStore(pool)
    schedule = every(60, missed="all", missed_most=3)
    worker = Worker(store, tasks=[], queues={"none": 1}, schedules=[schedule])
    await store.declare_schedule("x", timing="every 3600 s", spec="{}")
    await pool.execute("UPDATE colmillo.schedules SET since = since - interval '10 hours'")
    async with working(worker):
        while sum((await store.counts()).values()) < 3:
            await store.now()
    assert await store.counts() == {("tick", State.WAITING): 3}
    fired = [row["fire_time"] for row in await pool.fetch("SELECT * FROM colmillo.ticks")]
    assert max(fired) - min(fired) == timedelta(hours=2)
