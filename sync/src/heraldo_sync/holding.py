"""Posts held back until their subscribers say whether they want them.

When and why is in docs/decisions/0020-identity.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from colmillo import Queue
from heraldo_sync.database import Connection, Pool
from heraldo_sync.messages import deliver_target
from heraldo_sync.notices import NoticeKind
from heraldo_sync.statements import statement
from heraldo_sync.subscribers import lock_subscribers
from heraldo_sync.urls import display

# So long a question stands; nobody is asked again before.
QUESTION_STANDS = timedelta(days=7)


async def hold(
    connection: Connection, queue: Queue, feed_id: int, entry_ids: Sequence[int]
) -> None:
    """One held delivery row per (subscription, entry), and a question to each subscriber.

    Instead of a fan-out, within the same transaction and with the same locks.
    """
    rows = await lock_subscribers(connection, [feed_id])
    await hold_for(connection, queue, [dict(row) for row in rows], entry_ids)


async def hold_for(
    connection: Connection,
    queue: Queue,
    rows: Sequence[Mapping[str, Any]],
    entry_ids: Sequence[int],
) -> None:
    """The same for some subscriptions, whose targets are locked already."""
    if not rows or not entry_ids:
        return
    subscription_ids = [row["subscription_id"] for row in rows]
    await connection.execute(
        statement("insert_held"),
        subscription_ids,
        [row["target_id"] for row in rows],
        list(entry_ids),
    )
    what = {"kind": NoticeKind.HELD.value, "reason": str(len(entry_ids)), "since": None}
    asked = await connection.fetch(
        statement("ask_about_held"),
        subscription_ids,
        [row["target_id"] for row in rows],
        json.dumps(what),
        QUESTION_STANDS,
    )
    reached = {row["target_id"] for row in asked}
    open_targets = sorted({row["target_id"] for row in rows if row["open"]} & reached)
    await queue.enqueue_many(
        [deliver_target.new(target_id=target) for target in open_targets], connection=connection
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosts:
    """Posts of one feed that are held for one target. ``url`` shows no credentials.

    ``until`` is when the oldest of them will be skipped.
    """

    target_id: int
    subscription_id: int
    chat_id: int
    topic_id: int
    chat: str
    title: str
    url: str
    posts: int
    until: datetime


class Held:
    """The held posts of subscriptions, and what is to become of them. Repeating is harmless."""

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool = pool
        self._queue = queue

    async def send(self, target_id: int, subscription_id: int) -> int:
        """Sends what is held for a subscription of this target; returns how many posts."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.fetchrow(statement("share_target"), target_id)
            rows = await connection.fetch(statement("release_held"), target_id, subscription_id)
            if rows:
                await self._queue.enqueue(
                    deliver_target.new(target_id=target_id), connection=connection
                )
        return len(rows)

    async def skip(self, target_id: int, subscription_id: int) -> int:
        """Lets go what is held for a subscription of this target; returns how many posts."""
        return len(await self._pool.fetch(statement("skip_held"), target_id, subscription_id))

    async def find(
        self, *, target_id: int | None = None, url: str | None = None, chat_id: int | None = None
    ) -> list[HeldPosts]:
        """What is held, by feed: for a target, of a feed's (normalised) address, for a chat.

        Without arguments everything, which is for the operator alone.
        """
        rows = await self._pool.fetch(statement("held"), target_id, url, chat_id)
        return [
            HeldPosts(
                target_id=row["target_id"],
                subscription_id=row["subscription_id"],
                chat_id=row["chat_id"],
                topic_id=row["topic_id"],
                chat=row["chat"],
                title=row["title"],
                url=display(row["url"]),
                posts=row["posts"],
                until=row["since"] + QUESTION_STANDS,
            )
            for row in rows
        ]

    async def expire(self) -> int:
        """Lets go what nobody asked for in a week; returns how many rows."""
        return len(await self._pool.fetch(statement("expire_held"), QUESTION_STANDS))
