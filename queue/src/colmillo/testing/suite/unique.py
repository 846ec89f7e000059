"""Uniqueness: for how long a key is held, and what becomes of the second task."""

# ruff: noqa: D102 - a test's name says what is promised

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from colmillo.errors import DuplicateTask, InvalidTask
from colmillo.store import Again, Ending, Enqueued, NewTask, SetAside, State, Store
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
from colmillo.unique import Duplicate, States

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
EVERY_DUPLICATE: tuple[Duplicate, ...] = ("skip", "raise", "replace", "earlier")


def one(
    payload: str = "{}",
    *,
    key: str = "k",
    duplicate: Duplicate = "skip",
    states: States = "live",
    period: timedelta | None = None,
    priority: int = 0,
    delay: timedelta | None = None,
) -> NewTask:
    """A unique task."""
    return replace(
        new(payload, priority=priority, delay=delay, unique=key),
        duplicate=duplicate,
        unique_states=states,
        unique_period=period,
    )


async def say(store: Store, *tasks: NewTask) -> list[str]:
    """Enqueues the tasks in one batch and returns what happened."""
    return [answer.happened for answer in await store.enqueue(tasks)]


async def refused(store: Store, *tasks: NewTask) -> int | None:
    """Enqueues the tasks, expects a refusal, and returns the id of the task that is there."""
    with pytest.raises(DuplicateTask) as caught:
        await store.enqueue(tasks)
    return caught.value.existing


