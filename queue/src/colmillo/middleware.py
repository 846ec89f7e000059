"""Code around every task of a worker: for logs, measures, transactions, refusals."""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from colmillo.context import Context
from colmillo.outcome import Done, Outcome
from colmillo.prepared import Prepared
from colmillo.task import Result, Task

Next = Callable[[], Coroutine[Any, Any, Outcome]]
"""Runs the layers further in and then the function; raises what they raise."""

Middleware = Callable[[Context[Any], Next], Result]
"""``async def layer(ctx, call_next)``. What it returns is the task's outcome; None leaves the one
of `Next` as it was (or means `Done` if that was not called). What it raises is a failure."""

Lifespan = Callable[[], AbstractAsyncContextManager[object]]
"""Makes the context manager whose block is the worker's life, and whose value its resources."""


def surrounded(task: Task[...], layers: Sequence[Middleware]) -> Task[...]:
    """Returns the task with the layers around its function, the first outermost."""
    if not layers:
        return task

    def step(context: Context[Any], values: dict[str, object]) -> Result:
        def call() -> Result:
            return task.call(context, values)

        for layer in reversed(layers):
            call = around(layer, context, call)
        return call()

    return Prepared(task, step)


def around(
    layer: Middleware, context: Context[Any], inner: Callable[[], Result]
) -> Callable[[], Result]:
    """The call of a layer around an inner call."""

    async def call() -> Outcome | None:
        came: Outcome | None = None

        async def call_next() -> Outcome:
            nonlocal came
            returned = await inner()
            came = Done() if returned is None else returned
            return came

        outcome = await layer(context, call_next)
        return came if outcome is None else outcome

    return call
