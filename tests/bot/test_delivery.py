"""The delivery task against the Bot API server: what each of Telegram's answers leads to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from application import make_services

from colmillo import PostgresStore, Worker
from colmillo.testing.working import working
from heraldo.botapi import BotApiServer, Call, Chat, Person
from heraldo.delivery import deliver_task
from heraldo.limits import SendLimits
from heraldo.services import Services
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.health import Rules
from heraldo_sync.holding import hold
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.moving import settle_move
from heraldo_sync.notices import NoticeKind, tell
from heraldo_sync.store import fan_out

MOMENT = timedelta(milliseconds=1)
QUICK = SendLimits(overall=MOMENT, person=MOMENT, group=MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A feed, a server and everything between them."""

    server: BotApiServer
    services: Services
    store: PostgresStore
    owner: Person
    feed_id: int

    async def follow(self, chat: Chat, topic_id: int = 0) -> int:
        """Subscribes a chat or topic to the feed; returns the target."""
        target_id = await self.services.subscriptions.target(
            chat_id=chat.id, kind=chat.state.kind, title=chat.state.title, topic_id=topic_id
        )
        await self.services.pool.execute(
            "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2)",
            target_id,
            self.feed_id,
        )
        return target_id

    async def post(self, *titles: str, html: str = "") -> None:
        """Fans entries out as a check does."""
        async with self.services.pool.acquire() as connection, connection.transaction():
            ids = [
                await connection.fetchval(
                    "INSERT INTO entries (feed_id, key, content, title, html, link)"
                    " VALUES ($1, sha256($2::text::bytea), sha256(''), $2, $3,"
                    " 'https://example.org/' || $2) RETURNING id",
                    self.feed_id,
                    title,
                    html,
                )
                for title in titles
            ]
            await fan_out(connection, self.services.queue, {self.feed_id: ids})

    async def statuses(self) -> list[str]:
        rows = await self.services.pool.fetch("SELECT status FROM deliveries ORDER BY id")
        return [row["status"] for row in rows]

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker for deliveries while the block lasts."""
        worker = Worker(
            self.store,
            tasks=[deliver_task],
            queues={DELIVERY_QUEUE: 5},
            resources=self.services,
            lease=timedelta(seconds=30),
            poll=timedelta(milliseconds=50),
        )
        async with working(worker):
            yield

    async def drained(self) -> None:
        """Returns when no delivery task is left."""
        while any(queue == DELIVERY_QUEUE for queue, _ in await self.store.counts()):
            pass  # asking takes a round trip, so this is no busy loop


@pytest.fixture
async def scene(pool: Pool, store: PostgresStore) -> AsyncIterator[Scene]:
    async with (
        BotApiServer() as server,
        Fetcher(AddressPolicy.parse("")) as fetcher,
        make_services(pool, server, fetcher, QUICK) as services,
    ):
        feed_id = await pool.fetchval(
            "INSERT INTO feeds (url, title, succeeded_at)"
            " VALUES ('https://example.org/feed', 'Feed', now()) RETURNING id"
        )
        yield Scene(
            server=server,
            services=services,
            store=store,
            owner=server.person("Olga"),
            feed_id=feed_id,
        )


def titles(chat: Chat) -> list[str]:
    return [message.text.splitlines()[2] for message in chat.from_bot]


async def test_posts_arrive_oldest_first_and_each_once(scene: Scene) -> None:
    await scene.follow(scene.owner.private)
    await scene.post(*(f"p{number}" for number in range(45)))
    async with scene.worker():
        await scene.drained()
    assert titles(scene.owner.private) == [f"p{number}" for number in range(45)]
    assert set(await scene.statuses()) == {"sent"}
    recorded = await scene.services.pool.fetch("SELECT message_ids FROM deliveries ORDER BY id")
    assert [row["message_ids"] for row in recorded] == [
        [message.message_id] for message in scene.owner.private.from_bot
    ]


async def test_a_chat_that_must_wait_waits_and_the_others_do_not(scene: Scene) -> None:
    group = scene.server.group("Group", members=[scene.owner])
    await scene.follow(scene.owner.private)
    await scene.follow(group)
    rule = scene.server.faults.retry_after(1, method="sendMessage", chat=group)
    await scene.post("one", "two")
    async with scene.worker():
        await scene.owner.private.wait_for(2)
        await scene.server.wait_until(lambda: rule.hits == 1)
        assert not group.from_bot
        await scene.drained()
    assert titles(group) == ["one", "two"]


async def test_a_chat_that_blocked_us_keeps_everything_and_gets_it_later(scene: Scene) -> None:
    await scene.follow(scene.owner.private)
    await scene.owner.blocks()
    await scene.post("one")
    async with scene.worker():
        await scene.drained()
        assert await scene.statuses() == ["waiting"]
        await scene.post("two")
        await scene.owner.unblocks()
        assert await scene.services.subscriptions.resume_chat(scene.owner.private.id)
        await scene.drained()
    assert titles(scene.owner.private) == ["one", "two"]


async def test_a_group_that_became_a_supergroup_gets_its_posts_there(scene: Scene) -> None:
    group = scene.server.group("Group", members=[scene.owner], supergroup=False)
    await scene.follow(group)
    new = await group.migrate()
    await scene.post("one", "two")
    async with scene.worker():
        await scene.drained()
    assert titles(new) == ["one", "two"]


async def test_a_closed_topic_concerns_that_topic_alone(scene: Scene) -> None:
    forum = scene.server.group("Forum", members=[scene.owner], forum=True)
    closed, other = await forum.topic("A", by=scene.owner), await forum.topic("B", by=scene.owner)
    target = await scene.follow(forum, closed.id)
    await scene.follow(forum, other.id)
    await closed.closes(scene.owner)
    await scene.post("one")
    async with scene.worker():
        await scene.drained()
        assert [message.topic_id for message in forum.from_bot] == [other.id]
        await closed.reopens(scene.owner)
        assert target == await scene.services.subscriptions.target(
            chat_id=forum.id, kind="supergroup", title="Forum", topic_id=closed.id
        )
        await scene.drained()
    assert {message.topic_id for message in forum.from_bot} == {closed.id, other.id}


async def test_what_telegram_rejects_is_sent_plainer_then_set_aside(scene: Scene) -> None:
    await scene.follow(scene.owner.private)
    scene.server.faults.reject(400, "Bad Request: can't parse entities", times=1)
    scene.server.faults.reject(
        400,
        "Bad Request: poison",
        times=None,
        when=lambda call: "poison" in str(call.params.get("text", "")),
    )
    await scene.post("plainer", "poison", "last")
    async with scene.worker():
        await scene.drained()
    assert await scene.statuses() == ["sent", "set_aside", "sent"]
    plainer, last = scene.owner.private.from_bot
    assert not any(entity.kind == "bold" for entity in plainer.entities)
    assert "last" in last.text
    reason = await scene.services.pool.fetchval(
        "SELECT reason FROM deliveries WHERE status = 'set_aside'"
    )
    assert reason == "Poison"


async def test_an_outage_loses_nothing_and_a_lost_answer_repeats_one_message(scene: Scene) -> None:
    await scene.follow(scene.owner.private)
    scene.server.faults.lose_answer(method="sendMessage", times=1)
    await scene.post("one", "two")
    async with scene.worker():
        await scene.owner.private.wait_for(2)
        await scene.server.down("bad gateway")
        await scene.post("three")
        await scene.server.up()
        await scene.drained()
    assert titles(scene.owner.private) == ["one", "one", "two", "three"]


async def test_unsubscribing_while_posts_wait_drops_them(scene: Scene) -> None:
    target = await scene.follow(scene.owner.private)
    await scene.post("one")
    [view] = (await scene.services.subscriptions.page(target, offset=0, limit=1)).items
    await scene.services.subscriptions.remove(target, view.id)
    async with scene.worker():
        await scene.drained()
    assert not scene.owner.private.from_bot


async def test_feeds_that_become_one_while_a_post_of_theirs_is_on_its_way(scene: Scene) -> None:
    """The older row, held until now, stays for both; the later one is what Telegram gets."""
    target = await scene.follow(scene.owner.private)
    pool = scene.services.pool
    old = await pool.fetchval(
        "INSERT INTO feeds (url, succeeded_at, moved_to, moved_seen, moved_since)"
        " SELECT 'https://old.example/', now(), url, 3, now() FROM feeds RETURNING id"
    )
    by_old = await pool.fetchval(
        "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2) RETURNING id", target, old
    )
    await pool.execute(
        "WITH e AS (INSERT INTO entries (feed_id, key, content, title, html)"
        " VALUES ($1, sha256('one'), sha256(''), 'one', '') RETURNING id)"
        " INSERT INTO deliveries (subscription_id, target_id, entry_id, status)"
        " SELECT $2, $3, id, 'held' FROM e",
        old,
        by_old,
        target,
    )
    await scene.post("one")
    on_its_way = asyncio.Event()

    def begins(_: Call) -> bool:
        on_its_way.set()
        return True

    scene.server.faults.delay(0.3, method="sendMessage", times=1, when=begins)
    async with scene.worker():
        await on_its_way.wait()
        assert await scene.services.subscriptions.held.send(target, by_old) == 1
        rules = Rules(moved_after=timedelta())
        await settle_move(pool, scene.services.queue, old, "https://example.org/feed", rules)
        await scene.post("two")
        await scene.drained()
    assert titles(scene.owner.private) == ["one", "two"]
    assert await scene.statuses() == ["sent", "sent"]


async def test_a_task_cancelled_in_the_middle_of_a_message_records_it(scene: Scene) -> None:
    await scene.follow(scene.owner.private)
    await scene.post("one", "two", "three")
    worker = Worker(
        scene.store,
        tasks=[deliver_task],
        queues={DELIVERY_QUEUE: 5},
        resources=scene.services,
        grace=timedelta(0),
    )
    scene.server.faults.delay(0.3, method="sendMessage", times=1)
    async with working(worker):
        await scene.server.wait_for_call("sendMessage")
        worker.stop()
    async with scene.worker():
        await scene.drained()
    assert titles(scene.owner.private) == ["one", "two", "three"]


async def test_unsubscribing_while_a_message_is_on_its_way_ends_quietly(scene: Scene) -> None:
    target = await scene.follow(scene.owner.private)
    await scene.post("one", "two")
    on_its_way = asyncio.Event()

    def begins(_: Call) -> bool:
        on_its_way.set()
        return True

    scene.server.faults.delay(0.3, method="sendMessage", times=1, when=begins)
    async with scene.worker():
        await on_its_way.wait()
        [view] = (await scene.services.subscriptions.page(target, offset=0, limit=1)).items
        await scene.services.subscriptions.remove(target, view.id)
        await scene.drained()
    assert titles(scene.owner.private) == ["one"]


async def test_two_workers_never_send_a_post_twice(scene: Scene) -> None:
    chats = [scene.server.group(f"Group {number}", members=[scene.owner]) for number in range(8)]
    for chat in chats:
        await scene.follow(chat)
    async with scene.worker(), scene.worker():
        for number in range(10):
            await scene.post(f"p{number}")
        await scene.drained()
    for chat in chats:
        assert titles(chat) == [f"p{number}" for number in range(10)]


async def test_a_notice_about_the_feed_goes_in_its_turn_with_its_buttons(scene: Scene) -> None:
    await scene.follow(scene.owner.private)
    await scene.post("before")
    async with scene.services.pool.acquire() as connection, connection.transaction():
        await tell(
            connection,
            scene.services.queue,
            scene.feed_id,
            NoticeKind.FAILING,
            reason="The server says <no> (403).",
            since=datetime(2026, 11, 3, 8, 0, tzinfo=UTC),
        )
    await scene.post("after")
    async with scene.worker():
        await scene.drained()
    before, notice, after = scene.owner.private.from_bot
    assert ("before" in before.text, "after" in after.text) == (True, True)
    assert "cannot read this feed since 3 Nov 2026, 08:00 UTC" in notice.text
    assert "The server says <no> (403)." in notice.text
    assert [button.text for row in notice.buttons for button in row] == ["Check now", "Unsubscribe"]
    assert set(await scene.statuses()) == {"sent"}


async def test_the_question_about_held_posts_has_two_buttons_and_nothing_else_is_sent(
    scene: Scene,
) -> None:
    await scene.follow(scene.owner.private)
    async with scene.services.pool.acquire() as connection, connection.transaction():
        ids = [
            await connection.fetchval(
                "INSERT INTO entries (feed_id, key, content, title, html)"
                " VALUES ($1, sha256($2::bytea), sha256(''), 'held', '') RETURNING id",
                scene.feed_id,
                bytes([number]),
            )
            for number in range(4)
        ]
        await hold(connection, scene.services.queue, scene.feed_id, ids)
    await scene.post("later")
    async with scene.worker():
        await scene.drained()
    question, later = scene.owner.private.from_bot
    assert question.text.startswith("✋ 4 posts of this feed are new to me, but look like old ones")
    assert [button.text for row in question.buttons for button in row] == ["Send them", "Skip them"]
    assert "later" in later.text
    assert await scene.statuses() == [*["held"] * 4, "sent", "sent"]


async def test_what_stops_waiting_while_others_are_sent_is_not_sent(scene: Scene) -> None:
    target_id = await scene.follow(scene.owner.private)
    await scene.post("first", "second", "third")
    first, second, third = await scene.services.outbox.waiting(target_id, 9)
    await scene.services.pool.execute("DELETE FROM deliveries WHERE id = $1", second.id)
    await scene.services.outbox.set_aside(third, "other")
    assert await scene.services.outbox.address_of(first) is not None
    assert await scene.services.outbox.address_of(second) is None
    assert await scene.services.outbox.address_of(third) is None
