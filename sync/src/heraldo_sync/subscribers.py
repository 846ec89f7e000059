"""The targets of a feed's subscribers, locked for adding rows to them."""

from collections.abc import Sequence

import asyncpg

from heraldo_sync.database import Connection
from heraldo_sync.statements import statement


async def lock_subscribers(connection: Connection, feed_id: int) -> list[asyncpg.Record]:
    """A row (subscription_id, target_id, open) for each subscription, by target; none is missing.

    The feed is locked by the caller, so nobody subscribes or unsubscribes meanwhile. Targets are
    locked as docs/decisions/0003-no-stranded-delivery.md wants it.
    """
    return await _locked(connection, "lock_targets_of_feed", feed_id, [feed_id])


async def lock_subscribers_of(
    connection: Connection, feed_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """The same for several feeds; the rows say which (feed_id)."""
    return await _locked(connection, "lock_targets_of_feeds", feed_ids, feed_ids)


async def _locked(
    connection: Connection, name: str, argument: int | Sequence[int], feed_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """Asks again when a row got lost on the way.

    A statement that waits for a lock drops the rows that are gone when it gets it. A group that
    becomes a supergroup may lose its old target to the new chat's: its subscription is there as
    before, but would get nothing.
    """
    while True:
        rows = await connection.fetch(statement(name), argument)
        if rows:
            total = rows[0]["total"]
        else:
            total = await connection.fetchval(statement("count_subscriptions"), feed_ids)
        if len(rows) == total:
            return rows
