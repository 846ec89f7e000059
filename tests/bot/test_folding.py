"""The same post in several feeds of a chat: sent once, never twice and never not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from application import make_services

from colmillo import PostgresStore, Worker
from colmillo.testing.working import working
from heraldo.botapi import BotApiServer, Call, Chat, Person
from heraldo.delivery import deliver_task
from heraldo.limits import SendLimits
from heraldo.services import Services
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Connection, Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.store import deliver_newest, fan_out, insert_deliveries, lock_feed

MOMENT = timedelta(milliseconds=1)
QUICK = SendLimits(overall=MOMENT, person=MOMENT, group=MOMENT)
LINK = "https://site.example/2026/a-post"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Two feeds of a site that one chat follows, and everything up to Telegram."""

    server: BotApiServer
    services: Services
    store: PostgresStore
    owner: Person
    main: int
    news: int
    target: int
    by_main: int
    by_news: int

    @property
    def pool(self) -> Pool:
        return self.services.pool

    async def entry(self, connection: Connection, feed_id: int, title: str, link: str) -> int:
        entry_id: int = await connection.fetchval(
            "INSERT INTO entries (feed_id, key, content, title, html, link)"
            " VALUES ($1, sha256($2::text::bytea), sha256(''), $2, '', $3) RETURNING id",
            feed_id,
            title,
            link,
        )
        return entry_id

    async def store_and_fan_out(
        self, connection: Connection, feed_id: int, title: str, link: str
    ) -> None:
        """What a check does in its transaction."""
        await lock_feed(connection, feed_id)
        added = await self.entry(connection, feed_id, title, link)
        await fan_out(connection, self.services.queue, {feed_id: [added]})

    async def post(self, feed_id: int, title: str, link: str = LINK) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await self.store_and_fan_out(connection, feed_id, title, link)

    async def statuses(self) -> dict[str, str]:
        rows = await self.pool.fetch(
            "SELECT e.title, d.status FROM deliveries d JOIN entries e ON e.id = d.entry_id"
        )
        return {row["title"]: row["status"] for row in rows}

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        worker = Worker(
            self.store,
            tasks=[deliver_task],
            queues={DELIVERY_QUEUE: 5},
            resources=self.services,
            lease=timedelta(seconds=5),
            poll=timedelta(milliseconds=50),
        )
        async with working(worker):
            yield

    async def drained(self) -> None:
        while any(queue == DELIVERY_QUEUE for queue, _ in await self.store.counts()):
            pass  # asking takes a round trip, so this is no busy loop

    async def deliver(self) -> list[str]:
        """Sends what waits; returns the titles of all that the chat has got."""
        async with self.worker():
            await self.drained()
        return titles(self.owner.private)


def titles(chat: Chat) -> list[str]:
    return [message.text.splitlines()[2] for message in chat.from_bot]


async def blocked(pool: Pool, task: asyncio.Task[None]) -> None:
    """Returns when the task waits for a lock."""
    while not await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ):
        assert not task.done()


@pytest.fixture
async def scene(pool: Pool, store: PostgresStore) -> AsyncIterator[Scene]:
    async with (
        BotApiServer() as server,
        Fetcher(AddressPolicy.parse("")) as fetcher,
        make_services(pool, server, fetcher, QUICK) as services,
    ):
        owner = server.person("Olga")
        target = await services.subscriptions.target(
            chat_id=owner.private.id, kind="private", title="Olga"
        )
        feeds = [
            await pool.fetchval(
                "INSERT INTO feeds (url, title, link, succeeded_at) VALUES ($1, $2,"
                " 'https://site.example/', now()) RETURNING id",
                f"https://site.example/{name}.xml",
                name,
            )
            for name in ("main", "news")
        ]
        following = [
            await pool.fetchval(
                "INSERT INTO subscriptions (target_id, feed_id, created_at)"
                " VALUES ($1, $2, now() - interval '1 day') RETURNING id",
                target,
                feed_id,
            )
            for feed_id in feeds
        ]
        await services.subscriptions.folding.switch(owner.private.id, on=True)
        yield Scene(
            server=server,
            services=services,
            store=store,
            owner=owner,
            main=feeds[0],
            news=feeds[1],
            target=target,
            by_main=following[0],
            by_news=following[1],
        )


