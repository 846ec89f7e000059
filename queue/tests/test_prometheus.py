"""Metrics: what attempts, troubles and queues are told as, and that telling never waits."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from colmillo import Discard, MemoryStore, Outcome, PostgresStore, Queue, Retry, Worker, task
from colmillo import prometheus as metrics_module
from colmillo.prometheus import OTHERS, EventMetrics, QueueMetrics, TaskMetrics
from colmillo.store import Ending, NewTask, SetAside, Settlement
from colmillo.testing import FakeClock
from colmillo.testing.suite.harness import new, put, take, worker
from colmillo.testing.trouble import TroubledStore
from colmillo.testing.working import working

if TYPE_CHECKING:
    from colmillo.database import Pool

S = timedelta(seconds=1)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def events(registry: CollectorRegistry) -> Iterator[EventMetrics]:
    handler = EventMetrics(registry)
    logging.getLogger("colmillo").addHandler(handler)
    yield handler
    logging.getLogger("colmillo").removeHandler(handler)


@task(timeout=3 * S, max_attempts=1)
async def job(how: str) -> Outcome | None:
    match how:
        case "hang":
            await asyncio.Event().wait()
        case "raise":
            raise ValueError(how)
        case "retry":
            return Retry(after=timedelta(hours=1))
        case "discard":
            return Discard("no")
    return None


def attempts(registry: CollectorRegistry, outcome: str) -> float | None:
    labels = {"task": "job", "queue": "default", "outcome": outcome}
    return registry.get_sample_value("colmillo_task_attempts_total", labels)


async def test_attempts_are_counted_and_timed(registry: CollectorRegistry) -> None:
    clock = FakeClock()
    store, metrics = MemoryStore(clock), TaskMetrics(registry)
    ways = ["done", "done", "raise", "retry", "discard", "hang"]
    await Queue(store).enqueue_many([job.new(how=how) for how in ways])
    labels = {"task": "job", "queue": "default"}
    runner = Worker(
        store, tasks=[job], queues={"default": 9}, clock=clock, middleware=[metrics.middleware]
    )
    async with working(runner):
        await clock.advance(1)
        assert registry.get_sample_value("colmillo_tasks_running", labels) == 1
        await clock.advance(4)
    told = {how: attempts(registry, how) for how in ("done", "error", "retry", "discard")}
    assert told == {"done": 2, "error": 1, "retry": 1, "discard": 1}
    assert attempts(registry, "timeout") == 1
    assert registry.get_sample_value("colmillo_tasks_running", labels) == 0
    assert registry.get_sample_value("colmillo_task_duration_seconds_count", labels) == 6
    assert registry.get_sample_value("colmillo_task_duration_seconds_sum", labels) == 3


async def test_what_the_worker_cancelled_is_told_apart(
    registry: CollectorRegistry, events: EventMetrics
) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    troubled, metrics = TroubledStore(store), TaskMetrics(registry)

    @task(name="job")
    async def endless() -> None:
        await asyncio.Event().wait()

    runner = Worker(
        troubled,
        tasks=[endless],
        queues={"default": 9},
        clock=clock,
        middleware=[metrics.middleware],
        lease=6 * S,
    )
    asked = await Queue(store).enqueue(endless.new())
    async with working(runner):
        await clock.advance(1)
        await Queue(store).cancel(asked.id)
        await clock.advance(3)
        assert attempts(registry, "cancelled") == 1
        await Queue(store).enqueue(endless.new())
        await clock.advance(2)
        assert registry.get_sample_value("colmillo_leases_lost_total") == 0
        troubled.down = True
        await clock.advance(10)
        assert attempts(registry, "lease_lost") == 1
        assert registry.get_sample_value("colmillo_leases_lost_total") == 1
        troubled.down = False
        await clock.advance(60)
    assert attempts(registry, "given_back") == 1


async def test_troubles_are_counted_by_their_stable_names(
    registry: CollectorRegistry, events: EventMetrics
) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    dead = await worker(store, lease=1 * S)
    await put(store, *[new(queue="default")] * 3)
    await take(store, dead, {"default": 2})
    async with working(Worker(store, tasks=[], queues={"default": 1}, clock=clock)):
        await clock.advance(60)
    name = {"event": "took tasks from dead workers", "level": "warning"}
    assert registry.get_sample_value("colmillo_events_total", name) == 1
    assert registry.get_sample_value("colmillo_tasks_released_total") == 2
    assert registry.get_sample_value("colmillo_tasks_quarantined_total") == 0
    logging.getLogger("colmillo.worker").warning("%s is no name", "this")
    assert "this" not in generate_latest(registry).decode()


async def filled(store: Any) -> None:
    """A task in every state."""
    by = await worker(store)
    await put(store, new(), new(), new(delay=timedelta(hours=1)))
    first, _ = await take(store, by)
    verdict = SetAside(ending=Ending.FAILED, error="no")
    await store.settle([Settlement(id=first.id, lease=first.lease, verdict=verdict)])
    await put(store, new())


@pytest.mark.parametrize("kind", ["memory", "postgres"])
async def test_queues_are_told_as_they_were_last_seen(
    kind: str, pool: "Pool", registry: CollectorRegistry
) -> None:
    store = PostgresStore(pool) if kind == "postgres" else MemoryStore()
    await filled(store)
    metrics = QueueMetrics(store, registry)
    await metrics.refresh()
    async with metrics:
        text = generate_latest(registry).decode()
    assert generate_latest(registry) == b""
    for line in (
        'colmillo_queue_tasks{queue="main",state="due"} 1.0',
        'colmillo_queue_tasks{queue="main",state="later"} 1.0',
        'colmillo_queue_tasks{queue="main",state="running"} 1.0',
        'colmillo_archived_tasks{queue="main",state="failed"} 1.0',
    ):
        assert f"{line}\n" in text
    assert 'colmillo_queue_oldest_due_seconds{queue="main"} ' in text
    assert "colmillo_queues_updated_timestamp_seconds 1." in text


async def test_a_store_that_cannot_be_asked_is_asked_again(registry: CollectorRegistry) -> None:
    clock = FakeClock()
    store = TroubledStore(MemoryStore(clock))
    await put(store, new())
    labels = {"queue": "main"}

    def oldest() -> float | None:
        return registry.get_sample_value("colmillo_queue_oldest_due_seconds", labels)

    async with QueueMetrics(store, registry, interval=10 * S, clock=clock):
        await clock.advance(5)
        assert oldest() == 0
        store.down = True
        await clock.advance(10)
        assert oldest() == 0
        store.down = False
        await clock.advance(10)
        assert oldest() == 20
    calls = store.calls["depths"]
    await clock.advance(60)
    assert store.calls["depths"] == calls
    with pytest.raises(ValueError, match="positive"):
        QueueMetrics(store, interval=0 * S)


async def test_queues_without_number_become_one(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_module, "MOST_QUEUES", 2)
    clock = FakeClock()
    store = MemoryStore(clock)
    for number in (4, 3, 2, 1):
        job_of = NewTask(name="work", queue=f"tenant {number}", payload="{}")
        await put(store, *[job_of] * number)
        await clock.advance(1)
    by = await worker(store)
    for claimed in await take(store, by, {f"tenant {n}": 1 for n in (1, 2, 3)}):
        verdict = SetAside(ending=Ending.FAILED, error="no")
        await store.settle([Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)])
    metrics = QueueMetrics(store, registry, clock=clock)
    await metrics.refresh()
    async with metrics:
        due = {
            queue: registry.get_sample_value(
                "colmillo_queue_tasks", {"queue": queue, "state": "due"}
            )
            for queue in ("tenant 4", "tenant 3", "tenant 2", OTHERS)
        }
        assert due == {"tenant 4": 4, "tenant 3": 2, "tenant 2": None, OTHERS: 1}
        failed = {"queue": OTHERS, "state": "failed"}
        assert registry.get_sample_value("colmillo_archived_tasks", failed) == 2
