"""One pair of hands: claims tasks and runs them one by one, with the worker's own parts."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from colmillo.alarms import Alarms
from colmillo.clock import Clock
from colmillo.context import Context
from colmillo.errors import ColmilloError, InvalidTask, UnknownTask
from colmillo.executors import Executors
from colmillo.lease import Lease
from colmillo.middleware import Middleware, Next
from colmillo.outcome import Done, Outcome
from colmillo.prepared import Prepared
from colmillo.running import Cause, Runs
from colmillo.store import Again, ClaimedTask, Settlement, Store, TaskId, Verdict, WorkerId
from colmillo.task import Task
from colmillo.testing.attempts import Attempt, Ended, ended_by, why_of
from colmillo.worker import unique_names

LEASE = timedelta(days=1)


class DrainFailed(ColmilloError):
    """The tasks could not be run to an end."""


class Bench:
    """A worker without background roles, for the length of an ``async with``.

    What a function is called with, and what its end means, is decided by the same code as in a
    `colmillo.Worker`: middleware, threads and processes, timeouts, rules for errors, backoff.
    """

    def __init__(
        self,
        store: Store,
        tasks: Sequence[Task[...]],
        *,
        resources: object,
        middleware: Sequence[Middleware],
        clock: Clock,
        rng: Random,
    ) -> None:
        self.worker = WorkerId(uuid4())
        self._store = store
        self._lease = Lease(self.worker, clock, float("inf"))
        self._executors = Executors()
        self._errors: dict[tuple[TaskId, int], BaseException] = {}
        self._outcomes: dict[tuple[TaskId, int], Outcome] = {}
        layers = (self._witness, *middleware)
        prepared = [self._seen(self._executors.prepare(task, layers)) for task in tasks]
        self._tasks = unique_names([(task.name, task) for task in prepared], "tasks")
        self._alarms = Alarms(clock)
        self._runs = Runs(
            self._tasks,
            resources,
            store=store,
            clock=clock,
            rng=rng,
            alarms=self._alarms,
            ended=self._ended,
        )
        self._end: asyncio.Future[tuple[Verdict, bool]] | None = None
        self._ringing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.extend()
        self._ringing = asyncio.create_task(self._alarms.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runs.cancel_all(Cause.SHUTDOWN)
        await self._runs.idle.wait()
        if self._ringing is not None:
            self._ringing.cancel()
            await asyncio.gather(self._ringing, return_exceptions=True)
        await self._executors.close()
        await self._store.release_strays(self.worker, [])
        await self._store.retire(self.worker)

    async def extend(self) -> None:
        """Starts the lease anew: the store's clock may have been moved past its end."""
        await self._store.register(self.worker, name="colmillo.testing", lease=LEASE)

    async def claim(self, queue: str, room: int = 1) -> list[ClaimedTask]:
        """The tasks that a worker would take next."""
        return await self._store.claim(self.worker, {queue: room})

    async def release_others(self, claimed: ClaimedTask) -> None:
        """Gives back all that was claimed but this."""
        await self._store.release_strays(self.worker, [claimed.id])

    async def run(self, claimed: ClaimedTask) -> Attempt:
        """Runs a claimed task once, and tells the store.

        Raises:
            UnknownTask: it is none of the bench's tasks; it is given back.
        """
        known = self._tasks.get(claimed.name)
        if known is None:
            await self._store.release_strays(self.worker, [])
            raise UnknownTask(
                f"{claimed.name!r} (task {claimed.id} in queue {claimed.queue!r}): "
                "add it to tasks, or name the queues to look at"
            )
        try:
            arguments = known.arguments.read(claimed.payload)
        except InvalidTask:
            arguments = {}
        self._end = asyncio.get_running_loop().create_future()
        self._runs.start(claimed, self._lease)
        verdict, completed = await self._end
        return await self._settle(claimed, arguments, verdict, completed)

    async def _settle(
        self,
        claimed: ClaimedTask,
        arguments: dict[str, object],
        verdict: Verdict,
        completed: bool,
    ) -> Attempt:
        key = claimed.id, claimed.lease
        said = Settlement(id=claimed.id, lease=claimed.lease, verdict=verdict)
        refused = await self._store.settle([said])
        outcome, error = self._outcomes.pop(key, None), self._errors.pop(key, None)
        return Attempt(
            task=claimed,
            arguments=arguments,
            ended=Ended.LOST if refused and not completed else ended_by(verdict, outcome),
            outcome=outcome,
            error=error,
            why=why_of(verdict),
            delay=verdict.delay if isinstance(verdict, Again) and not refused else None,
        )

    def _ended(self, claimed: ClaimedTask, verdict: Verdict, completed: bool) -> None:
        del claimed
        if self._end is not None and not self._end.done():
            self._end.set_result((verdict, completed))

    async def _witness(self, context: Context[Any], call_next: Next) -> None:
        """The outermost layer: sees what is raised before a rule makes an outcome of it."""
        try:
            await call_next()
        except Exception as error:
            self._errors[context.task.id, context.task.lease] = error
            raise

    def _seen(self, task: Task[...]) -> Task[...]:
        async def step(context: Context[Any], values: dict[str, object]) -> Outcome | None:
            key = context.task.id, context.task.lease
            try:
                outcome = await task.call(context, values)
            except Exception as error:
                self._errors.setdefault(key, error)
                raise
            self._outcomes[key] = Done() if outcome is None else outcome
            return outcome

        return Prepared(task, step)
