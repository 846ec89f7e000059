"""A clock that stands still until a test moves it."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

_TURNS = 50
"""So many turns the event loop gets after each step of time. Waking a task and letting it reach
its next pause takes a handful; a few dozen leave room for tasks that wait for one another."""


class FakeClock:
    """A `colmillo.clock.Clock` for tests. Sleepers wake when `advance` reaches their time.

    ``now`` and ``monotonic`` move together; ``monotonic`` starts at zero.
    """

    def __init__(self, now: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = now
        self._elapsed = timedelta(0)
        self._sleepers: list[tuple[timedelta, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Seconds that were advanced since the clock was made."""
        return self._elapsed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Waits until the clock was advanced that far; zero or less yields once."""
        if seconds <= 0:
            await asyncio.sleep(0)  # noqa: TID251 - yields, waits for nothing
            return
        woken = asyncio.get_running_loop().create_future()
        due = self._elapsed + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (due, next(self._order), woken))
        await woken

    async def advance(self, seconds: float | timedelta) -> None:
        """Moves time on, waking each sleeper at its own moment, earliest first.

        After every step the event loop gets some turns, so that what was woken runs, and what
        it starts to wait for in the meantime is woken too if it falls within the time. What
        waits for real input or output is not waited for.
        """
        step = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        until = self._elapsed + max(step, timedelta(0))
        await _run_others()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed = max(self._elapsed, due)
            woken.set_result(None)
            await _run_others()
        self._elapsed = until
        await _run_others()

    @property
    def sleepers(self) -> int:
        """How many tasks sleep on this clock now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)


async def _run_others() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)  # noqa: TID251 - yields, waits for nothing
