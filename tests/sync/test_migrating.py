"""A group that becomes a supergroup while its feeds bring something, or become one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from colmillo import Queue
from heraldo_sync.database import Pool
from heraldo_sync.notices import NoticeKind, tell
from heraldo_sync.store import fan_out, lock_feed
from heraldo_sync.subscriptions import Subscriptions

OLD, NEW = -5, -1000000000005


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A feed with an entry not yet fanned out, which a group follows."""

    pool: Pool
    queue: Queue
    subscriptions: Subscriptions
    feed_id: int
    entry_id: int

    async def fan_out(self) -> int:
        async with self.pool.acquire() as connection, connection.transaction():
            await lock_feed(connection, self.feed_id)
            return (await fan_out(connection, self.queue, {self.feed_id: [self.entry_id]})).total()

    async def tell(self) -> int:
        async with self.pool.acquire() as connection, connection.transaction():
            await lock_feed(connection, self.feed_id)
            return await tell(connection, self.queue, self.feed_id, NoticeKind.WORKING)

    async def blocked(self, number: int) -> None:
        """Returns when so many transactions wait for a lock."""
        while number > await self.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            pass  # asking takes a round trip, so this is no busy loop

    @asynccontextmanager
    async def holding(self, statement: str) -> AsyncIterator[None]:
        """Keeps the locks of a statement while the block lasts."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(statement)
            yield

    async def waiting(self) -> list[tuple[int, int]]:
        """The chats that something waits for, and how much."""
        rows = await self.pool.fetch(
            "SELECT t.chat_id, count(*) AS number FROM deliveries d"
            " JOIN targets t ON t.id = d.target_id WHERE d.status = 'waiting' GROUP BY 1"
        )
        return [(row["chat_id"], row["number"]) for row in rows]


@pytest.fixture
async def scene(pool: Pool, queue: Queue) -> Scene:
    subscriptions = Subscriptions(pool, queue)
    target_id = await subscriptions.target(chat_id=OLD, kind="group", title="Club")
    feed_id = await pool.fetchval(
        "INSERT INTO feeds (url, succeeded_at) VALUES ('https://a.test/', now()) RETURNING id"
    )
    await pool.execute(
        "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2)", target_id, feed_id
    )
    entry_id = await pool.fetchval(
        "INSERT INTO entries (feed_id, key, content, title, html)"
        " VALUES ($1, sha256('1'), sha256(''), 'T', '') RETURNING id",
        feed_id,
    )
    return Scene(
        pool=pool, queue=queue, subscriptions=subscriptions, feed_id=feed_id, entry_id=entry_id
    )


async def test_a_fan_out_and_a_migration_do_not_wait_for_each_other(scene: Scene) -> None:
    async with scene.holding(f"SELECT FROM chats WHERE id = {OLD} FOR NO KEY UPDATE"):
        migrating = asyncio.create_task(scene.subscriptions.migrate_chat(OLD, NEW))
        await scene.blocked(1)
        adding = asyncio.create_task(scene.fan_out())
        await scene.blocked(2)
    await asyncio.gather(migrating, adding)
    assert await scene.waiting() == [(NEW, 1)]


@pytest.mark.parametrize("what", ["post", "notice"])
async def test_what_comes_while_two_chats_become_one_is_not_lost(scene: Scene, what: str) -> None:
    await scene.subscriptions.target(chat_id=NEW, kind="supergroup", title="Club")
    async with scene.holding("SELECT FROM subscriptions FOR UPDATE"):
        migrating = asyncio.create_task(scene.subscriptions.migrate_chat(OLD, NEW))
        await scene.blocked(1)
        # It finds the old target, and waits for it until it is gone.
        adding = asyncio.create_task(scene.fan_out() if what == "post" else scene.tell())
        await scene.blocked(2)
    await migrating
    assert await adding == 1
    assert await scene.waiting() == [(NEW, 1)]


async def test_a_subscription_that_both_chats_had_goes_on_once(scene: Scene) -> None:
    new = await scene.subscriptions.target(chat_id=NEW, kind="supergroup", title="Club")
    await scene.pool.execute(
        "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2)", new, scene.feed_id
    )
    async with scene.holding("SELECT FROM subscriptions FOR UPDATE"):
        migrating = asyncio.create_task(scene.subscriptions.migrate_chat(OLD, NEW))
        # What both follow is not moved: it is deleted with the old chat.
        await scene.blocked(1)
        adding = asyncio.create_task(scene.fan_out())
        await scene.blocked(2)
    await migrating
    assert await adding == 1
    assert await scene.waiting() == [(NEW, 1)]
