"""Tasks that wait for others: chains, groups and fan-in, and what parents hand on."""

# ruff: noqa: D102 - a test's name says what is promised

from datetime import timedelta

import pytest

from colmillo.errors import DuplicateTask, InvalidTask
from colmillo.flow_store import MOST_TASKS, NEVER, FlowTask, Parent
from colmillo.flows import Flow, Step, chain, graph, group
from colmillo.limits import Limits
from colmillo.store import (
    Again,
    ClaimedTask,
    Ending,
    Finish,
    FinishWith,
    NewTask,
    SetAside,
    Settlement,
    State,
    Store,
    TaskId,
    Verdict,
    WorkerId,
)
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
from colmillo.unique import Duplicate


async def plant(store: Store, flow: Flow) -> list[TaskId]:
    """Enqueues a flow."""
    return await store.enqueue_flow(flow.tasks())


async def state(store: Store, task: TaskId) -> State:
    """Where a task is that has to be there."""
    return (await record(store, task)).state


async def take_all(store: Store, by: WorkerId) -> dict[TaskId, ClaimedTask]:
    """What can be claimed, by id."""
    return {claimed.id: claimed for claimed in await take(store, by)}


class FlowConformance:
    """Flows whose tasks are all done."""

    async def test_flow_a_chain_runs_one_after_the_other(self, harness: Harness) -> None:
        store = harness.store
        ids = await plant(store, chain(new("1"), new("2"), new("3")))
        assert ids == sorted(ids)
        by = await worker(store)
        for task in ids:
            claimed = await take_one(store, by)
            assert claimed.id == task
            assert claimed.linked
            assert await take(store, by) == []
            assert await finish(store, claimed)
        assert await store.counts() == {}

    async def test_flow_a_fan_in_waits_for_all(self, harness: Harness) -> None:
        store = harness.store
        flow = group(*(new(str(n)) for n in range(5))).then(new("last"))
        *parents, last = await plant(store, flow)
        by = await worker(store)
        claimed = await take_all(store, by)
        assert list(claimed) == parents
        for parent in parents:
            assert await state(store, last) == State.BLOCKED
            assert await take(store, by) == []
            assert await finish(store, claimed[parent])
        assert (await take_one(store, by)).id == last

    async def test_flow_all_parents_may_end_in_one_call(self, harness: Harness) -> None:
        store = harness.store
        *parents, last = await plant(store, group(*[new()] * 5).then(new()))
        by = await worker(store)
        alone = await put(store, new())
        claimed = await take(store, by)
        done = [Settlement(id=c.id, lease=c.lease, verdict=Finish(), linked=c.linked)
                for c in claimed]  # fmt: skip
        assert {c.id for c in claimed} == {*parents, *alone}
        assert await store.settle(done) == frozenset()
        assert (await take_one(store, by)).id == last

    async def test_flow_a_group_starts_together(self, harness: Harness) -> None:
        store = harness.store
        first, *rest = await plant(store, chain(new(), group(*[new()] * 20)))
        by = await worker(store)
        await finish(store, await take_one(store, by))
        assert [claimed.id for claimed in await take(store, by)] == rest
        assert first not in rest

    async def test_flow_any_graph_without_a_ring(self, harness: Harness) -> None:
        store = harness.store
        top = Step(new("top"))
        left, right = Step(new("left"), after=[top]), Step(new("right"), after=[top])
        deep = Step(new("deep"), after=[left])
        bottom = Step(new("bottom"), after=[right, deep, top])
        ids = await plant(store, graph(bottom))
        by = await worker(store)
        order = []
        for _ in range(5):
            (claimed,) = await take(store, by, {"main": 1})
            order.append(claimed.payload)
            await finish(store, claimed)
        assert (order[0], order[-1]) == ("top", "bottom")
        assert order.index("left") < order.index("deep")
        assert len(set(ids)) == 5

    async def test_flow_children_get_what_their_parents_returned(self, harness: Harness) -> None:
        store = harness.store
        one, two, three = Step(new()), Step(new()), Step(new())
        last = Step(new(), after=[three, one, two])
        ids = await plant(store, graph(one, two, three, last))
        by = await worker(store)
        claimed = await take_all(store, by)
        verdicts: list[Verdict] = [
            Finish(result='{"n":1}'),
            Finish(),
            FinishWith(result="3", keep=timedelta(9)),
        ]
        for task, verdict in zip(ids, verdicts, strict=False):
            await settle(store, claimed[task], verdict)
        child = await take_one(store, by)
        expected = [
            Parent(id=ids[2], outcome="done", result="3"),
            Parent(id=ids[0], outcome="done", result='{"n":1}'),
            Parent(id=ids[1], outcome="done", result=None),
        ]
        assert list(await harness.sibling.parents(child.id)) == expected
        assert await store.result(ids[2]) == "3"
        assert await store.result(ids[0]) is None
        await settle(store, child, Again(error="once more"))
        assert list(await store.parents(child.id)) == expected
        await finish(store, await take_one(store, by))
        assert list(await store.parents(child.id)) == []

    async def test_flow_parents_of_a_blocked_task(self, harness: Harness) -> None:
        store = harness.store
        first, second, last = await plant(store, group(new(), new()).then(new()))
        by = await worker(store)
        claimed = await take_all(store, by)
        await finish(store, claimed[first])
        assert list(await store.parents(last)) == [
            Parent(id=first, outcome="done", result=None),
            Parent(id=second, outcome=None, result=None),
        ]
        assert list(await store.parents(first)) == []

    async def test_flow_a_parent_that_waits_again_has_not_ended(self, harness: Harness) -> None:
        store = harness.store
        parent, child = await plant(store, chain(new(), new()))
        by = await worker(store)
        await settle(store, await take_one(store, by), Again(error="not yet"))
        assert await state(store, child) == State.BLOCKED
        again = await take_one(store, by)
        assert (again.id, again.attempt, again.linked) == (parent, 2, True)
        await finish(store, again)
        assert (await take_one(store, by)).id == child

    async def test_flow_a_delay_counts_from_the_parents_end(self, harness: Harness) -> None:
        store = harness.store
        minute = timedelta(minutes=1)
        _, child = await plant(store, chain(new(), new(delay=minute)))
        await harness.advance(2 * minute)
        by = await worker(store, lease=timedelta(hours=1))
        await finish(store, await take_one(store, by))
        assert await state(store, child) == State.WAITING
        assert await take(store, by) == []
        await harness.advance(minute)
        assert (await take_one(store, by)).id == child

    async def test_flow_a_due_time_is_not_before(self, harness: Harness) -> None:
        store = harness.store
        now = await store.now()
        late = new().with_options(run_at=now + timedelta(minutes=5))
        past = new().with_options(run_at=now - timedelta(minutes=5))
        _, one, two = await plant(store, chain(new(), group(late, past)))
        by = await worker(store, lease=timedelta(hours=1))
        await finish(store, await take_one(store, by))
        assert (await record(store, two)).run_at >= now
        assert (await take_one(store, by)).id == two
        await harness.advance(timedelta(minutes=6))
        assert (await take_one(store, by)).id == one

    async def test_flow_blocked_tasks_can_be_seen(self, harness: Harness) -> None:
        store = harness.store
        _, child = await plant(store, chain(new(), new()))
        assert await store.counts() == {("main", State.WAITING): 1, ("main", State.BLOCKED): 1}
        found = await record(store, child)
        assert (found.state, found.run_at) == (State.BLOCKED, NEVER)

    async def test_flow_blocked_tasks_are_due_at_no_time(self, harness: Harness) -> None:
        store = harness.store
        await plant(store, chain(new(), new(queue="other")))
        assert await store.next_due(["other"]) is None
        assert await store.next_due(["main", "other"]) == timedelta(0)

    async def test_flow_a_child_that_is_released_wakes_its_queue(self, harness: Harness) -> None:
        store = harness.store
        await plant(store, chain(new(), new(queue="other")))
        by = await worker(store)
        claimed = await take_one(store, by)
        await finish(store, claimed)
        assert await store.next_due(["other"]) == timedelta(0)

    async def test_flow_that_is_too_large_is_refused(self, harness: Harness) -> None:
        store = harness.store
        with pytest.raises(InvalidTask, match="at most 1,000 tasks"):
            await store.enqueue_flow([FlowTask(task=new())] * (MOST_TASKS + 1))
        wide = [FlowTask(task=new())] * 11
        full = [FlowTask(task=new(), after=tuple(range(11)))] * 910
        with pytest.raises(InvalidTask, match="at most 10,000 dependencies"):
            await store.enqueue_flow(wide + full)
        assert await store.counts() == {}

    @pytest.mark.parametrize("after", [(1,), (2,), (-1,), (0, 0)])
    async def test_flow_parents_come_first(self, harness: Harness, after: tuple[int, ...]) -> None:
        tasks = [FlowTask(task=new()), FlowTask(task=new(), after=after), FlowTask(task=new())]
        with pytest.raises(InvalidTask, match="waits"):
            await harness.store.enqueue_flow(tasks)
        assert await harness.store.counts() == {}

    async def test_flow_of_tasks_that_cannot_be_stored_is_refused(self, harness: Harness) -> None:
        with pytest.raises(InvalidTask):
            await plant(harness.store, chain(new(), new("\0")))
        assert await harness.store.counts() == {}

    async def test_flow_without_dependencies_is_a_batch(self, harness: Harness) -> None:
        store = harness.store
        assert await store.enqueue_flow([]) == []
        ids = await plant(store, group(new(), new()))
        claimed = await take(store, await worker(store))
        assert [(c.id, c.linked) for c in claimed] == [(task, False) for task in ids]

    @pytest.mark.parametrize("duplicate", ["skip", "raise", "replace", "earlier"])
    async def test_flow_with_a_duplicate_adds_nothing(
        self, harness: Harness, duplicate: Duplicate
    ) -> None:
        store = harness.store
        (holder,) = await put(store, new("old", unique="a", delay=timedelta(hours=1)))
        before = await record(store, holder)
        twin = new("new", unique="a").with_options(duplicate=duplicate)
        with pytest.raises(DuplicateTask) as refused:
            await plant(store, chain(new(), twin, new(unique="b")))
        assert refused.value.existing == holder
        assert await store.counts() == {("main", State.WAITING): 1}
        assert await record(store, holder) == before

    async def test_flow_with_a_task_twice_adds_nothing(self, harness: Harness) -> None:
        with pytest.raises(DuplicateTask):
            await plant(harness.store, chain(new(unique="a"), new(unique="a")))
        assert await harness.store.counts() == {}

    async def test_flow_blocked_task_holds_its_key(self, harness: Harness) -> None:
        store = harness.store
        _, child = await plant(store, chain(new(), new("first", unique="a")))
        (answer,) = await store.enqueue([new("second", unique="a")])
        assert (answer.id, answer.happened) == (child, "existing")

    async def test_flow_blocked_task_that_is_replaced_stays_blocked(self, harness: Harness) -> None:
        store = harness.store
        _, child = await plant(store, chain(new(), new("first", unique="a")))
        second: NewTask = new("second", unique="a")
        (answer,) = await store.enqueue([second.with_options(duplicate="replace")])
        assert (answer.id, answer.happened) == (child, "replaced")
        (answer,) = await store.enqueue([second.with_options(duplicate="earlier")])
        assert (answer.id, answer.happened) == (child, "existing")
        assert await state(store, child) == State.BLOCKED
        by = await worker(store)
        await finish(store, await take_one(store, by))
        assert (await take_one(store, by)).payload == "second"

    async def test_flow_a_stale_word_ends_nothing(self, harness: Harness) -> None:
        store = harness.store
        _, child = await plant(store, chain(new(), new()))
        by = await worker(store)
        stale = await take_one(store, by)
        await settle(store, stale, Again(keep_attempt=False))
        current = await take_one(store, by)
        assert not await settle(store, stale, Finish(result="1"))
        assert await state(store, child) == State.BLOCKED
        assert await finish(store, current)
        (parent,) = await store.parents(child)
        assert parent.result is None

    async def test_flow_the_end_of_a_task_that_is_not_said_to_be_linked_is_refused(
        self, harness: Harness
    ) -> None:
        store = harness.store
        _, child = await plant(store, chain(new(), new()))
        claimed = await take_one(store, await worker(store))
        for verdict in (Finish(), FinishWith(result="1", keep=timedelta(1))):
            unsaid = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
            assert await store.settle([unsaid]) == {claimed.id}
        assert await finish(store, claimed)
        assert await state(store, child) == State.WAITING

    async def test_flow_tasks_free_the_slots_of_limits(self, harness: Harness) -> None:
        """Done, set aside or cancelled: the next one may start."""
        store = harness.store
        await store.set_limits("main", Limits(running=2, per_key=1))
        ana, luis = new(concurrency_key="ana"), new(concurrency_key="luis")
        flow = chain(group(ana, ana, luis, luis), Step(ana, on_failure="run"))
        ids = await plant(store, flow)
        by = await worker(store)
        first, second = await take(store, by)
        assert [first.id, second.id] == [ids[0], ids[2]]
        await settle(store, first, FinishWith(result="1", keep=timedelta(9)))
        third = await take_one(store, by)
        await settle(store, second, SetAside(ending=Ending.FAILED, error="no"))
        fourth = await take_one(store, by)
        assert [third.id, fourth.id] == [ids[1], ids[3]]
        await finish(store, fourth)
        await finish(store, third)
        assert (await take_one(store, by)).id == ids[4]

    async def test_flow_a_rescued_parent_goes_on(self, harness: Harness) -> None:
        store = harness.store
        parent, child = await plant(store, chain(new(), new()))
        by = await worker(store)
        await take_one(store, by)
        await store.retire(by)
        assert (await store.rescue(max_crashes=5)).released == 1
        again = await take_one(store, await worker(store))
        assert (again.id, again.linked) == (parent, True)
        await finish(store, again)
        assert await state(store, child) == State.WAITING
