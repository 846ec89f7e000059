"""Settling: each verdict, and the fence around it."""

# ruff: noqa: D102 - a test's name says what is promised

from datetime import timedelta

import pytest

from colmillo.store import (
    Again,
    Ending,
    Finish,
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

EVERY_VERDICT: tuple[Verdict, ...] = (
    Finish(),
    Again(error="late"),
    Again(keep_attempt=False),
    SetAside(ending=Ending.CANCELLED, error="late"),
)


class SettleConformance:
    """What `Store.settle` promises."""

    async def test_finish_removes_the_task(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        claimed = await take_one(harness.store, await worker(harness.store))
        assert await finish(harness.sibling, claimed)
        assert await harness.store.get(task) is None
        assert await harness.store.counts() == {}
        assert not await finish(harness.store, claimed)

    async def test_again_waits_for_the_delay(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        by = await worker(harness.store, lease=timedelta(hours=1))
        claimed = await take_one(harness.store, by)
        before = await harness.store.now()
        again = Again(delay=timedelta(minutes=3), error="busy")
        assert await settle(harness.store, claimed, again)
        after = await harness.store.now()
        found = await record(harness.store, task)
        assert (found.state, found.worker, found.errors) == (State.WAITING, None, ("busy",))
        assert before <= found.run_at - timedelta(minutes=3) <= after
        assert await take(harness.store, by) == []
        await harness.advance(timedelta(minutes=3))
        claimed = await take_one(harness.store, by)
        assert (claimed.attempt, claimed.lease) == (2, 2)

    async def test_a_release_keeps_the_place_in_the_line(self, harness: Harness) -> None:
        first, second = await put(harness.store, new(), new())
        by = await worker(harness.store, lease=timedelta(hours=1))
        (claimed,) = await take(harness.store, by, {"main": 1})
        due = (await record(harness.store, first)).run_at
        await harness.advance(timedelta(minutes=1))
        assert await settle(harness.store, claimed, Again(delay=None, keep_attempt=False))
        found = await record(harness.store, first)
        assert (found.state, found.run_at, found.attempt) == (State.WAITING, due, 0)
        assert [task.id for task in await take(harness.store, by)] == [first, second]

    async def test_snooze_gives_the_attempt_back(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        by = await worker(harness.store)
        for lease in range(1, 4):
            claimed = await take_one(harness.store, by)
            assert (claimed.attempt, claimed.lease) == (1, lease)
            assert await settle(harness.store, claimed, Again(keep_attempt=False))
        found = await record(harness.store, task)
        assert (found.attempt, found.lease, found.errors) == (0, 3, ())

    async def test_odd_delays_do_not_keep_others_from_being_settled(self, harness: Harness) -> None:
        ids = await put(harness.store, new(), new(), new(), new())
        claimed = await take(harness.store, await worker(harness.store))
        verdicts: tuple[Verdict, ...] = (
            Again(delay=timedelta.max),
            Again(delay=timedelta.min),
            Again(delay=timedelta(days=-1)),
            Finish(),
        )
        settlements = [
            Settlement(id=task.id, lease=task.lease, verdict=verdict)
            for task, verdict in zip(claimed, verdicts, strict=True)
        ]
        assert await harness.store.settle(settlements) == frozenset()
        assert await harness.store.counts() == {("main", State.WAITING): 3}
        again = await take(harness.store, await worker(harness.store))
        assert sorted(task.id for task in again) == ids[1:3]

    @pytest.mark.parametrize("ending", Ending)
    async def test_set_aside_goes_to_the_archive(self, harness: Harness, ending: Ending) -> None:
        (task,) = await put(harness.store, new('{"a": 1}', priority=3, unique="a"))
        by = await worker(harness.store)
        assert await settle(harness.store, await take_one(harness.store, by), Again(error="one"))
        claimed = await take_one(harness.store, by)
        live = await record(harness.store, task)
        assert await settle(harness.store, claimed, SetAside(ending=ending, error="two"))
        found = await record(harness.store, task)
        assert found.state == State(ending.value)
        assert found.errors == ("one", "two")
        assert (found.payload, found.priority, found.attempt) == ('{"a": 1}', 3, 2)
        assert (found.enqueued_at, found.run_at) == (live.enqueued_at, live.run_at)
        assert await harness.store.counts() == {("main", State(ending.value)): 1}
        assert await take(harness.store, by) == []

    async def test_error_history_keeps_the_latest(self, harness: Harness) -> None:
        (task,) = await put(harness.store, new())
        by = await worker(harness.store)
        kept: tuple[str, ...] = ()
        for n in range(25):
            claimed = await take_one(harness.store, by)
            assert await settle(harness.store, claimed, Again(error=f"error {n}"))
            kept = (await record(harness.store, task)).errors
            assert kept == tuple(f"error {k}" for k in range(n + 1))[-len(kept) :]
        assert 5 <= len(kept) <= 20
        claimed = await take_one(harness.store, by)
        assert await settle(harness.store, claimed, SetAside(ending=Ending.FAILED, error="the end"))
        archived = (await record(harness.store, task)).errors
        assert archived == (*kept[1:], "the end")

    async def test_any_error_text_can_be_kept(self, harness: Harness) -> None:
        by = await worker(harness.store)
        for error in ("nul \0 here", "half \ud83d a pair", "x" * 5_000_000, ""):
            (task,) = await put(harness.store, new())
            claimed = await take_one(harness.store, by)
            assert await settle(harness.store, claimed, Again(error=error))
            claimed = await take_one(harness.store, by)
            aside = SetAside(ending=Ending.DISCARDED, error=error)
            assert await settle(harness.store, claimed, aside)
            errors = (await record(harness.store, task)).errors
            assert len(errors) == 2
            assert all(len(kept) <= 10_000 for kept in errors)
            assert all(kept[:4] == error[:4] for kept in errors)

    async def test_many_verdicts_at_once(self, harness: Harness) -> None:
        await put(harness.store, *(new() for _ in range(400)))
        by = await worker(harness.store)
        claimed = await take(harness.store, by, {"main": 400})
        verdicts: tuple[Verdict, ...] = (
            Finish(),
            Again(delay=timedelta(minutes=1), error="no"),
            SetAside(ending=Ending.FAILED, error="no"),
            SetAside(ending=Ending.CANCELLED, error="no"),
        )
        settlements = [
            Settlement(
                id=task.id,
                # Every tenth speaks of an older claim.
                lease=task.lease - (n % 10 == 0),
                verdict=verdicts[n % 4],
            )
            for n, task in enumerate(claimed)
        ]
        unknown = Settlement(id=TaskId(10**12), lease=1, verdict=Finish())
        lost = await harness.store.settle([*settlements, unknown])
        assert lost == {task.id for task in claimed[::10]} | {unknown.id}
        assert await harness.store.counts() == {
            ("main", State.WAITING): 100,
            ("main", State.FAILED): 80,
            ("main", State.CANCELLED): 100,
            ("main", State.RUNNING): 40,
        }

    async def test_settling_nothing_loses_nothing(self, harness: Harness) -> None:
        assert await harness.store.settle([]) == frozenset()

    @pytest.mark.parametrize("verdict", EVERY_VERDICT, ids=repr)
    async def test_stale_word_changes_nothing_after_rescue(
        self, harness: Harness, verdict: Verdict
    ) -> None:
        (task,) = await put(harness.store, new())
        stale = await take_one(harness.store, await worker(harness.store))
        await harness.advance(LEASE)
        await harness.store.rescue(max_crashes=5)
        rescued = await record(harness.store, task)
        assert not await settle(harness.store, stale, verdict)
        assert await record(harness.store, task) == rescued
        current = await take_one(harness.sibling, await worker(harness.sibling))
        reclaimed = await record(harness.store, task)
        assert not await settle(harness.store, stale, verdict)
        assert await record(harness.store, task) == reclaimed
        assert await finish(harness.sibling, current)

    @pytest.mark.parametrize("verdict", EVERY_VERDICT, ids=repr)
    async def test_stale_word_changes_nothing_after_snooze(
        self, harness: Harness, verdict: Verdict
    ) -> None:
        (task,) = await put(harness.store, new())
        by = await worker(harness.store)
        stale = await take_one(harness.store, by)
        assert await settle(harness.store, stale, Again(keep_attempt=False))
        waiting = await record(harness.store, task)
        assert not await settle(harness.store, stale, verdict)
        assert await record(harness.store, task) == waiting
        current = await take_one(harness.store, by)
        assert current.attempt == stale.attempt
        assert not await settle(harness.store, stale, verdict)
        assert await finish(harness.store, current)

    @pytest.mark.parametrize("verdict", EVERY_VERDICT, ids=repr)
    async def test_stale_word_changes_nothing_after_release(
        self, harness: Harness, verdict: Verdict
    ) -> None:
        await put(harness.store, new())
        by = await worker(harness.store)
        stale = await take_one(harness.store, by)
        assert await harness.store.release_strays(by, []) == 1
        assert not await settle(harness.store, stale, verdict)
        current = await take_one(harness.store, by)
        assert (current.attempt, current.lease) == (1, 2)
        assert not await settle(harness.store, stale, verdict)
        assert await finish(harness.store, current)
