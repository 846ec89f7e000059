"""One check of one feed: ask, read, and keep what is new, in this order of gates.

    304 -> same body -> same items -> parse the new items, or all -> identify -> one
    transaction: entries, deliveries, delivery tasks, the feed's validators and next check

A crash before the commit repeats the check; after it nothing can be forgotten.
"""

import logging

from heraldo_sync.database import Connection
from heraldo_sync.identity import identify
from heraldo_sync.model import Failed, Fetched, NotModified
from heraldo_sync.reading import Familiar, Reading, body_hash, read
from heraldo_sync.schedule import after_failure, after_success
from heraldo_sync.services import SyncServices
from heraldo_sync.store import (
    Description,
    StoredFeed,
    add_entries,
    fan_out,
    load_feed,
    lock_feed,
    record_failure,
    record_success,
    remember_items,
)
from heraldo_sync.urls import display

logger = logging.getLogger(__name__)


async def check_feed(services: SyncServices, feed_id: int) -> int:
    """Checks a feed once; returns how many entries were new. A feed that is gone is nothing."""
    async with services.pool.acquire() as connection:
        feed = await load_feed(connection, feed_id)
    if feed is None:
        return 0
    answer = await _read(services, feed)
    async with services.pool.acquire() as connection, connection.transaction():
        match answer:
            case Failed():
                await _keep_failure(services, connection, feed, answer)
                return 0
            case Reading():
                return await keep_reading(services, connection, feed.id, answer)
            case Familiar():
                await _keep_unchanged(
                    services, connection, feed, answer.fetched, body_hash=answer.body_hash
                )
                return 0
            case Fetched() | NotModified():
                await _keep_unchanged(services, connection, feed, answer)
                return 0


async def _read(
    services: SyncServices, feed: StoredFeed
) -> Reading | Familiar | Fetched | NotModified | Failed:
    """A `Fetched` that comes back as it is has the body that we know already."""
    validators = feed.validators if feed.seen else type(feed.validators)()
    answer = await services.fetcher.fetch(feed.url, validators=validators)
    if not isinstance(answer, Fetched):
        return answer
    if feed.seen and body_hash(answer.body) == feed.body_hash:
        return answer
    return await read(services, answer, seen=feed.items)


async def keep_reading(
    services: SyncServices, connection: Connection, feed_id: int, reading: Reading
) -> int:
    """Stores a reading and fans out what is new; returns how many entries were new.

    What a feed shows at its very first reading is where it starts, not news.
    """
    known = await lock_feed(connection, feed_id)
    entry_ids = await add_entries(connection, feed_id, identify(reading.entries))
    await remember_items(connection, feed_id, reading.items)
    if known:
        subscriptions = await fan_out(connection, services.queue, feed_id, entry_ids)
        if entry_ids:
            logger.info(
                "new entries",
                extra={
                    "feed_id": feed_id,
                    "entries": len(entry_ids),
                    "subscriptions": subscriptions,
                },
            )
    await record_success(
        connection,
        feed_id,
        next_check=after_success(
            services.interval,
            fresh_for=reading.fetched.fresh_for,
            ttl=reading.parsed.ttl,
            rng=services.rng,
        ),
        validators=reading.fetched.validators,
        body_hash=reading.body_hash,
        description=Description(
            title=reading.parsed.title or display(reading.fetched.url),
            link=reading.parsed.link,
            format=reading.parsed.format,
        ),
    )
    return len(entry_ids)


async def _keep_unchanged(
    services: SyncServices,
    connection: Connection,
    feed: StoredFeed,
    answer: Fetched | NotModified,
    *,
    body_hash: bytes | None = None,
) -> None:
    await record_success(
        connection,
        feed.id,
        next_check=after_success(
            services.interval, fresh_for=answer.fresh_for, ttl=None, rng=services.rng
        ),
        validators=answer.validators,
        body_hash=body_hash,
    )


async def _keep_failure(
    services: SyncServices, connection: Connection, feed: StoredFeed, failed: Failed
) -> None:
    delay = after_failure(
        feed.failures + 1,
        interval=services.interval,
        retry_after=failed.retry_after,
        rng=services.rng,
    )
    await record_failure(connection, feed.id, failed, next_check=delay)
    logger.warning(
        "feed check failed",
        extra={"feed_id": feed.id, "reason": failed.reason.value, "failures": feed.failures + 1},
    )
