"""Putting tasks into a store."""

from collections.abc import Iterable

from colmillo.store import Enqueued, NewTask, Store


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
        """Adds the tasks, all or none, and answers in their order.

        With a ``connection`` (see the store for what it may be) they become part of its open
        transaction: they appear when it commits and never when it does not. A unique task that
        is there already is not added again; the answer names the one that is there and says
        what became of it.

        Raises:
            InvalidTask: a task that cannot be stored.
            DuplicateTask: a task is there already and its ``duplicate`` is "raise". Nothing
                was added; the caller's transaction is not aborted and may go on.
        """
        tasks = list(new)
        return await self.store.enqueue(tasks, connection=connection) if tasks else []
