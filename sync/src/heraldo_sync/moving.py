"""A feed that has moved for good: its address changes, or it becomes one with the feed there.

Locks, in this order: both feeds (the older first), the targets and chats of their subscribers (in
id order, FOR SHARE), their deliveries that wait or are held (in id order), then rows below.
Everything else that locks takes one feed, then targets and then chats.
"""

import logging
from datetime import timedelta

import asyncpg

from colmillo import Queue
from heraldo_sync.database import Connection, Pool
from heraldo_sync.health import Moving, Rules, has_moved
from heraldo_sync.messages import deliver_target
from heraldo_sync.notices import NoticeKind, tell
from heraldo_sync.statements import statement
from heraldo_sync.store import insert_deliveries
from heraldo_sync.subscribers import lock_subscribers
from heraldo_sync.urls import display

logger = logging.getLogger(__name__)

# A check may have read its document so long before it stored it.
_CHECK_TAKES = timedelta(minutes=10)


async def settle_move(pool: Pool, queue: Queue, feed_id: int, target: str, rules: Rules) -> None:
    """Gives the feed its new address, in one transaction, if it still has moved.

    Nothing is lost and nothing sent twice by it. Whatever stops it, the next check tries again.
    """
    try:
        async with pool.acquire() as connection, connection.transaction():
            await _settle(connection, queue, feed_id, target, rules)
    except asyncpg.UniqueViolationError:
        # Somebody has just subscribed to the new address: the next check finds that feed.
        logger.info("a feed's new address was taken just now", extra={"feed_id": feed_id})


async def _settle(
    connection: Connection, queue: Queue, feed_id: int, target: str, rules: Rules
) -> None:
    rows = {
        row["id"]: row for row in await connection.fetch(statement("lock_move"), feed_id, target)
    }
    feed = rows.pop(feed_id, None)
    if feed is None or feed["moved_to"] != target or feed["url"] == target:
        return
    moving = Moving(
        url=feed["url"],
        target=target,
        seen=feed["moved_seen"],
        lasting=feed["moved_for"],
        private=feed["private"],
    )
    if not has_moved(moving, rules):
        return
    about = {"feed_id": feed_id, "from": display(feed["url"]), "to": display(target)}
    other = next(iter(rows), None)
    if other is None:
        await connection.execute(statement("readdress_feed"), feed_id, target)
        logger.info("feed moved", extra=about)
    else:
        await _merge(connection, queue, feed_id, other)
        logger.info("feed moved and merged", extra={**about, "into": other})


async def _merge(connection: Connection, queue: Queue, old: int, new: int) -> None:
    """Moves all that hangs on a feed to another, which shows the same document."""
    rows = await lock_subscribers(connection, [old, new])
    # What is recorded as sent meanwhile is seen by the statements that follow, or comes after them.
    await connection.fetch(statement("lock_deliveries_of_feeds"), [old, new])
    news_to_old = await news(connection, to=old, of=new)
    news_to_new = await news(connection, to=new, of=old)
    for name in ("merge_repeats", "merge_deliveries", "merge_entries", "merge_subscriptions"):
        await connection.execute(statement(name), old, new)
    theirs = [row for row in rows if row["feed_id"] == new]
    both = {row["target_id"] for row in theirs}
    moved = [row for row in rows if row["feed_id"] == old and row["target_id"] not in both]
    touched = set[int]()
    for subscribers, followed, entry_ids in (
        (moved, old, news_to_old),
        (theirs, new, news_to_new),
    ):
        if subscribers and entry_ids:
            await insert_deliveries(connection, subscribers, {followed: entry_ids})
            touched |= {row["target_id"] for row in subscribers if row["open"]}
    await connection.execute(statement("delete_feed"), old)
    await connection.execute(statement("wake_feed"), new)
    await queue.enqueue_many(
        [deliver_target.new(target_id=target) for target in sorted(touched)],
        connection=connection,
    )


async def tell_of_leaving(
    connection: Connection, queue: Queue, feed_id: int, moving: Moving
) -> None:
    """Tells a private feed's subscribers, once, that it says it is at another server now.

    Within a transaction. Should it be lost, the next good check finds the same.
    """
    if await connection.fetchval(statement("told_of_move"), feed_id) is not None:
        await tell(connection, queue, feed_id, NoticeKind.LEFT, reason=display(moving.target))


async def news(connection: Connection, *, to: int, of: int) -> list[int]:
    """The entries of one feed that are news to the subscribers of another of the same posts."""
    rows = await connection.fetch(statement("merge_news"), to, of, _CHECK_TAKES)
    return [row["id"] for row in rows]
