"""Metrics for Prometheus: of a worker's attempts, of its troubles, and of what lies in the queues.

Needs the extra ``prometheus``. Nothing here serves the metrics: that is for
``prometheus_client.start_http_server`` or the program's own web server. Labels are bounded by
what the program declares; no metric has the id of a task or a text that somebody wrote.

    metrics = TaskMetrics()
    worker = Worker(store, middleware=[metrics.middleware], …)
    logging.getLogger("colmillo").addHandler(EventMetrics())
    async with QueueMetrics(store):
        await worker.run()
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from colmillo.clock import Clock, SystemClock
from colmillo.context import Context
from colmillo.endings import ended_by, ended_with
from colmillo.middleware import Next
from colmillo.operations import Depth
from colmillo.store import State, Store
from colmillo.waiting import within

logger = logging.getLogger(__name__)

DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
"""The histogram's buckets, in seconds: from a quick statement to half an hour of work."""

MOST_QUEUES = 200
"""More queues than these, the fullest, are told as one."""

OTHERS = "(others)"

# What `colmillo.lease` logs when a worker's lease is over although the worker is not.
LEASE_LOST = {"the lease could not be renewed in time", "the lease was over before its renewal"}
CALL_SECONDS = 30.0


class TaskMetrics:
    """Counts and times the attempts of a process's workers, by way of its `middleware`.

    ``colmillo_task_attempts_total`` by task, queue and outcome (see `colmillo.endings.Ended`),
    ``colmillo_task_duration_seconds`` and ``colmillo_tasks_running`` by task and queue. Make one
    per registry.
    """

    def __init__(
        self,
        registry: CollectorRegistry = REGISTRY,
        *,
        buckets: Sequence[float] = DURATIONS,
    ) -> None:
        self._attempts = Counter(
            "colmillo_task_attempts",
            "Attempts that ended, by how they did.",
            ["task", "queue", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "colmillo_task_duration_seconds",
            "How long attempts took, however they ended.",
            ["task", "queue"],
            registry=registry,
            buckets=buckets,
        )
        self._running = Gauge(
            "colmillo_tasks_running",
            "Attempts under way in this process.",
            ["task", "queue"],
            registry=registry,
        )

    async def middleware(self, ctx: Context[Any], call_next: Next) -> None:
        """Goes around a worker's tasks. The outermost sees what all others made of a task."""
        name, queue = ctx.task.name, ctx.task.queue
        started = ctx.clock.monotonic()
        ended = "error"
        with self._running.labels(name, queue).track_inprogress():
            try:
                ended = ended_with(await call_next())
            except BaseException as error:
                ended = ended_by(error)
                raise
            finally:
                seconds = ctx.clock.monotonic() - started
                self._seconds.labels(name, queue).observe(seconds)
                self._attempts.labels(name, queue, ended).inc()


class EventMetrics(logging.Handler):
    """Counts what colmillo logs as warning or error: add it to the logger ``colmillo``.

    ``colmillo_events_total`` by event, the message as the table of docs/colmillo/operate.md has
    it; so what a worker does beside its attempts is counted without a cost.
    ``colmillo_leases_lost_total``, ``colmillo_tasks_released_total`` and
    ``colmillo_tasks_quarantined_total`` (the tasks of dead workers that this process found) start
    at zero, so that an alert sees their first time.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        super().__init__(logging.WARNING)
        self._events = Counter(
            "colmillo_events",
            "What was logged as warning or error.",
            ["event", "level"],
            registry=registry,
        )
        self._leases = Counter(
            "colmillo_leases_lost",
            "Leases of workers that could not be kept; what ran under them was cancelled.",
            registry=registry,
        )
        self._released = Counter(
            "colmillo_tasks_released",
            "Tasks of dead workers that were put back.",
            registry=registry,
        )
        self._quarantined = Counter(
            "colmillo_tasks_quarantined",
            "Tasks that were archived because they killed their workers again and again.",
            registry=registry,
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Counts one event. One with something filled in would be a label without end."""
        if record.args or not isinstance(record.msg, str):
            return
        self._events.labels(record.msg, record.levelname.lower()).inc()
        self._leases.inc(record.msg in LEASE_LOST)
        self._released.inc(getattr(record, "released", 0))
        self._quarantined.inc(len(getattr(record, "quarantined", ())))


class QueueMetrics(Collector):
    """Tells what lies in the queues, as it was when the store was last asked.

    ``async with`` asks every ``interval`` while it is open; a scrape never waits for the
    database. One process of a fleet is enough. ``colmillo_queue_tasks`` by queue and state
    (due, later, running), ``colmillo_queue_oldest_due_seconds`` by queue,
    ``colmillo_archived_tasks`` by queue and state, and
    ``colmillo_queues_updated_timestamp_seconds``: when that was, so that an alert can tell a
    store that cannot be asked. Each look reads the tables whole.

    Raises:
        ValueError: the interval is not positive.
    """

    def __init__(
        self,
        store: Store,
        registry: CollectorRegistry = REGISTRY,
        *,
        interval: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
    ) -> None:
        if interval <= timedelta(0):
            raise ValueError("the interval must be positive")
        self._store = store
        self._registry = registry
        self._interval = interval.total_seconds()
        self._clock: Clock = clock or SystemClock()
        self._seen: tuple[GaugeMetricFamily, ...] = ()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Registers this, and begins to ask."""
        self._registry.register(self)
        self._running = asyncio.create_task(self._run(), name="colmillo queue metrics")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Asks no more, and leaves the registry."""
        self._registry.unregister(self)
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing to be known before the first look."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What was last seen. Called by the registry, from any thread."""
        return iter(self._seen)

    async def refresh(self) -> None:
        """Asks the store now. Raises what the store does."""
        depths = await within(self._clock, CALL_SECONDS, self._store.depths())
        counts = await within(self._clock, CALL_SECONDS, self._store.counts())
        archived = {
            (queue, state.value): number
            for (queue, state), number in counts.items()
            if state not in (State.WAITING, State.RUNNING)
        }
        self._seen = families(bounded(depths), archived, self._clock.now().timestamp())

    async def _run(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception as error:
                logger.warning("cannot ask what lies in the queues", extra={"error": repr(error)})
            await self._clock.sleep(self._interval)


def bounded(depths: Mapping[str, Depth]) -> dict[str, Depth]:
    """The fullest queues, and the rest as one."""
    fullest = sorted(depths, key=lambda queue: (-whole(depths[queue]), queue))
    kept = {queue: depths[queue] for queue in fullest[:MOST_QUEUES]}
    rest = [depths[queue] for queue in fullest[MOST_QUEUES:]]
    if rest:
        kept[OTHERS] = Depth(
            due=sum(depth.due for depth in rest),
            later=sum(depth.later for depth in rest),
            running=sum(depth.running for depth in rest),
            oldest=max((d.oldest for d in rest if d.oldest is not None), default=None),
        )
    return kept


def whole(depth: Depth) -> int:
    """All tasks of a queue."""
    return depth.due + depth.later + depth.running


def families(
    depths: Mapping[str, Depth], archived: Mapping[tuple[str, str], int], now: float
) -> tuple[GaugeMetricFamily, ...]:
    """The metrics of one look."""
    tasks = GaugeMetricFamily(
        "colmillo_queue_tasks",
        "Live tasks: due, waiting for a later time, running.",
        labels=["queue", "state"],
    )
    oldest = GaugeMetricFamily(
        "colmillo_queue_oldest_due_seconds",
        "For how long the oldest due task has been due.",
        labels=["queue"],
    )
    for queue, depth in depths.items():
        for state in ("due", "later", "running"):
            tasks.add_metric([queue, state], getattr(depth, state))
        oldest.add_metric([queue], depth.oldest.total_seconds() if depth.oldest else 0.0)
    aside = GaugeMetricFamily(
        "colmillo_archived_tasks", "Tasks in the archive.", labels=["queue", "state"]
    )
    for (queue, state), number in folded(archived, depths).items():
        aside.add_metric([queue, state], number)
    updated = GaugeMetricFamily(
        "colmillo_queues_updated_timestamp_seconds",
        "When the store was last asked what lies in the queues.",
        value=now,
    )
    return tasks, oldest, aside, updated


def folded(
    archived: Mapping[tuple[str, str], int], depths: Mapping[str, Depth]
) -> dict[tuple[str, str], int]:
    """The archive by queue and state; beyond `MOST_QUEUES` queues the rest is told as one."""
    names = dict.fromkeys(queue for queue in depths if queue != OTHERS)
    for queue, _ in sorted(archived, key=lambda key: (-archived[key], key)):
        if len(names) < MOST_QUEUES:
            names.setdefault(queue)
    told: dict[tuple[str, str], int] = {}
    for (queue, state), number in archived.items():
        key = (queue if queue in names else OTHERS, state)
        told[key] = told.get(key, 0) + number
    return told


__all__ = ["EventMetrics", "QueueMetrics", "TaskMetrics"]
