"""Entries in the database: those that could be shown again, those that are new, their edits.

Every function works on the caller's connection; those that write want an open transaction, and
the feeds locked.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from heraldo_sync.database import Connection
from heraldo_sync.identity import Edit, Post, Remembered
from heraldo_sync.model import ParsedEntry
from heraldo_sync.statements import statement
from heraldo_sync.storable import storable, storable_or_none

# So many dates that change at once, and the feed dates its posts anew all the time.
_SEVERAL = 2
_HISTORY = 1000


async def remembered(
    connection: Connection, shown: Mapping[int, Sequence[Post]]
) -> dict[int, list[Remembered]]:
    """The feeds' entries that could be one of those shown: by key, or by likeness."""
    keys = [
        (feed_id, key)
        for feed_id, posts in shown.items()
        for key in {post.traits.key for post in posts}
    ]
    alike = [
        (feed_id, like)
        for feed_id, posts in shown.items()
        for like in {post.traits.likeness for post in posts}
        if like is not None
    ]
    found: dict[int, dict[int, Remembered]] = {feed_id: {} for feed_id in shown}
    if keys:
        rows = await connection.fetch(statement("remembered"), *_columns(keys), *_columns(alike))
        for row in rows:
            # What has both, a key and a likeness, comes twice.
            found[row["feed_id"]].setdefault(row["id"], _remembered(row))
    return {feed_id: list(entries.values()) for feed_id, entries in found.items()}


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


async def add_entries(
    connection: Connection, new: Mapping[int, Sequence[Post]]
) -> dict[int, list[int]]:
    """Adds new entries to feeds, old to new; returns their ids by feed."""
    added: dict[int, list[int]] = {feed_id: [] for feed_id in new}
    posts = [(feed_id, post) for feed_id, shown in new.items() for post in shown]
    if posts:
        rows = await connection.fetch(
            statement("insert_entries"),
            [feed_id for feed_id, _ in posts],
            [post.traits.key for _, post in posts],
            [post.traits.content for _, post in posts],
            [post.traits.likeness for _, post in posts],
            json.dumps([_entry_fields(post.entry) for _, post in posts]),
        )
        for row in sorted(rows, key=lambda row: row["id"]):
            added[row["feed_id"]].append(row["id"])
    return added


async def edit_entries(connection: Connection, edits: Sequence[Sequence[Edit]]) -> None:
    """Keeps the latest version of remembered entries, given by feed. Sends nothing.

    Dates alone are kept at most daily where several posts of a feed got a new one at the same time.
    """
    changed = [(edit, _change_dates(of_feed)) for of_feed in edits for edit in of_feed]
    if not changed:
        return
    posts = [edit.post for edit, _ in changed]
    await connection.execute(
        statement("edit_entries"),
        [edit.id for edit, _ in changed],
        [edit.said for edit, _ in changed],
        [post.traits.key for post in posts],
        [post.traits.content for post in posts],
        [post.traits.likeness for post in posts],
        json.dumps([_entry_fields(post.entry) for post in posts]),
        [dated for _, dated in changed],
    )


def _change_dates(edits: Sequence[Edit]) -> bool:
    return sum(not edit.said for edit in edits) > _SEVERAL


async def mark_shown(
    connection: Connection, feed_id: int, entry_ids: Sequence[int], others: frozenset[bytes]
) -> None:
    """Writes down which entries a feed shows; ``others`` by the beginnings of their keys."""
    await connection.execute(statement("mark_shown"), feed_id, list(entry_ids), list(others))
    await connection.execute(statement("mark_feed"), feed_id)


async def remember_items(connection: Connection, items: Mapping[int, bytes]) -> None:
    """Keeps what was packed of feeds' items, all of whose entries are stored by now."""
    await connection.execute(statement("remember_items"), list(items), list(items.values()))


def _columns(pairs: Sequence[tuple[int, object]]) -> tuple[list[int], list[object]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


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
