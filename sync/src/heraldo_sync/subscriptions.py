"""Chats, their targets and subscriptions, as the bot's commands need them.

Every method is a short transaction, or a few.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from colmillo import Queue
from heraldo_sync.database import Connection, Pool
from heraldo_sync.folding import Folding
from heraldo_sync.holding import Held
from heraldo_sync.messages import deliver_target
from heraldo_sync.statements import statement
from heraldo_sync.store import lock_feed
from heraldo_sync.urls import display

PROMPT_STANDS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionView:
    """A subscription as its owner sees it. ``url`` shows no credentials.

    ``ended`` says that the feed is gone for good and not checked any more, ``private`` that it
    is asked with private headers.
    """

    id: int
    feed_id: int
    title: str
    url: str
    created_at: datetime
    checked_at: datetime | None
    failing_since: datetime | None
    last_error: str | None
    next_check_at: datetime
    ended: bool = False
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list; ``total`` counts the whole."""

    items: tuple[SubscriptionView, ...]
    total: int
    offset: int
    limit: int


class Subscriptions:
    """Everything is scoped to a target: an id that belongs to another one is not found."""

    def __init__(self, pool: Pool, queue: Queue) -> None:
        self._pool = pool
        self._queue = queue
        self.held = Held(pool, queue)
        self.folding = Folding(pool)

    async def target(self, *, chat_id: int, kind: str, title: str, topic_id: int = 0) -> int:
        """The target of a chat or topic (0 = none), made if it is new.

        Somebody speaks to us there, so a topic that was closed is open again. A target that is
        known as it is, the usual case, is only read.
        """
        while True:
            known = await self._pool.fetchrow(statement("target"), chat_id, topic_id)
            if known is None or (known["kind"], known["title"]) != (kind, title):
                await self._pool.execute(statement("upsert_chat"), chat_id, kind, title)
            elif known["id"] is None:
                await self._pool.execute(statement("insert_target"), chat_id, topic_id)
            else:
                break
        target_id: int = known["id"]
        if known["closed"]:
            await self._reopen(target_id, chat_id)
        return target_id

    async def _reopen(self, target_id: int, chat_id: int) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(statement("reopen_target"), target_id) is not None:
                await self._enqueue_waiting(connection, chat_id)

    async def page(self, target_id: int, *, offset: int, limit: int) -> Page:
        """A target's subscriptions by title. Past the end it is empty but knows the total."""
        rows = await self._views(target_id, offset=offset, limit=limit)
        if rows:
            total: int = rows[0]["total"]
        else:
            first = await self._views(target_id, limit=1) if offset else []
            total = first[0]["total"] if first else 0
        return Page(
            items=tuple(_view(row) for row in rows), total=total, offset=offset, limit=limit
        )

    async def get(self, target_id: int, subscription_id: int) -> SubscriptionView | None:
        """One subscription of this target."""
        rows = await self._views(target_id, subscription_id=subscription_id, limit=1)
        return _view(rows[0]) if rows else None

    async def find(self, target_id: int, url: str) -> SubscriptionView | None:
        """The target's subscription to this (canonical) address, private or not."""
        rows = await self._views(target_id, url=url, limit=1)
        return _view(rows[0]) if rows else None

    async def remove(self, target_id: int, subscription_id: int) -> SubscriptionView | None:
        """Ends a subscription and returns what it was; what waited to be sent is dropped."""
        view = await self.get(target_id, subscription_id)
        if view is None:
            return None
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_feed(connection, view.feed_id)
            gone = await connection.fetchval(
                statement("delete_subscription"), target_id, subscription_id
            )
            if gone is None:
                return None
            await connection.execute(statement("rest_feed"), view.feed_id)
            await connection.execute(statement("forget_private_feeds"), [view.feed_id])
        return view

    async def ask(self, *, chat_id: int, topic_id: int, user_id: int, command: str) -> None:
        """Remembers that we asked this person for a command's argument, for ten minutes."""
        await self._pool.execute(statement("ask"), chat_id, topic_id, user_id, command)

    async def answer(self, *, chat_id: int, topic_id: int, user_id: int) -> str | None:
        """The command we asked this person about, once; None if there is none or it is old."""
        row = await self._pool.fetchrow(
            statement("answer"), chat_id, topic_id, user_id, PROMPT_STANDS
        )
        return row["command"] if row is not None and row["fresh"] else None

    async def suspend_chat(self, chat_id: int, reason: str) -> None:
        """Sends nothing more to a chat that shut us out; keeps everything."""
        await self._pool.execute(statement("suspend_chat"), chat_id, reason)

    async def resume_chat(self, chat_id: int) -> bool:
        """Takes up a suspended chat again, what waited included; whether it was suspended."""
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(statement("resume_chat"), chat_id) is None:
                return False
            await self._enqueue_waiting(connection, chat_id)
        return True

    async def close_target(self, target_id: int, reason: str) -> None:
        """Sends nothing more to one topic; the chat's others go on."""
        await self._pool.execute(statement("close_target"), target_id, reason)

    async def migrate_chat(self, old: int, new: int) -> None:
        """A group became a supergroup: everything it has goes on under the new id.

        Safe to repeat, and when the new id is known already the two are merged.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            # Locked as whoever adds rows for them locks them, or each could wait for the other.
            await connection.fetch(statement("lock_targets_of_chats"), [old, new])
            await connection.fetch(statement("lock_chats"), [old, new])
            moved = await connection.fetchval(statement("move_chat"), old, new)
            if moved is None:
                await connection.execute(statement("move_settings"), old, new)
                await connection.execute(statement("move_free_targets"), old, new)
                await connection.execute(statement("move_subscriptions"), old, new)
                await connection.execute(statement("move_links"), old, new)
                await connection.execute(statement("delete_chat"), old)
            await self._enqueue_waiting(connection, new)

    async def _enqueue_waiting(self, connection: Connection, chat_id: int) -> None:
        rows = await connection.fetch(statement("waiting_targets_of_chat"), chat_id)
        await self._queue.enqueue_many(
            [deliver_target.new(target_id=row["id"]) for row in rows], connection=connection
        )

    async def _views(
        self,
        target_id: int,
        *,
        subscription_id: int | None = None,
        url: str | None = None,
        offset: int = 0,
        limit: int,
    ) -> list[asyncpg.Record]:
        return await self._pool.fetch(
            statement("subscription_views"), target_id, subscription_id, url, offset, limit
        )


def _view(row: asyncpg.Record) -> SubscriptionView:
    return SubscriptionView(
        id=row["id"],
        feed_id=row["feed_id"],
        title=row["title"],
        url=display(row["url"]),
        created_at=row["created_at"],
        checked_at=row["checked_at"],
        failing_since=row["failing_since"],
        last_error=row["last_error"],
        next_check_at=row["next_check_at"],
        ended=row["ended_at"] is not None,
        private=row["private"],
    )
