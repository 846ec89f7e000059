"""Putting tasks into a store."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from colmillo.clock import SystemClock
from colmillo.limits import Limits
from colmillo.operations import Cancellation, Requeued
from colmillo.results import result_of
from colmillo.store import Ending, Enqueued, NewTask, Store, TaskId, TaskRecord

if TYPE_CHECKING:
    from colmillo.flows import Flow

Outgoing = Callable[[NewTask], NewTask]
"""Takes a task that is about to be stored, and returns what is stored instead."""


class Queue:
    """Where programs put tasks. Needs no worker and keeps no state of its own.

    ``outgoing`` is applied to every task that is enqueued here: to add headers, for example.
    """

    def __init__(self, store: Store, *, outgoing: Outgoing | None = None) -> None:
        self.store = store
        self.outgoing = outgoing

    async def enqueue(self, new: NewTask, *, connection: object | None = None) -> Enqueued:
        """Adds one task. See `enqueue_many`."""
        # The slip everybody makes once; a store would complain of something else.
        if not isinstance(new, NewTask):
            raise TypeError(f"a queue takes what some_task.new(…) returns, not {new!r}")
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
        tasks = list(new if self.outgoing is None else map(self.outgoing, new))
        return await self.store.enqueue(tasks, connection=connection) if tasks else []

    async def enqueue_flow(self, flow: "Flow", *, connection: object | None = None) -> list[TaskId]:
        """Adds the tasks of a flow of `colmillo.flows`, all or none, in one transaction.

        Answers with the ids in the order of ``flow.steps``; that of a chain's last part is the
        last. With a ``connection`` they become part of its open transaction.

        Raises:
            InvalidTask: the flow is too large, or a task cannot be stored.
            DuplicateTask: a unique task of the flow is there already, whatever its
                ``duplicate`` says, or comes twice. Nothing was added; the caller's
                transaction is not aborted and may go on.
        """
        tasks = flow.tasks()
        if self.outgoing is not None:
            tasks = [replace(one, task=self.outgoing(one.task)) for one in tasks]
        return await self.store.enqueue_flow(tasks, connection=connection)

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

    async def archived(
        self,
        *,
        queue: str | None = None,
        name: str | None = None,
        ending: Ending | None = None,
        before: TaskId | None = None,
        limit: int = 100,
    ) -> list[TaskRecord]:
        """Tasks that were set aside, the latest ids first, with the errors of their attempts.

        The next page is the one ``before`` the last id of this one.
        """
        found = self.store.archived(
            queue=queue, name=name, ending=ending, before=before, limit=limit
        )
        return list(await found)

    async def requeue(self, task: TaskId, *, connection: object | None = None) -> Requeued:
        """Takes one task back from the archive. See `requeue_many`."""
        return (await self.requeue_many([task], connection=connection))[0]

    async def requeue_many(
        self, tasks: Iterable[TaskId], *, connection: object | None = None
    ) -> list[Requeued]:
        """Takes archived tasks back: each waits, due now, as if it had never been tried.

        Only its errors are kept. One whose unique hash a live task holds stays in the archive.
        Answers in the order asked, each id once.
        """
        ids = list(tasks)
        return list(await self.store.requeue(ids, connection=connection)) if ids else []

    async def result(self, task: TaskId, *, within: timedelta | None = None) -> Any:
        """Waits until the task is done, and returns the result it was done with.

        For tasks declared with ``keep_result``. Any number of calls share one of the store's
        listeners while they wait.

        Raises:
            TaskFailed: it was archived as failed, discarded or quarantined.
            TaskCancelled: it was archived as cancelled.
            ResultExpired: there is no result (any more), or there never was such a task.
            TimeoutError: it has not ended ``within`` that time (None: waits for ever).
        """
        async with asyncio.timeout(None if within is None else within.total_seconds()):
            return await result_of(self.store, task, SystemClock())

    async def pause(self, queue: str) -> bool:
        """Stops every worker from taking tasks of this queue, within one poll; false if it was.

        It is a row: it holds across restarts until `resume`. What runs goes on, and the queue
        takes new tasks as before.
        """
        return await self.store.pause_queue(queue, paused=True)

    async def limit(self, queue: str, limits: Limits) -> None:
        """Sets the queue's limits for all workers, in place of those it has.

        They are rows: they hold across restarts, from the next claim of any worker on. ``Limits()``
        takes them away. What runs already is not counted.
        """
        await self.store.set_limits(queue, limits)

    async def limits(self) -> dict[str, Limits]:
        """The limits of all queues that have any."""
        return dict(await self.store.limits())

    async def resume(self, queue: str) -> bool:
        """Ends the pause; false when there was none."""
        return await self.store.pause_queue(queue, paused=False)
