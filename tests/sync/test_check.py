"""From a feed on a real server to delivery rows and tasks, in one transaction."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from feed_server import FeedServer

from colmillo import PostgresStore, Queue
from colmillo.store import State
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.check import check_feed
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.hosts import HOST_QUEUE
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.parse import Parser
from heraldo_sync.services import SyncServices
from heraldo_sync.subscribing import Choices, Found, Subscribed, look, subscribe
from heraldo_sync.subscriptions import Subscriptions
from heraldo_sync.tasks import enqueue_due, enqueue_stranded


@pytest.fixture
async def feeds() -> AsyncIterator[FeedServer]:
    async with FeedServer() as feeds:
        yield feeds


@pytest.fixture
async def services(pool: Pool, queue: Queue) -> AsyncIterator[SyncServices]:
    policy = AddressPolicy.parse("127.0.0.1")
    async with Fetcher(policy) as fetcher, Parser() as parser:
        yield SyncServices(
            pool=pool, queue=queue, fetcher=fetcher, parser=parser, rng=random.Random(1)
        )


@pytest.fixture
def subscriptions(pool: Pool, queue: Queue) -> Subscriptions:
    return Subscriptions(pool, queue)


async def follow(services: SyncServices, target_id: int, url: str) -> Subscribed:
    found = await look(services, url)
    assert isinstance(found, Found)
    return await subscribe(services, target_id, found)


async def waiting(pool: Pool, target_id: int) -> list[str]:
    rows = await pool.fetch(
        "SELECT e.title FROM deliveries d JOIN entries e ON e.id = d.entry_id"
        " WHERE d.target_id = $1 AND d.status = 'waiting' ORDER BY d.id",
        target_id,
    )
    return [row["title"] for row in rows]


async def make_due(pool: Pool) -> None:
    await pool.execute("UPDATE feeds SET next_check_at = now()")


async def test_a_new_subscriber_gets_the_newest_entry_and_later_only_what_is_new(
    services: SyncServices,
    subscriptions: Subscriptions,
    feeds: FeedServer,
    store: PostgresStore,
) -> None:
    target = await subscriptions.target(chat_id=1, kind="private", title="Ana")
    url = feeds.add("blog", posts=5)
    subscribed = await follow(services, target, url)
    assert subscribed.newest == "blog post 5"
    assert await waiting(services.pool, target) == ["blog post 5"]
    [view] = (await subscriptions.page(target, offset=0, limit=10)).items
    feeds.publish("blog")
    feeds.publish("blog")
    assert await check_feed(services, view.feed_id) == 2
    assert await waiting(services.pool, target) == ["blog post 5", "blog post 6", "blog post 7"]
    assert (await store.counts())[DELIVERY_QUEUE, State.WAITING] == 1


async def test_unchanged_feeds_are_asked_conditionally_and_cost_nothing(
    services: SyncServices, subscriptions: Subscriptions, feeds: FeedServer
) -> None:
    target = await subscriptions.target(chat_id=1, kind="private", title="Ana")
    subscribed = await follow(services, target, feeds.add("blog"))
    view = await subscriptions.get(target, subscribed.subscription_id)
    assert view is not None
    for _ in range(3):
        assert await check_feed(services, view.feed_id) == 0
    assert await waiting(services.pool, target) == ["blog post 3"]


async def test_a_second_subscriber_of_a_known_feed_gets_the_newest_and_the_first_what_is_new(
    services: SyncServices, subscriptions: Subscriptions, feeds: FeedServer
) -> None:
    first = await subscriptions.target(chat_id=1, kind="private", title="Ana")
    second = await subscriptions.target(chat_id=-2, kind="supergroup", title="G", topic_id=9)
    url = feeds.add("blog")
    await follow(services, first, url)
    feeds.publish("blog")
    await follow(services, second, url)
    assert await waiting(services.pool, first) == ["blog post 3", "blog post 4"]
    assert await waiting(services.pool, second) == ["blog post 4"]
    again = await follow(services, second, url)
    assert again.already
    assert await waiting(services.pool, second) == ["blog post 4"]


async def test_a_failing_feed_is_kept_and_asked_less_and_less_often(
    services: SyncServices, subscriptions: Subscriptions, feeds: FeedServer
) -> None:
    target = await subscriptions.target(chat_id=1, kind="private", title="Ana")
    await follow(services, target, feeds.add("blog"))
    [view] = (await subscriptions.page(target, offset=0, limit=10)).items
    feeds.fail("blog", 503)
    delays: list[timedelta] = []
    for _ in range(6):
        await check_feed(services, view.feed_id)
        delays.append(await services.pool.fetchval("SELECT next_check_at - now() FROM feeds"))
    assert delays[-1] > 4 * delays[0]
    [failing] = (await subscriptions.page(target, offset=0, limit=10)).items
    assert failing.failing_since is not None
    assert failing.last_error is not None
    assert "503" in failing.last_error
    feeds.fail("blog", 200)
    feeds.publish("blog")
    assert await check_feed(services, view.feed_id) == 1
    [healed] = (await subscriptions.page(target, offset=0, limit=10)).items
    assert healed.failing_since is None


async def test_the_tick_enqueues_each_due_feed_once(
    services: SyncServices,
    subscriptions: Subscriptions,
    feeds: FeedServer,
    store: PostgresStore,
) -> None:
    target = await subscriptions.target(chat_id=1, kind="private", title="Ana")
    for number in range(5):
        await follow(services, target, feeds.add(f"blog{number}"))
    await make_due(services.pool)
    assert await enqueue_due(services, limit=3) == 3
    assert await enqueue_due(services, limit=3) == 2
    assert await enqueue_due(services, limit=3) == 0
    await make_due(services.pool)
    assert await enqueue_due(services) == 5
    assert (await store.counts())[HOST_QUEUE, State.WAITING] == 5


async def test_a_feed_without_subscribers_rests_until_somebody_comes_back(
    services: SyncServices, subscriptions: Subscriptions, feeds: FeedServer
) -> None:
    target = await subscriptions.target(chat_id=1, kind="private", title="Ana")
    url = feeds.add("blog")
    subscribed = await follow(services, target, url)
    gone = await subscriptions.remove(target, subscribed.subscription_id)
    assert gone is not None
    assert gone.title == "blog"
    assert await subscriptions.remove(target, subscribed.subscription_id) is None
    await services.pool.execute("UPDATE feeds SET checked_at = now() - interval '1 day'")
    assert await enqueue_due(services) == 0
    feeds.publish("blog")
    again = await follow(services, target, url)
    assert again.newest == "blog post 4"
    assert await waiting(services.pool, target) == ["blog post 4"]
    await make_due(services.pool)
    assert await enqueue_due(services) == 1


async def test_rows_whose_task_went_missing_get_a_new_one(
    services: SyncServices,
    subscriptions: Subscriptions,
    feeds: FeedServer,
    store: PostgresStore,
) -> None:
    target = await subscriptions.target(chat_id=1, kind="private", title="Ana")
    await follow(services, target, feeds.add("blog"))
    await services.pool.execute("DELETE FROM colmillo.tasks")
    assert await enqueue_stranded(services) == 0
    await services.pool.execute("UPDATE deliveries SET created_at = now() - interval '1 hour'")
    assert await enqueue_stranded(services) == 1
    assert (await store.counts())[DELIVERY_QUEUE, State.WAITING] == 1
    await subscriptions.suspend_chat(1, "blocked")
    assert await enqueue_stranded(services) == 0


async def test_a_page_leads_to_its_feed_or_offers_several(
    services: SyncServices, feeds: FeedServer
) -> None:
    def page(*names: str) -> Any:
        links = "".join(
            f"<link rel='alternate' type='application/rss+xml' title='{n}' href='/{n}'>"
            for n in names
        )
        return lambda _name, _posts: (f"<html><head>{links}</head></html>".encode(), "text/html")

    feeds.add("blog")
    feeds.add("news")
    found = await look(services, feeds.add("one", document=page("blog")))
    assert isinstance(found, Found)
    assert found.url == feeds.url("blog")
    choices = await look(services, feeds.add("two", document=page("blog", "news")))
    assert isinstance(choices, Choices)
    assert [link.title for link in choices.links] == ["blog", "news"]


async def test_a_group_that_became_a_supergroup_keeps_everything(
    services: SyncServices, subscriptions: Subscriptions, feeds: FeedServer
) -> None:
    old = await subscriptions.target(chat_id=-1, kind="group", title="G")
    await follow(services, old, feeds.add("blog"))
    await subscriptions.migrate_chat(-1, -100)
    await subscriptions.migrate_chat(-1, -100)
    moved = await subscriptions.target(chat_id=-100, kind="supergroup", title="G")
    assert moved == old
    assert await waiting(services.pool, moved) == ["blog post 3"]


async def test_a_supergroup_that_is_known_already_is_merged_with_the_old_group(
    services: SyncServices, subscriptions: Subscriptions, feeds: FeedServer
) -> None:
    old = await subscriptions.target(chat_id=-1, kind="group", title="G")
    await follow(services, old, feeds.add("both"))
    await follow(services, old, feeds.add("old"))
    new = await subscriptions.target(chat_id=-100, kind="supergroup", title="G")
    await follow(services, new, feeds.url("both"))
    await subscriptions.migrate_chat(-1, -100)
    page = await subscriptions.page(new, offset=0, limit=10)
    assert [item.title for item in page.items] == ["both", "old"]
    assert sorted(await waiting(services.pool, new)) == ["both post 3", "old post 3"]
    assert await services.pool.fetchval("SELECT count(*) FROM chats") == 1
