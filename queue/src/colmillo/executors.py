"""Runs each task's function where it belongs: the event loop, a thread or a process."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from colmillo.context import Context
from colmillo.middleware import Middleware, surrounded
from colmillo.outcome import Done, Outcome
from colmillo.placing import Runs, check_found
from colmillo.prepared import Prepared
from colmillo.processes import Processes
from colmillo.running import fields
from colmillo.task import Task
from colmillo.threads import ThreadContext, Threads
from colmillo.verdict import kept

logger = logging.getLogger(__name__)


def ruled(task: Task[...]) -> Task[...]:
    """Returns the task with its rules for errors carried out, if it has any.

    They do not hold for errors of a run that is being cancelled: what that means is settled.
    """
    rules = task.options.rules
    if rules is None:
        return task

    async def step(context: Context[Any], values: dict[str, object]) -> Outcome | None:
        try:
            return await task.call(context, values)
        except Exception as error:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            outcome = rules.outcome(error)
            if outcome is None:
                raise
            kinds = {"error_type": type(error).__name__, "outcome": type(outcome).__name__}
            logger.warning(
                "task failed, and a rule says what that means",
                extra={**fields(context.task), **kinds},
            )
            return outcome

    return Prepared(task, step)


def keeping(task: Task[...]) -> Task[...]:
    """Returns the task with its result made ready to be kept, if it asks for that."""
    keep = task.options.keep_result
    if keep is None:
        return task

    async def step(context: Context[Any], values: dict[str, object]) -> Outcome | None:
        outcome = await task.call(context, values)
        done = Done() if outcome is None else outcome
        return kept(done, keep) if isinstance(done, Done) else done

    return Prepared(task, step)


class Executors:
    """The threads and processes of one worker. Costs nothing until a task needs them."""

    def __init__(self) -> None:
        self._threads = Threads()
        self._processes = Processes()

    def prepare(self, task: Task[...], layers: Sequence[Middleware] = ()) -> Task[...]:
        """Returns the task as a worker calls it: from the inside, its function where it
        belongs, the middleware, the rules for errors, and the result made ready.

        A task that uses none of this comes back as it is.

        Raises:
            InvalidTask: a process could not find the function.
        """
        return keeping(ruled(surrounded(self._placed(task), layers)))

    def _placed(self, task: Task[...]) -> Task[...]:
        if task.runs is Runs.LOOP:
            return task
        if task.runs is Runs.PROCESS:
            check_found(task.name, task.function)
            return Prepared(task, partial(self._in_process, task))
        return Prepared(task, partial(self._in_thread, task))

    @property
    def busy(self) -> bool:
        """Whether a thread still runs somebody's function."""
        return self._threads.busy > 0

    async def close(self) -> None:
        """Ends what is idle, and goes on without threads that do not end."""
        self._threads.close()
        await self._processes.close()

    async def _in_thread(
        self, task: Task[...], context: Context[Any], values: dict[str, object]
    ) -> Outcome | None:
        inside = ThreadContext(context, asyncio.get_running_loop())
        first = (inside,) if task.arguments.takes_context else ()
        function: partial[Any] = partial(task.function, *first, **values)
        outcome: Outcome | None = await self._threads.call(function, inside.stopping)
        return outcome

    async def _in_process(
        self, task: Task[...], context: Context[Any], values: dict[str, object]
    ) -> Outcome | None:
        # The process reads the arguments itself: they travel as the text they are stored as.
        return await self._processes.call(task.function, context.task.payload)
