"""What people do with single tasks: cancel, take back from the archive, wait for results."""

# ruff: noqa: D102 - a test's name says what is promised

import asyncio
from datetime import timedelta

from colmillo.operations import Cancellation, CancelRequest, Depth, Requeued, Revival
from colmillo.store import (
    Again,
    Ending,
    Finish,
    FinishWith,
    SetAside,
    Settlement,
    State,
    TaskId,
    Verdict,
)
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


class LiveConformance:
    """What `Store.live` promises."""

    async def test_live_lists_what_waits_and_runs_the_latest_first(self, harness: Harness) -> None:
        ids = await put(
            harness.store,
            *(new(f'{{"n": {n}}}', queue=("main", "other")[n % 2], priority=n) for n in range(5)),
            new(unique="held", delay=timedelta(hours=1)),
        )
        by = await worker(harness.store)
        first, second = await take(harness.store, by, {"main": 2})
        assert await finish(harness.store, first)
        assert await settle(harness.store, second, Again(delay=LEASE, error="no"))
        (running,) = await take(harness.store, by, {"main": 1})
        assert await harness.store.cancel(ids[1], "gone") is Cancellation.ARCHIVED
        there = [task for task in ids if task not in (first.id, ids[1])]
        found = await harness.sibling.live()
        assert [one.id for one in found] == there[::-1]
        assert list(found) == [await record(harness.store, task) for task in there[::-1]]
        running_ones = [one.id for one in found if one.state is State.RUNNING]
        assert running_ones == [running.id]
        assert [one.unique_hash is None for one in found] == [False, True, True, True]
        page = await harness.store.live(limit=2, before=there[-1])
        assert [one.id for one in page] == [there[-2], there[-3]]
        assert {one.queue for one in await harness.store.live(queue="other")} == {"other"}
        assert await harness.store.live(name="nobody") == []


class CancelConformance:
    """What `Store.cancel` and `Store.cancel_requests` promise."""

    async def test_cancel_archives_what_waits(self, harness: Harness) -> None:
        first, other = await put(harness.store, new('{"a":1}', unique="a"), new())
        assert await harness.sibling.cancel(first, "not wanted \0") is Cancellation.ARCHIVED
        found = await record(harness.store, first)
        assert (found.state, found.payload, found.attempt) == (State.CANCELLED, '{"a":1}', 0)
        assert found.errors == ("not wanted \ufffd",)
        by = await worker(harness.store)
        assert [claimed.id for claimed in await take(harness.store, by)] == [other]
        assert (await put(harness.store, new(unique="a")))[0] > other

    async def test_cancel_of_what_is_not_live_changes_nothing(self, harness: Harness) -> None:
        await put(harness.store, new(), new())
        by = await worker(harness.store)
        done, failed = await take(harness.store, by)
        assert await finish(harness.store, done)
        assert await settle(harness.store, failed, SetAside(ending=Ending.FAILED, error="no"))
        archived = await record(harness.store, failed.id)
        for absent in (done.id, failed.id, TaskId(10**12)):
            assert await harness.store.cancel(absent, "why") is Cancellation.ABSENT
        assert await record(harness.store, failed.id) == archived
        assert await harness.store.cancel_requests(by) == []

    async def test_cancel_of_what_runs_is_told_to_its_worker(self, harness: Harness) -> None:
        by, other = await worker(harness.store), await worker(harness.store)
        await put(harness.store, new())
        claimed = await take_one(harness.store, by)
        assert await harness.store.cancel_requests(by) == []
        for why in ("first", "second"):
            assert await harness.sibling.cancel(claimed.id, why) is Cancellation.REQUESTED
        assert (await record(harness.store, claimed.id)).state is State.RUNNING
        asked = [CancelRequest(id=claimed.id, lease=claimed.lease, why="second")]
        for _ in range(2):
            assert await harness.store.cancel_requests(other) == []
            assert await harness.store.cancel_requests(by) == asked
        aside = SetAside(ending=Ending.CANCELLED, error="second")
        assert await settle(harness.store, claimed, aside)
        assert await harness.store.cancel_requests(by) == []

    async def test_a_request_outlives_the_attempt(self, harness: Harness) -> None:
        by = await worker(harness.store)
        await put(harness.store, new(), new())
        for claimed in await take(harness.store, by):
            assert await harness.store.cancel(claimed.id, "why") is Cancellation.REQUESTED
            assert await settle(harness.store, claimed, Again(error="failed"))
        claimed, other = await take(harness.store, by)
        asked = await harness.store.cancel_requests(by)
        assert {(request.id, request.lease) for request in asked} == {
            (claimed.id, 2),
            (other.id, 2),
        }
        assert await settle(harness.store, claimed, Again(error="failed again"))
        assert len(await harness.store.cancel_requests(by)) == 1
        found = await record(harness.store, claimed.id)
        assert (found.state, found.errors) == (State.CANCELLED, ("failed", "failed again", "why"))

    async def test_what_finished_before_it_was_cancelled_is_done(self, harness: Harness) -> None:
        by = await worker(harness.store)
        await put(harness.store, new())
        claimed = await take_one(harness.store, by)
        assert await harness.store.cancel(claimed.id, "why") is Cancellation.REQUESTED
        assert await finish(harness.store, claimed)
        assert await harness.store.cancel_requests(by) == []
        assert await harness.store.get(claimed.id) is None
        aside = SetAside(ending=Ending.CANCELLED, error="why")
        assert not await settle(harness.store, claimed, aside)


