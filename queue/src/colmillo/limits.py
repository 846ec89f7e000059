"""Limits of queues that hold across all workers: rows that can be changed while they work.

    await Queue(store).limit("emails", Limits(running=5, per_key=1, rate=Rate(100, per=MINUTE)))

See ``docs/colmillo/limits.md`` for what each counts.
"""

from dataclasses import dataclass
from datetime import timedelta

from colmillo.errors import InvalidTask

MOST = 10_000
"""No limit of running tasks is higher than this, and no burst: one without a limit needs none."""

SECOND = timedelta(seconds=1)
SHORTEST = timedelta(milliseconds=1)
LONGEST = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: ``tasks`` tokens come ``per`` this time, evenly, and at most ``burst`` wait.

    Every start of a task takes one, retries included. So in any time t at most
    ``burst + tasks * t / per`` start. A ``burst`` of None is as many as ``tasks``; with 1 the
    starts are spread evenly.

    Raises:
        InvalidTask: a number below 1 or above `MOST`, or a period under a millisecond or over
            a year.
    """

    tasks: int
    per: timedelta = SECOND
    burst: int | None = None

    def __post_init__(self) -> None:
        """Checks the numbers; a burst of None becomes what it stands for."""
        if self.burst is None:
            object.__setattr__(self, "burst", self.tasks)
        _check("a rate's tasks", self.tasks)
        _check("a rate's burst", self.most)
        if not SHORTEST <= self.per <= LONGEST:
            raise InvalidTask(f"a rate's period lies between 1 ms and 365 days: {self.per}")

    @property
    def most(self) -> int:
        """How many tokens may wait."""
        return self.tasks if self.burst is None else self.burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What holds for one queue, over all workers: at most ``running`` of its tasks at a time, at
    most ``per_key`` of those with one concurrency key, and a `Rate` of starts. None: no limit.

    Raises:
        InvalidTask: a number below 1 or above `MOST`.
    """

    running: int | None = None
    per_key: int | None = None
    rate: Rate | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        if self.running is not None:
            _check("a limit of running tasks", self.running)
        if self.per_key is not None:
            _check("a limit of running tasks per key", self.per_key)

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return not (self.running is None and self.per_key is None and self.rate is None)


NO_LIMITS = Limits()


def _check(what: str, number: int) -> None:
    if not 1 <= number <= MOST:
        raise InvalidTask(f"{what} lies between 1 and {MOST}: {number}")


__all__ = ["MOST", "NO_LIMITS", "Limits", "Rate"]
