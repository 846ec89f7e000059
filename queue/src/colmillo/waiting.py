"""Waiting that ends: for a call or for an event, bounded on a `Clock` that tests can move."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from colmillo.clock import Clock

T = TypeVar("T")

# asyncio keeps weak references to tasks only; these run on after nobody waits for them.
_abandoned: set[asyncio.Task[Any]] = set()


async def within(clock: Clock, seconds: float, call: Coroutine[Any, Any, T]) -> T:
    """Returns what the call returns, if it does so in time.

    A call that takes longer is cancelled and *not* waited for: a connection that is stalled
    may need long to notice. What it did is unknown then.

    Raises:
        TimeoutError: the time is over.
    """
    task = asyncio.create_task(call)
    timer = asyncio.create_task(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise TimeoutError
    finally:
        timer.cancel()
        if not task.done():
            task.cancel()
            _abandoned.add(task)
            task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()


async def wait_any(clock: Clock, seconds: float, *events: asyncio.Event) -> bool:
    """Waits until one of the events is set, at most that long. Returns whether one is."""
    if seconds > 0 and not any(event.is_set() for event in events):
        waiters: list[asyncio.Task[Any]] = [asyncio.create_task(clock.sleep(seconds))]
        waiters += [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
    return any(event.is_set() for event in events)


class Pauses:
    """Growing pauses between tries at something that keeps failing, in seconds."""

    def __init__(self, rng: Random, *, first: float = 0.1, most: float = 2.0) -> None:
        self._rng = rng
        self._first = first
        self._most = most
        self.failures = 0

    def next(self) -> float:
        """The pause after one more failure: doubling, the upper half of it drawn by chance."""
        full = min(self._first * 2.0 ** min(self.failures, 30), self._most)
        self.failures += 1
        return full * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """It worked: the next pause is a short one again."""
        self.failures = 0
