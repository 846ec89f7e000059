"""Feeds and entries in the database, and the fan-out of what is new.

Every function works on the caller's connection; those that write want an open transaction.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from colmillo import Queue
from heraldo_sync.database import Connection
from heraldo_sync.health import Ailing, Moving
from heraldo_sync.hub_store import KnownHub, known_hub
from heraldo_sync.identity import Edit, Post, Remembered
from heraldo_sync.messages import deliver_target
from heraldo_sync.model import Failed, ParsedEntry, Validators
from heraldo_sync.site_troubles import comes_and_goes
from heraldo_sync.skip_times import SkipTimes
from heraldo_sync.statements import statement
from heraldo_sync.storable import storable, storable_or_none
from heraldo_sync.subscribers import lock_subscribers

_GONE = 410
# So many dates that change at once, and the feed dates its posts anew all the time.
_SEVERAL = 2
_HISTORY = 1000
_MARK_AGAIN = timedelta(days=7)


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
class Failing:
    """A feed that failed just now, and since when it does."""

    since: datetime
    ailing: Ailing


async def load_feed(connection: Connection, feed_id: int) -> StoredFeed | None:
    """The feed, or None when it is gone."""
    return (await load_feeds(connection, [feed_id])).get(feed_id)


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
    if row is None:
        return None
    return LockedFeed(
        seen=row["succeeded_at"] is not None,
        told=row["told_at"] is not None,
        quiet=row["quiet"],
        stale=row["stale"],
        now=row["now"],
        hub=known_hub(row),
        delivered=row["delivered"],
    )


async def remembered(
    connection: Connection, feed_id: int, shown: Sequence[Post]
) -> list[Remembered]:
    """The feed's entries that could be one of those shown: by key, or by likeness."""
    if not shown:
        return []
    rows = await connection.fetch(
        statement("remembered"),
        feed_id,
        list({post.traits.key for post in shown}),
        list({like for post in shown if (like := post.traits.likeness) is not None}),
    )
    return [_remembered(row) for row in rows]


async def history(connection: Connection, feed_id: int) -> list[Remembered]:
    """The latest entries of a feed, as many as a document may have."""
    rows = await connection.fetch(statement("history"), feed_id, _HISTORY)
    return [_remembered(row) for row in rows]


def _remembered(row: asyncpg.Record) -> Remembered:
    return Remembered(
        id=row["id"],
        key=row["key"],
        link=row["link"],
        title=row["title"],
        content=row["content"],
        published_at=row["published_at"],
        updated_at=row["updated_at"],
    )


async def add_entries(connection: Connection, feed_id: int, posts: Sequence[Post]) -> list[int]:
    """Adds new entries, old to new; returns their ids."""
    if not posts:
        return []
    rows = await connection.fetch(
        statement("insert_entries"),
        feed_id,
        [post.traits.key for post in posts],
        [post.traits.content for post in posts],
        [post.traits.likeness for post in posts],
        json.dumps([_entry_fields(post.entry) for post in posts]),
    )
    return sorted(row["id"] for row in rows)


async def edit_entries(connection: Connection, edits: Sequence[Edit]) -> None:
    """Keeps the latest version of remembered entries. Sends nothing.

    Dates alone are kept at most daily where several posts got a new one at the same time.
    """
    if not edits:
        return
    posts = [edit.post for edit in edits]
    await connection.execute(
        statement("edit_entries"),
        [edit.id for edit in edits],
        [edit.said for edit in edits],
        [post.traits.key for post in posts],
        [post.traits.content for post in posts],
        [post.traits.likeness for post in posts],
        json.dumps([_entry_fields(post.entry) for post in posts]),
        sum(not edit.said for edit in edits) > _SEVERAL,
    )


async def mark_shown(
    connection: Connection, feed_id: int, entry_ids: Sequence[int], others: frozenset[bytes]
) -> None:
    """Writes down which entries a feed shows; ``others`` by the beginnings of their keys."""
    await connection.execute(statement("mark_shown"), feed_id, list(entry_ids), list(others))
    await connection.execute(statement("mark_feed"), feed_id)


async def remember_items(connection: Connection, feed_id: int, items: bytes) -> None:
    """Keeps what was packed of a feed's items, all of whose entries are stored by now."""
    await connection.execute(statement("remember_items"), feed_id, items)


async def fan_out(
    connection: Connection, queue: Queue, feed_id: int, entry_ids: Sequence[int]
) -> int:
    """One delivery row per (subscription, entry), one delivery task per open target.

    Returns how many subscriptions there are. The targets' rows are locked first: a delivery
    task that is just ending either sees these rows or is over before we enqueue.
    """
    if not entry_ids:
        return 0
    rows = await lock_subscribers(connection, feed_id)
    if not rows:
        return 0
    await connection.execute(
        statement("insert_deliveries"),
        [row["subscription_id"] for row in rows],
        [row["target_id"] for row in rows],
        list(entry_ids),
    )
    open_targets = sorted({row["target_id"] for row in rows if row["open"]})
    await queue.enqueue_many(
        [deliver_target.new(target_id=target) for target in open_targets], connection=connection
    )
    return len(rows)


async def deliver_newest(
    connection: Connection, queue: Queue, *, feed_id: int, subscription_id: int, target_id: int
) -> str | None:
    """Sends a new subscriber the newest entry; returns its title, None when there is none."""
    newest = await connection.fetchrow(statement("newest_entry"), feed_id)
    if newest is None:
        return None
    await connection.fetchrow(statement("share_target"), target_id)
    await connection.execute(
        statement("insert_deliveries"), [subscription_id], [target_id], [newest["id"]]
    )
    await queue.enqueue(deliver_target.new(target_id=target_id), connection=connection)
    title: str = newest["title"]
    return title


async def record_success(
    connection: Connection,
    feed_id: int,
    *,
    next_check: timedelta,
    validators: Validators,
    permanent_url: str | None,
    posted: bool = False,
    body_hash: bytes | None = None,
    description: Description | None = None,
) -> Moving | None:
    """A check went well. Without ``description`` what the feed says of itself stays.

    ``posted`` says that there was something new. Returns what is known of a move when only
    permanent redirects led to ``permanent_url``.
    """
    row = await connection.fetchrow(
        statement("feed_succeeded"),
        feed_id,
        next_check,
        validators.etag,
        validators.last_modified,
        body_hash,
        description.title if description else None,
        description.link if description else None,
        description.format if description else None,
        description.ttl if description else None,
        permanent_url,
        posted,
        description.skip.bits if description and description.skip else None,
        validators.origin,
    )
    if row is None or row["moved_to"] is None:
        return None
    return Moving(
        url=row["url"],
        target=row["moved_to"],
        private=row["private"],
        seen=row["moved_seen"],
        lasting=row["moved_for"],
    )


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


def _entry_fields(entry: ParsedEntry) -> dict[str, object]:
    return {
        "title": storable(entry.title),
        "link": storable_or_none(entry.link),
        "author": storable_or_none(entry.author),
        "html": storable(entry.html),
        "published_at": _moment(entry.published_at),
        "updated_at": _moment(entry.updated_at),
        "enclosures": [
            {
                "url": storable(file.url),
                "mime": storable_or_none(file.mime),
                "length": file.length,
                "title": storable_or_none(file.title),
                "seconds": file.seconds,
            }
            for file in entry.enclosures
        ],
        "categories": [storable(category) for category in entry.categories],
        "image": storable_or_none(entry.image),
        "comments": storable_or_none(entry.comments),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
