"""What the conformance suite needs of a store's author, and the suite's own shorthands."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

from colmillo.clock import SystemClock
from colmillo.store import (
    ClaimedTask,
    Enqueued,
    Finish,
    NewTask,
    Settlement,
    Store,
    TaskId,
    TaskRecord,
    Verdict,
    WorkerId,
)

LEASE = timedelta(seconds=30)


class Harness(Protocol):
    """An empty store to be tested, a second handle on the same data, and a hand on its time."""

    store: Store
    """The store, empty."""

    sibling: Store
    """Another handle on the same tasks, as another process would have it."""

    async def advance(self, by: timedelta) -> None:
        """Moves the store's clock on, for both handles."""
        ...


def new(
    payload: str = "{}",
    *,
    queue: str = "main",
    priority: int = 0,
    delay: timedelta | None = None,
    unique: str | None = None,
    concurrency_key: str | None = None,
) -> NewTask:
    """A task called ``work``; ``unique`` is any text, hashed."""
    return NewTask(
        name="work",
        queue=queue,
        payload=payload,
        priority=priority,
        delay=delay,
        unique_hash=None if unique is None else hashlib.sha256(unique.encode()).digest(),
        concurrency_key=concurrency_key,
    )


async def worker(store: Store, *, lease: timedelta = LEASE) -> WorkerId:
    """A registered worker."""
    identity = WorkerId(uuid4())
    await store.register(identity, name="suite", lease=lease)
    return identity


async def put(store: Store, *tasks: NewTask) -> list[TaskId]:
    """Enqueues and returns the ids."""
    return [answer.id for answer in await store.enqueue(tasks)]


async def take(
    store: Store, by: WorkerId, room: Mapping[str, int] | None = None
) -> list[ClaimedTask]:
    """Claims from the queue ``main`` unless ``room`` says otherwise."""
    return await store.claim(by, {"main": 100} if room is None else room)


async def take_one(store: Store, by: WorkerId) -> ClaimedTask:
    """Claims, and expects exactly one task."""
    (claimed,) = await take(store, by)
    return claimed


async def settle(store: Store, claimed: ClaimedTask, verdict: Verdict) -> bool:
    """Settles one claim; whether it counted."""
    settlement = Settlement(
        id=claimed.id, lease=claimed.lease, verdict=verdict, linked=claimed.linked
    )
    lost = await store.settle([settlement])
    assert lost <= {claimed.id}
    return not lost


async def finish(store: Store, claimed: ClaimedTask) -> bool:
    """Settles one claim as done; whether it counted."""
    return await settle(store, claimed, Finish())


async def record(store: Store, task: TaskId | Enqueued) -> TaskRecord:
    """What the store knows of a task that has to be there."""
    found = await store.get(task.id if isinstance(task, Enqueued) else task)
    assert found is not None
    return found


async def let_others_run() -> None:
    """Yields once: a store in memory does not do so by itself."""
    await SystemClock().sleep(0)
