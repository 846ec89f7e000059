"""What is dropped when its time is over."""

# ruff: noqa: D102 - a test's name says what is promised

from dataclasses import replace
from datetime import timedelta

from colmillo.operations import Revival
from colmillo.store import Ending, FinishWith, SetAside, TaskId
from colmillo.testing.suite.harness import Harness, new, put, settle, take_one, worker

DAY = timedelta(days=1)


class HousekeepingConformance:
    """What `Store.housekeep` promises. The stores keep archived tasks for 30 days."""

    async def test_there_may_be_nothing_to_do(self, harness: Harness) -> None:
        done = await harness.store.housekeep()
        assert (done.removed, done.more) == (0, False)

    async def test_archived_tasks_go_after_their_time(self, harness: Harness) -> None:
        old = await self._archive(harness)
        await harness.advance(16 * DAY)
        young = await self._archive(harness)
        assert (await harness.store.housekeep()).removed == 0
        await harness.advance(15 * DAY)
        waiting = await put(harness.store, new())
        assert (await harness.store.housekeep()).removed == 1
        assert [one.id for one in await harness.sibling.archived()] == [young]
        assert await harness.store.get(old) is None
        (answer,) = await harness.store.requeue([old])
        assert answer.revival is Revival.ABSENT
        assert await harness.store.get(waiting[0]) is not None

    async def test_live_tasks_and_the_workers_claims_stay(self, harness: Harness) -> None:
        by = await worker(harness.store, lease=400 * DAY)
        await put(harness.store, new(unique="a"))
        claimed = await take_one(harness.store, by)
        (waiting,) = await put(harness.store, new(unique="b"))
        await harness.advance(365 * DAY)
        assert (await harness.store.housekeep()).removed == 0
        assert await put(harness.store, new(unique="a"), new(unique="b")) == [claimed.id, waiting]
        assert await settle(harness.store, claimed, SetAside(ending=Ending.FAILED, error="no"))

    async def test_results_go_after_their_time(self, harness: Harness) -> None:
        by = await worker(harness.store)
        kept: list[TaskId] = []
        for days in (1, 3):
            (task,) = await put(harness.store, new())
            verdict = FinishWith(result="1", keep=days * DAY)
            assert await settle(harness.store, await take_one(harness.store, by), verdict)
            kept.append(task)
        await harness.advance(2 * DAY)
        assert (await harness.store.housekeep()).removed == 1
        assert [await harness.store.result(task) for task in kept] == [None, "1"]

    async def test_hashes_of_periods_go_after_their_time(self, harness: Harness) -> None:
        lasting = replace(new(unique="a"), unique_period=DAY, unique_states="finished")
        (first,) = await put(harness.store, lasting)
        assert (await harness.store.housekeep()).removed == 0
        assert await put(harness.store, lasting) == [first]
        await harness.advance(3 * DAY)
        assert (await harness.store.housekeep()).removed == 1
        (second,) = await put(harness.store, lasting)
        assert second != first
        assert (await harness.store.housekeep()).removed == 0

    async def test_the_latest_tick_of_a_schedule_stays(self, harness: Harness) -> None:
        now = await harness.store.now()
        times = [now - n * DAY for n in range(20, 8, -2)]
        for fire_time in times:
            assert await harness.store.tick("old", fire_time, new())
        for days in (6, 3, 0):
            assert await harness.store.tick("new", now - days * DAY, new())
        removed = (await harness.store.housekeep()).removed
        assert removed <= 5
        assert (await harness.sibling.housekeep()).removed == 0
        assert not await harness.store.tick("old", times[-1], new())
        for days in (6, 3, 0):
            assert not await harness.store.tick("new", now - days * DAY, new())
        await harness.advance(30 * DAY)
        await harness.store.housekeep()
        for schedule, fire_time in (("old", times[-1]), ("new", now)):
            assert not await harness.store.tick(schedule, fire_time, new())

    async def _archive(self, harness: Harness) -> TaskId:
        (task,) = await put(harness.store, new())
        await harness.store.cancel(task, "not wanted")
        return task
