"""Headers: what travels with a task beside its arguments, and what must not see it."""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from colmillo import (
    Context,
    InvalidTask,
    MemoryStore,
    NewTask,
    PostgresStore,
    Queue,
    Unique,
    Worker,
    task,
)
from colmillo.payload import PAYLOAD_BYTES, arguments_in, headers_in
from colmillo.store import Store
from colmillo.testing.working import working
from colmillo.threads import ThreadContext

if TYPE_CHECKING:
    from colmillo.database import Pool

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@task(unique=Unique(args=("a",), states="waiting", duplicate="replace"))
async def job(ctx: Context[list[Any]], a: int, b: str = "@headers") -> None:
    ctx.resources.append((a, b, dict(ctx.headers)))


@task(name="threaded")
def threaded(ctx: ThreadContext[list[Any]], a: int) -> None:
    ctx.resources.append((a, dict(ctx.headers)))


def test_headers_stand_beside_the_arguments() -> None:
    plain = job.new(a=1, b="é")
    new = plain.with_headers(TRACE)
    assert headers_in(plain.payload) == {}
    assert headers_in(new.payload) == TRACE
    assert arguments_in(new.payload) == plain.payload
    assert job.arguments.read(new.payload) == job.arguments.read(plain.payload)
    assert plain.with_headers({}) == plain


def test_later_headers_join_the_earlier_ones() -> None:
    new = job.new(a=1).with_headers({"x": "1", "y": "1"}).with_headers({"y": "2"})
    assert headers_in(new.payload) == {"x": "1", "y": "2"}
    assert job.arguments.read(new.payload) == {"a": 1, "b": "@headers"}


@pytest.mark.parametrize("payload", ["{}", ' { "a" : 1 } ', '{"a":1}'])
def test_payloads_of_any_spelling_take_headers(payload: str) -> None:
    new = NewTask(name="job", queue="default", payload=payload).with_headers(TRACE)
    assert headers_in(new.payload) == TRACE
    assert json.loads(arguments_in(new.payload)) == json.loads(payload)


@pytest.mark.parametrize(
    "payload",
    ['{"@headers":1}', '{"@headers":{"x":1}}', '["@headers"]', '"@headers" no', '{"a":"@headers"}'],
)
def test_what_others_wrote_never_fails_to_be_read(payload: str) -> None:
    assert headers_in(payload) == {}


def test_what_is_no_header_is_refused() -> None:
    wrong: Any = [{"a": 1}, {1: "a"}, {"a": "\ud800"}]
    for headers in wrong:
        with pytest.raises(InvalidTask):
            job.new(a=1).with_headers(headers)
    for payload in ("[]", "no"):
        with pytest.raises(InvalidTask, match="the payload is no JSON"):
            NewTask(name="job", queue="q", payload=payload).with_headers(TRACE)


def test_the_limit_counts_them() -> None:
    new = job.new(a=1, b="x" * (PAYLOAD_BYTES - 100))
    assert new.with_headers({"a": "x" * 50})
    with pytest.raises(InvalidTask, match=r"1,000,0.. bytes, more than 1,000,000"):
        new.with_headers({"a": "x" * 80})


def test_uniqueness_does_not_see_them() -> None:
    plain, traced = job.new(a=1), job.new(a=1).with_headers(TRACE)
    assert traced.unique_hash == plain.unique_hash
    assert traced.with_key("k").unique_hash == plain.with_key("k").unique_hash


@pytest.mark.parametrize("kind", ["memory", "postgres"])
async def test_a_replacing_task_brings_its_own_headers(kind: str, pool: "Pool") -> None:
    store: Store = PostgresStore(pool) if kind == "postgres" else MemoryStore()
    queue = Queue(store)
    first = await queue.enqueue(job.new(a=1).with_headers({"n": "1"}))
    both = [job.new(a=1, b="2").with_headers({"n": "2"}), job.new(a=1).with_headers({"n": "3"})]
    assert [one.happened for one in await queue.enqueue_many(both)] == ["replaced", "replaced"]
    record = await store.get(first.id)
    assert record is not None
    assert headers_in(record.payload) == {"n": "3"}
    await queue.enqueue(job.new(a=1))
    record = await store.get(first.id)
    assert record is not None
    assert headers_in(record.payload) == {}


@pytest.fixture
def square(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A task that runs in a process of its own, which has to be able to import it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield import_module("process_tasks").square
    del sys.modules["process_tasks"]


async def test_tasks_of_every_kind_run_with_headers(tmp_path: Path, square: Any) -> None:
    store, found = MemoryStore(), list[Any]()
    mark = tmp_path / "mark"
    tasks = [job.new(a=1), threaded.new(a=2), square.new(number=3, into=str(mark))]
    await Queue(store, outgoing=lambda new: new.with_headers(TRACE)).enqueue_many(tasks)
    gone, ended = asyncio.Event(), set[int]()

    async def noted(ctx: Context[Any], call_next: Any) -> None:
        await call_next()
        ended.add(ctx.task.id)
        if len(ended) == len(tasks):
            gone.set()

    worker = Worker(
        store,
        tasks=[job, threaded, square],
        queues={"default": 2, "cpu": 1},
        resources=found,
        middleware=[noted],
        poll=timedelta(milliseconds=50),
    )
    async with working(worker):
        await gone.wait()
    assert (1, "@headers", TRACE) in found
    assert (2, TRACE) in found
    assert mark.read_text(encoding="utf-8").startswith("9 ")
