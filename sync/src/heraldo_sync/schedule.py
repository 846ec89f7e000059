"""When a feed is checked next. Pure functions; randomness comes in from outside.

Jitter keeps feeds that were added together, or failed together, from coming due together.
"""

import random
from datetime import timedelta

from heraldo_sync.model import Failed

MAX_DELAY = timedelta(days=1)
MAX_HOLD = timedelta(minutes=15)
MAX_TTL = timedelta(hours=1)
# How long a feed is left to its hub; a hub that falls silent makes its next post so late.
MAX_DELIVERED = timedelta(hours=1)
_TOO_OFTEN = 429
_LIVELY = 4
_SLOWING = 0.6
_JITTER = 0.05
# What a server that says "too often" without a time gets.
_HOLD = timedelta(minutes=1)
# Half again for every failure: a feed that was down for n hours is asked again within n/2.
_GROWTH = 1.5
_MAX_STEPS = 64
_MOST_BETWEEN_TICKS = timedelta(seconds=15)
# The queue's schedules know no shorter time.
_LEAST_BETWEEN_TICKS = timedelta(seconds=1)


def between_ticks(interval: timedelta) -> timedelta:
    """Returns how often to look for due feeds: a quarter of ``interval``, 15 seconds at most."""
    return max(min(interval / 4, _MOST_BETWEEN_TICKS), _LEAST_BETWEEN_TICKS)


def look_ahead(interval: timedelta) -> timedelta:
    """Returns how far ahead a tick looks: as far as the one after the next.

    So a tick may come late, or not at all, and no check is late for it. It is less than the time
    from one check of a feed to the next (unless that is under four seconds).
    """
    return 2 * between_ticks(interval)


def after_success(
    interval: timedelta,
    *,
    fresh_for: timedelta | None,
    ttl: timedelta | None,
    rng: random.Random,
    quiet: timedelta = timedelta(),
    longest: timedelta = MAX_DELAY,
    delivered: timedelta | None = None,
) -> timedelta:
    """Returns the time until the next check of a feed that could be read.

    ``interval`` is how often we would like to ask, up to a twentieth sooner; a feed that has been
    ``quiet`` for long gets more (`by_silence`). The server's promise (``fresh_for``) and the
    feed's wish (``ttl``, of which an hour counts at most) can only make it longer, never longer
    than a day. So can a hub that tells us what is new for so long (``delivered``), up to an hour.
    """
    interval = by_silence(interval, quiet=quiet, longest=longest)
    jitter = _JITTER * rng.random()
    wishes = [fresh_for or timedelta(), min(ttl or timedelta(), MAX_TTL)]
    wishes.append(min(delivered or timedelta(), MAX_DELIVERED, longest))
    return min(max(interval * (1 - jitter), *(wish * (1 + jitter) for wish in wishes)), MAX_DELAY)


def by_silence(interval: timedelta, *, quiet: timedelta, longest: timedelta) -> timedelta:
    """Returns how often to ask a feed that has brought nothing new for so long.

    ``interval`` times (quiet / 4 intervals) to the power of 0.6, but no less than ``interval`` and
    no more than ``longest``. With an interval of a minute: a minute within 4 minutes of a post, 5
    minutes after an hour, 34 after a day, 4 hours after a month, a day after 17 months.
    """
    intervals = quiet / (_LIVELY * interval) if interval else 0.0
    if intervals <= 1:
        return interval
    slowed: timedelta = interval * intervals**_SLOWING
    return max(interval, min(slowed, longest))


def after_failure(
    count: int,
    *,
    interval: timedelta,
    retry_after: timedelta | None,
    rng: random.Random,
    longest: timedelta | None = None,
) -> timedelta:
    """Returns the time until the next check after ``count`` failures in a row, at least one.

    Grows exponentially from one and a half intervals, with a quarter of it random, to a day at
    most, or to ``longest`` if that is more than one and a half intervals; never less than
    ``retry_after``, which the server asked for, up to a day.
    """
    first = interval.total_seconds() * _GROWTH
    most = MAX_DELAY if longest is None else min(longest, MAX_DELAY)
    seconds = interval.total_seconds() * _GROWTH ** min(max(count, 1), _MAX_STEPS)
    bound = min(max(most.total_seconds(), first), MAX_DELAY.total_seconds())
    backoff = timedelta(seconds=min(seconds, bound))
    delay = backoff * (0.75 + 0.25 * rng.random())
    return min(max(delay, retry_after or timedelta()), MAX_DELAY)


def hold_of(failed: Failed) -> timedelta | None:
    """Returns for how long a host is left alone with all its feeds; None if it did not ask.

    At most a quarter of an hour: one feed's server must not silence a host of thousands for a day.
    """
    if failed.host is None or (failed.retry_after is None and failed.status != _TOO_OFTEN):
        return None
    wish = _HOLD if failed.retry_after is None else failed.retry_after
    return min(wish, MAX_HOLD)


def after_hold(held: timedelta, *, interval: timedelta, rng: random.Random) -> timedelta:
    """Returns the time until the check of a feed whose host is left alone for ``held`` more."""
    return held + max(held / 2, interval) * rng.random()
