"""Waiting for results."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import (
    Cancel,
    Discard,
    Done,
    InvalidTask,
    MemoryStore,
    Outcome,
    PostgresStore,
    Queue,
    Worker,
    declare,
    task,
)
from colmillo.errors import ResultExpired, TaskCancelled, TaskFailed
from colmillo.results import boards
from colmillo.store import State, TaskId
from colmillo.testing import FakeClock
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

HOUR = timedelta(hours=1)


@task(keep_result=HOUR, max_attempts=1)
async def double(what: str) -> Outcome | None:
    """Ends in many ways."""
    ends: dict[str, Outcome] = {
        "cancel": Cancel("unwanted"),
        "discard": Discard("impossible"),
        "object": Done(object()),
        "nan": Done(float("nan")),
        "long": Done("x" * 2_000_000),
    }
    if what == "raise":
        raise ValueError("broken")
    if what == "nothing":
        return None
    return ends.get(what, Done({"doubled": what * 2, "nul": "\0", "list": [1, None]}))


async def ask(store: Any, what: str) -> Any:
    """The result of one run of ``double``."""
    queue = Queue(store)
    async with working(Worker(store, tasks=[double], queues={"default": 1})):
        added = await queue.enqueue(double.new(what))
        return await queue.result(added.id, within=timedelta(seconds=30))


async def test_a_result_comes_as_it_was_in_memory_and_postgres(pool: "Pool") -> None:
    expected = {"doubled": "abab", "nul": "\0", "list": [1, None]}
    assert await ask(MemoryStore(), "ab") == expected
    assert await ask(PostgresStore(pool), "ab") == expected
    assert await ask(PostgresStore(pool), "nothing") is None


@pytest.mark.parametrize(
    ("what", "error", "text"),
    [
        ("raise", TaskFailed, "ValueError: broken"),
        ("discard", TaskFailed, "impossible"),
        ("cancel", TaskCancelled, "unwanted"),
        ("object", TaskFailed, "TypeError: Object of type object is not JSON serializable"),
        ("nan", TaskFailed, "ValueError: Out of range float"),
        ("long", TaskFailed, "ValueError: the result takes 2,000,002 bytes"),
    ],
)
async def test_other_ends_are_told_apart(what: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        await ask(MemoryStore(), what)


async def test_an_archived_task_says_so_without_a_worker_and_for_ever(pool: "Pool") -> None:
    queue = Queue(PostgresStore(pool))
    added = await queue.enqueue(double.new("x"))
    await queue.cancel(added.id, "changed my mind")
    for _ in range(2):
        with pytest.raises(TaskCancelled, match="changed my mind"):
            await queue.result(added.id)


async def test_a_result_expires_and_what_never_was_has_none() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    queue = Queue(store)
    added = await queue.enqueue(double.new("x"))
    async with working(Worker(store, tasks=[double], queues={"default": 1}, clock=clock)):
        assert (await queue.result(added.id))["doubled"] == "xx"
        assert (await queue.result(added.id))["doubled"] == "xx"
    await clock.advance(HOUR)
    for gone in (added.id, TaskId(10**9)):
        with pytest.raises(ResultExpired):
            await queue.result(gone)


async def test_waiting_ends_in_time() -> None:
    queue = Queue(MemoryStore())
    added = await queue.enqueue(double.new("x"))
    with pytest.raises(TimeoutError):
        await queue.result(added.id, within=timedelta(milliseconds=10))
    assert boards[queue.store].waiters == {}
    assert boards[queue.store].listener is None


async def test_many_wait_on_one_listener(pool: "Pool") -> None:
    """More of them than the pool has connections, and told before anybody polls."""
    store = PostgresStore(pool)
    queue = Queue(store)
    added = await queue.enqueue_many(double.new(str(n)) for n in range(40))
    waiters = [asyncio.create_task(queue.result(answer.id)) for answer in added]
    async with working(Worker(store, tasks=[double], queues={"default": 10})):
        results = await asyncio.gather(*waiters)
    assert [result["doubled"] for result in results] == [str(n) * 2 for n in range(40)]


class Silent(MemoryStore):
    """Announces nothing."""

    def listen_results(self, wake: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """See `Operations.listen_results`."""
        raise ConnectionError("no listening here")


async def test_without_announcements_it_is_asked_for() -> None:
    assert (await ask(Silent(), "ab"))["doubled"] == "abab"


async def test_a_task_that_keeps_nothing_has_no_result() -> None:
    @task()
    async def careless() -> Outcome | None:
        return Done(5)

    store = MemoryStore()
    queue = Queue(store)
    async with working(Worker(store, tasks=[careless], queues={"default": 1})):
        added = await queue.enqueue(careless.new())
        with pytest.raises(ResultExpired):
            await queue.result(added.id)


async def test_a_declared_task_keeps_what_its_handler_returns() -> None:
    @declare(keep_result=HOUR)
    async def elsewhere(number: int) -> None: ...

    def here(number: int) -> Outcome | None:
        return Done(number + 1)

    store = MemoryStore()
    queue = Queue(store)
    worker = Worker(store, tasks=[elsewhere.handled_by(here)], queues={"default": 1})
    async with working(worker):
        assert await queue.result((await queue.enqueue(elsewhere.new(4))).id) == 5


async def test_old_results_are_dropped_as_new_ones_come(pool: "Pool") -> None:
    store = PostgresStore(pool)
    await pool.execute(
        "INSERT INTO colmillo.results SELECT n, now() - interval '1 s', '1'"
        " FROM generate_series(1000000, 1000005) AS n"
    )
    assert (await ask(store, "x"))["doubled"] == "xx"
    assert await pool.fetchval("SELECT count(*) FROM colmillo.results") == 1
    assert await store.counts() == {}


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield import_module("process_tasks")
    del sys.modules["process_tasks"]


async def test_results_come_from_processes(processes: Any) -> None:
    store = MemoryStore()
    queue = Queue(store)
    async with working(Worker(store, tasks=[processes.total], queues={"cpu": 1})):
        added = await queue.enqueue(processes.total.new([1, 2, 3]))
        assert await queue.result(added.id) == {"total": 6}
        assert await store.counts() == {}
        unfit = await queue.enqueue(processes.total.new([]))
        with pytest.raises(TaskFailed, match="not JSON serializable"):
            await queue.result(unfit.id)
        record = await store.get(unfit.id)
    assert record is not None
    assert record.state is State.FAILED


def test_a_result_is_kept_for_some_time() -> None:
    with pytest.raises(InvalidTask, match="a result is kept longer than nothing"):
        task(keep_result=timedelta(0))
