"""Workers' leases: what ends with them, and what becomes of their tasks."""

# ruff: noqa: D102 - a test's name says what is promised

import asyncio

from colmillo.store import Again, Rescued, State
from colmillo.testing.suite.harness import (
    LEASE,
    Harness,
    finish,
    new,
    put,
    record,
    settle,
    take,
    take_one,
    worker,
)

NOTHING = Rescued(released=0, quarantined=())
HALF = LEASE / 2


class LeaseConformance:
    """What `Store.register`, ``renew``, ``retire``, ``rescue`` and ``release_strays`` promise."""

    async def test_tasks_of_a_dead_worker_wait_again(self, harness: Harness) -> None:
        ids = await put(harness.store, new(), new())
        by = await worker(harness.store)
        await take(harness.store, by)
        await harness.advance(LEASE)
        assert await harness.sibling.rescue(max_crashes=5) == Rescued(released=2, quarantined=())
        found = await record(harness.store, ids[0])
        assert (found.state, found.worker, found.crashes) == (State.WAITING, None, 1)
        assert found.attempt == 1
        other = await worker(harness.sibling)
        claimed = await take(harness.sibling, other)
        assert [(task.id, task.attempt, task.lease) for task in claimed] == [
            (ids[0], 2, 2),
            (ids[1], 2, 2),
        ]

    async def test_living_worker_keeps_its_tasks(self, harness: Harness) -> None:
        await put(harness.store, new())
        by = await worker(harness.store)
        claimed = await take_one(harness.store, by)
        for _ in range(4):
            await harness.advance(HALF)
            assert await harness.sibling.rescue(max_crashes=5) == NOTHING
            assert await harness.store.renew(by, LEASE)
        assert await finish(harness.store, claimed)

    async def test_lease_that_is_over_stays_over(self, harness: Harness) -> None:
        await put(harness.store, new())
        by = await worker(harness.store)
        await harness.advance(LEASE)
        assert not await harness.store.renew(by, LEASE)
        assert await take(harness.store, by) == []
        await harness.store.rescue(max_crashes=5)
        assert not await harness.store.renew(by, LEASE)
        assert await take(harness.store, by) == []

    async def test_late_settle_counts_while_nobody_rescued(self, harness: Harness) -> None:
        await put(harness.store, new())
        claimed = await take_one(harness.store, await worker(harness.store))
        await harness.advance(LEASE)
        assert await finish(harness.store, claimed)
        assert await harness.store.rescue(max_crashes=5) == NOTHING

    async def test_registering_again_starts_a_new_lease(self, harness: Harness) -> None:
        await put(harness.store, new())
        by = await worker(harness.store)
        await harness.advance(LEASE)
        await harness.store.register(by, name="suite", lease=LEASE)
        await harness.advance(HALF)
        await take_one(harness.store, by)
        assert await harness.store.renew(by, LEASE)

    async def test_renewing_a_stranger_is_refused(self, harness: Harness) -> None:
        by = await worker(harness.store)
        await harness.store.retire(by)
        await harness.store.retire(by)
        assert not await harness.store.renew(by, LEASE)

    async def test_retired_worker_can_be_rescued_at_once(self, harness: Harness) -> None:
        await put(harness.store, new())
        by = await worker(harness.store)
        stale = await take_one(harness.store, by)
        await harness.store.retire(by)
        assert await harness.sibling.rescue(max_crashes=5) == Rescued(released=1, quarantined=())
        assert not await finish(harness.store, stale)
        assert await take(harness.store, by) == []

    async def test_task_that_kills_its_workers_is_quarantined(self, harness: Harness) -> None:
        killer, victim = await put(harness.store, new(priority=1, unique="k"), new())
        for crash in range(1, 4):
            by = await worker(harness.store)
            (claimed,) = await take(harness.store, by, {"main": 1})
            assert (claimed.id, claimed.attempt) == (killer, crash)
            await harness.advance(LEASE)
            expected = (
                Rescued(released=0, quarantined=(killer,))
                if crash == 3
                else Rescued(released=1, quarantined=())
            )
            assert await harness.store.rescue(max_crashes=3) == expected
        found = await record(harness.store, killer)
        assert (found.state, found.crashes, found.attempt) == (State.QUARANTINED, 3, 3)
        assert "died" in found.errors[-1]
        assert (await take_one(harness.store, await worker(harness.store))).id == victim
        (again,) = await harness.store.enqueue([new(unique="k")])
        assert again.inserted

    async def test_crashes_are_not_failures(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        for _ in range(3):
            by = await worker(harness.store)
            claimed = await take_one(harness.store, by)
            assert await settle(harness.store, claimed, Again())
        await take_one(harness.store, await worker(harness.store))
        await harness.advance(LEASE)
        await harness.store.rescue(max_crashes=3)
        found = await record(harness.store, task)
        assert (found.state, found.crashes, found.attempt) == (State.WAITING, 1, 4)

    async def test_racing_rescuers_free_each_task_once(self, harness: Harness) -> None:
        ids = await put(harness.store, *(new() for _ in range(300)))
        await take(harness.store, await worker(harness.store), {"main": 300})
        await harness.advance(LEASE)
        stores = (harness.store, harness.sibling)
        done = await asyncio.gather(*(stores[n % 2].rescue(max_crashes=5) for n in range(6)))
        done.append(await harness.store.rescue(max_crashes=5))
        assert sum(rescued.released for rescued in done) == 300
        assert (await record(harness.store, ids[-1])).crashes == 1

    async def test_strays_are_given_back(self, harness: Harness) -> None:
        mine, other = await worker(harness.store), await worker(harness.store)
        ids = await put(harness.store, *(new() for _ in range(5)))
        await take(harness.store, other, {"main": 1})
        claimed = await take(harness.store, mine, {"main": 3})
        known = [claimed[0].id]
        before = await record(harness.store, ids[2])
        assert await harness.store.release_strays(mine, known) == 2
        assert await harness.store.release_strays(mine, known) == 0
        found = await record(harness.store, ids[2])
        assert (found.state, found.attempt, found.run_at) == (State.WAITING, 0, before.run_at)
        assert (await record(harness.store, ids[0])).worker == other
        assert (await record(harness.store, ids[1])).worker == mine
        assert await finish(harness.store, claimed[0])
