"""What waits to be sent to a target, and what became of it."""

import json
from dataclasses import dataclass

import asyncpg

from heraldo_sync.database import Connection, Pool
from heraldo_sync.model import Enclosure, Entry
from heraldo_sync.notices import Notice, read_notice
from heraldo_sync.post_links import link_key
from heraldo_sync.statements import statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a target is. ``topic_id`` 0 means none; ``open`` whether it may be written to.

    ``folds`` is whether its chat wants a post that several feeds bring only once.
    """

    chat_id: int
    topic_id: int
    kind: str
    open: bool
    folds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a target must get. ``parts_sent`` counts what Telegram already has.

    ``target_id`` is for whom it was read. ``asked_for`` is the post that shows a new subscriber
    what a feed's posts look like.
    """

    id: int
    target_id: int
    parts_sent: int
    content: Entry | Notice
    asked_for: bool = False

    @property
    def foldable(self) -> Entry | None:
        """The post, if another feed's may stand for it: not when a part of it is out already."""
        if isinstance(self.content, Notice) or self.asked_for or self.parts_sent:
            return None
        return self.content


class Outbox:
    """The deliveries of targets. A row leaves "waiting" only by what this class records."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def address(self, target_id: int) -> Address | None:
        """Where the target is now; None when it is gone."""
        return _address(await self._pool.fetchrow(statement("address"), target_id))

    async def address_of(self, delivery: Delivery) -> Address | None:
        """Where its target is now; None when it waits no more: unsubscribed, merged, or sent."""
        return _address(await self._pool.fetchrow(statement("still_waiting"), delivery.id))

    async def waiting(self, target_id: int, limit: int) -> list[Delivery]:
        """The target's next deliveries, oldest first."""
        rows = await self._pool.fetch(statement("waiting_deliveries"), target_id, limit)
        return [
            Delivery(
                id=row["id"],
                target_id=target_id,
                parts_sent=row["parts_sent"],
                content=_entry(row) if row["notice"] is None else _notice(row),
                asked_for=row["asked_for"],
            )
            for row in rows
        ]

    async def part_sent(
        self,
        delivery: Delivery,
        sent: int,
        message_id: int,
        *,
        last: bool,
        folds: bool = False,
    ) -> bool:
        """Records Telegram's answer to one part; ``sent`` parts were recorded before it.

        With ``folds`` the last part also writes down the post's link, for other feeds' posts to
        be folded into this one. False when another worker has recorded it in the meantime: then
        this was a repeat.
        """
        entry = delivery.content if folds and isinstance(delivery.content, Entry) else None
        link = link_key(entry.link, home=entry.feed_link) if entry else None
        feed_id = entry.feed_id if entry else None
        what = (sent, message_id, last, link, feed_id)
        row = await self._pool.fetchrow(statement("part_sent"), delivery.id, *what)
        if row is None:
            # Two feeds may have become one meanwhile, and with them two rows of this post.
            heir = await self._pool.fetchval(statement("heir"), delivery.target_id, delivery.id)
            row = heir and await self._pool.fetchrow(statement("part_sent"), heir, *what)
        return row is not None

    async def set_aside(self, delivery: Delivery, reason: str) -> None:
        """Puts a message away that Telegram takes in no form, with its reason."""
        await self._pool.execute(statement("set_aside"), delivery.id, reason)


async def nothing_waits(connection: Connection, target_id: int) -> bool:
    """Whether a delivery task may end, asked in the very transaction that ends it.

    Locks the target's row: whoever is adding a row for it either committed before (then it is
    seen here) or comes after, finds no live task and enqueues one.
    """
    open_now = await connection.fetchval(statement("lock_target"), target_id)
    if not open_now:
        return True
    return not await connection.fetchval(statement("has_waiting"), target_id)


def _address(row: asyncpg.Record | None) -> Address | None:
    if row is None:
        return None
    return Address(
        chat_id=row["chat_id"],
        topic_id=row["topic_id"],
        kind=row["kind"],
        open=row["open"],
        folds=row["folds"],
    )


def _notice(row: asyncpg.Record) -> Notice:
    return read_notice(
        row["notice"],
        subscription_id=row["subscription_id"],
        feed_title=row["feed_title"],
        feed_url=row["feed_url"],
    )


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(
        id=row["entry_id"],
        feed_id=row["feed_id"],
        feed_title=row["feed_title"],
        feed_link=row["feed_link"],
        title=row["title"],
        link=row["link"],
        author=row["author"],
        html=row["html"],
        published_at=row["published_at"],
        enclosures=tuple(
            Enclosure(
                url=file["url"],
                mime=file["mime"],
                length=file["length"],
                title=file["title"],
                seconds=file["seconds"],
            )
            for file in json.loads(row["enclosures"])
        ),
        categories=tuple(row["categories"]),
        image=row["image"],
        comments=row["comments"],
    )
