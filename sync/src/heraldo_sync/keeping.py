"""What becomes of a reading: its news is stored and fanned out, in one transaction.

A feed's posts are recognised only under its lock, so that what another check has stored is seen.
Many readings may be kept together, each to the same effect as alone: a way to the database and
back costs more than most of them are work.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from colmillo import Queue
from heraldo_sync.database import Connection
from heraldo_sync.entry_store import (
    add_entries,
    edit_entries,
    history,
    mark_shown,
    remember_items,
    remembered,
)
from heraldo_sync.health import Moving
from heraldo_sync.holding import hold
from heraldo_sync.hub_store import has_changed, keep_hub
from heraldo_sync.hubs import announced
from heraldo_sync.identity import Verdict, posts, reconcile
from heraldo_sync.notices import NoticeKind, tell
from heraldo_sync.reading import Reading
from heraldo_sync.resets import FEWEST, is_reset
from heraldo_sync.schedule import after_success
from heraldo_sync.skip_times import SkipTimes, when_awake
from heraldo_sync.statements import statement
from heraldo_sync.store import (
    Description,
    LockedFeed,
    Success,
    fan_out,
    lock_feed,
    lock_free_feeds,
    record_success,
)
from heraldo_sync.urls import display

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a check has stored: how many entries were new, and whether the feed is moving."""

    new: int = 0
    moving: Moving | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often feeds are checked; the fields are as in `services.SyncServices`.

    ``pushes`` is whether hubs can reach us, so that a feed may be left to its hub.
    """

    interval: timedelta
    longest: timedelta
    pushes: bool
    rng: random.Random

    def next_check(
        self,
        *,
        fresh_for: timedelta | None,
        ttl: timedelta | None,
        skip: SkipTimes | None,
        quiet: timedelta,
        delivered: timedelta | None,
        now: datetime,
    ) -> timedelta:
        """The time until the next check of a feed that could be read."""
        delay = after_success(
            self.interval,
            fresh_for=fresh_for,
            ttl=ttl,
            rng=self.rng,
            quiet=quiet,
            longest=self.longest,
            delivered=delivered if self.pushes else None,
        )
        return when_awake(delay, skip, now=now, longest=self.longest, rng=self.rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A reading whose feed is locked."""

    feed_id: int
    reading: Reading
    locked: LockedFeed


_Added = Mapping[int, Sequence[int]]
"""The ids of the entries that were added, by feed."""