class RequeueConformance:
    """What `Store.archived` and `Store.requeue` promise."""

    async def test_archived_lists_the_latest_first_with_errors(self, harness: Harness) -> None:
        before = await harness.store.now()
        ids = await put(harness.store, *(new(queue=q) for q in ("main", "other") * 3))
        by = await worker(harness.store)
        claimed = await take(harness.store, by, {"main": 3, "other": 3})
        endings = dict(zip(ids, list(Ending) + [Ending.FAILED] * 2, strict=True))
        for one in claimed:
            assert await settle(harness.store, one, Again(error="first"))
        for one in await take(harness.store, by, {"main": 3, "other": 3}):
            aside = SetAside(ending=endings[one.id], error=f"error of {one.id}")
            assert await settle(harness.store, one, aside)
        found = await harness.sibling.archived()
        assert [one.id for one in found] == ids[::-1]
        assert [one.errors for one in found] == [("first", f"error of {n}") for n in ids[::-1]]
        assert all(one.archived_at is not None and one.archived_at >= before for one in found)
        assert list(found) == [await record(harness.store, n) for n in ids[::-1]]
        page = await harness.store.archived(limit=2, before=ids[4])
        assert [one.id for one in page] == [ids[3], ids[2]]
        assert {one.queue for one in await harness.store.archived(queue="other")} == {"other"}
        failed = await harness.store.archived(ending=Ending.FAILED, queue="main")
        assert [one.id for one in failed] == [ids[4], ids[0]]
        assert await harness.store.archived(name="nobody") == []

    async def test_requeued_tasks_begin_anew(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new('{"a":1}', priority=4, unique="a"))
        by = await worker(harness.store)
        stale = await take_one(harness.store, by)
        assert await settle(harness.store, stale, SetAside(ending=Ending.FAILED, error="no"))
        old = await record(harness.store, task)
        (answer,) = await harness.sibling.requeue([task])
        assert answer == Requeued(id=task, revival=Revival.REQUEUED)
        found = await record(harness.store, task)
        assert (found.state, found.attempt, found.crashes) == (State.WAITING, 0, 0)
        assert (found.payload, found.priority, found.errors) == ('{"a":1}', 4, ("no",))
        assert (found.enqueued_at, found.archived_at) == (old.enqueued_at, None)
        assert await harness.store.archived() == []
        assert await put(harness.store, new(unique="a")) == [task]
        assert not await finish(harness.store, stale)
        claimed = await take_one(harness.store, by)
        assert (claimed.id, claimed.attempt, claimed.lease) == (task, 1, 2)
        assert not await finish(harness.store, stale)
        assert await finish(harness.store, claimed)
        assert (await harness.store.requeue([task]))[0].revival is Revival.ABSENT

    async def test_requeued_tasks_forget_their_crashes(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        for requeued in (False, True):
            by = await worker(harness.store)
            assert (await take_one(harness.store, by)).attempt == 1
            await harness.store.retire(by)
            rescued = await harness.sibling.rescue(max_crashes=2)
            assert (rescued.released, rescued.quarantined) == (1, ())
            if not requeued:
                assert await harness.store.cancel(task, "no") is Cancellation.ARCHIVED
                assert (await record(harness.store, task)).crashes == 1
                (answer,) = await harness.store.requeue([task])
                assert answer.revival is Revival.REQUEUED
        assert (await record(harness.store, task)).crashes == 1

    async def test_requeue_respects_unique_hashes(self, harness: Harness) -> None:
        archived: list[TaskId] = []
        for unique in ("a", "a", "b", None):
            (task,) = await put(harness.store, new(unique=unique))
            assert await harness.store.cancel(task, "no") is Cancellation.ARCHIVED
            archived.append(task)
        (holder,) = await put(harness.store, new(unique="b"))
        asked = [archived[2], archived[1], archived[3], archived[0], archived[0], TaskId(10**12)]
        answers = await harness.store.requeue(asked)
        assert [answer.id for answer in answers] == [*asked[:4], asked[5]]
        assert [answer.revival for answer in answers] == [
            Revival.HELD,
            Revival.HELD,
            Revival.REQUEUED,
            Revival.REQUEUED,
            Revival.ABSENT,
        ]
        assert answers[0].holder == holder
        assert answers[1].holder in (None, archived[0])
        assert [one.id for one in await harness.store.archived()] == [archived[2], archived[1]]

    async def test_a_requeued_task_is_not_cancelled_by_an_old_request(
        self, harness: Harness
    ) -> None:
        by = await worker(harness.store)
        await put(harness.store, new())
        claimed = await take_one(harness.store, by)
        assert await harness.store.cancel(claimed.id, "why") is Cancellation.REQUESTED
        aside = SetAside(ending=Ending.CANCELLED, error="why")
        assert await settle(harness.store, claimed, aside)
        await harness.store.requeue([claimed.id])
        assert await harness.store.cancel_requests(by) == []
        assert (await take_one(harness.store, by)).id == claimed.id
        assert await harness.store.cancel_requests(by) == []

    async def test_racing_requeues_bring_a_task_back_once(self, harness: Harness) -> None:
        ids = await put(harness.store, *(new(unique=str(n)) for n in range(20)))
        for task in ids:
            await harness.store.cancel(task, "no")
        stores = (harness.store, harness.sibling)
        calls = [stores[n % 2].requeue(ids[:: 1 if n % 3 else -1]) for n in range(10)]
        answers = [answer for many in await asyncio.gather(*calls) for answer in many]
        back = [answer.id for answer in answers if answer.revival is Revival.REQUEUED]
        assert sorted(back) == ids
        assert await harness.store.counts() == {("main", State.WAITING): 20}


class ResultConformance:
    """What `FinishWith`, `Store.result` and `Store.listen_results` promise."""

    async def test_a_result_is_kept_for_its_time(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new(unique="a"))
        claimed = await take_one(harness.store, await worker(harness.store))
        assert await harness.store.result(task) is None
        verdict = FinishWith(result='{"a":"\\u0000"}', keep=timedelta(minutes=5))
        assert await settle(harness.store, claimed, verdict)
        assert await harness.store.get(task) is None
        assert await harness.store.counts() == {}
        assert await harness.sibling.result(task) == '{"a":"\\u0000"}'
        assert (await put(harness.store, new(unique="a")))[0] > task
        await harness.advance(timedelta(minutes=4))
        assert await harness.store.result(task) is not None
        await harness.advance(timedelta(minutes=1))
        assert await harness.store.result(task) is None

    async def test_a_stale_result_is_not_kept(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        by = await worker(harness.store)
        stale = await take_one(harness.store, by)
        assert await settle(harness.store, stale, Again(keep_attempt=False))
        current = await take_one(harness.store, by)
        assert not await settle(harness.store, stale, FinishWith(result="1", keep=LEASE))
        assert await harness.store.result(task) is None
        assert (await record(harness.store, task)).state is State.RUNNING
        assert await settle(harness.store, current, FinishWith(result="2", keep=LEASE))
        assert await harness.store.result(task) == "2"
        assert not await settle(harness.store, current, FinishWith(result="3", keep=LEASE))
        assert await harness.store.result(task) == "2"

    async def test_results_settle_together_with_everything_else(self, harness: Harness) -> None:
        await put(harness.store, *(new() for _ in range(40)))
        claimed = await take(harness.store, await worker(harness.store))
        verdicts: tuple[Verdict, ...] = (
            FinishWith(result="1", keep=LEASE),
            Finish(),
            Again(delay=LEASE, error="no"),
            SetAside(ending=Ending.FAILED, error="no"),
        )
        settlements = [
            Settlement(
                id=task.id, lease=task.lease - (n % 10 == 0), verdict=verdicts[n % len(verdicts)]
            )
            for n, task in enumerate(claimed)
        ]
        lost = await harness.store.settle(settlements)
        assert lost == {task.id for task in claimed[::10]}
        results = [await harness.store.result(task.id) for task in claimed]
        there = [n % 4 == 0 and n % 10 != 0 for n in range(40)]
        assert [result is not None for result in results] == there

    async def test_old_results_make_room(self, harness: Harness) -> None:
        by = await worker(harness.store, lease=timedelta(days=9))
        ids = await put(harness.store, *(new() for _ in range(30)))
        for n, claimed in enumerate(await take(harness.store, by)):
            keep = timedelta(seconds=1) if n < 29 else timedelta(days=1)
            assert await settle(harness.store, claimed, FinishWith(result="1", keep=keep))
            if n == 28:
                await harness.advance(timedelta(minutes=1))
        assert [await harness.store.result(task) for task in ids] == [None] * 29 + ["1"]

    async def test_results_are_announced_to_those_who_listen(self, harness: Harness) -> None:
        heard: list[str] = []
        announced = asyncio.Event()

        def wake(what: str) -> None:
            heard.append(what)
            announced.set()

        await put(harness.store, new(), new())
        first, second = await take(harness.store, await worker(harness.store))
        async with harness.sibling.listen_results(wake):
            assert await settle(harness.store, first, Finish())
            assert await settle(harness.store, second, FinishWith(result="1", keep=LEASE))
            await announced.wait()
        assert heard == [str(second.id)]


class DepthConformance:
    """What `Store.depths` promises."""

    async def test_depths_tell_due_later_and_running_apart(self, harness: Harness) -> None:
        assert await harness.store.depths() == {}
        by = await worker(harness.store)
        await put(harness.store, new(), new(queue="late", delay=timedelta(hours=1)))
        await harness.advance(timedelta(seconds=10))
        await put(harness.store, new(), new(), new(priority=1), new(delay=timedelta(hours=1)))
        (running,) = await take(harness.store, by, {"main": 1})
        depths = await harness.sibling.depths()
        assert depths.keys() == {"main", "late"}
        assert depths["late"] == Depth(due=0, later=1, running=0, oldest=None)
        main = depths["main"]
        assert (main.due, main.later, main.running) == (3, 1, 1)
        assert main.oldest is not None
        assert timedelta(seconds=10) <= main.oldest < timedelta(seconds=60)
        await settle(harness.store, running, SetAside(ending=Ending.FAILED, error="no"))
        assert (await harness.store.depths())["main"].running == 0
