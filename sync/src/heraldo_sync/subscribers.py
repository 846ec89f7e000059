"""The targets of feeds' subscribers, locked for adding rows to them."""

from collections.abc import Sequence

import asyncpg

from heraldo_sync.database import Connection
from heraldo_sync.statements import statement


async def lock_subscribers(connection: Connection, feed_ids: Sequence[int]) -> list[asyncpg.Record]:
    """A row (subscription_id, feed_id, target_id, open) for each subscription; none is missing.

    They come by target. The feeds are locked by the caller, so nobody subscribes or unsubscribes
    meanwhile. Targets are locked as docs/decisions/0003-no-stranded-delivery.md wants it.

    A statement that waits for a lock drops the rows that are gone when it gets it. A group that
    becomes a supergroup may lose its old target to the new chat's: its subscription is there as
    before, but would get nothing. So it is asked again when a row got lost on the way.
    """
    while True:
        rows = await connection.fetch(statement("lock_targets_of_feeds"), feed_ids)
        if rows:
            total = rows[0]["total"]
        else:
            total = await connection.fetchval(statement("count_subscriptions"), feed_ids)
        if len(rows) == total:
            return rows