class Keeper:
    """Keeps readings on the caller's connection, within the caller's transaction."""

    def __init__(self, queue: Queue, rhythm: Rhythm) -> None:
        self._queue = queue
        self._rhythm = rhythm

    async def keep(self, connection: Connection, feed_id: int, reading: Reading) -> Kept:
        """Stores a reading and fans out what is new. Nothing if the feed is gone.

        What a feed shows at its very first reading is where it starts, not news. New entries that
        look like old ones under new ids are held instead (`resets`).
        """
        locked = await lock_feed(connection, feed_id)
        if locked is None:
            return Kept()
        if locked.told:
            await tell_that_it_works(connection, self._queue, feed_id)
        opened = _Opened(feed_id=feed_id, reading=reading, locked=locked)
        verdict = (await _recognise(connection, [opened]))[feed_id]
        await edit_entries(connection, [verdict.edited])
        held = locked.seen and await _must_be_held(connection, opened, verdict)
        added = await _add(connection, [opened], {feed_id: verdict})
        await keep_hub(connection, feed_id, announced(reading.fetched, reading.parsed), locked.hub)
        if locked.stale:
            shown = [*verdict.known, *added[feed_id]]
            await mark_shown(connection, feed_id, shown, reading.familiar)
        if held:
            await hold(connection, self._queue, feed_id, added[feed_id])
            about = {"feed_id": feed_id, "entries": len(added[feed_id])}
            logger.warning("held back", extra=about)
        else:
            await self._fan_out(connection, [opened], added)
        return (await self._succeed(connection, [opened], added))[feed_id]

    async def keep_plain(
        self, connection: Connection, readings: Sequence[tuple[int, Reading]]
    ) -> list[Kept | None]:
        """The same for many feeds; None for each that has to be kept alone, which is untouched.

        These are feeds that somebody else holds, or that are gone, or of which there are two
        readings; and those that need more than their entries stored and fanned out. So nobody
        waits here for a feed, and what locks targets does so once, in their order.
        """
        by_feed = dict(readings)
        if len(by_feed) < len(readings):
            return [None] * len(readings)
        locked = await lock_free_feeds(connection, list(by_feed))
        opened = [
            _Opened(feed_id=feed_id, reading=by_feed[feed_id], locked=feed)
            for feed_id, feed in locked.items()
            if _is_plain(feed, by_feed[feed_id])
        ]
        verdicts = await _recognise(connection, opened)
        opened = [
            one for one in opened if not one.locked.seen or len(verdicts[one.feed_id].new) < FEWEST
        ]
        if not opened:
            return [None] * len(readings)
        await edit_entries(connection, [verdicts[one.feed_id].edited for one in opened])
        added = await _add(connection, opened, verdicts)
        await self._fan_out(connection, opened, added)
        kept = await self._succeed(connection, opened, added)
        return [kept.get(feed_id) for feed_id, _ in readings]

    async def _fan_out(
        self, connection: Connection, opened: Sequence[_Opened], added: _Added
    ) -> None:
        news = {one.feed_id: added[one.feed_id] for one in opened if one.locked.seen}
        subscriptions = await fan_out(connection, self._queue, news)
        for feed_id, entry_ids in news.items():
            if entry_ids:
                logger.info(
                    "new entries",
                    extra={
                        "feed_id": feed_id,
                        "entries": len(entry_ids),
                        "subscriptions": subscriptions[feed_id],
                    },
                )

    async def _succeed(
        self, connection: Connection, opened: Sequence[_Opened], added: _Added
    ) -> dict[int, Kept]:
        moving = await record_success(
            connection, [self._success(one, posted=bool(added[one.feed_id])) for one in opened]
        )
        return {
            one.feed_id: Kept(new=len(added[one.feed_id]), moving=moving.get(one.feed_id))
            for one in opened
        }

    def _success(self, one: _Opened, *, posted: bool) -> Success:
        fetched, parsed = one.reading.fetched, one.reading.parsed
        return Success(
            feed_id=one.feed_id,
            next_check=self._rhythm.next_check(
                fresh_for=fetched.fresh_for,
                ttl=parsed.ttl,
                skip=parsed.skip,
                quiet=timedelta() if posted else one.locked.quiet,
                delivered=one.locked.delivered,
                now=one.locked.now,
            ),
            validators=fetched.validators,
            permanent_url=fetched.permanent_url,
            body_hash=one.reading.body_hash,
            posted=posted,
            description=Description(
                title=parsed.title or display(fetched.url),
                link=parsed.link,
                format=parsed.format,
                ttl=parsed.ttl,
                skip=parsed.skip,
            ),
        )


def _is_plain(feed: LockedFeed, reading: Reading) -> bool:
    """Whether storing and fanning out is all that is to be done, as far as can be seen yet."""
    named = announced(reading.fetched, reading.parsed)
    return not (feed.told or feed.stale or has_changed(named, feed.hub))


async def _recognise(connection: Connection, opened: Sequence[_Opened]) -> dict[int, Verdict]:
    """Only under the feeds' locks: what another check has stored must be seen."""
    shown = {
        one.feed_id: posts(one.reading.entries, home=one.reading.parsed.link) for one in opened
    }
    known = await remembered(connection, shown)
    return {
        one.feed_id: reconcile(
            known[one.feed_id],
            shown[one.feed_id],
            elsewhere=one.reading.familiar,
            home=one.reading.parsed.link,
        )
        for one in opened
    }


async def _must_be_held(connection: Connection, one: _Opened, verdict: Verdict) -> bool:
    if len(verdict.new) < FEWEST:
        return False
    return is_reset(
        verdict.new,
        len(one.reading.familiar) + len(verdict.known) + len(verdict.new),
        await history(connection, one.feed_id),
        home=one.reading.parsed.link,
        now=await connection.fetchval(statement("now")),
    )


async def _add(
    connection: Connection, opened: Sequence[_Opened], verdicts: Mapping[int, Verdict]
) -> dict[int, list[int]]:
    added = await add_entries(
        connection, {one.feed_id: verdicts[one.feed_id].new for one in opened}
    )
    await remember_items(connection, {one.feed_id: one.reading.items for one in opened})
    return added


async def tell_that_it_works(connection: Connection, queue: Queue, feed_id: int) -> None:
    """Takes back what subscribers were told, before the posts that make it true."""
    if await connection.fetchval(statement("feed_untold"), feed_id) is not None:
        await tell(connection, queue, feed_id, NoticeKind.WORKING)
