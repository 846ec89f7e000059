"""Putting tasks into a store."""

from collections.abc import Iterable

from colmillo.operations import Cancellation
from colmillo.store import Enqueued, NewTask, Store, TaskId


class Queue:
    """Where programs put tasks. Needs no worker and keeps no state of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def enqueue(self, new: NewTask, *, connection: object | None = None) -> Enqueued:
        """Adds one task. See `enqueue_many`."""
        return (await self.enqueue_many([new], connection=connection))[0]

    async def enqueue_many(
        self, new: Iterable[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        """Adds the tasks in one statement and answers in their order.

        With a ``connection`` they become part of its open transaction: they appear when it
        commits and never when it does not. A unique task that is live already is not added
        again; the answer names the one that is there.
        """
        tasks = list(new)
        return await self.store.enqueue(tasks, connection=connection) if tasks else []

    async def cancel(
        self, task: TaskId, why: str = "cancelled", *, connection: object | None = None
    ) -> Cancellation:
        """Sees to it that the task does not run, or does not go on running.

        A waiting task is archived as cancelled at once, with the reason. A running one is
        cancelled by its worker soon (one that polls: within a third of its lease) and
        archived then, unless it ends first. With a ``connection`` this becomes part of its
        open transaction.
        """
        return await self.store.cancel(task, why, connection=connection)
