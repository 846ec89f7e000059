"""Feeds, a hub, and our callbacks on a real server: what the tests of WebSub play in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hub import TOPIC, Asked, Hub, naming
from town import Town

from colmillo import PostgresStore
from colmillo.testing import drain
from heraldo.web.server import Listen, serving
from heraldo.web.websub import websub_routes
from heraldo_sync.callbacks import Callbacks
from heraldo_sync.hub_tasks import ask_hub, enqueue_hubs, look_at_pushed
from heraldo_sync.services import SyncServices
from heraldo_sync.tasks import SYNC_QUEUE, sync_feed

TASKS = (ask_hub, look_at_pushed, sync_feed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Feeds, a hub, and our callbacks on a real server."""

    town: Town
    hub: Hub
    store: PostgresStore

    @property
    def services(self) -> SyncServices:
        return self.town.services

    async def follow(self, name: str = "blog", *, topic: str = TOPIC) -> int:
        """A feed with a subscriber, which names the hub."""
        url = self.town.feeds.add(name, document=naming(self.hub.url, topic))
        return await self.town.follow(await self.town.chat(1), url)

    async def ask(self) -> list[Asked]:
        """Asks the hubs whose time has come; returns the requests that came in."""
        before = len(self.hub.asked)
        await enqueue_hubs(self.services)
        await self.work(SYNC_QUEUE)
        return self.hub.asked[before:]

    async def subscribed(self, name: str = "blog", *, topic: str = TOPIC) -> tuple[int, Asked]:
        """A feed that the hub pushes."""
        feed_id = await self.follow(name, topic=topic)
        [asked] = await self.ask()
        await self.hub.until(lambda: asked.callback in self.hub.subscribers)
        return feed_id, asked

    async def work(self, queue: str) -> None:
        """Runs what is due in a queue."""
        await drain(
            self.store, tasks=TASKS, resources=self.services, queues=[queue], raise_failures=True
        )

    async def looks(self) -> list[timedelta]:
        """In how long the looks are due that wait."""
        rows = await self.town.pool.fetch(
            "SELECT run_at - now() AS wait FROM colmillo.tasks WHERE name = 'look_at_pushed'"
        )
        return [row["wait"] for row in rows]

    async def row(self, feed_id: int) -> dict[str, Any]:
        """What is stored of a feed's hub."""
        row = await self.town.pool.fetchrow(
            "SELECT *, expires_at - now() AS lease, try_at = 'infinity' AS rests,"
            " nullif(try_at, 'infinity') - now() AS wait FROM websub WHERE feed_id = $1",
            feed_id,
        )
        assert row is not None
        return dict(row)

    async def time(self) -> None:
        """Hubs may be asked again; pushes and looks are long past."""
        await self.town.pool.execute(
            "UPDATE websub SET try_at = now(), asked_at = asked_at - interval '1 day',"
            " pushed_at = pushed_at - interval '1 day', looked_at = looked_at - interval '1 day'"
        )
        await self.town.pool.execute("UPDATE feeds SET posted_at = posted_at - interval '2 days'")

    async def entries(self, feed_id: int) -> int:
        """How many posts of a feed are known."""
        count: int = await self.town.pool.fetchval(
            "SELECT count(*) FROM entries WHERE feed_id = $1", feed_id
        )
        return count


@asynccontextmanager
async def scenery(town: Town, store: PostgresStore, path: str = "") -> AsyncIterator[Scene]:
    callbacks = Callbacks(pool=town.pool, queue=town.services.queue, max_body=100_000)
    listen = Listen(host="127.0.0.1", port=0, public_url=f"http://unused.example{path}")
    routes = websub_routes(callbacks, listen.public_url)
    async with Hub() as hub, serving(listen, routes) as port:
        services = replace(town.services, public_url=f"http://127.0.0.1:{port}{path}")
        yield Scene(town=Town(services, town.feeds), hub=hub, store=store)