async def test_the_same_link_in_two_feeds_comes_once_and_is_counted(scene: Scene) -> None:
    await scene.post(scene.main, "in main")
    await scene.post(scene.news, "in news", f"{LINK}/?utm_source=news")
    await scene.post(scene.news, "another", f"{LINK}-2")
    assert await scene.deliver() == ["in main", "another"]
    assert await scene.statuses() == {"in main": "sent", "in news": "folded", "another": "sent"}
    folding = scene.services.subscriptions.folding
    assert await folding.count(scene.by_news) == 1
    assert await folding.count(scene.by_main) == 0
    state = await folding.state(scene.owner.private.id)
    assert (state.on, state.folded) == (True, 1)


async def test_without_the_setting_both_come(scene: Scene) -> None:
    await scene.services.subscriptions.folding.switch(scene.owner.private.id, on=False)
    await scene.post(scene.main, "in main")
    await scene.post(scene.news, "in news")
    assert await scene.deliver() == ["in main", "in news"]
    assert not await scene.pool.fetch("SELECT FROM known_links")


async def test_two_checks_at_the_same_time_bring_it_once(scene: Scene) -> None:
    async with scene.worker():
        async with scene.pool.acquire() as connection, connection.transaction():
            await scene.store_and_fan_out(connection, scene.main, "in main", LINK)
            other = asyncio.create_task(scene.post(scene.news, "in news"))
            # It has stored all of its own, and wants to enqueue the very same task.
            await blocked(scene.pool, other)
        await other
        await scene.drained()
    assert len(titles(scene.owner.private)) == 1
    assert sorted((await scene.statuses()).values()) == ["folded", "sent"]


async def test_a_check_that_began_first_and_commits_last_brings_it_no_second_time(
    scene: Scene,
) -> None:
    async with scene.worker():
        async with scene.pool.acquire() as connection, connection.transaction():
            await lock_feed(connection, scene.news)
            entry = await scene.entry(connection, scene.news, "in news", LINK)
            row = {
                "subscription_id": scene.by_news,
                "target_id": scene.target,
                "feed_id": scene.news,
            }
            await insert_deliveries(connection, [row], {scene.news: [entry]})
            await scene.post(scene.main, "in main")
            await scene.owner.private.wait_for(1)
            await fan_out(connection, scene.services.queue, {scene.news: [entry]})
        await scene.drained()
    assert titles(scene.owner.private) == ["in main"]
    assert await scene.statuses() == {"in main": "sent", "in news": "folded"}


async def test_a_check_that_commits_while_the_other_feeds_post_is_on_its_way(
    scene: Scene,
) -> None:
    on_its_way = asyncio.Event()

    def begins(_: Call) -> bool:
        on_its_way.set()
        return True

    scene.server.faults.delay(0.3, method="sendMessage", times=1, when=begins)
    await scene.post(scene.main, "in main")
    async with scene.worker():
        await on_its_way.wait()
        await scene.post(scene.news, "in news")
        await scene.drained()
    assert titles(scene.owner.private) == ["in main"]


async def test_a_lost_answer_repeats_that_message_alone(scene: Scene) -> None:
    scene.server.faults.lose_answer(method="sendMessage", times=1)
    await scene.post(scene.main, "in main")
    await scene.post(scene.news, "in news")
    assert await scene.deliver() == ["in main", "in main"]
    assert await scene.statuses() == {"in main": "sent", "in news": "folded"}


async def test_when_the_first_feed_is_left_before_its_post_was_sent_the_others_comes(
    scene: Scene,
) -> None:
    await scene.post(scene.main, "in main")
    await scene.post(scene.news, "in news")
    await scene.services.subscriptions.remove(scene.target, scene.by_main)
    assert await scene.deliver() == ["in news"]


async def test_when_the_first_feed_is_left_afterwards_nothing_comes_again(scene: Scene) -> None:
    await scene.post(scene.main, "in main")
    assert await scene.deliver() == ["in main"]
    await scene.services.subscriptions.remove(scene.target, scene.by_main)
    await scene.post(scene.news, "in news")
    assert await scene.deliver() == ["in main"]


async def test_nothing_is_folded_into_what_telegram_did_not_take(scene: Scene) -> None:
    scene.server.faults.reject(
        400,
        "Bad Request: poison",
        times=None,
        when=lambda call: "poison" in str(call.params.get("text", "")),
    )
    await scene.post(scene.main, "poison", f"{LINK}?utm_source=poison")
    await scene.post(scene.news, "in news")
    assert await scene.deliver() == ["in news"]
    assert await scene.statuses() == {"poison": "set_aside", "in news": "sent"}


