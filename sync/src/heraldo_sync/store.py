"""Feeds in the database, and the fan-out of what is new.

Every function works on the caller's connection; those that write want an open transaction.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import asyncpg

from colmillo import Queue
from heraldo_sync.database import Connection
from heraldo_sync.health import Ailing, Moving
from heraldo_sync.hub_store import KnownHub, known_hub
from heraldo_sync.messages import deliver_target
from heraldo_sync.model import Failed, Validators
from heraldo_sync.site_troubles import comes_and_goes
from heraldo_sync.skip_times import SkipTimes
from heraldo_sync.statements import statement
from heraldo_sync.subscribers import lock_subscribers

_GONE = 410
_MARK_AGAIN = timedelta(days=7)


class Subscriber(Protocol):
    """A row, or a mapping, with a subscription_id, its target_id and its feed_id."""

    def __getitem__(self, name: str, /) -> Any:
        """Returns a column."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFeed:
    """What a check needs to know of a feed. ``seen`` is whether it was ever read.

    ``told`` is whether its subscribers know that it fails. ``ttl`` and ``skip`` are the wishes
    that it last expressed, ``quiet`` how long it has brought nothing new, ``held`` how much longer
    its host wants to be left alone. ``items`` is what `heraldo_sync.gate` packed of the items that
    it showed, ``sealed`` the private headers that it is asked with, encrypted. ``delivered`` is for
    how long its hub can be counted on to tell what is new, ``now`` the database's time when it was
    loaded.
    """

    id: int
    url: str
    title: str
    validators: Validators
    body_hash: bytes | None
    failures: int
    seen: bool
    now: datetime
    told: bool = False
    ttl: timedelta | None = None
    skip: SkipTimes | None = None
    quiet: timedelta = timedelta()
    held: timedelta | None = None
    items: bytes | None = None
    delivered: timedelta | None = None
    sealed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFeed:
    """A feed that nobody else may add entries to. The fields are as in `StoredFeed`.

    ``stale`` is whether the entries that it shows must be marked again, ``hub`` what is stored
    of its hub.
    """

    seen: bool
    told: bool
    quiet: timedelta
    stale: bool
    now: datetime
    hub: KnownHub | None = None
    delivered: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a feed says of itself."""

    title: str
    link: str | None
    format: str
    ttl: timedelta | None
    skip: SkipTimes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A check that went well. Without ``description`` what the feed says of itself stays.

    ``posted`` says that there was something new. Only permanent redirects led to
    ``permanent_url``. Without ``body_hash`` the stored one stays.
    """

    feed_id: int
    next_check: timedelta
    validators: Validators
    permanent_url: str | None
    body_hash: bytes | None = None
    posted: bool = False
    description: Description | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A feed that failed just now, and since when it does."""

    since: datetime
    ailing: Ailing


async def load_feeds(connection: Connection, feed_ids: Sequence[int]) -> dict[int, StoredFeed]:
    """Those of the feeds that are there, by id."""
    rows = await connection.fetch(statement("feed"), feed_ids)
    return {row["id"]: _stored(row) for row in rows}


def _stored(row: asyncpg.Record) -> StoredFeed:
    return StoredFeed(
        id=row["id"],
        url=row["url"],
        title=row["title"],
        validators=Validators(
            etag=row["etag"],
            last_modified=row["last_modified"],
            origin=row["validators_origin"],
        ),
        body_hash=row["body_hash"],
        failures=row["failures"],
        seen=row["succeeded_at"] is not None,
        now=row["now"],
        told=row["told_at"] is not None,
        ttl=row["ttl"],
        skip=None if row["skip"] is None else SkipTimes.from_bits(row["skip"]),
        quiet=row["quiet"],
        held=row["held"],
        items=row["items"],
        delivered=row["delivered"],
        sealed=row["sealed"],
    )


async def upsert_feed(connection: Connection, url: str, title: str) -> int:
    """The id of the public feed of this address, which is made if it is new."""
    feed_id: int = await connection.fetchval(statement("upsert_feed"), url, title)
    return feed_id


async def lock_feed(connection: Connection, feed_id: int) -> LockedFeed | None:
    """Holds the feed until the transaction ends; None when it is gone, merged with another.

    Whatever adds entries or subscriptions to a feed holds this lock, so entry ids grow from
    old to new and a subscription is either there for an entry's fan-out or not at all.
    """
    row = await connection.fetchrow(statement("lock_feed"), feed_id, _MARK_AGAIN)
    return None if row is None else _locked(row)


async def lock_free_feeds(connection: Connection, feed_ids: Sequence[int]) -> dict[int, LockedFeed]:
    """The same for many, without those that somebody else holds: it never waits."""
    rows = await connection.fetch(statement("lock_free_feeds"), feed_ids, _MARK_AGAIN)
    return {row["id"]: _locked(row) for row in rows}


def _locked(row: asyncpg.Record) -> LockedFeed:
    return LockedFeed(
        seen=row["succeeded_at"] is not None,
        told=row["told_at"] is not None,
        quiet=row["quiet"],
        stale=row["stale"],
        now=row["now"],
        hub=known_hub(row),
        delivered=row["delivered"],
    )


async def fan_out(
    connection: Connection, queue: Queue, new: Mapping[int, Sequence[int]]
) -> Counter[int]:
    """One delivery row per (subscription, entry), one delivery task per open target.

    ``new`` has the ids of new entries by feed. Returns how many subscriptions the feeds with new
    entries have. The targets' rows are locked first: a delivery task that is just ending either
    sees these rows or is over before we enqueue.
    """
    feed_ids = [feed_id for feed_id, entry_ids in new.items() if entry_ids]
    rows = await lock_subscribers(connection, feed_ids) if feed_ids else []
    if rows:
        await insert_deliveries(connection, rows, {feed_id: new[feed_id] for feed_id in feed_ids})
        open_targets = sorted({row["target_id"] for row in rows if row["open"]})
        await queue.enqueue_many(
            [deliver_target.new(target_id=target) for target in open_targets],
            connection=connection,
        )
    return Counter(row["feed_id"] for row in rows)


async def insert_deliveries(
    connection: Connection, rows: Sequence[Subscriber], new: Mapping[int, Sequence[int]]
) -> None:
    """The delivery rows alone; what is there already stays as it is."""
    await connection.execute(
        statement("insert_deliveries"),
        [row["subscription_id"] for row in rows],
        [row["target_id"] for row in rows],
        [row["feed_id"] for row in rows],
        [entry_id for entry_ids in new.values() for entry_id in entry_ids],
        [feed_id for feed_id, entry_ids in new.items() for _ in entry_ids],
    )


async def deliver_newest(
    connection: Connection, queue: Queue, *, feed_id: int, subscription_id: int, target_id: int
) -> str | None:
    """Sends a new subscriber the newest entry; returns its title, None when there is none."""
    newest = await connection.fetchrow(statement("newest_entry"), feed_id)
    if newest is None:
        return None
    await connection.fetchrow(statement("share_target"), target_id)
    row = {"subscription_id": subscription_id, "target_id": target_id, "feed_id": feed_id}
    await insert_deliveries(connection, [row], {feed_id: [newest["id"]]})
    await queue.enqueue(deliver_target.new(target_id=target_id), connection=connection)
    title: str = newest["title"]
    return title


async def record_success(connection: Connection, outcomes: Sequence[Success]) -> dict[int, Moving]:
    """Checks went well, of one feed each. Returns what is known of those that are moving."""
    said = [outcome.description for outcome in outcomes]
    rows = await connection.fetch(
        statement("feeds_succeeded"),
        [outcome.feed_id for outcome in outcomes],
        [outcome.next_check for outcome in outcomes],
        [outcome.validators.etag for outcome in outcomes],
        [outcome.validators.last_modified for outcome in outcomes],
        [outcome.validators.origin for outcome in outcomes],
        [outcome.body_hash for outcome in outcomes],
        [outcome.permanent_url for outcome in outcomes],
        [outcome.posted for outcome in outcomes],
        [about and about.title for about in said],
        [about and about.link for about in said],
        [about and about.format for about in said],
        [about and about.ttl for about in said],
        [about.skip.bits if about and about.skip else None for about in said],
    )
    return {
        row["id"]: Moving(
            url=row["url"],
            target=row["moved_to"],
            private=row["private"],
            seen=row["moved_seen"],
            lasting=row["moved_for"],
        )
        for row in rows
        if row["moved_to"] is not None
    }


async def record_failure(
    connection: Connection, feed_id: int, failed: Failed, *, next_check: timedelta
) -> Failing | None:
    """A check failed; the feed stays, its next check is further away. None: it is gone."""
    row = await connection.fetchrow(
        statement("feed_failed"),
        feed_id,
        next_check,
        failed.reason.value,
        failed.message,
        failed.status == _GONE,
    )
    if row is None:
        return None
    return Failing(
        since=row["failing_since"],
        ailing=Ailing(
            failures=row["failures"],
            failing_for=row["failing_for"],
            gone_for=row["gone_for"],
            told=row["told"],
            ended=row["ended"],
            doubtful=comes_and_goes(failed),
        ),
    )
