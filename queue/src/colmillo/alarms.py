"""Many deadlines on one sleeper, so that a task's timeout costs no coroutine of its own."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from colmillo.clock import Clock
from colmillo.waiting import wait_any

# With nothing to watch the sleeper still has to sleep for some time.
IDLE_SECONDS = 3600.0


@dataclass(order=True, slots=True)
class Alarm:
    """One deadline. Setting ``off`` forgets it."""

    due: float
    order: int
    ring: Callable[[], None] = field(compare=False)
    off: bool = field(default=False, compare=False)


class Alarms:
    """Calls back at given moments of the clock, as long as `run` runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Alarm] = []
        self._order = count()
        self._earlier = asyncio.Event()

    def set(self, seconds: float, ring: Callable[[], None]) -> Alarm:
        """Calls ``ring`` after so many seconds."""
        alarm = Alarm(self._clock.monotonic() + seconds, next(self._order), ring)
        heapq.heappush(self._heap, alarm)
        if self._heap[0] is alarm:
            self._earlier.set()
        return alarm

    async def run(self) -> None:
        """Rings the alarms until it is cancelled."""
        while True:
            self._earlier.clear()
            now = self._clock.monotonic()
            while self._heap and (self._heap[0].off or self._heap[0].due <= now):
                alarm = heapq.heappop(self._heap)
                if not alarm.off:
                    alarm.ring()
            pause = self._heap[0].due - now if self._heap else IDLE_SECONDS
            await wait_any(self._clock, pause, self._earlier)
