"""Waiting for a change, and for a change or a time, whichever comes first."""

import asyncio
from collections.abc import Callable

from colmillo.clock import Clock


class Signal:
    """Wakes everybody who waits for the next change; must be used in one event loop."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wakes all waiters."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def met(self, condition: Callable[[], bool]) -> None:
        """Waits until the condition holds; it is looked at once, then after every notify()."""
        while not condition():
            change = self._next()
            try:
                await change
            finally:
                self._waiters.discard(change)

    async def met_within(
        self, condition: Callable[[], bool], *, clock: Clock, seconds: float
    ) -> bool:
        """Waits like met(), at most that long on the clock; returns whether it holds."""
        if condition():
            return True
        if seconds <= 0:
            return False
        alarm = asyncio.ensure_future(clock.sleep(seconds))
        try:
            while not condition() and not alarm.done():
                change = self._next()
                try:
                    await asyncio.wait({alarm, change}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._waiters.discard(change)
            return condition()
        finally:
            alarm.cancel()

    def _next(self) -> "asyncio.Future[None]":
        """Returns what the next notify() completes; made at once, so that none is missed."""
        change = asyncio.get_running_loop().create_future()
        self._waiters.add(change)
        return change
