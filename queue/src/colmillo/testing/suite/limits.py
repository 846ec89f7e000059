"""Limits of queues: how many run, how many of one key, how many start in what time."""

# ruff: noqa: D102 - a test's name says what is promised

from dataclasses import replace
from datetime import timedelta

import pytest

from colmillo.errors import InvalidTask
from colmillo.limits import Limits, Rate
from colmillo.store import Again, Ending, Finish, SetAside, Settlement
from colmillo.testing.suite.harness import (
    LEASE,
    Harness,
    finish,
    new,
    put,
    settle,
    take,
    take_one,
    worker,
)

MINUTE = timedelta(minutes=1)


class LimitConformance:
    """What `colmillo.limits` promises."""

    async def test_no_more_run_than_the_limit_says(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(running=2))
        ids = await put(store, *[new()] * 5)
        first, second = await worker(store), await worker(harness.sibling)
        one, two = await take(store, first)
        assert [one.id, two.id] == ids[:2]
        assert one.limited
        assert await take(harness.sibling, second) == []
        assert await finish(store, one)
        assert (await take_one(harness.sibling, second)).id == ids[2]
        assert await settle(store, two, Again(delay=MINUTE))
        assert (await take_one(store, first)).id == ids[3]
        assert await take(store, first) == []

    async def test_limits_are_kept_replaced_and_removed(self, harness: Harness) -> None:
        store = harness.store
        assert await store.limits() == {}
        rate = Rate(7, per=timedelta(milliseconds=1500), burst=3)
        full = Limits(running=2, per_key=1, rate=rate)
        await store.set_limits("b", full)
        await harness.sibling.set_limits("a", Limits(running=1))
        await store.pause_queue("b", paused=True)
        assert await harness.sibling.limits() == {"a": Limits(running=1), "b": full}
        await store.set_limits("b", Limits(per_key=4))
        await store.set_limits("a", Limits())
        assert await harness.sibling.limits() == {"b": Limits(per_key=4)}
        assert (await store.controls()).paused == {"b"}
        await store.pause_queue("b", paused=False)
        assert await harness.sibling.limits() == {"b": Limits(per_key=4)}

    async def test_a_limit_holds_for_the_next_claim_of_anybody(self, harness: Harness) -> None:
        store = harness.store
        await put(store, *[new()] * 9)
        by, other = await worker(store), await worker(harness.sibling)
        (one, two) = await take(store, by, {"main": 2})
        assert not one.limited
        await harness.sibling.set_limits("main", Limits(running=1))
        # What runs already is not counted.
        assert len(await take(store, by)) == 1
        assert await take(harness.sibling, other) == []
        assert await finish(store, one)
        assert await finish(store, two)
        assert await take(store, by) == []
        await harness.sibling.set_limits("main", Limits(running=3))
        assert len(await take(store, by)) == 2
        await store.set_limits("main", Limits())
        assert len(await take(harness.sibling, other)) == 4

    async def test_after_a_lower_limit_the_surplus_ends_first(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(running=4))
        await put(store, *[new()] * 9)
        by = await worker(store)
        running = await take(store, by)
        await store.set_limits("main", Limits(running=2))
        for claimed in running[:2]:
            assert await finish(store, claimed)
            assert await take(harness.sibling, by) == []
        assert await finish(store, running[2])
        assert len(await take(store, by)) == 1

    async def test_every_ending_makes_room(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(running=1, per_key=1))
        await put(store, *[new(concurrency_key="a")] * 9)
        by = await worker(store)
        for verdict in (Finish(), Again(delay=LEASE), SetAside(ending=Ending.FAILED, error="x")):
            claimed = await take_one(store, by)
            assert await take(harness.sibling, by) == []
            assert await settle(store, claimed, verdict)
        await take_one(store, by)
        assert await store.release_strays(by, []) == 1
        await take_one(store, by)
        await store.retire(by)
        await store.rescue(max_crashes=2)
        other = await worker(store)
        await take_one(store, other)
        await store.retire(other)
        assert (await store.rescue(max_crashes=2)).quarantined
        await take_one(store, await worker(store))

    async def test_a_stale_word_makes_no_room(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(running=1))
        await put(store, *[new()] * 3)
        by, other = await worker(store), await worker(store)
        stale = await take_one(store, by)
        await store.retire(by)
        await store.rescue(max_crashes=5)
        again = await take_one(store, other)
        assert (again.id, again.lease > stale.lease) == (stale.id, True)
        assert not await finish(store, stale)
        assert await take(store, other) == []

    async def test_a_key_has_its_own_limit(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(per_key=2))
        tasks = [new(concurrency_key=key) for key in ("a", "a", "a", "b")] + [new(), new()]
        ids = await put(store, *tasks)
        by = await worker(store)
        claimed = await take(store, by)
        assert [task.id for task in claimed] == [*ids[:2], *ids[3:]]
        assert await take(harness.sibling, by) == []
        assert await finish(store, claimed[0])
        assert (await take_one(harness.sibling, by)).id == ids[2]

    async def test_full_keys_are_passed_by(self, harness: Harness) -> None:
        """However many of their tasks stand in front; and they come in their order later."""
        store = harness.store
        await store.set_limits("main", Limits(running=3, per_key=1))
        ids = await put(store, *[new(concurrency_key="a")] * 1200, new(concurrency_key="b"))
        by = await worker(store)
        (first,) = await take(store, by, {"main": 1})
        assert first.id == ids[0]
        assert [task.id for task in await take(harness.sibling, by, {"main": 2})] == [ids[-1]]
        for number in (1, 2, 3):
            assert await take(store, by) == []
            assert await finish(harness.sibling, first)
            first = await take_one(store, by)
            assert first.id == ids[number]
        assert sum((await store.counts()).values()) == 1198

    async def test_higher_priorities_of_a_full_key_start_first_later(
        self, harness: Harness
    ) -> None:
        store = harness.store
        await store.set_limits("main", Limits(per_key=1))
        low, *_ = await put(store, *[new(concurrency_key="a")] * 3)
        by = await worker(store)
        running = await take_one(store, by)
        assert await take(store, by) == []
        (high,) = await put(store, new(concurrency_key="a", priority=5))
        assert await take(store, by) == []
        assert await finish(store, running)
        assert running.id == low
        assert (await take_one(store, by)).id == high

    async def test_keys_come_along_whatever_becomes_of_a_task(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(per_key=1))
        unique = new(unique="x", concurrency_key="a")
        (task,) = await put(store, unique)
        by = await worker(store)
        assert await settle(
            store, await take_one(store, by), SetAside(ending=Ending.FAILED, error="x")
        )
        await store.requeue([task])
        await put(store, *[new(concurrency_key="a")] * 120)
        assert (await take_one(store, by)).id == task
        assert await take(store, by) == []
        assert await store.tick("nightly", await store.now(), new(concurrency_key="a"))
        assert await take(store, by) == []

    async def test_a_replacement_brings_its_key(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(per_key=1))
        await put(store, new(concurrency_key="a"))
        by = await worker(store)
        running = await take_one(store, by)
        (task,) = await put(store, new(unique="x", concurrency_key="a"))
        assert await take(store, by) == []
        other = replace(new("7", unique="x", concurrency_key="b"), duplicate="replace")
        assert await put(store, other) == [task]
        assert (await take_one(store, by)).payload == "7"
        assert await finish(store, running)

    async def test_a_waiting_task_of_a_full_key_waits(self, harness: Harness) -> None:
        """It is counted, found, cancelled and changed like any other."""
        store = harness.store
        await store.set_limits("main", Limits(per_key=1))
        _, cancelled, earlier = await put(
            store,
            new(concurrency_key="a"),
            new(concurrency_key="a"),
            new(concurrency_key="a", unique="x"),
        )
        by = await worker(store)
        running = await take_one(store, by)
        assert await take(store, by) == []
        assert sorted(state.value for _, state in await store.counts()) == ["running", "waiting"]
        assert (await store.cancel(cancelled, "no")).value == "archived"
        later = replace(new(concurrency_key="a", unique="x", delay=MINUTE), duplicate="replace")
        assert await put(store, later) == [earlier]
        assert await finish(store, running)
        assert await take(store, by) == []
        await harness.advance(MINUTE)
        assert (await take_one(store, await worker(store))).id == earlier

    async def test_a_higher_limit_lets_the_tasks_of_a_key_go(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(per_key=1))
        await put(store, *[new(concurrency_key="a")] * 9)
        by = await worker(store)
        await take_one(store, by)
        assert await take(store, by) == []
        await harness.sibling.set_limits("main", Limits(per_key=3))
        assert len(await take(store, by)) == 2
        assert await take(store, by) == []
        await store.set_limits("main", Limits())
        assert len(await take(harness.sibling, by)) == 6

    async def test_tokens_come_with_time(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(rate=Rate(4, per=MINUTE, burst=2)))
        await put(store, *[new()] * 20)
        by = await worker(store, lease=10 * MINUTE)
        assert len(await take(store, by)) == 2
        assert await take(harness.sibling, by) == []
        await harness.advance(MINUTE / 4)
        assert len(await take(harness.sibling, by)) == 1
        assert await take(store, by) == []
        await harness.advance(5 * MINUTE)
        claimed = await take(store, by)
        assert len(claimed) == 2
        # Every start takes one, and none comes back.
        await store.settle(
            [Settlement(id=task.id, lease=task.lease, verdict=Again()) for task in claimed]
        )
        assert await take(store, by) == []

    async def test_what_can_start_next_is_known(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("rated", Limits(rate=Rate(1, per=MINUTE)))
        await store.set_limits("full", Limits(running=1))
        await store.set_limits("keys", Limits(per_key=1))
        queues = ["rated", "full", "keys"]
        await put(store, *[new(queue=queue, concurrency_key="a") for queue in queues * 3])
        by = await worker(store)
        assert await store.next_due(queues) == timedelta(0)
        claimed = await take(store, by, dict.fromkeys(queues, 5))
        assert len(claimed) == 3
        assert await take(store, by, dict.fromkeys(queues, 5)) == []
        due = await store.next_due(queues)
        assert due is not None
        assert MINUTE / 2 < due <= MINUTE
        assert await harness.sibling.next_due(["full"]) is None
        assert await harness.sibling.next_due(["keys"]) is None
        for task in claimed:
            assert await finish(store, task)
        assert await harness.sibling.next_due(["full"]) == timedelta(0)
        assert await harness.sibling.next_due(["keys"]) == timedelta(0)
        await put(store, new(queue="plain", delay=MINUTE / 4))
        due = await store.next_due(["rated", "plain"])
        assert due is not None
        assert due <= MINUTE / 4

    async def test_queues_with_limits_and_without_are_claimed_from_together(
        self, harness: Harness
    ) -> None:
        store = harness.store
        await store.set_limits("a", Limits(running=1))
        ids = await put(store, *[new(queue=queue) for queue in ("a", "b", "a", "b")])
        claimed = await take(store, await worker(store), {"a": 5, "b": 5, "c": 5})
        assert [task.id for task in claimed] == [ids[0], ids[1], ids[3]]
        assert [task.limited for task in claimed] == [True, False, False]

    async def test_a_lease_that_is_over_takes_no_slot(self, harness: Harness) -> None:
        store = harness.store
        await store.set_limits("main", Limits(running=1, per_key=1, rate=Rate(1, per=MINUTE)))
        await put(store, new(concurrency_key="a"))
        by = await worker(store)
        await store.retire(by)
        assert await take(store, by) == []
        await take_one(store, await worker(store))

    @pytest.mark.parametrize("key", ["", "x" * 201, "a\0b"])
    async def test_keys_that_cannot_be_stored_are_refused(self, harness: Harness, key: str) -> None:
        with pytest.raises(InvalidTask, match="concurrency key"):
            await harness.store.enqueue([new(concurrency_key=key)])
