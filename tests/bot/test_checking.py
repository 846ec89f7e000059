"""A check that somebody asked for with a button, by a real worker."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from application import make_services
from feed_server import FeedServer

from colmillo import PostgresStore, Worker
from colmillo.testing.working import working
from heraldo import texts
from heraldo.botapi import BotApiServer, Person
from heraldo.requests import REQUEST_QUEUE, QueuedRequests, check_request
from heraldo.sender import Sent, TargetAddress
from heraldo.services import Services
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.subscribing import Found, look, subscribe


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A subscription whose feed fails, and the message under which somebody presses."""

    server: BotApiServer
    services: Services
    store: PostgresStore
    feeds: FeedServer
    owner: Person
    target_id: int
    subscription_id: int
    message_id: int

    async def check(self) -> str:
        """Presses "Check now"; returns what the message says then."""
        requests = QueuedRequests(self.services.queue, self.services.choices, self.services.outbox)
        await requests.check(
            target_id=self.target_id,
            chat_id=self.owner.private.id,
            topic_id=0,
            subscription_id=self.subscription_id,
            reply_message_id=self.message_id,
        )
        worker = Worker(
            self.store,
            tasks=[check_request],
            queues={REQUEST_QUEUE: 1},
            resources=self.services,
            lease=timedelta(seconds=5),
            poll=timedelta(milliseconds=50),
        )
        async with working(worker):
            while any(queue == REQUEST_QUEUE for queue, _ in await self.store.counts()):
                pass  # asking takes a round trip, so this is no busy loop
        return self.owner.private.from_bot[0].text


@pytest.fixture
async def scene(pool: Pool, store: PostgresStore) -> AsyncIterator[Scene]:
    async with (
        BotApiServer() as server,
        FeedServer() as feeds,
        Fetcher(AddressPolicy.parse("127.0.0.1")) as fetcher,
        make_services(pool, server, fetcher) as services,
    ):
        owner = server.person("Olga")
        await owner.says("hello")
        target_id = await services.subscriptions.target(
            chat_id=owner.private.id, kind="private", title="Olga"
        )
        found = await look(services, feeds.add("blog"))
        assert isinstance(found, Found)
        subscribed = await subscribe(services, target_id, found)
        sent = await services.sender.send(TargetAddress(chat_id=owner.private.id), "Failing")
        assert isinstance(sent, Sent)
        feeds.fail("blog", 503)
        yield Scene(
            server=server,
            services=services,
            store=store,
            feeds=feeds,
            owner=owner,
            target_id=target_id,
            subscription_id=subscribed.subscription_id,
            message_id=sent.message_id,
        )


async def test_the_answer_says_how_the_feed_is_now(scene: Scene) -> None:
    await scene.services.pool.execute("UPDATE feeds SET checked_at = NULL")
    assert "503" in await scene.check()
    assert scene.owner.private.from_bot[0].buttons
    asked = scene.feeds.requests["blog"]
    assert "503" in await scene.check()
    assert scene.feeds.requests["blog"] == asked
    scene.feeds.fail("blog", 200)
    await scene.services.pool.execute("UPDATE feeds SET checked_at = now() - interval '1 hour'")
    assert "Working" in await scene.check()
    assert not scene.owner.private.from_bot[0].buttons


async def test_a_subscription_that_is_gone_is_said_to_be_gone(scene: Scene) -> None:
    await scene.services.subscriptions.remove(scene.target_id, scene.subscription_id)
    assert await scene.check() == texts.ALREADY_GONE
