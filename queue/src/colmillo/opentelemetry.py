"""Traces with OpenTelemetry: a task's attempts are spans of the trace that enqueued it.

Needs the extra ``opentelemetry``, which is the API alone: without an SDK all of it does nothing.

    queue = Queue(store, outgoing=inject)
    worker = Worker(store, middleware=[traced()], …)
"""

from typing import Any

from opentelemetry import context as otel
from opentelemetry import propagate, trace

from colmillo.context import Context
from colmillo.endings import FAILURES, Ended, ended_by, ended_with
from colmillo.middleware import Middleware, Next
from colmillo.payload import headers_in
from colmillo.store import ClaimedTask, NewTask


def inject(new: NewTask) -> NewTask:
    """The task with the current context (trace and baggage) in its headers.

    One that carries a context already, and any where there is none, stays as it is. For
    `colmillo.Queue`'s ``outgoing``.

    Raises:
        InvalidTask: with the headers the payload has more than a million bytes.
    """
    fields: dict[str, str] = {}
    propagate.inject(fields)
    if not fields or not fields.keys().isdisjoint(headers_in(new.payload)):
        return new
    return new.with_headers(fields)


def traced(
    *,
    tracer_provider: trace.TracerProvider | None = None,
    parent: bool = True,
    messages: bool = False,
) -> Middleware:
    """Middleware that makes each attempt a span, in every kind of task.

    The span is called ``process`` and the task's name, and has the attributes of the semantic
    conventions for messaging; the task's name, attempt and outcome are in those called
    ``messaging.colmillo.…``. It links to the span that enqueued the task. What the task
    enqueues through its context's queue is enqueued with `inject`.

    Args:
        tracer_provider: where spans go; the global one when left out.
        parent: makes it a child of the span that enqueued the task, too; otherwise it begins a
            trace of its own.
        messages: tells the messages of exceptions, which may quote what is secret, and where
            they were raised. Without it only their types are told.
    """
    tracer = trace.get_tracer("colmillo", tracer_provider=tracer_provider)

    async def layer(ctx: Context[Any], call_next: Next) -> None:
        # From nothing, not from whatever span the worker was started in.
        came = propagate.extract(ctx.headers, context=otel.Context())
        origin = trace.get_current_span(came).get_span_context()
        links = [trace.Link(origin)] if origin.is_valid else []
        if not parent:
            came = trace.set_span_in_context(trace.INVALID_SPAN, came)
        if ctx.queue.outgoing is None:
            ctx.queue.outgoing = inject
        token = otel.attach(came)
        try:
            with tracer.start_as_current_span(
                f"process {ctx.task.name}",
                kind=trace.SpanKind.CONSUMER,
                attributes=attributes(ctx.task),
                links=links,
                record_exception=messages,
                set_status_on_exception=False,
            ) as span:
                try:
                    outcome = await call_next()
                except BaseException as error:
                    kind = type(error)
                    ended = ended_by(error)
                    what = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
                    finish(span, ended, what if ended == "error" else ended)
                    raise
                ended = ended_with(outcome)
                finish(span, ended, ended)
        finally:
            otel.detach(token)

    return layer


def attributes(task: ClaimedTask) -> dict[str, str | int]:
    """What a span says of a task from its start on. Never its payload."""
    return {
        "messaging.system": "colmillo",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": task.queue,
        "messaging.message.id": str(task.id),
        "messaging.colmillo.task": task.name,
        "messaging.colmillo.attempt": task.attempt,
    }


def finish(span: trace.Span, ended: Ended, error_type: str) -> None:
    """Says how the attempt ended."""
    span.set_attribute("messaging.colmillo.outcome", ended)
    if ended in FAILURES:
        span.set_attribute("error.type", error_type)
        span.set_status(trace.StatusCode.ERROR, error_type)


__all__ = ["inject", "traced"]
