"""Which due feeds are checked at once, and when the others are. Pure functions.

A host that has few due feeds is asked for them at once. One that has many is asked for one after
the other, so that its pace is kept by when its checks are due, and nobody has to wait for a turn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A feed whose time has come. ``busy``: its host is known to have many."""

    feed_id: int
    host: str
    busy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When to check a feed of a busy host: ``wait`` from now."""

    feed_id: int
    host: str
    wait: timedelta


def part(
    due: Sequence[Due], met: Counter[str], *, together: int
) -> tuple[list[Due], dict[str, list[int]]]:
    """Parts due feeds into those to check at once, and the ids of the others by their hosts.

    At once go at most ``together`` feeds of a host, counted in ``met``, which goes on from batch to
    batch of one tick. A host that has more is busy, with all its feeds. Hosts come in order.
    """
    fresh = Counter(feed.host for feed in due if not feed.busy)
    busy = {feed.host for feed in due if feed.busy}
    busy |= {host for host, feeds in fresh.items() if met[host] + feeds > together}
    met.update(fresh)
    others: dict[str, list[int]] = {host: [] for host in sorted(busy)}
    for feed in due:
        if feed.host in busy:
            others[feed.host].append(feed.feed_id)
    return [feed for feed in due if feed.host not in busy], others


def moments(
    feeds: Mapping[str, Sequence[int]], first: Mapping[str, timedelta], between: timedelta
) -> list[Moment]:
    """The moments for the feeds of busy hosts, in the order in which they come.

    A host's feeds keep their order, ``between`` apart, from its ``first`` moment on.
    """
    found = [
        (first[host] + place * between, place, host, feed_id)
        for host, feed_ids in feeds.items()
        for place, feed_id in enumerate(feed_ids)
    ]
    return [
        Moment(feed_id=feed_id, host=host, wait=wait) for wait, _, host, feed_id in sorted(found)
    ]
