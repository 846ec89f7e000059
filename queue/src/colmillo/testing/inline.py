"""A store that runs tasks at the moment they are enqueued: for small tests."""

from collections.abc import Sequence

from colmillo.clock import Clock
from colmillo.memory import MemoryStore
from colmillo.middleware import Middleware
from colmillo.store import Enqueued, NewTask, Store
from colmillo.task import Task
from colmillo.testing.attempts import Attempt, Drained
from colmillo.testing.draining import drain
from colmillo.testing.trouble import TroubledStore


class InlineStore(TroubledStore):
    """Runs what is due before `enqueue` returns, tasks that tasks enqueue included.

    Around a `MemoryStore` of its own unless another store is given. A task that is enqueued by
    a task runs when that one has ended, as with a worker that has one slot. What is enqueued
    with a ``connection`` is *not* run: only the caller knows when its transaction commits. Call
    `run_due` after that. What is due later stays where it is.

    ``tasks``, ``resources`` and ``middleware`` are those of a worker. With ``raise_failures``
    (the default) `enqueue` raises what a task raised; without, failures count as they do for
    workers. ``attempts`` has everything that was run. Like every `TroubledStore` it can be made
    to fail as well.

    Raises:
        UnknownTask: (`enqueue`) the task is none of ``tasks``.
    """

    def __init__(
        self,
        inner: Store | None = None,
        *,
        tasks: Sequence[Task[...]],
        resources: object = None,
        middleware: Sequence[Middleware] = (),
        clock: Clock | None = None,
        raise_failures: bool = True,
    ) -> None:
        super().__init__(inner or MemoryStore(clock))
        self.attempts: list[Attempt] = []
        self._tasks = tasks
        self._resources = resources
        self._middleware = middleware
        self._clock = clock
        self._raise_failures = raise_failures
        self._draining = False

    async def enqueue(
        self, tasks: Sequence[NewTask], *, connection: object | None = None
    ) -> list[Enqueued]:
        """Adds the tasks and, without a ``connection``, runs what is due."""
        answers = await super().enqueue(tasks, connection=connection)
        if connection is None:
            await self.run_due()
        return answers

    async def run_due(self) -> Drained:
        """Runs what is due: for after a commit, or after the clock was moved."""
        if self._draining:
            return Drained()
        self._draining = True
        try:
            drained = await drain(
                self,
                tasks=self._tasks,
                resources=self._resources,
                middleware=self._middleware,
                clock=self._clock,
                raise_failures=self._raise_failures,
            )
        finally:
            self._draining = False
        self.attempts += drained.attempts
        return drained
