"""When a failed task runs again. Pure: no clock, and chance comes in as a `Random`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Self

ZERO = timedelta(0)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a task waits after its n-th failed attempt (counted from 1).

    With ``jitter`` the pause is drawn evenly from nothing to the full delay ("full jitter"),
    so that tasks that failed together do not come back together.
    """

    delays: Callable[[int], timedelta]
    cap: timedelta = DAY
    jitter: bool = True

    @classmethod
    def constant(cls, delay: timedelta, *, jitter: bool = False) -> Self:
        """The same pause each time."""
        return cls(lambda attempt: delay, cap=max(delay, ZERO), jitter=jitter)

    @classmethod
    def linear(cls, step: timedelta, *, cap: timedelta = DAY, jitter: bool = True) -> Self:
        """One step after the first failure, two after the second, up to ``cap``."""
        most = cap.total_seconds()
        return cls(
            lambda attempt: timedelta(seconds=min(attempt * step.total_seconds(), most)),
            cap=cap,
            jitter=jitter,
        )

    @classmethod
    def exponential(
        cls,
        *,
        first: timedelta = timedelta(seconds=5),
        factor: float = 2.0,
        cap: timedelta = DAY,
        jitter: bool = True,
    ) -> Self:
        """``first``, then each time ``factor`` times as long, up to ``cap``."""

        def delay(attempt: int) -> timedelta:
            try:
                seconds = first.total_seconds() * factor ** (attempt - 1)
            except OverflowError:
                return cap
            return timedelta(seconds=min(seconds, cap.total_seconds()))

        return cls(delay, cap=cap, jitter=jitter)

    @classmethod
    def custom(
        cls, delays: Callable[[int], timedelta], *, cap: timedelta = DAY, jitter: bool = False
    ) -> Self:
        """Whatever ``delays(attempt)`` answers, kept between nothing and ``cap``."""
        return cls(delays, cap=cap, jitter=jitter)

    def delay(self, attempt: int, rng: Random) -> timedelta:
        """The pause after this failed attempt: never negative, never above ``cap``."""
        full = max(ZERO, min(self.delays(max(1, attempt)), self.cap))
        return full * rng.random() if self.jitter else full
