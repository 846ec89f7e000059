"""What people do with single tasks: cancelling."""

# ruff: noqa: D102 - a test's name says what is promised

from colmillo.operations import Cancellation, CancelRequest
from colmillo.store import Again, Ending, SetAside, State, TaskId
from colmillo.testing.suite.harness import (
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
