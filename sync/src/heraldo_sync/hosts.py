"""Hosts with many feeds: how often all workers together ask them.

Three things keep a host's pace (docs/decisions/0019-pace-over-all-workers.md): the tick spreads
the checks, `limit_hosts` lets few of them run at a time, and each takes a turn before it asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from colmillo import Queue
from colmillo.limits import Limits
from heraldo_sync.database import Connection, Pool
from heraldo_sync.spreading import Moment, moments
from heraldo_sync.statements import statement

HOST_QUEUE = "sync_hosts"
# So many feeds of a host are asked for at a time, by all workers together.
TOGETHER = 2
# A turn that is further away is not waited for: the worker has other things to do.
PATIENCE = timedelta(seconds=5)
_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """``wait`` from now until a host may be asked; ``taken`` is false when it was too long."""

    wait: timedelta
    taken: bool


async def limit_hosts(queue: Queue) -> None:
    """Lets `TOGETHER` checks of a host in `HOST_QUEUE` run at a time, in the whole fleet."""
    await queue.limit(HOST_QUEUE, Limits(per_key=TOGETHER))


def key_of(host: str) -> str:
    """What the queue counts a host's running checks by; names may be longer than its keys."""
    return host[-_LONGEST_KEY:]


async def give_moments(
    connection: Connection, feeds: Mapping[str, Sequence[int]], between: timedelta
) -> list[Moment]:
    """Gives the feeds, by their hosts, the next moments that nobody else was given.

    The hosts are known as busy from now on. Part of the caller's transaction, which other ticks
    that have feeds of the same hosts wait for; so hosts have to come in order.
    """
    counts = [len(feed_ids) for feed_ids in feeds.values()]
    rows = await connection.fetch(statement("give_moments"), list(feeds), counts, between)
    first = {
        row["host"]: max(row["until"] - len(feeds[row["host"]]) * between, timedelta())
        for row in rows
    }
    return moments(feeds, first, between)


async def postpone(connection: Connection, given: Sequence[Moment], interval: timedelta) -> None:
    """Moves the next check of feeds that were queued to an interval after their moment."""
    await connection.execute(
        statement("postpone_each"),
        [moment.feed_id for moment in given],
        [moment.wait + interval for moment in given],
    )


async def take_turn(pool: Pool, feed_id: int, between: timedelta) -> Turn:
    """Takes the next turn to ask the feed's host, ``between`` after the last one taken.

    At once if the host is busy no more. A check that runs at its moment has no wait; how long
    others wait is bounded by how many run at a time.
    """
    row = await pool.fetchrow(statement("take_turn"), feed_id, between, PATIENCE)
    if row is None:
        return Turn(wait=timedelta(), taken=True)
    return Turn(wait=row["wait"], taken=row["taken"])