class UniqueConformance:
    """What `Store.enqueue` promises for tasks with a unique hash."""

    async def test_skip_leaves_the_holder_as_it_is(self, harness: Harness) -> None:
        (first,) = await harness.store.enqueue([one('{"n":1}', delay=HOUR)])
        assert (first.happened, first.inserted) == ("inserted", True)
        (second,) = await harness.sibling.enqueue([one('{"n":2}', priority=5)])
        assert (second.id, second.happened, second.inserted) == (first.id, "existing", False)
        found = await record(harness.store, first)
        assert (found.payload, found.priority) == ('{"n":1}', 0)
        assert found.run_at - found.enqueued_at == HOUR

    async def test_raise_names_the_holder_and_adds_nothing(self, harness: Harness) -> None:
        refuse = one(duplicate="raise")
        assert await say(harness.store, refuse) == ["inserted"]
        claimed = await take_one(harness.store, await worker(harness.store))
        assert await refused(harness.sibling, refuse) == claimed.id
        assert await refused(harness.sibling, new(), one(key="other"), refuse) == claimed.id
        assert await harness.store.counts() == {("main", State.RUNNING): 1}
        assert await finish(harness.store, claimed)
        assert await say(harness.store, refuse) == ["inserted"]

    async def test_raise_of_twins_in_one_batch(self, harness: Harness) -> None:
        refuse = one(duplicate="raise")
        assert await refused(harness.store, new(), refuse, refuse) is None
        assert await refused(harness.store, one(), refuse) is None
        assert await harness.store.counts() == {}
        assert await say(harness.store, refuse, one()) == ["inserted", "existing"]

    async def test_replace_changes_a_waiting_holder(self, harness: Harness) -> None:
        (first,) = await harness.store.enqueue([one('{"n":1}', delay=HOUR)])
        later = one('{"n":2}', duplicate="replace", priority=7, delay=2 * HOUR)
        before = await harness.store.now()
        (second,) = await harness.sibling.enqueue([later])
        after = await harness.store.now()
        assert second == Enqueued(id=first.id, happened="replaced")
        found = await record(harness.store, first)
        assert (found.payload, found.priority, found.attempt) == ('{"n":2}', 7, 0)
        assert before + 2 * HOUR <= found.run_at <= after + 2 * HOUR
        assert found.enqueued_at <= before
        assert await say(harness.store, replace(later, delay=None)) == ["replaced"]
        claimed = await take_one(harness.store, await worker(harness.store))
        assert (claimed.id, claimed.payload) == (first.id, '{"n":2}')

    async def test_replace_leaves_a_running_holder(self, harness: Harness) -> None:
        by = await worker(harness.store)
        (task,) = await put(harness.store, one('{"n":1}'))
        claimed = await take_one(harness.store, by)
        over = one('{"n":2}', duplicate="replace", delay=HOUR)
        assert await harness.sibling.enqueue([over]) == [Enqueued(id=task, happened="existing")]
        found = await record(harness.store, task)
        assert (found.payload, found.state, found.worker) == ('{"n":1}', State.RUNNING, by)
        assert await settle(harness.store, claimed, Again(delay=HOUR, error="no"))
        assert await say(harness.sibling, over) == ["replaced"]
        found = await record(harness.store, task)
        assert (found.payload, found.attempt, found.lease) == ('{"n":2}', 1, 1)
        assert found.errors == ("no",)

    async def test_earlier_keeps_the_earlier_time(self, harness: Harness) -> None:
        (task,) = await put(harness.store, one('{"n":1}', delay=HOUR))
        due = (await record(harness.store, task)).run_at
        assert await say(harness.sibling, one(duplicate="earlier", delay=2 * HOUR)) == ["existing"]
        assert (await record(harness.store, task)).run_at == due
        sooner = replace(one('{"n":2}', priority=9, duplicate="earlier"), run_at=due - SECOND)
        assert await harness.sibling.enqueue([sooner]) == [Enqueued(id=task, happened="earlier")]
        assert await say(harness.sibling, sooner) == ["existing"]
        found = await record(harness.store, task)
        assert (found.payload, found.priority, found.run_at) == ('{"n":1}', 0, due - SECOND)
        assert await say(harness.sibling, one(duplicate="earlier")) == ["earlier"]
        by = await worker(harness.store)
        assert (await take_one(harness.store, by)).payload == '{"n":1}'
        long_ago = replace(sooner, run_at=due - 1000 * HOUR)
        assert await say(harness.sibling, long_ago) == ["existing"]

    async def test_changed_tasks_wake_their_queue(self, harness: Harness) -> None:
        await put(harness.store, one(delay=HOUR))
        woken = asyncio.Event()
        calls: list[str] = []

        def wake(queue: str) -> None:
            calls.append(queue)
            woken.set()

        async with harness.store.listen(wake):
            for moved in (one(duplicate="earlier", delay=HOUR / 2), one(duplicate="replace")):
                woken.clear()
                assert await say(harness.store, moved) != ["existing"]
                await woken.wait()
        assert set(calls) <= {"main", ""}

    async def test_batch_is_as_one_after_the_other(self, harness: Harness) -> None:
        batch = [
            one('{"n":0}', key="a", duplicate="replace", delay=HOUR),
            one('{"n":1}', key="b", duplicate="earlier", delay=HOUR),
            one('{"n":2}', key="a", duplicate="replace", priority=3),
            one('{"n":3}', key="b", duplicate="earlier", delay=2 * HOUR),
            one('{"n":4}', key="b", duplicate="earlier", delay=SECOND),
            one('{"n":5}', key="a"),
            one('{"n":6}', key="b", duplicate="replace", delay=3 * HOUR),
            new('{"n":7}'),
            one('{"n":8}', key="c"),
            one('{"n":9}', key="c", duplicate="earlier", delay=HOUR),
        ]
        answers = await harness.store.enqueue(batch)
        assert [answer.happened for answer in answers] == [
            *("inserted", "inserted", "replaced", "existing", "earlier", "existing"),
            *("replaced", "inserted", "inserted", "existing"),
        ]
        a, b = await record(harness.store, answers[0]), await record(harness.store, answers[1])
        assert (a.payload, a.priority, a.run_at) == ('{"n":2}', 3, a.enqueued_at)
        assert (b.payload, b.run_at - b.enqueued_at >= 3 * HOUR) == ('{"n":6}', True)
        assert [a.id] * 3 == [answers[n].id for n in (0, 2, 5)]
        assert [b.id] * 4 == [answers[n].id for n in (1, 3, 4, 6)]
        assert await harness.store.counts() == {("main", State.WAITING): 4}

    async def test_batch_against_what_runs(self, harness: Harness) -> None:
        (task,) = await put(harness.store, one('{"n":0}'))
        await take_one(harness.store, await worker(harness.store))
        over = one('{"n":1}', duplicate="replace")
        answers = await harness.store.enqueue([over, new(), over, one()])
        happened = [answer.happened for answer in answers]
        assert happened == ["existing", "inserted", "existing", "existing"]
        assert [answers[n].id for n in (0, 2, 3)] == [task] * 3

    async def test_waiting_only_is_released_by_the_first_claim(self, harness: Harness) -> None:
        brief = one(states="waiting")
        by = await worker(harness.store)
        (first,) = await put(harness.store, brief)
        assert await put(harness.store, brief) == [first]
        claimed = await take_one(harness.store, by)
        (second,) = await put(harness.store, brief)
        assert second != first
        assert await put(harness.store, brief) == [second]
        # The first has a sibling when it fails, and another when its worker dies.
        assert await settle(harness.store, claimed, Again())
        assert await put(harness.store, brief) == [second]
        assert {task.id for task in await take(harness.store, by)} == {first, second}
        (third,) = await put(harness.store, brief)
        await harness.store.retire(by)
        assert (await harness.store.rescue(max_crashes=5)).released == 2
        assert await put(harness.store, brief) == [third]
        claims = await take(harness.store, await worker(harness.store))
        assert {task.id for task in claims} == {first, second, third}
        assert all([await finish(harness.store, task) for task in claims])
        assert await harness.store.counts() == {}

    async def test_debounce_runs_once_after_the_last(self, harness: Harness) -> None:
        by = await worker(harness.store, lease=HOUR)
        task = one(states="waiting", duplicate="replace", delay=3 * SECOND)
        ran = []
        for n in range(5):
            await put(harness.store, replace(task, payload=f'{{"n":{n}}}'))
            await harness.advance(2 * SECOND)
            ran += [claimed.payload for claimed in await take(harness.store, by)]
        await harness.advance(2 * SECOND)
        ran += [claimed.payload for claimed in await take(harness.store, by)]
        assert ran == ['{"n":4}']
        assert await say(harness.store, task) == ["inserted"]

    async def test_period_counts_by_the_stores_clock(self, harness: Harness) -> None:
        hourly, daily = one(period=HOUR), one(period=24 * HOUR)
        await to_the_start_of(harness, 24 * HOUR)
        (first,) = await put(harness.store, hourly)
        assert await say(harness.store, daily, one()) == ["inserted", "inserted"]
        await harness.advance(HOUR / 2)
        assert await put(harness.sibling, hourly) == [first]
        await harness.advance(HOUR / 2)
        assert await say(harness.store, hourly, daily) == ["inserted", "existing"]
        by = await worker(harness.store)
        assert len(await take(harness.store, by)) == 4
        assert await say(harness.store, hourly) == ["existing"]
        await harness.advance(HOUR)
        assert await say(harness.store, hourly, one()) == ["inserted", "existing"]

    async def test_finished_task_holds_its_key_until_the_period_is_over(
        self, harness: Harness
    ) -> None:
        lasting = one(states="finished", period=HOUR)
        await to_the_start_of(harness, HOUR)
        by = await worker(harness.store, lease=24 * HOUR)
        failing = replace(lasting, unique_hash=one(key="o").unique_hash)
        (first, _) = await put(harness.store, lasting, failing)
        done, failed = await take(harness.store, by)
        assert await finish(harness.store, done)
        assert await settle(harness.store, failed, SetAside(ending=Ending.FAILED, error="no"))
        for duplicate in ("skip", "replace", "earlier"):
            (answer,) = await harness.sibling.enqueue([replace(lasting, duplicate=duplicate)])
            assert answer == Enqueued(id=first, happened="existing")
        assert await refused(harness.store, replace(lasting, duplicate="raise")) == first
        assert await say(harness.store, failing) == ["existing"]
        assert await take(harness.store, by) == []
        await harness.advance(HOUR)
        assert await say(harness.sibling, lasting) == ["inserted"]
        await harness.advance(3 * HOUR)
        assert await say(harness.sibling, lasting, lasting) == ["inserted", "existing"]

    async def test_lasting_key_changes_while_the_task_waits(self, harness: Harness) -> None:
        await to_the_start_of(harness, HOUR)
        lasting = one('{"n":1}', states="finished", period=HOUR, delay=HOUR)
        (task,) = await put(harness.store, lasting)
        over = replace(lasting, payload='{"n":2}', duplicate="replace", delay=None)
        assert await harness.store.enqueue([over]) == [Enqueued(id=task, happened="replaced")]
        by = await worker(harness.store)
        claimed = await take_one(harness.store, by)
        assert claimed.payload == '{"n":2}'
        assert await say(harness.store, over) == ["existing"]
        assert await finish(harness.store, claimed)
        assert await say(harness.store, over) == ["existing"]

    @pytest.mark.parametrize("duplicate", EVERY_DUPLICATE)
    @pytest.mark.parametrize("states", ["waiting", "live", "finished"])
    async def test_a_thousand_racing_enqueuers_leave_one_task(
        self, harness: Harness, duplicate: Duplicate, states: States
    ) -> None:
        far = timedelta(days=10_000)
        stores = (harness.store, harness.sibling)

        async def enqueue(n: int) -> str:
            task = one(f"{n}", duplicate=duplicate, states=states, period=far, delay=HOUR)
            try:
                (answer,) = await stores[n % 2].enqueue([task])
            except DuplicateTask as refusal:
                ids.add(refusal.existing)
                return "refused"
            ids.add(answer.id)
            return answer.happened

        ids: set[int | None] = set()
        happened = Counter(await asyncio.gather(*(enqueue(n) for n in range(1_000))))
        assert happened.pop("inserted") == 1
        assert len(ids) == 1
        if duplicate == "earlier":
            # On a clock that moves on, an hour from now is hardly ever the earlier time.
            assert sum(happened.values()) == 999
            assert happened.keys() <= {"existing", "earlier"}
        else:
            kind = {"skip": "existing", "raise": "refused", "replace": "replaced"}[duplicate]
            assert happened == {kind: 999}
        assert await harness.store.counts() == {("main", State.WAITING): 1}

    async def test_racing_batches_of_every_kind_end(self, harness: Harness) -> None:
        stores = (harness.store, harness.sibling)
        by = await worker(harness.store)

        async def enqueue(n: int) -> None:
            batch = [
                one(f"{n}", key=f"{key}", duplicate=("replace", "earlier", "skip")[(n + key) % 3])
                for key in range(20)
            ]
            answers = await stores[n % 2].enqueue(batch[:: 1 if n % 2 else -1])
            assert len({answer.id for answer in answers}) == 20

        async def run() -> None:
            for _ in range(20):
                for claimed in await take(harness.sibling, by, {"main": 5}):
                    await let_others_run()
                    assert await finish(harness.store, claimed)
                await let_others_run()

        await asyncio.gather(run(), *(enqueue(n) for n in range(60)))
        counts = await harness.store.counts()
        assert counts.get(("main", State.WAITING), 0) <= 20

    async def test_refuses_rules_that_mean_nothing(self, harness: Harness) -> None:
        for bad in (
            replace(one(), unique_states="finished"),
            replace(one(), unique_period=timedelta(0)),
            replace(one(), unique_period=-HOUR),
            replace(new(), duplicate="replace"),
        ):
            with pytest.raises(InvalidTask):
                await harness.store.enqueue([new(), bad])
        assert await harness.store.counts() == {}

    async def test_tick_skips_what_would_be_refused(self, harness: Harness) -> None:
        refuse = one(duplicate="raise")
        await put(harness.store, refuse)
        assert await harness.store.tick("s", await harness.store.now(), refuse)
        assert await harness.store.counts() == {("main", State.WAITING): 1}


async def to_the_start_of(harness: Harness, period: timedelta) -> None:
    """Moves the store's clock to a few moments after the start of a period."""
    now = await harness.store.now()
    epoch = now.replace(year=1970, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    await harness.advance(period - (now - epoch) % period + timedelta(milliseconds=1))
