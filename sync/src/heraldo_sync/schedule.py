"""When a feed is checked next. Pure functions; randomness comes in from outside.

Jitter keeps feeds that were added together, or failed together, from coming due together.
"""

import random
from datetime import timedelta

MAX_DELAY = timedelta(days=1)
MAX_TTL = timedelta(hours=1)
_JITTER = 0.1
# Half again for every failure: a feed that was down for n hours is asked again within n/2.
_GROWTH = 1.5
_MAX_STEPS = 64


def after_success(
    interval: timedelta,
    *,
    fresh_for: timedelta | None,
    ttl: timedelta | None,
    rng: random.Random,
) -> timedelta:
    """Returns the time until the next check of a feed that could be read.

    ``interval`` is how often we would like to ask, up to a tenth sooner. The server's promise
    (``fresh_for``) and the feed's wish (``ttl``, of which an hour counts at most) can only make
    it longer, never longer than a day.
    """
    jitter = _JITTER * rng.random()
    wishes = [fresh_for or timedelta(), min(ttl or timedelta(), MAX_TTL)]
    return min(max(interval * (1 - jitter), *(wish * (1 + jitter) for wish in wishes)), MAX_DELAY)


def after_failure(
    count: int, *, interval: timedelta, retry_after: timedelta | None, rng: random.Random
) -> timedelta:
    """Returns the time until the next check after ``count`` failures in a row, at least one.

    Grows exponentially from one and a half intervals, with a quarter of it random, to a day at
    most; never less than ``retry_after``, which the server asked for, up to a day.
    """
    seconds = interval.total_seconds() * _GROWTH ** min(max(count, 1), _MAX_STEPS)
    backoff = timedelta(seconds=min(seconds, MAX_DELAY.total_seconds()))
    delay = backoff * (0.75 + 0.25 * rng.random())
    return min(max(delay, retry_after or timedelta()), MAX_DELAY)
