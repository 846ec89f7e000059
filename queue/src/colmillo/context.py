"""What a running task can see and do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from colmillo.clock import Clock
from colmillo.errors import LeaseLost
from colmillo.flow_store import Outcome
from colmillo.lease import Lease
from colmillo.payload import headers_in
from colmillo.queue import Queue
from colmillo.store import ClaimedTask, Finish, Settlement, Store, TaskId
from colmillo.verdict import json_result

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A task that this one waited for in its flow: how it ended, and the ``result`` of its `Done`.

    The result is None when there was none, or when the task was not done.
    """

    id: TaskId
    outcome: Outcome
    result: Any


class Context(Generic[R_co]):
    """Passed as the first argument to functions that ask for it.

    ``task`` is the `ClaimedTask` (its ``id``, ``attempt``, ``max_attempts``, ``enqueued_at`` and
    so on), ``queue`` a `Queue` to put more tasks into, ``clock`` the worker's `Clock`.
    ``Context[R]`` is for a worker whose ``resources`` are an ``R``.
    """

    __slots__ = ("_completed", "_lease", "_queue", "_resources", "_store", "clock", "task")

    def __init__(
        self, task: ClaimedTask, resources: R_co, *, store: Store, clock: Clock, lease: Lease
    ) -> None:
        self.task = task
        self.clock = clock
        self._resources = resources
        self._store = store
        self._lease = lease
        self._completed = False
        self._queue: Queue | None = None

    @property
    def queue(self) -> Queue:
        """Where the task can put other tasks: its own store."""
        if self._queue is None:
            # Made when it is asked for: most tasks never do.
            self._queue = Queue(self._store)
        return self._queue

    @property
    def resources(self) -> R_co:
        """What the worker was given for its tasks."""
        return self._resources

    @property
    def headers(self) -> Mapping[str, str]:
        """What travels with the task beside its arguments; see `NewTask.with_headers`.

        Read from the payload each time.
        """
        return headers_in(self.task.payload)

    @property
    def completed(self) -> bool:
        """Whether `complete` went through (the caller may have rolled it back since)."""
        return self._completed

    def check_lease(self) -> None:
        """Raises `LeaseLost` when, as far as this worker can tell, another may own the task.

        Costs nothing: call it before an effect that the database does not fence.
        """
        if not self._lease.alive():
            raise LeaseLost(f"task {self.task.id}")

    async def parents(self) -> list[Ended]:
        """The tasks that this one waited for in its flow (`colmillo.flows`), in the order given.

        Asks the store, unless the task is in no flow. All have ended; only a task that runs
        whatever became of them finds others than done ones.
        """
        if not self.task.linked:
            return []
        return [
            Ended(
                id=parent.id,
                outcome=parent.outcome,
                result=None if parent.result is None else json.loads(parent.result),
            )
            for parent in await self._store.parents(self.task.id)
            if parent.outcome is not None
        ]

    async def complete(self, *, connection: object, result: object = None) -> None:
        """Finishes the task inside the caller's open transaction: it is done if that commits.

        The ``result`` is for the tasks that wait for this one; they start soon after the
        function has returned. Afterwards the function returns None or `Done`. When the caller
        rolled back, the task is settled by what the function returns or raises, as usual.

        Raises:
            LeaseLost: another worker owns the task; roll back.
            TypeError, ValueError: JSON cannot carry the result, or it is too long.
        """
        text = None if result is None else json_result(result)
        settlement = Settlement(
            id=self.task.id,
            lease=self.task.lease,
            verdict=Finish(result=text),
            linked=self.task.linked,
        )
        if await self._store.settle([settlement], connection=connection):
            raise LeaseLost(f"task {self.task.id}")
        self._completed = True
