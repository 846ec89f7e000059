"""How we deal with hubs: how long, how often, how patiently. Pure functions.

W3C WebSub, of 23 January 2018. What a hub says may be slow, wrong or hostile.
"""

import random
from datetime import timedelta
from enum import Enum

LEASE = timedelta(days=10)
# How often a hub is asked about one feed at most, whatever the feed and the hub say.
BETWEEN = timedelta(minutes=10)
DENIED_FOR = timedelta(days=7)
# So many pushes in a row that brought nothing, and no further look is taken for one.
PATIENCE = 3
_LONGEST_LEASE = timedelta(days=30)
_SHORTEST_LEASE = timedelta(minutes=1)
_RENEW = 0.8
_LONGEST_WAIT = timedelta(days=1)
_FIRST_GAP = timedelta(seconds=2)
_LONGEST_GAP = timedelta(minutes=1)
_UNSUBSCRIBE_TRIES = 5


class Step(Enum):
    """What a hub is asked for; the values are what the protocol calls it."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    REST = "rest"


def next_step(*, wanted: bool, standing: bool, tries: int) -> Step:
    """Returns what to ask of a hub whose time has come.

    ``standing``: the hub has, or may have, a subscription of ours. One that cannot be ended
    is left to end with its lease; what it still pushes is answered with 410.
    """
    if wanted:
        return Step.SUBSCRIBE
    return Step.UNSUBSCRIBE if standing and tries < _UNSUBSCRIBE_TRIES else Step.REST


def lease_of(text: str | None) -> timedelta:
    """Returns the lease that a hub grants in ``hub.lease_seconds``, within sensible bounds.

    What older hubs leave out is taken to be what we asked for.
    """
    text = (text or "").strip()
    if not (text.isascii() and text.isdigit()):
        return LEASE
    return min(max(timedelta(seconds=int(text[:9])), _SHORTEST_LEASE), _LONGEST_LEASE)


def renew_after(lease: timedelta, rng: random.Random) -> timedelta:
    """Returns the time until a lease is renewed: four fifths of it, up to a tenth sooner."""
    return max(lease * _RENEW * (1 - 0.1 * rng.random()), BETWEEN)


def ask_again_after(tries: int, rng: random.Random) -> timedelta:
    """Returns how long a hub has to confirm the ``tries``-th request in a row, up to a day."""
    wait: timedelta = BETWEEN * 3 ** min(max(tries - 1, 0), 9)
    return min(wait, _LONGEST_WAIT) * (1 - 0.25 * rng.random())


def gap(fruitless: int) -> timedelta:
    """Returns the time between two looks at a feed that are taken because of pushes.

    ``fruitless`` is how many of them in a row have brought nothing: 2 s, 10 s, 50 s, a minute.
    """
    grown: timedelta = _FIRST_GAP * 5 ** min(max(fruitless, 0), 9)
    return min(grown, _LONGEST_GAP)


def look_in(since: timedelta | None, fruitless: int) -> timedelta:
    """Returns how long a push waits for its look, the last one having begun ``since`` then."""
    if since is None:
        return timedelta()
    return max(gap(fruitless) - since, timedelta())
