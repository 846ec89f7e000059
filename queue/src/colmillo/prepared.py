"""A task as a worker calls it, when that is not straight to an async function."""

from collections.abc import Callable
from typing import Any

from colmillo.context import Context
from colmillo.task import Result, Task

Step = Callable[[Context[Any], dict[str, object]], Result]


class Prepared(Task[...]):
    """A task whose calls take another way than straight to an async function."""

    def __init__(self, task: Task[...], step: Step) -> None:
        super().__init__(task.name, task.arguments, task.options, task.function, task.runs)
        self._step = step

    def call(self, context: Context[Any], values: dict[str, object]) -> Result:
        """The coroutine that sees to the call."""
        return self._step(context, values)
