"""Tasks that wait for others which are set aside."""

# ruff: noqa: D102 - a test's name says what is promised

from datetime import timedelta

import pytest

from colmillo.flow_store import FlowTask, Parent
from colmillo.flows import Step, chain, graph, group
from colmillo.operations import Cancellation, Revival
from colmillo.store import Ending, Finish, SetAside, State
from colmillo.testing.suite.flows import plant, state, take_all
from colmillo.testing.suite.harness import (
    Harness,
    finish,
    new,
    record,
    settle,
    take,
    take_one,
    worker,
)


def aside(ending: Ending) -> SetAside:
    """A verdict."""
    return SetAside(ending=ending, error="no")


class FailingFlowConformance:
    """Flows of which a task ends otherwise than done."""

    @pytest.mark.parametrize("ending", [Ending.FAILED, Ending.CANCELLED, Ending.DISCARDED])
    async def test_flow_children_of_a_task_set_aside_are_cancelled(
        self, harness: Harness, ending: Ending
    ) -> None:
        store = harness.store
        parent, child = await plant(store, chain(new(), new()))
        by = await worker(store)
        await settle(store, await take_one(store, by), aside(ending))
        found = await record(store, child)
        assert found.state == State.CANCELLED
        assert found.errors == (f"its parent, task {parent}, ended as {ending}",)
        assert found.archived_at is not None
        assert found.run_at == found.archived_at
        assert await take(store, by) == []
        assert list(await store.parents(child)) == []

    async def test_flow_a_deep_chain_is_cancelled_to_its_end(self, harness: Harness) -> None:
        store = harness.store
        ids = await plant(store, chain(*[new()] * 60))
        by = await worker(store)
        await settle(store, await take_one(store, by), aside(Ending.FAILED))
        assert await store.counts() == {
            ("main", State.FAILED): 1,
            ("main", State.CANCELLED): 59,
        }
        last = await record(store, ids[-1])
        assert last.errors == (f"its parent, task {ids[-2]}, ended as cancelled",)

    async def test_flow_a_failure_does_not_wait_for_the_others(self, harness: Harness) -> None:
        store = harness.store
        first, second, last = await plant(store, group(new(), new()).then(new()))
        by = await worker(store)
        claimed = await take_all(store, by)
        await settle(store, claimed[first], aside(Ending.FAILED))
        assert await state(store, last) == State.CANCELLED
        assert await state(store, second) == State.RUNNING
        assert await finish(store, claimed[second])
        assert await state(store, last) == State.CANCELLED

    async def test_flow_a_task_may_run_whatever_became_of_its_parents(
        self, harness: Harness
    ) -> None:
        store = harness.store
        parts = group(new(), new(), new())
        *parents, last = await plant(store, chain(parts, Step(new(), on_failure="run")))
        by = await worker(store)
        claimed = await take_all(store, by)
        await settle(store, claimed[parents[1]], aside(Ending.DISCARDED))
        await settle(store, claimed[parents[0]], Finish(result="1"))
        assert await state(store, last) == State.BLOCKED
        await settle(store, claimed[parents[2]], aside(Ending.FAILED))
        child = await take_one(store, by)
        assert list(await store.parents(child.id)) == [
            Parent(id=parents[0], outcome="done", result="1"),
            Parent(id=parents[1], outcome="discarded", result=None),
            Parent(id=parents[2], outcome="failed", result=None),
        ]

    async def test_flow_a_cancelled_child_ends_the_wait_of_its_own(self, harness: Harness) -> None:
        """What runs whatever happens also runs after tasks that were never tried."""
        store = harness.store
        flow = chain(new(), new(), Step(new("tidy up"), on_failure="run"), new("after"))
        ids = await plant(store, flow)
        by = await worker(store)
        await settle(store, await take_one(store, by), aside(Ending.FAILED))
        tidy = await take_one(store, by)
        assert (tidy.id, tidy.payload) == (ids[2], "tidy up")
        assert list(await store.parents(tidy.id)) == [
            Parent(id=ids[1], outcome="cancelled", result=None)
        ]
        await finish(store, tidy)
        assert (await take_one(store, by)).id == ids[3]

    async def test_flow_cancelling_a_waiting_parent_cancels_its_children(
        self, harness: Harness
    ) -> None:
        store = harness.store
        ids = await plant(store, chain(new(), new(), new()))
        assert await store.cancel(ids[0], "not wanted") is Cancellation.ARCHIVED
        assert [await state(store, task) for task in ids] == [State.CANCELLED] * 3
        assert (await record(store, ids[0])).errors == ("not wanted",)

    async def test_flow_cancelling_a_blocked_task_cancels_its_children_alone(
        self, harness: Harness
    ) -> None:
        store = harness.store
        first, middle, last = await plant(store, chain(new(), new(), new()))
        assert await store.cancel(middle, "not wanted") is Cancellation.ARCHIVED
        assert await state(store, last) == State.CANCELLED
        assert await state(store, first) == State.WAITING
        found = await record(store, middle)
        assert found.run_at == found.archived_at
        await finish(store, await take_one(store, await worker(store)))
        assert await store.counts() == {("main", State.CANCELLED): 2}

    async def test_flow_a_request_to_cancel_reaches_the_children(self, harness: Harness) -> None:
        """The parent ran when it was asked for, and waits again when that is carried out."""
        store = harness.store
        parent, child = await plant(store, chain(new(), new()))
        by = await worker(store)
        await take_one(store, by)
        assert await store.cancel(parent, "stop") is Cancellation.REQUESTED
        await store.release_strays(by, [])
        assert list(await store.cancel_requests(by)) == []
        assert await state(store, child) == State.CANCELLED

    async def test_flow_a_quarantined_parent_cancels_its_children(self, harness: Harness) -> None:
        store = harness.store
        parent, child = await plant(store, chain(new(), new()))
        by = await worker(store)
        await take_one(store, by)
        await store.retire(by)
        assert (await store.rescue(max_crashes=1)).quarantined == (parent,)
        assert (await record(store, child)).errors == (
            f"its parent, task {parent}, ended as quarantined",
        )

    async def test_flow_a_requeued_child_runs_alone(self, harness: Harness) -> None:
        store = harness.store
        first, second, last = await plant(store, group(new(), new()).then(new()))
        by = await worker(store)
        claimed = await take_all(store, by)
        await settle(store, claimed[first], aside(Ending.FAILED))
        (back,) = await store.requeue([last])
        assert back.revival is Revival.REQUEUED
        again = await take_one(store, by)
        assert (again.id, again.linked) == (last, False)
        assert list(await store.parents(last)) == []
        await settle(store, claimed[second], aside(Ending.FAILED))
        assert await state(store, last) == State.RUNNING
        assert await finish(store, again)

    async def test_flow_a_requeued_parent_runs_alone(self, harness: Harness) -> None:
        store = harness.store
        parent, child = await plant(store, chain(new(), new()))
        by = await worker(store)
        await settle(store, await take_one(store, by), aside(Ending.FAILED))
        await store.requeue([parent, child])
        claimed = await take_all(store, by)
        assert {c.id: c.linked for c in claimed.values()} == {parent: False, child: False}
        await settle(store, claimed[parent], aside(Ending.FAILED))
        assert await state(store, child) == State.RUNNING

    async def test_flow_a_cancelled_child_lets_go_of_its_key(self, harness: Harness) -> None:
        store = harness.store
        await plant(store, chain(new(), new(unique="a")))
        by = await worker(store)
        await settle(store, await take_one(store, by), aside(Ending.FAILED))
        (answer,) = await store.enqueue([new(unique="a")])
        assert answer.inserted

    async def test_flow_a_wide_failure_cancels_everything_once(self, harness: Harness) -> None:
        store = harness.store
        tasks = [FlowTask(task=new())]
        tasks += [FlowTask(task=new(), after=(0,)) for _ in range(150)]
        tasks += [FlowTask(task=new(), after=tuple(range(1, 151)))]
        await store.enqueue_flow(tasks)
        by = await worker(store, lease=timedelta(hours=1))
        await settle(store, await take_one(store, by), aside(Ending.FAILED))
        assert await store.counts() == {
            ("main", State.FAILED): 1,
            ("main", State.CANCELLED): 151,
        }

    async def test_flow_graph_that_half_fails(self, harness: Harness) -> None:
        store = harness.store
        one, two = Step(new("one")), Step(new("two"))
        both = Step(new("both"), after=[one, two])
        alone = Step(new("alone"), after=[two])
        ids = await plant(store, graph(one, two, both, alone))
        by = await worker(store)
        claimed = await take_all(store, by)
        await settle(store, claimed[ids[0]], aside(Ending.FAILED))
        await finish(store, claimed[ids[1]])
        assert await state(store, ids[2]) == State.CANCELLED
        assert (await take_one(store, by)).id == ids[3]
