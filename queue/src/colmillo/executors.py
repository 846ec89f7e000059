"""Runs each task's function where it belongs: the event loop, a thread or a process."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from colmillo.context import Context
from colmillo.outcome import Outcome
from colmillo.placing import Runs, check_found
from colmillo.processes import Processes
from colmillo.task import Result, Task
from colmillo.threads import ThreadContext, Threads

logger = logging.getLogger(__name__)

Step = Callable[[Context[Any], dict[str, object]], Result]


class Prepared(Task[...]):
    """A task whose calls take another way than straight to an async function."""

    def __init__(self, task: Task[...], step: Step) -> None:
        super().__init__(task.name, task.arguments, task.options, task.function, task.runs)
        self._step = step

    def call(self, context: Context[Any], values: dict[str, object]) -> Result:
        """The coroutine that sees to the call."""
        return self._step(context, values)


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
            extra = {"task_id": context.task.id, "task": context.task.name}
            kinds = {"error_type": type(error).__name__, "outcome": type(outcome).__name__}
            logger.warning("task failed, and a rule says what that means", extra=extra | kinds)
            return outcome

    return Prepared(task, step)


class Executors:
    """The threads and processes of one worker. Costs nothing until a task needs them."""

    def __init__(self) -> None:
        self._threads = Threads()
        self._processes = Processes()

    def prepare(self, task: Task[...]) -> Task[...]:
        """Returns the task with its function where it belongs; an async one as it is.

        Raises:
            InvalidTask: a process could not find the function.
        """
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
