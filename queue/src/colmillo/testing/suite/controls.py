"""Rows that steer workers: paused queues and schedules."""

# ruff: noqa: D102 - a test's name says what is promised

import itertools
from datetime import UTC, datetime, timedelta

from colmillo.store import State
from colmillo.testing.suite.harness import Harness, new

FIRE = datetime(2030, 5, 6, 7, 8, tzinfo=UTC)


class ControlConformance:
    """What `colmillo.controls.ControlStore` promises."""

    async def test_queues_are_paused_and_resumed(self, harness: Harness) -> None:
        assert (await harness.store.controls()).paused == frozenset()
        assert await harness.store.pause_queue("a", paused=True)
        assert not await harness.sibling.pause_queue("a", paused=True)
        assert await harness.store.pause_queue("b", paused=True)
        assert (await harness.sibling.controls()).paused == {"a", "b"}
        assert await harness.sibling.pause_queue("a", paused=False)
        assert not await harness.store.pause_queue("a", paused=False)
        assert (await harness.store.controls()).paused == {"b"}

    async def test_schedules_are_added_replaced_and_removed(self, harness: Harness) -> None:
        store = harness.store
        assert await store.add_schedule("x", timing="t1", spec="{}", replace=False)
        assert not await harness.sibling.add_schedule("x", timing="t2", spec="2", replace=False)
        (row,) = await harness.sibling.schedules()
        assert (row.name, row.timing, row.spec) == ("x", "t1", "{}")
        assert (row.static, row.paused, row.last_tick) == (False, False, None)
        assert await store.add_schedule("x", timing="t2", spec="2", replace=True)
        assert [(r.timing, r.spec) for r in await store.schedules()] == [("t2", "2")]
        assert await store.add_schedule("a", timing="t", spec="{}", replace=False)
        assert [r.name for r in await store.schedules()] == ["a", "x"]
        assert await harness.sibling.remove_schedule("x")
        assert not await store.remove_schedule("x")
        assert [r.name for r in await store.schedules()] == ["a"]

    async def test_every_change_shows_in_the_controls(self, harness: Harness) -> None:
        store, seen = harness.store, [(await harness.store.controls()).schedules]
        for change in (
            store.add_schedule("x", timing="t", spec="{}", replace=False),
            store.add_schedule("x", timing="u", spec="{}", replace=True),
            store.pause_schedule("x", paused=True),
            store.declare_schedule("y", timing="t", spec="{}"),
            store.remove_schedule("x"),
        ):
            await change
            seen.append((await harness.sibling.controls()).schedules)
        assert all(a != b for a, b in itertools.pairwise(seen))
        await store.declare_schedule("y", timing="t", spec="{}")
        assert (await store.controls()).schedules == seen[-1]

    async def test_declaring_keeps_the_pause_and_the_past(self, harness: Harness) -> None:
        store = harness.store
        await store.declare_schedule("x", timing="t", spec="1")
        assert await store.pause_schedule("x", paused=True)
        (before,) = await store.schedules()
        assert before.static
        await harness.sibling.declare_schedule("x", timing="t", spec="2")
        (after,) = await store.schedules()
        assert (after.paused, after.spec, after.since) == (True, "2", before.since)
        assert not await store.add_schedule("x", timing="t", spec="3", replace=True)

    async def test_what_fires_at_other_times_counts_from_now(self, harness: Harness) -> None:
        store = harness.store
        await store.declare_schedule("x", timing="t", spec="1")
        await harness.advance(timedelta(hours=1))
        between = await store.now()
        await store.declare_schedule("x", timing="u", spec="1")
        (row,) = await store.schedules()
        assert row.since >= between

    async def test_resuming_counts_from_now(self, harness: Harness) -> None:
        store = harness.store
        await store.add_schedule("x", timing="t", spec="{}", replace=False)
        assert await store.pause_schedule("x", paused=True)
        assert not await store.pause_schedule("x", paused=True)
        await harness.advance(timedelta(hours=1))
        between = await store.now()
        assert await store.pause_schedule("x", paused=False)
        (row,) = await store.schedules()
        assert not row.paused
        assert row.since >= between
        assert not await store.pause_schedule("none", paused=True)

    async def test_a_paused_schedule_does_not_tick(self, harness: Harness) -> None:
        store = harness.store
        await store.add_schedule("x", timing="t", spec="{}", replace=False)
        await store.pause_schedule("x", paused=True)
        assert not await harness.sibling.tick("x", FIRE, new())
        assert await harness.sibling.tick("y", FIRE, new())
        await store.pause_schedule("x", paused=False)
        assert await harness.sibling.tick("x", FIRE, new())
        assert await store.counts() == {("main", State.WAITING): 2}

    async def test_ticks_are_remembered_with_their_schedule(self, harness: Harness) -> None:
        store = harness.store
        await store.add_schedule("x", timing="t", spec="{}", replace=False)
        assert await store.tick("x", FIRE, new())
        assert await store.tick("x", FIRE - timedelta(minutes=1), new())
        (row,) = await harness.sibling.schedules()
        assert row.last_tick == FIRE
        await store.remove_schedule("x")
        await store.add_schedule("x", timing="t", spec="{}", replace=False)
        (row,) = await harness.sibling.schedules()
        assert row.last_tick is None
