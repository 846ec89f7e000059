"""Ticks, due times, counts and wake-ups."""

# ruff: noqa: D102 - a test's name says what is promised

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from colmillo.errors import InvalidTask
from colmillo.store import Ending, SetAside, State
from colmillo.testing.suite.harness import (
    Harness,
    new,
    put,
    record,
    settle,
    take,
    take_one,
    worker,
)

MINUTE = timedelta(minutes=1)
FIRE = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)


class ScheduleConformance:
    """What `Store.tick`, ``next_due``, ``counts``, ``get`` and ``listen`` promise."""

    async def test_tick_enqueues_once_among_racers(self, harness: Harness) -> None:
        stores = (harness.store, harness.sibling)
        racers = (stores[n % 2].tick("clean", FIRE, new()) for n in range(50))
        assert sum(await asyncio.gather(*racers)) == 1
        assert await harness.store.counts() == {("main", State.WAITING): 1}

    async def test_removing_a_schedule_forgets_its_ticks(self, harness: Harness) -> None:
        store = harness.store
        for known in (False, True):
            if known:
                await store.declare_schedule("clean", timing="every minute", spec="{}")
            assert await store.tick("clean", FIRE, new())
            assert await harness.sibling.remove_schedule("clean") is known
            assert await store.tick("clean", FIRE, new())
            assert not await store.tick("clean", FIRE, new())
            await store.remove_schedule("clean")

    async def test_every_schedule_and_fire_time_has_its_tick(self, harness: Harness) -> None:
        for schedule in ("clean", "sweep"):
            for n in range(3):
                assert await harness.store.tick(schedule, FIRE + n * MINUTE, new())
                assert not await harness.sibling.tick(schedule, FIRE + n * MINUTE, new())
        assert await harness.store.counts() == {("main", State.WAITING): 6}

    async def test_same_moment_in_another_zone_is_the_same_tick(self, harness: Harness) -> None:
        there = FIRE.astimezone(datetime.strptime("+0530", "%z").tzinfo)
        assert await harness.store.tick("clean", FIRE, new())
        assert not await harness.store.tick("clean", there, new())

    async def test_tick_of_a_unique_task_that_still_runs_is_taken(self, harness: Harness) -> None:
        assert await harness.store.tick("clean", FIRE, new(unique="a"))
        assert await harness.store.tick("clean", FIRE + MINUTE, new(unique="a"))
        assert not await harness.store.tick("clean", FIRE + MINUTE, new(unique="a"))
        assert await harness.store.counts() == {("main", State.WAITING): 1}

    async def test_refused_tick_is_not_taken(self, harness: Harness) -> None:
        with pytest.raises(InvalidTask):
            await harness.store.tick("clean", FIRE, new("\0"))
        with pytest.raises(InvalidTask):
            await harness.store.tick("clean", FIRE.replace(tzinfo=None), new())
        with pytest.raises(InvalidTask):
            await harness.store.tick("cl\0ean", FIRE, new())
        assert await harness.store.tick("clean", FIRE, new())

    async def test_next_due(self, harness: Harness) -> None:
        store = harness.store
        assert await store.next_due(["main", "other"]) is None
        await put(store, new(delay=3 * MINUTE, priority=4), new(delay=2 * MINUTE))
        await put(store, new(delay=MINUTE, queue="other"))
        due = await store.next_due(["main"])
        assert due is not None
        assert MINUTE < due <= 2 * MINUTE
        due = await store.next_due(["main", "other", "none"])
        assert due is not None
        assert timedelta(0) < due <= MINUTE
        assert await store.next_due([]) is None
        assert await store.next_due(["none"]) is None
        await harness.advance(5 * MINUTE)
        assert await store.next_due(["main"]) == timedelta(0)
        by = await worker(store)
        await take(store, by)
        assert await store.next_due(["main"]) is None
        assert await store.next_due(["main", "other"]) == timedelta(0)

    async def test_counts_per_queue_and_state(self, harness: Harness) -> None:
        store = harness.store
        await put(store, new(), new(queue="b"))
        by = await worker(store)
        claimed = await take_one(store, by)
        await put(store, new(), new(), new(queue="b"))
        assert await store.counts() == {
            ("main", State.RUNNING): 1,
            ("main", State.WAITING): 2,
            ("b", State.WAITING): 2,
        }
        assert await settle(store, claimed, SetAside(ending=Ending.CANCELLED, error=""))
        assert await store.counts() == {
            ("main", State.CANCELLED): 1,
            ("main", State.WAITING): 2,
            ("b", State.WAITING): 2,
        }

    async def test_get_knows_nothing_of_strange_ids(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        assert (await record(harness.sibling, task)).id == task
        assert await harness.store.get(type(task)(task + 1_000)) is None

    async def test_listeners_hear_of_their_queues(self, harness: Harness) -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        async with harness.store.listen(heard.put_nowait), asyncio.timeout(30):
            await put(harness.sibling, new(queue="a"))
            assert await heard.get() == "a"
            await put(harness.sibling, new(queue="b"), new(queue="c", unique="x"), new(queue="b"))
            assert {await heard.get(), await heard.get()} == {"b", "c"}
            await harness.sibling.tick("clean", FIRE, new(queue="d"))
            assert await heard.get() == "d"
        assert heard.empty()
        await put(harness.sibling, new(queue="a"))
        assert heard.empty()
