"""Claiming: order, room, who may."""

# ruff: noqa: D102 - a test's name says what is promised

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import uuid4

from colmillo.store import Finish, Settlement, State, Store, TaskId, WorkerId
from colmillo.testing.suite.harness import (
    Harness,
    let_others_run,
    new,
    put,
    record,
    take,
    take_one,
    worker,
)


class ClaimConformance:
    """What `Store.claim` promises."""

    async def test_gives_what_was_enqueued(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new('{"a": 1}'))
        by = await worker(harness.store)
        claimed = await take_one(harness.sibling, by)
        found = await record(harness.store, task)
        assert (claimed.id, claimed.lease, claimed.attempt) == (task, 1, 1)
        assert (claimed.name, claimed.queue, claimed.payload) == ("work", "main", '{"a": 1}')
        assert (claimed.max_attempts, claimed.run_at) == (25, found.run_at)
        assert claimed.enqueued_at == found.enqueued_at
        assert (found.state, found.worker, found.lease) == (State.RUNNING, by, 1)
        assert await take(harness.store, by) == []

    async def test_order_is_priority_then_due_time_then_id(self, harness: Harness) -> None:
        second, minute = timedelta(seconds=1), timedelta(minutes=1)
        tasks = [
            new(priority=0, delay=minute),
            new(priority=0, delay=second),
            new(priority=5, delay=minute),
            new(priority=-5, delay=timedelta(0)),
            new(priority=5, delay=second),
            new(priority=5, delay=second),
            new(priority=0, delay=second),
        ]
        ids = await put(harness.store, *tasks)
        await harness.advance(minute)
        claimed = await take(harness.store, await worker(harness.store))
        assert [ids.index(task.id) for task in claimed] == [4, 5, 2, 1, 6, 0, 3]

    async def test_takes_the_first_of_the_order_one_by_one(self, harness: Harness) -> None:
        ids = await put(harness.store, *(new(priority=n % 3) for n in range(9)))
        by = await worker(harness.store)
        one_by_one = [(await take(harness.store, by, {"main": 2})) for _ in range(5)]
        order = [ids.index(task.id) for pair in one_by_one for task in pair]
        assert order == [2, 5, 8, 1, 4, 7, 0, 3, 6]
        assert [len(pair) for pair in one_by_one] == [2, 2, 2, 2, 1]

    async def test_leaves_what_is_not_due(self, harness: Harness) -> None:
        urgent, late, _ = await put(
            harness.store,
            new(priority=9, delay=timedelta(minutes=10)),
            new(delay=timedelta(minutes=5)),
            new(priority=9, delay=timedelta(minutes=20)),
        )
        by = await worker(harness.store, lease=timedelta(hours=1))
        assert await take(harness.store, by) == []
        await harness.advance(timedelta(minutes=5))
        assert (await take_one(harness.store, by)).id == late
        await harness.advance(timedelta(minutes=5))
        assert (await take_one(harness.store, by)).id == urgent

    async def test_room_is_per_queue(self, harness: Harness) -> None:
        await put(harness.store, *(new(queue=name) for name in "aaaabbbbcccc"))
        by = await worker(harness.store)
        claimed = await take(harness.store, by, {"a": 3, "b": 1, "d": 7, "c": 0})
        assert Counter(task.queue for task in claimed) == {"a": 3, "b": 1}
        assert await take(harness.store, by, {}) == []
        claimed = await take(harness.store, by, {"a": 3, "c": 9})
        assert Counter(task.queue for task in claimed) == {"a": 1, "c": 4}

    async def test_stranger_gets_nothing(self, harness: Harness) -> None:
        await put(harness.store, new())
        assert await take(harness.store, WorkerId(uuid4())) == []
        assert await harness.store.counts() == {("main", State.WAITING): 1}

    async def test_two_workers_run_each_task_once(self, harness: Harness) -> None:
        ids = await put(harness.store, *(new() for _ in range(2_000)))
        ran: list[TaskId] = []

        async def run(store: Store) -> int:
            by = await worker(store)
            mine = 0
            while claimed := await take(store, by, {"main": 50}):
                await let_others_run()
                ran.extend(task.id for task in claimed)
                mine += len(claimed)
                done = [Settlement(id=t.id, lease=t.lease, verdict=Finish()) for t in claimed]
                assert await store.settle(done) == frozenset()
            return mine

        shares = await asyncio.gather(run(harness.store), run(harness.sibling))
        assert sum(shares) == 2_000
        assert sorted(ran) == ids
        assert await harness.store.counts() == {}
