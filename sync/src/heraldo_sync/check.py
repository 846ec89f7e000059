"""One check of one feed: ask, read, and keep what is new, in this order of gates.

    304 -> same body -> same items -> parse the new items, or all -> recognise -> one
    transaction: entries, deliveries, delivery tasks, the feed's validators and next check

A crash before the commit repeats the check; after it nothing can be forgotten.
"""

import logging
from datetime import timedelta

from heraldo_sync import failures
from heraldo_sync.database import Connection
from heraldo_sync.health import Moving, Step, after_failed_check, has_left, has_moved
from heraldo_sync.keeping import Kept, tell_that_it_works
from heraldo_sync.model import Failed, Fetched, NotModified, Reason
from heraldo_sync.moving import settle_move, tell_of_leaving
from heraldo_sync.notices import NoticeKind, tell
from heraldo_sync.private import Private
from heraldo_sync.reading import Familiar, Reading, body_hash, read
from heraldo_sync.schedule import after_failure, after_hold, hold_of
from heraldo_sync.services import SyncServices
from heraldo_sync.site_troubles import longest_wait
from heraldo_sync.statements import statement
from heraldo_sync.store import StoredFeed, Success, record_failure, record_success
from heraldo_sync.urls import parse

logger = logging.getLogger(__name__)


async def check_feed(services: SyncServices, feed_id: int) -> int:
    """Checks a feed once; returns how many entries were new. A feed that is gone is nothing."""
    feed = await services.batches.load(feed_id)
    if feed is None:
        return 0
    if feed.held is not None:
        await _postpone(services, feed.id, feed.held)
        return 0
    answer = await _read(services, feed)
    if _is_no_fault(services, feed, answer):
        await _postpone(services, feed.id, services.interval)
        return 0
    kept = await _keep(services, feed, answer)
    if kept.moving is not None:
        await _see_to_move(services, feed.id, kept.moving)
    return kept.new


async def _see_to_move(services: SyncServices, feed_id: int, moving: Moving) -> None:
    if has_left(moving, services.rules):
        async with services.pool.acquire() as connection, connection.transaction():
            await tell_of_leaving(connection, services.queue, feed_id, moving)
    elif has_moved(moving, services.rules):
        await settle_move(services.pool, services.queue, feed_id, moving.target, services.rules)


async def _keep(
    services: SyncServices,
    feed: StoredFeed,
    answer: Reading | Familiar | Fetched | NotModified | Failed,
) -> Kept:
    match answer:
        case Familiar(fetched=fetched, body_hash=body_hash):
            return await _keep_unchanged(services, feed, fetched, body_hash=body_hash)
        case Fetched() | NotModified():
            return await _keep_unchanged(services, feed, answer)
        case Reading():
            return await services.batches.keep(feed.id, answer)
        case Failed():
            async with services.pool.acquire() as connection, connection.transaction():
                return await _keep_failure(services, connection, feed, answer)


def _is_no_fault(
    services: SyncServices,
    feed: StoredFeed,
    answer: Reading | Familiar | Fetched | NotModified | Failed,
) -> bool:
    """Whether a check failed for reasons of our own, which are not held against the feed."""
    failed = answer if isinstance(answer, Failed) else None
    if services.network.met(parse(feed.url).host, failed):
        return True
    if failed is not None and failed.reason is Reason.HOST_BUSY:
        logger.warning("host is busy", extra={"feed_id": feed.id})
        return True
    return False


async def _postpone(services: SyncServices, feed_id: int, wait: timedelta) -> None:
    delay = after_hold(wait, interval=services.interval, rng=services.rng)
    await services.pool.execute(statement("postpone_feeds"), [feed_id], delay)


async def _read(
    services: SyncServices, feed: StoredFeed
) -> Reading | Familiar | Fetched | NotModified | Failed:
    """A `Fetched` that comes back as it is has the body that we know already."""
    private: Private | None = None
    if feed.sealed is not None:
        # Never without its headers: what comes back then is another feed, or a login page.
        private = services.vault.open(feed.sealed) if services.vault is not None else None
        if private is None:
            return failures.locked()
    validators = feed.validators if feed.seen else type(feed.validators)()
    answer = await services.fetcher.fetch(feed.url, validators=validators, private=private)
    if not isinstance(answer, Fetched):
        return answer
    if feed.seen and body_hash(answer.body) == feed.body_hash:
        return answer
    reading = await read(services, answer, seen=feed.items)
    if private is not None and isinstance(reading, Failed):
        return failures.of_private(reading, sent=True)
    return reading


async def _keep_unchanged(
    services: SyncServices,
    feed: StoredFeed,
    answer: Fetched | NotModified,
    *,
    body_hash: bytes | None = None,
) -> Kept:
    """An answer without the feed does not repeat the feed's own wish, which still stands."""
    outcome = Success(
        feed_id=feed.id,
        next_check=services.rhythm.next_check(
            fresh_for=answer.fresh_for,
            ttl=feed.ttl,
            skip=feed.skip,
            quiet=feed.quiet,
            delivered=feed.delivered,
            now=feed.now,
        ),
        validators=answer.validators,
        permanent_url=answer.permanent_url,
        body_hash=body_hash,
    )
    if not feed.told:
        return Kept(moving=await services.batches.succeeded(outcome))
    # That it works again is said in the transaction that makes it work.
    async with services.pool.acquire() as connection, connection.transaction():
        moving = await record_success(connection, [outcome])
        await tell_that_it_works(connection, services.queue, feed.id)
        return Kept(moving=moving.get(feed.id))


async def _keep_failure(
    services: SyncServices, connection: Connection, feed: StoredFeed, failed: Failed
) -> Kept:
    delay = after_failure(
        feed.failures + 1,
        interval=services.interval,
        retry_after=failed.retry_after,
        rng=services.rng,
        longest=longest_wait(failed, feed.failures + 1),
    )
    hold = hold_of(failed)
    if hold is not None:
        await connection.execute(statement("hold_host"), failed.host, hold)
    failing = await record_failure(connection, feed.id, failed, next_check=delay)
    if failing is None:
        return Kept()
    logger.warning(
        "feed check failed",
        extra={"feed_id": feed.id, "reason": failed.reason.value, "failures": feed.failures + 1},
    )
    match after_failed_check(failing.ailing, services.rules):
        case Step.END:
            await connection.execute(statement("end_feed"), feed.id)
            await tell(connection, services.queue, feed.id, NoticeKind.ENDED)
        case Step.TELL:
            await connection.execute(statement("feed_told"), feed.id)
            await tell(
                connection,
                services.queue,
                feed.id,
                NoticeKind.FAILING,
                reason=failed.message,
                since=failing.since,
            )
        case Step.NOTHING:
            pass
    return Kept()
