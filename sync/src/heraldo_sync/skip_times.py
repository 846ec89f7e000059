"""The hours and days in which a feed does not want to be asked (RSS skipHours and skipDays).

Pure functions. All of it is in UTC, as the specification says ("GMT").
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOUR = timedelta(hours=1)
_HOURS_OF_A_WEEK = 7 * 24
_FIRST_DAY_BIT = 24
# All who sleep until the same hour do not wake at the same second.
_SPREAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipTimes:
    """``hours`` are 0 to 23, ``days`` 0 (Monday) to 6."""

    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()

    @property
    def bits(self) -> int:
        """All of it in one number, to be stored: a bit for each hour, then for each day."""
        return sum(1 << hour for hour in self.hours) + sum(
            1 << (_FIRST_DAY_BIT + day) for day in self.days
        )

    @classmethod
    def from_bits(cls, bits: int) -> "SkipTimes":
        """What `bits` was made of."""
        return cls(
            hours=frozenset(hour for hour in range(24) if bits >> hour & 1),
            days=frozenset(day for day in range(7) if bits >> (_FIRST_DAY_BIT + day) & 1),
        )

    def covers(self, moment: datetime) -> bool:
        """Whether the feed wants its peace at that moment."""
        moment = moment.astimezone(UTC)
        return moment.hour in self.hours or moment.weekday() in self.days


def skip_times(values: Iterable[str]) -> SkipTimes | None:
    """Returns what ``<hour>`` and ``<day>`` elements say; None if they leave the feed no rest.

    Hours are 0 to 23, or 24 for midnight as in RSS 0.91. What would never let us ask is no wish.
    """
    hours, days = set[int](), set[int]()
    for value in values:
        word = value.strip().lower()
        if word in DAYS:
            days.add(DAYS.index(word))
        elif word.isascii() and word.isdigit() and len(word) <= 2 and int(word) <= 24:
            hours.add(int(word) % 24)
    if not (hours or days) or len(hours) == 24 or len(days) == 7:
        return None
    return SkipTimes(hours=frozenset(hours), days=frozenset(days))


def when_awake(
    delay: timedelta,
    skip: SkipTimes | None,
    *,
    now: datetime,
    longest: timedelta,
    rng: random.Random,
) -> timedelta:
    """Returns ``delay`` or, if it ends while the feed wants its peace, the time until that is over.

    Never more than ``longest``, the operator's bound, unless ``delay`` is that already.
    """
    at = now + delay
    if skip is None or not skip.covers(at):
        return delay
    hour = at.replace(minute=0, second=0, microsecond=0)
    for ahead in range(1, _HOURS_OF_A_WEEK + 1):
        wakes = hour + ahead * _HOUR
        if not skip.covers(wakes):
            return max(delay, min(wakes - now + _SPREAD * rng.random(), longest))
    return delay
