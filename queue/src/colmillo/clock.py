"""Time and waiting, passed in so that a test can move them.

Everything that is stored uses the database's clock; this one times what happens inside a
process (leases as a worker sees them, polling, pauses).
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time. ``monotonic`` never goes back; ``now`` is aware and in UTC."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits that long on this clock; zero or less yields once."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; only differences mean something."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits that long; zero or less yields once."""
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - the one place that may
