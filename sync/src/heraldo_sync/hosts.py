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
from heraldo_sync.spreading import Due, Met, Moment, moments
from heraldo_sync.statements import statement

HOST_QUEUE = "sync_hosts"
# So many feeds of a host are asked for at a time, by all workers together.
TOGETHER = 2
# A turn that is further away is not waited for: the worker has other things to do.
PATIENCE = timedelta(seconds=5)
# A host that has more feeds than `TOGETHER` checked in this time is busy. A request takes less, so
# hosts that are not busy are asked for no more than that at a time either.
MEMORY = timedelta(minutes=1)
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


async def recently_met(pool: Pool) -> Met:
    """The feeds that all ticks together have given moments outside `HOST_QUEUE` of late."""
    rows = await pool.fetch(statement("met_feeds"))
    return Met((row["feed_id"], row["host"]) for row in rows)


async def remember_met(connection: Connection, given: Sequence[Moment]) -> None:
    """Has later ticks meet these feeds until `MEMORY` after the last of their moments."""
    await connection.execute(
        statement("remember_met"),
        max(moment.wait for moment in given) + MEMORY,
        [moment.feed_id for moment in given],
        [moment.host for moment in given],
    )


async def give_moments(
    connection: Connection, feeds: Mapping[str, Sequence[Due]], between: timedelta
) -> list[Moment]:
    """Gives the feeds, by their hosts, the next moments that nobody else was given.

    The hosts are known as busy from now on. Part of the caller's transaction, which other ticks
    that have feeds of the same hosts wait for; so hosts have to come in order.
    """
    rows = await connection.fetch(statement("free_moments"), list(feeds))
    given = moments(feeds, {row["host"]: row["free"] for row in rows}, between)
    # In their order, so the last of a host counts.
    free = {moment.host: moment.wait + between for moment in given}
    await connection.execute(statement("give_moments"), list(free), list(free.values()))
    return given


async def postpone(connection: Connection, given: Sequence[Moment], interval: timedelta) -> None:
    """Moves the next check of feeds that were queued to an interval after their moment.

    The check will set the real time, and should it be lost, the feed comes up again.
    """
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
