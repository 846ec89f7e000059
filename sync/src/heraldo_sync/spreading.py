"""At which moment each due feed is checked. Pure functions.

A host that has few due feeds is asked for them when they are due. One that has many is asked for
one after the other, so that its pace is kept by when its checks are due, and nobody has to wait
for a turn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

# Workers look once a second anyway; a moment of its own for each feed would be a claim for each.
BEAT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A feed whose time comes in ``wait``. ``busy``: its host is known to have many."""

    feed_id: int
    host: str
    busy: bool
    wait: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When to check a feed: ``wait`` from now."""

    feed_id: int
    host: str
    wait: timedelta


class Met:
    """Which feeds of which hosts, of those that are not busy, were given moments of late."""

    def __init__(self, feeds: Iterable[tuple[int, str]] = ()) -> None:
        self._feeds: dict[str, set[int]] = {}
        for feed_id, host in feeds:
            self._feeds.setdefault(host, set()).add(feed_id)

    def add(self, feed: Due) -> int:
        """Adds a feed; returns how many of its host there are then. Twice the same is once."""
        feeds = self._feeds.setdefault(feed.host, set())
        feeds.add(feed.feed_id)
        return len(feeds)


def part(due: Sequence[Due], met: Met, *, together: int) -> tuple[list[Due], dict[str, list[Due]]]:
    """Parts due feeds into those to check when they are due, and the others by their hosts.

    When they are due go at most ``together`` feeds of a host, counted in ``met``, which goes on
    from batch to batch and from tick to tick. A host that has more is busy, with all its feeds.
    Hosts come in order.
    """
    busy = {feed.host for feed in due if feed.busy}
    busy |= {feed.host for feed in due if not feed.busy and met.add(feed) > together}
    others: dict[str, list[Due]] = {host: [] for host in sorted(busy)}
    for feed in due:
        if feed.host in busy:
            others[feed.host].append(feed)
    return [feed for feed in due if feed.host not in busy], others


def own_moments(due: Sequence[Due]) -> list[Moment]:
    """The moments for feeds of hosts that are not busy, in the order in which they come.

    Each when it is due, or up to a `BEAT` sooner. Of one beat, those of a host come one after the
    other: a connection may still be open.
    """
    return sorted(
        (Moment(feed_id=f.feed_id, host=f.host, wait=f.wait // BEAT * BEAT) for f in due),
        key=lambda moment: (moment.wait, moment.host),
    )


def moments(
    feeds: Mapping[str, Sequence[Due]], first: Mapping[str, timedelta], between: timedelta
) -> list[Moment]:
    """The moments for the feeds of busy hosts, in the order in which they come.

    A host's feeds come in the order in which they are due, none before it is due and none before
    its host's ``first`` moment, at least ``between`` apart.
    """
    found: list[Moment] = []
    for host, of_host in feeds.items():
        free = first[host]
        for feed in sorted(of_host, key=lambda feed: feed.wait):
            wait = max(free, feed.wait)
            found.append(Moment(feed_id=feed.feed_id, host=host, wait=wait))
            free = wait + between
    return sorted(found, key=lambda moment: moment.wait)
