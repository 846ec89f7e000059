"""Traces, with the real SDK: who is whose parent, what spans say, and what they never say."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from colmillo import (
    Cancel,
    Context,
    Discard,
    Done,
    MemoryStore,
    Outcome,
    PostgresStore,
    Queue,
    Retry,
    Snooze,
    Task,
    Worker,
    task,
)
from colmillo.middleware import Middleware, Next
from colmillo.opentelemetry import inject, traced
from colmillo.payload import headers_in
from colmillo.testing import FakeClock
from colmillo.testing.working import working
from colmillo.threads import ThreadContext

if TYPE_CHECKING:
    from colmillo.database import Pool

S = timedelta(seconds=1)
SECRET = "hunter2"


class Traces:
    """A provider of the test's own, and the spans that ended."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")

    def of(self, name: str) -> list[ReadableSpan]:
        return [s for s in self._exporter.get_finished_spans() if s.name == f"process {name}"]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.of(name)
        return span


@pytest.fixture
def traces() -> Traces:
    return Traces()


def said(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def when_over(name: str, over: asyncio.Event) -> Middleware:
    """Goes around the traces: sets the event when a task of this name has its span."""

    async def layer(ctx: Context[Any], call_next: Next) -> None:
        try:
            await call_next()
        finally:
            if ctx.task.name == name:
                over.set()

    return layer


async def run(traces: Traces, *tasks: Task[...], clock: FakeClock, **options: Any) -> None:
    """Runs what was enqueued with `store` for ten seconds, in a span that must not be seen."""
    with traces.tracer.start_as_current_span("worker"):
        worker = Worker(
            options.pop("store"),
            tasks=tasks,
            queues={"default": 5},
            clock=clock,
            middleware=[traced(tracer_provider=traces.provider, **options)],
        )
        async with working(worker):
            await clock.advance(10)


def ending(ends: Outcome | Exception | None) -> Task[...]:
    """A task that ends like this."""

    @task(name="job", timeout=5 * S, max_attempts=2)
    async def job(password: str) -> Outcome | None:
        if isinstance(ends, TimeoutError):
            await asyncio.Event().wait()
        if isinstance(ends, Exception):
            raise ends
        return ends

    return job


@pytest.mark.parametrize(
    ("ends", "outcome", "error"),
    [
        (None, "done", None),
        (Done(), "done", None),
        (Snooze(60 * S), "snooze", None),
        (Cancel(SECRET), "cancel", None),
        (Discard(SECRET), "discard", "discard"),
        (Retry(SECRET, after=60 * S), "retry", "retry"),
        (ValueError(SECRET), "error", "ValueError"),
        (TimeoutError(SECRET), "timeout", "timeout"),
    ],
    ids=str,
)
async def test_a_span_says_how_the_attempt_ended_and_keeps_secrets(
    traces: Traces, ends: Outcome | Exception | None, outcome: str, error: str | None
) -> None:
    clock = FakeClock()
    store, job = MemoryStore(clock), ending(ends)
    added = await Queue(store, outgoing=inject).enqueue(job.new(password=SECRET))
    await run(traces, job, clock=clock, store=store)
    span = traces.of("job")[0]
    assert (span.kind, span.parent, span.links) == (SpanKind.CONSUMER, None, ())
    expected = {
        "messaging.system": "colmillo",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "default",
        "messaging.message.id": str(added.id),
        "messaging.colmillo.task": "job",
        "messaging.colmillo.attempt": 1,
        "messaging.colmillo.outcome": outcome,
    }
    assert said(span) == expected | ({} if error is None else {"error.type": error})
    assert span.status.status_code is (StatusCode.UNSET if error is None else StatusCode.ERROR)
    assert SECRET not in span.to_json()


async def test_messages_of_exceptions_are_told_on_request(traces: Traces) -> None:
    clock = FakeClock()
    store, job = MemoryStore(clock), ending(ValueError(SECRET))
    await Queue(store).enqueue(job.new(password=""))
    await run(traces, job, clock=clock, store=store, messages=True)
    assert SECRET in traces.of("job")[0].to_json()


async def test_every_attempt_is_a_child_of_the_span_that_enqueued(traces: Traces) -> None:
    clock = FakeClock()
    store, job = MemoryStore(clock), ending(Retry(after=1 * S))
    with traces.tracer.start_as_current_span("request") as request:
        await Queue(store, outgoing=inject).enqueue(job.new(password=""))
    await run(traces, job, clock=clock, store=store)
    spans = traces.of("job")
    assert [said(span)["messaging.colmillo.attempt"] for span in spans] == [1, 2]
    for span in spans:
        assert span.parent is not None
        assert span.parent.span_id == request.get_span_context().span_id
        assert [link.context.span_id for link in span.links] == [span.parent.span_id]


async def test_a_trace_of_its_own_links_to_the_other(traces: Traces) -> None:
    clock = FakeClock()
    store, job = MemoryStore(clock), ending(None)
    with traces.tracer.start_as_current_span("request") as request:
        await Queue(store, outgoing=inject).enqueue(job.new(password=""))
    await run(traces, job, clock=clock, store=store, parent=False)
    span = traces.one("job")
    assert span.parent is None
    (link,) = span.links
    origin = request.get_span_context()
    assert (link.context.trace_id, link.context.span_id) == (origin.trace_id, origin.span_id)
    own = span.get_span_context()
    assert own is not None
    assert own.trace_id != origin.trace_id


async def test_what_a_task_enqueues_belongs_to_its_span_and_baggage_comes_along(
    traces: Traces,
) -> None:
    store, seen, over = MemoryStore(), list[object](), asyncio.Event()

    @task()
    async def third() -> None:
        seen.append(baggage.get_baggage("tenant"))

    @task()
    def second(ctx: ThreadContext[None]) -> None:
        ctx.wait(ctx.queue.enqueue(third.new()))

    @task()
    async def first(ctx: Context[None]) -> None:
        await ctx.queue.enqueue(second.new())

    token = attach(baggage.set_baggage("tenant", "acme"))
    await Queue(store, outgoing=inject).enqueue(first.new())
    detach(token)
    worker = Worker(
        store,
        tasks=[first, second, third],
        queues={"default": 5},
        poll=timedelta(milliseconds=20),
        middleware=[when_over("third", over), traced(tracer_provider=traces.provider)],
    )
    async with working(worker):
        await over.wait()
    assert seen == ["acme"]
    for above, below in (("first", "second"), ("second", "third")):
        parent = traces.one(below).parent
        assert parent is not None
        own = traces.one(above).get_span_context()
        assert own is not None
        assert parent.span_id == own.span_id


def test_a_context_of_the_callers_own_is_kept(traces: Traces) -> None:
    new = ending(None).new(password="").with_headers({"traceparent": "mine"})
    assert inject(new) is new
    with traces.tracer.start_as_current_span("request"):
        assert headers_in(inject(new).payload) == {"traceparent": "mine"}


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield import_module("process_tasks")
    del sys.modules["process_tasks"]


async def test_a_task_in_a_process_has_a_span_and_its_death_is_an_error(
    traces: Traces, processes: Any
) -> None:
    store, over = MemoryStore(), asyncio.Event()
    with traces.tracer.start_as_current_span("request") as request:
        await Queue(store, outgoing=inject).enqueue(processes.fail.new(how="die"))
    worker = Worker(
        store,
        tasks=[processes.fail],
        queues={"cpu": 1},
        middleware=[when_over("fail", over), traced(tracer_provider=traces.provider)],
    )
    async with working(worker):
        await over.wait()
    span = traces.one("fail")
    assert span.parent is not None
    assert span.parent.span_id == request.get_span_context().span_id
    assert said(span)["error.type"] == "colmillo.errors.ProcessError"


PROGRAM = """
import asyncio, sys
import asyncpg
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from colmillo import PostgresStore, Queue, task
from colmillo.middleware import Middleware, Next
from colmillo.opentelemetry import inject

trace.set_tracer_provider(TracerProvider())

@task()
async def job(password: str) -> None: ...

async def main() -> None:
    async with asyncpg.create_pool(sys.argv[1], min_size=1, max_size=2) as pool:
        with trace.get_tracer("program").start_as_current_span("request") as span:
            await Queue(PostgresStore(pool), outgoing=inject).enqueue(job.new(password="x"))
            context = span.get_span_context()
            print(context.trace_id, context.span_id)

asyncio.run(main())
"""


async def test_a_span_has_its_parent_in_another_process(
    traces: Traces, pool: "Pool", dsn: str
) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", PROGRAM, dsn), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await program.communicate()
    trace_id, span_id = map(int, told.split())
    over = asyncio.Event()

    @task()
    async def job(password: str) -> None: ...

    worker = Worker(
        PostgresStore(pool),
        tasks=[job],
        queues={"default": 1},
        middleware=[when_over("job", over), traced(tracer_provider=traces.provider)],
    )
    async with working(worker):
        await over.wait()
    span = traces.one("job")
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (trace_id, span_id)
