"""Bot, scheduler and two workers as processes: 50 feeds of all formats, 20 chats, ten kills."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import documents
import pytest
from feed_server import FeedServer
from fleet import Fleet

from colmillo import PostgresStore, Queue
from heraldo.botapi import BotApiServer
from heraldo.botapi.people import Chat, Person, Topic
from heraldo.database import migrate
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.fetch import Fetcher
from heraldo_sync.parse import Parser
from heraldo_sync.services import SyncServices
from heraldo_sync.subscribing import Found, look, subscribe
from heraldo_sync.subscriptions import Subscriptions

FEEDS = 50
CHATS = 20
ROUNDS = 2
KILLS = 10
AT_ONCE = 30  # deliveries a worker has in flight at most

QUICK = {
    "ALLOW_PRIVATE_ADDRESSES": "127.0.0.1",
    "SYNC_INTERVAL_SECONDS": "1",
    "WORKER_LEASE_SECONDS": "2",
    # The limits of Telegram would make this a test of patience.
    "TELEGRAM_MESSAGES_PER_SECOND": "1000",
    "TELEGRAM_CHAT_MESSAGES_PER_SECOND": "1000",
    "TELEGRAM_GROUP_MESSAGES_PER_MINUTE": "60000",
}
POST = re.compile(r"(feed\d+) post (\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A chat or a topic, with the posts it got in the order they came."""

    chat: Chat
    topic: Topic | None = None

    async def says(self, owner: Person, text: str) -> None:
        if self.chat.state.kind == "channel":
            await self.chat.posts(text)
        else:
            await self.chat.says(owner, text, topic=self.topic)

    def posts(self) -> list[tuple[str, int]]:
        messages = self.topic.messages if self.topic else self.chat.messages
        found = [POST.search(m.text) for m in messages if m.by_bot and not m.history]
        return [(match[1], int(match[2])) for match in found if match]


async def places(server: BotApiServer, owner: Person) -> list[Place]:
    """Twenty targets of every kind."""
    forum = server.group("Forum", members=[owner], forum=True)
    found = [Place(owner.private)]
    found += [Place(forum, await forum.topic(f"Topic {n}", by=owner)) for n in range(4)]
    found += [
        Place(server.group(f"Group {n}", members=[owner], supergroup=False)) for n in range(4)
    ]
    found += [Place(server.group(f"Supergroup {n}", members=[owner])) for n in range(6)]
    found += [Place(server.channel(f"Channel {n}", admins=[owner])) for n in range(5)]
    assert len(found) == CHATS
    return found


async def subscribe_all(dsn: str, places: list[Place], urls: list[str]) -> None:
    """Subscribes as a worker does for a command; 950 commands more would only take longer."""
    async with (
        asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool,
        Fetcher(AddressPolicy.parse("127.0.0.1")) as fetcher,
        Parser() as parser,
    ):
        queue = Queue(PostgresStore(pool))
        services = SyncServices(pool=pool, queue=queue, fetcher=fetcher, parser=parser)
        subscriptions = Subscriptions(pool, queue)
        targets = [
            await subscriptions.target(
                chat_id=place.chat.id,
                kind=place.chat.state.kind,
                title=place.chat.state.title,
                topic_id=place.topic.id if place.topic else 0,
            )
            for place in places
        ]
        for url in urls:
            found = await look(services, url)
            assert isinstance(found, Found)
            for target in targets:
                await subscribe(services, target, found)


async def everything_arrived(server: BotApiServer, wanted: int) -> None:
    """Waits until the bot has sent that many different posts."""

    missing, messages_then = wanted, 0

    def arrived() -> bool:
        # Looking at all messages takes a while, so only when enough of them can be new.
        nonlocal missing, messages_then
        messages = sum(len(chat.messages) for chat in server.world.chats.values())
        if messages - messages_then < missing:
            return False
        missing, messages_then = wanted - len(sent(server)), messages
        return missing <= 0

    async with asyncio.timeout(200):
        await server.world.changed.met(arrived)


def sent(server: BotApiServer) -> Counter[tuple[int, int | None, str]]:
    """How often each post was sent to each place, by what the server has stored."""
    return Counter(
        (chat.id, message.topic_id, match[0])
        for chat in server.world.chats.values()
        for message in chat.messages.values()
        if message.by_bot and not message.history and (match := POST.search(message.text))
    )


def assert_in_order(place: Place) -> None:
    """Each feed's posts came old to new; a repeat only where nothing came in between."""
    last: dict[str, int] = {}
    for name, number in place.posts():
        assert number >= last.get(name, 0), (place.chat.state.title, name, number)
        last[name] = number


@pytest.mark.timeout(600)
async def test_every_chat_gets_every_post_in_order_though_workers_are_killed(
    empty_dsn: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    await migrate(empty_dsn)
    rng = random.Random(42)
    kinds = list(documents.ALL.values())
    async with BotApiServer() as server, FeedServer() as feeds:
        owner = server.person("Olga")
        targets = await places(server, owner)
        names = [f"feed{number}" for number in range(FEEDS)]
        for number, name in enumerate(names):
            feeds.add(name, document=kinds[number % len(kinds)])
        async with Fleet(
            dsn=empty_dsn, server=server, owner=owner.id, folder=tmp_path, **QUICK
        ) as fleet:
            fleet.start("bot")
            fleet.start("scheduler")
            workers = [fleet.start("worker"), fleet.start("worker")]
            try:
                for name in names:
                    await targets[0].says(owner, f"/subscribe {feeds.url(name)}")
                await everything_arrived(server, FEEDS)
                await subscribe_all(empty_dsn, targets[1:], [feeds.url(name) for name in names])
                await everything_arrived(server, FEEDS * CHATS)
                total = FEEDS * CHATS * (ROUNDS + 1)
                kill_at = sorted(
                    rng.sample(range(FEEDS * CHATS, total - FEEDS * CHATS // 4), KILLS)
                )
                for number in range(ROUNDS):
                    for name in names:
                        feeds.publish(name)
                    goal = FEEDS * CHATS * (number + 2)
                    while kill_at and kill_at[0] < goal:
                        await everything_arrived(server, kill_at.pop(0))
                        victim = workers.pop(0)
                        victim.kill()
                        workers.append(fleet.start("worker"))
                    await everything_arrived(server, goal)
            except TimeoutError:
                pytest.fail(f"{len(sent(server))} posts arrived\n{fleet.logs()}")
    counts = sent(server)
    repeats = sum(counts.values()) - len(counts)
    record_property(
        "measured",
        f"{FEEDS} feeds x {CHATS} chats: {len(counts)} of {total} posts arrived, "
        f"{total - len(counts)} lost, {repeats} repeated after {KILLS} kills",
    )
    assert len(counts) == total
    assert repeats <= KILLS * AT_ONCE
    assert max(counts.values()) <= 1 + KILLS
    for place in targets:
        assert_in_order(place)
