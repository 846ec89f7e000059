"""Feeds on a real server, and everything a check works with."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from feed_server import FeedServer

from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.check import check_feed
from heraldo_sync.database import Connection
from heraldo_sync.fetch import Fetcher
from heraldo_sync.limits import Limits
from heraldo_sync.services import SyncServices
from heraldo_sync.subscribing import Found, look, subscribe
from heraldo_sync.subscriptions import Subscriptions


class Town:
    """Chats, feeds, and the time that passes for them: the database's is moved back instead."""

    def __init__(self, services: SyncServices, feeds: FeedServer) -> None:
        self.services = services
        self.feeds = feeds
        self.pool = services.pool
        self.subscriptions = Subscriptions(services.pool, services.queue)

    async def chat(self, number: int) -> int:
        """The target of a private chat."""
        return await self.subscriptions.target(chat_id=number, kind="private", title=str(number))

    async def follow(self, target_id: int, url: str) -> int:
        """Subscribes as /subscribe does; returns the feed's id."""
        found = await look(self.services, url)
        assert isinstance(found, Found)
        await subscribe(self.services, target_id, found)
        return await self.feed_id(found.url)

    async def feed_id(self, url: str) -> int:
        """The feed of an address."""
        feed_id: int = await self.pool.fetchval("SELECT id FROM feeds WHERE url = $1", url)
        return feed_id

    async def check(self, feed_id: int, *, after: timedelta = timedelta()) -> int:
        """Lets time pass and checks the feed."""
        await self.pool.execute(
            "UPDATE feeds SET failing_since = failing_since - $1::interval,"
            " gone_since = gone_since - $1::interval,"
            " moved_since = moved_since - $1::interval,"
            " succeeded_at = succeeded_at - $1::interval,"
            " checked_at = checked_at - $1::interval",
            after,
        )
        await self.pool.execute(
            "UPDATE entries SET first_seen_at = first_seen_at - $1::interval", after
        )
        return await check_feed(self.services, feed_id)

    async def impatient(self, feed_id: int, limits: Limits) -> int:
        """Checks a feed while another request has its host's only turn."""
        policy = AddressPolicy.parse("127.0.0.1")
        async with Fetcher(policy, limits=replace(limits, per_host=1)) as fetcher:
            async with self.feeds.stalled("stall"):
                stalled = asyncio.create_task(fetcher.fetch(self.feeds.url("stall")))
                await self.feeds.reached("stall")
                new = await check_feed(replace(self.services, fetcher=fetcher), feed_id)
            await stalled
        return new

    async def keep(self, connection: Connection, feed_id: int) -> None:
        """Reads the feed and stores what is new, within the caller's transaction."""
        url = await connection.fetchval("SELECT url FROM feeds WHERE id = $1", feed_id)
        found = await look(self.services, url)
        assert isinstance(found, Found)
        await self.services.keeper.keep(connection, feed_id, found.reading)

    async def sent_to(self, target_id: int) -> list[str]:
        """What was or will be sent to a target: posts by their titles, notices by their kind."""
        rows = await self.pool.fetch(
            "SELECT coalesce(e.title, d.notice ->> 'kind') AS what FROM deliveries d"
            " LEFT JOIN entries e ON e.id = d.entry_id WHERE d.target_id = $1 ORDER BY d.id",
            target_id,
        )
        return [row["what"] for row in rows]

    async def next_check(self, feed_id: int) -> timedelta:
        """How long until the feed's next check."""
        wait: timedelta = await self.pool.fetchval(
            "SELECT next_check_at - now() FROM feeds WHERE id = $1", feed_id
        )
        return wait
