"""Putting flows together, and running them with a worker."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import (
    Context,
    Discard,
    Done,
    MemoryStore,
    NewTask,
    PostgresStore,
    Queue,
    Worker,
    task,
)
from colmillo.context import Ended
from colmillo.errors import InvalidTask, TaskCancelled
from colmillo.flows import Flow, Step, chain, graph, group
from colmillo.store import Store
from colmillo.testing.working import working
from colmillo.threads import ThreadContext

if TYPE_CHECKING:
    from colmillo.database import Pool

LONG = timedelta(minutes=1)


def new(name: str) -> NewTask:
    return NewTask(name=name, queue="main", payload="{}")


def shape(flow: Flow) -> list[tuple[str, list[str]]]:
    """Each task's name, with the names of those it waits for."""
    tasks = flow.tasks()
    return [(one.task.name, [tasks[parent].task.name for parent in one.after]) for one in tasks]


A, B, C, D, E = (new(name) for name in "abcde")


def test_a_chain() -> None:
    assert shape(chain(A, B, C)) == [("a", []), ("b", ["a"]), ("c", ["b"])]
    assert shape(chain()) == shape(chain(group(), group())) == []
    assert shape(chain(A, group(), B)) == [("a", []), ("b", ["a"])]


def test_a_group_and_what_comes_after_it() -> None:
    expected = [("a", []), ("b", []), ("c", ["a", "b"]), ("d", ["a", "b"])]
    assert shape(group(A, B).then(C, D)) == expected
    assert shape(chain(group(A, B), group(C, D))) == expected


def test_flows_in_flows() -> None:
    inner = chain(A, B)
    assert shape(chain(inner, group(inner, C), D)) == [
        ("a", []),
        ("b", ["a"]),
        ("a", ["b"]),
        ("b", ["a"]),
        ("c", ["b"]),
        ("d", ["b", "c"]),
    ]


def test_any_graph() -> None:
    top = Step(A)
    left, right = Step(B, after=[top]), Step(C, after=[top, top])
    bottom = Step(D, after=[right, left])
    expected = [("a", []), ("c", ["a"]), ("b", ["a"]), ("d", ["c", "b"])]
    assert shape(graph(bottom)) == expected
    assert shape(graph(top, left, bottom)) == [expected[0], expected[2], expected[1], expected[3]]
    assert shape(chain(E, bottom)) == [("e", []), ("a", ["e"]), *expected[1:]]


def test_what_a_failure_means_is_the_steps() -> None:
    flow = chain(A, Step(B, on_failure="run")).then(Step(C, on_failure="run"), D)
    assert [one.on_failure for one in flow.tasks()] == ["cancel", "run", "run", "cancel"]


def test_a_ring_is_refused() -> None:
    first = Step(A)
    second = Step(B, after=[first])
    object.__setattr__(first, "after", (second,))
    with pytest.raises(InvalidTask, match=r"in a ring: [ab]"):
        graph(second)
    object.__setattr__(first, "after", (first,))
    with pytest.raises(InvalidTask, match="in a ring: a"):
        graph(second)


def test_a_flow_has_its_limits() -> None:
    assert len(group(*[A] * 1000).tasks()) == 1000
    with pytest.raises(InvalidTask, match="at most 1,000 tasks, not 1,001"):
        group(*[A] * 1001).tasks()
    assert len(chain(group(*[A] * 100), group(*[B] * 100)).tasks()) == 200
    with pytest.raises(InvalidTask, match="at most 10,000 dependencies"):
        chain(group(*[A] * 101), group(*[B] * 100)).tasks()


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    return PostgresStore(request.getfixturevalue("pool"))


@task(queue="main")
async def number(n: int) -> Done:
    return Done(n)


@task(queue="main")
async def total(ctx: Context[Any]) -> Done:
    return Done(sum(parent.result for parent in await ctx.parents()))


@task(queue="main", run="thread", keep_result=LONG)
def shown(ctx: ThreadContext[Any], head: str) -> Done:
    return Done(head + ", ".join(str(parent.result) for parent in ctx.parents()))


@task(queue="main")
async def hopeless() -> Discard:
    return Discard("no")


@task(queue="main", max_attempts=1)
async def unspeakable() -> Done:
    return Done(object())


@task(queue="main", keep_result=LONG)
async def outcomes(ctx: Context[Any]) -> Done:
    return Done([[parent.outcome, parent.result] for parent in await ctx.parents()])


TASKS = [number, total, shown, hopeless, unspeakable, outcomes]


async def result(store: Store, flow: Flow) -> Any:
    """What the flow's last task returned."""
    queue = Queue(store)
    ids = await queue.enqueue_flow(flow)
    worker = Worker(
        store, tasks=TASKS, queues={"main": 3}, poll=timedelta(milliseconds=50), lease=LONG
    )
    async with working(worker):
        return await queue.result(ids[-1], within=LONG)


async def test_results_travel_through_a_flow(store: Store) -> None:
    sums = group(*(group(number.new(n), number.new(10 * n)).then(total.new()) for n in (1, 2)))
    flow = sums.then(shown.new("sums: "))
    assert await result(store, flow) == "sums: 11, 22"


async def test_a_result_that_json_cannot_carry_fails_its_task(store: Store) -> None:
    flow = chain(group(number.new(1), unspeakable.new()), Step(outcomes.new(), on_failure="run"))
    assert await result(store, flow) == [["done", 1], ["failed", None]]


async def test_what_cannot_run_any_more_is_cancelled(store: Store) -> None:
    with pytest.raises(TaskCancelled, match=r"its parent, task \d+, ended as discarded"):
        await result(store, chain(hopeless.new(), outcomes.new()))


async def test_a_task_in_no_flow_has_no_parents(store: Store) -> None:
    assert await result(store, chain(outcomes.new())) == []


async def test_a_task_completed_in_a_transaction_hands_its_result_on(pool: "Pool") -> None:
    store = PostgresStore(pool)
    found: asyncio.Future[list[Ended]] = asyncio.get_running_loop().create_future()

    @task(queue="main")
    async def first(ctx: Context[Any]) -> None:
        async with pool.acquire() as connection, connection.transaction():
            await ctx.complete(connection=connection, result={"rows": 3})

    @task(queue="main")
    async def second(ctx: Context[Any]) -> None:
        found.set_result(await ctx.parents())

    ids = await Queue(store).enqueue_flow(chain(first.new(), second.new()))
    async with working(Worker(store, tasks=[first, second], queues={"main": 1}, lease=LONG)):
        assert await found == [Ended(id=ids[0], outcome="done", result={"rows": 3})]
