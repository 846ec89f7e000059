"""Enqueueing: order, uniqueness, due times, refusals."""

# ruff: noqa: D102 - a test's name says what is promised

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from colmillo.errors import InvalidTask
from colmillo.store import Again, Ending, NewTask, SetAside, State
from colmillo.testing.suite.harness import (
    Harness,
    finish,
    let_others_run,
    new,
    put,
    record,
    settle,
    take,
    take_one,
    worker,
)

LATER = datetime(2031, 2, 3, 4, 5, 6, 789, tzinfo=UTC)

REFUSED = (
    replace(new(), payload="a\0b"),
    replace(new(), name="a\0b"),
    replace(new(), queue="a\0b"),
    replace(new(), payload="\ud800"),
    replace(new(), name=""),
    replace(new(), queue=""),
    replace(new(), queue="q" * 201),
    replace(new(), priority=40_000),
    replace(new(), max_attempts=0),
    replace(new(), run_at=LATER.replace(tzinfo=None)),
    replace(new(), run_at=datetime.max.replace(tzinfo=UTC)),
    replace(new(), delay=timedelta(seconds=-1)),
    replace(new(), delay=timedelta.max),
    replace(new(), delay=timedelta(1), run_at=LATER),
    replace(new(), unique_hash=b"short"),
)


class EnqueueConformance:
    """What `Store.enqueue` promises."""

    async def test_answers_in_the_order_of_the_tasks(self, harness: Harness) -> None:
        answers = await harness.store.enqueue([new(f'{{"n":{n}}}') for n in range(50)])
        assert all(answer.inserted for answer in answers)
        stored = [(await record(harness.store, answer)).payload for answer in answers]
        assert stored == [f'{{"n":{n}}}' for n in range(50)]
        assert [answer.id for answer in answers] == sorted({answer.id for answer in answers})

    async def test_of_nothing_is_nothing(self, harness: Harness) -> None:
        assert await harness.store.enqueue([]) == []
        assert await harness.store.counts() == {}

    async def test_keeps_everything_that_was_said(self, harness: Harness) -> None:
        task = NewTask(
            name="tarea ñ",
            queue="colá",
            payload='{"text": "😀 \\u0000"}',
            priority=-7,
            max_attempts=None,
            run_at=LATER,
            unique_hash=bytes(range(32)),
        )
        before = await harness.store.now()
        (answer,) = await harness.store.enqueue([task])
        after = await harness.sibling.now()
        found = await record(harness.sibling, answer)
        assert (found.name, found.queue, found.payload) == (task.name, task.queue, task.payload)
        assert (found.priority, found.max_attempts, found.run_at) == (-7, None, LATER)
        assert (found.state, found.attempt, found.lease) == (State.WAITING, 0, 0)
        assert (found.crashes, found.worker, found.errors) == (0, None, ())
        assert before <= found.enqueued_at <= after

    async def test_without_a_time_is_due_now(self, harness: Harness) -> None:
        (answer,) = await harness.store.enqueue([new()])
        found = await record(harness.store, answer)
        assert found.run_at == found.enqueued_at
        assert found.max_attempts == 25

    async def test_delay_counts_from_the_stores_now(self, harness: Harness) -> None:
        (answer,) = await harness.store.enqueue([new(delay=timedelta(days=90))])
        found = await record(harness.store, answer)
        assert found.run_at - found.enqueued_at == timedelta(days=90)

    async def test_unique_task_is_enqueued_once(self, harness: Harness) -> None:
        (first,) = await harness.store.enqueue([new('{"n":1}', unique="a")])
        (second,) = await harness.sibling.enqueue([new('{"n":2}', unique="a")])
        assert first.inserted
        assert not second.inserted
        assert second.id == first.id
        assert (await record(harness.store, first)).payload == '{"n":1}'
        assert await harness.store.counts() == {("main", State.WAITING): 1}

    async def test_duplicates_inside_one_batch_share_one_task(self, harness: Harness) -> None:
        (held,) = await put(harness.store, new(unique="held"))
        batch = [
            new('{"n":0}', unique="b"),
            new('{"n":1}'),
            new('{"n":2}', unique="b"),
            new('{"n":3}', unique="held"),
            new('{"n":4}', unique="a"),
            new('{"n":5}'),
            new('{"n":6}', unique="held"),
            new('{"n":7}', unique="b"),
        ]
        answers = await harness.store.enqueue(batch)
        inserted = [True, True, False, False, True, True, False, False]
        assert [answer.inserted for answer in answers] == inserted
        ids = [answer.id for answer in answers]
        assert ids[0] == ids[2] == ids[7]
        assert ids[3] == ids[6] == held
        payloads = [(await record(harness.store, ids[n])).payload for n in (0, 1, 4, 5)]
        assert payloads == ['{"n":0}', '{"n":1}', '{"n":4}', '{"n":5}']
        assert ids[0] < ids[1] < ids[4] < ids[5]
        assert await harness.store.counts() == {("main", State.WAITING): 5}

    async def test_running_task_still_holds_its_hash(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new(unique="a"))
        claimed = await take_one(harness.store, await worker(harness.store))
        assert await put(harness.store, new(unique="a")) == [task]
        assert await settle(harness.store, claimed, Again())
        assert await put(harness.store, new(unique="a")) == [task]

    async def test_hash_is_free_when_the_task_has_left(self, harness: Harness) -> None:
        by = await worker(harness.store)
        (first,) = await put(harness.store, new(unique="a"))
        assert await finish(harness.store, await take_one(harness.store, by))
        (second,) = await put(harness.store, new(unique="a"))
        claimed = await take_one(harness.store, by)
        aside = SetAside(ending=Ending.FAILED, error="no")
        assert await settle(harness.store, claimed, aside)
        (third,) = await put(harness.store, new(unique="a"))
        assert first < second < third

    async def test_racing_duplicates_leave_one_task(self, harness: Harness) -> None:
        stores = (harness.store, harness.sibling)
        batches = [
            stores[n % 2].enqueue([new(unique="x"), new(unique="y")][:: 1 if n % 3 else -1])
            for n in range(120)
        ]
        answers = [answer for pair in await asyncio.gather(*batches) for answer in pair]
        assert len(answers) == 240
        assert sum(answer.inserted for answer in answers) == 2
        assert len({answer.id for answer in answers}) == 2
        assert await harness.store.counts() == {("main", State.WAITING): 2}

    async def test_racing_with_finishing_never_blocks_or_doubles(self, harness: Harness) -> None:
        by = await worker(harness.store)
        ran = 0

        async def run() -> None:
            nonlocal ran
            while ran < 30:
                for claimed in await take(harness.store, by):
                    await let_others_run()
                    ran += await finish(harness.store, claimed)
                await let_others_run()

        async def ask() -> None:
            while ran < 30:
                await let_others_run()
                (answer,) = await harness.sibling.enqueue([new(unique="x")])
                assert answer.id > 0
                counts = await harness.sibling.counts()
                assert sum(counts.values()) <= 1

        await asyncio.gather(run(), ask())

    async def test_refuses_what_cannot_be_stored(self, harness: Harness) -> None:
        for bad in REFUSED:
            with pytest.raises(InvalidTask):
                await harness.store.enqueue([new(), bad])
        assert await harness.store.counts() == {}