async def test_nothing_is_folded_into_held_posts_and_these_are_when_they_come_later(
    scene: Scene,
) -> None:
    await scene.post(scene.main, "in main")
    await scene.pool.execute("UPDATE deliveries SET status = 'held'")
    await scene.post(scene.news, "in news")
    assert await scene.deliver() == ["in news"]
    assert await scene.services.subscriptions.held.send(scene.target, scene.by_main) == 1
    assert await scene.deliver() == ["in news"]
    assert (await scene.statuses())["in main"] == "folded"


async def test_a_post_that_was_begun_is_finished_first_and_stands_for_the_other(
    scene: Scene,
) -> None:
    """The other feed's check took its number first and committed last."""
    await scene.post(scene.news, "in news")
    await scene.post(scene.main, "in main")
    await scene.pool.execute(
        "UPDATE deliveries SET parts_sent = 1 WHERE subscription_id = $1", scene.by_main
    )
    await scene.pool.execute(
        "UPDATE entries SET html = repeat('<p>word</p>', 2000) WHERE feed_id = $1", scene.main
    )
    await scene.deliver()
    assert await scene.statuses() == {"in main": "sent", "in news": "folded"}


async def test_links_that_a_feed_gives_to_several_posts_are_not_folded(scene: Scene) -> None:
    await scene.post(scene.main, "day 1")
    await scene.post(scene.news, "monday")
    await scene.post(scene.news, "tuesday")
    assert await scene.deliver() == ["day 1", "monday", "tuesday"]


async def test_the_same_feed_and_links_of_no_post_are_not_folded(scene: Scene) -> None:
    home = "https://site.example/?utm_source=rss"
    await scene.post(scene.main, "one", home)
    await scene.post(scene.news, "two", home)
    await scene.post(scene.main, "three", LINK)
    await scene.post(scene.main, "four", f"{LINK}?utm_source=rss")
    assert await scene.deliver() == ["one", "two", "three", "four"]


async def test_too_long_ago_is_another_time_and_is_forgotten(scene: Scene) -> None:
    await scene.post(scene.main, "in main")
    await scene.deliver()
    folding = scene.services.subscriptions.folding
    await folding.forget(10)
    assert await scene.pool.fetchval("SELECT count(*) FROM known_links") == 1
    await scene.pool.execute("UPDATE known_links SET sent_at = sent_at - interval '31 days'")
    await scene.post(scene.news, "in news")
    assert await scene.deliver() == ["in main", "in news"]
    await scene.pool.execute("UPDATE known_links SET sent_at = sent_at - interval '31 days'")
    await folding.forget(1)
    assert not await scene.pool.fetch("SELECT FROM known_links")


async def test_who_subscribes_sees_what_the_posts_look_like(scene: Scene) -> None:
    await scene.post(scene.main, "in main")
    await scene.deliver()
    async with scene.pool.acquire() as connection, connection.transaction():
        feed_id = await connection.fetchval(
            "INSERT INTO feeds (url, succeeded_at) VALUES ('https://a.example/', now())"
            " RETURNING id"
        )
        await scene.entry(connection, feed_id, "welcome", LINK)
        added = await connection.fetchval(
            "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2) RETURNING id",
            scene.target,
            feed_id,
        )
        await deliver_newest(
            connection,
            scene.services.queue,
            feed_id=feed_id,
            subscription_id=added,
            target_id=scene.target,
        )
    assert await scene.deliver() == ["in main", "welcome"]


async def test_other_chats_and_topics_get_theirs(scene: Scene) -> None:
    group = scene.server.group("Group", members=[scene.owner])
    target = await scene.services.subscriptions.target(
        chat_id=group.id, kind="supergroup", title="Group"
    )
    await scene.pool.execute(
        "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2)", target, scene.news
    )
    await scene.services.subscriptions.folding.switch(group.id, on=True)
    await scene.post(scene.main, "in main")
    await scene.post(scene.news, "in news")
    assert await scene.deliver() == ["in main"]
    assert titles(group) == ["in news"]


@pytest.mark.parametrize("new_is_known", [True, False])
async def test_a_group_that_becomes_a_supergroup_keeps_setting_and_memory(
    scene: Scene, new_is_known: bool
) -> None:
    old, new = scene.owner.private.id, -1000000000777
    await scene.post(scene.main, "in main")
    await scene.deliver()
    subscriptions = scene.services.subscriptions
    if new_is_known:
        await subscriptions.target(chat_id=new, kind="supergroup", title="Group")
    await subscriptions.migrate_chat(old, new)
    assert (await subscriptions.folding.state(new)).on
    target = await subscriptions.target(chat_id=new, kind="supergroup", title="Group")
    rows = await scene.pool.fetch("SELECT target_id FROM known_links")
    assert [row["target_id"] for row in rows if row["target_id"] == target]
