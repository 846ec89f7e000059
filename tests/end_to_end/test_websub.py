"""From a hub's push to a message in Telegram, without a poll; and a fleet that lives by its hub."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
from application import application_running, make_services
from feed_server import FeedServer
from fleet import Fleet
from hub import Hub, naming
from ports import free_port

from heraldo.botapi import BotApiServer, Person
from heraldo.database import migrate
from heraldo.limits import SendLimits
from heraldo.web.listening import listening
from heraldo.web.server import Listen
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher

MOMENT = timedelta(milliseconds=1)
QUICK = SendLimits(overall=MOMENT, person=MOMENT, group=MOMENT)
POSTS = 5


async def arrived(person: Person, text: str) -> None:
    await person.private.wait_for(lambda message: text in message.text, within=30)


async def test_a_post_is_sent_when_it_is_pushed(
    pool: Pool, feeds: FeedServer, record_property: Callable[[str, object], None]
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    policy = AddressPolicy.parse("127.0.0.1")
    async with (
        BotApiServer() as server,
        Hub() as hub,
        Fetcher(policy) as fetcher,
        make_services(pool, server, fetcher, QUICK) as plain,
    ):
        owner = server.person("Olga")
        services = replace(
            plain,
            public_url=url,
            listen=Listen(host="127.0.0.1", port=port, public_url=url),
            interval=timedelta(seconds=1),
        )
        address = feeds.add("blog", document=naming(hub.url))
        async with listening(services), application_running(services, server, owner):
            await owner.says(f"/subscribe {address}")
            await hub.until(lambda: bool(hub.subscribers), within=30)
            await owner.private.wait_for(lambda m: "Text of blog post 3" in m.text)
            # From now on nothing but a push leads to a check.
            await pool.execute("UPDATE feeds SET next_check_at = 'infinity'")
            [asked] = hub.subscribers.values()
            took: list[float] = []
            for _ in range(POSTS):
                await pool.execute("UPDATE websub SET looked_at = NULL")
                await pool.execute("UPDATE feeds SET next_check_at = 'infinity'")
                started = time.monotonic()
                text = f"Text of blog post {feeds.publish('blog')}"
                assert await hub.push(asked, b"<rss/>") == 202
                await arrived(owner, text)
                took.append(time.monotonic() - started)
    figures = ", ".join(f"{seconds * 1000:.0f}" for seconds in sorted(took))
    record_property("measured", f"published → sent by a push: {figures} ms")
    assert min(took) < 2


async def test_processes_apart_live_by_the_hub(
    empty_dsn: str, feeds: FeedServer, tmp_path: Path
) -> None:
    await migrate(empty_dsn)
    port = free_port()
    async with BotApiServer() as server, Hub() as hub:
        owner = server.person("Olga")
        address = feeds.add("blog", document=naming(hub.url))
        async with Fleet(
            dsn=empty_dsn,
            server=server,
            owner=owner.id,
            folder=tmp_path,
            ALLOW_PRIVATE_ADDRESSES="127.0.0.1",
            SYNC_INTERVAL_SECONDS="1",
            PUBLIC_URL=f"http://127.0.0.1:{port}/heraldo",
            LISTEN_PORT=str(port),
        ) as fleet:
            for command in ("bot", "scheduler", "worker"):
                fleet.start(command)
            await owner.says(f"/subscribe {address}")
            await owner.private.wait_for(lambda m: "Text of blog post 3" in m.text, within=60)
            await hub.until(lambda: bool(hub.subscribers), within=60)
            connection = await asyncpg.connect(empty_dsn)
            await connection.execute("UPDATE feeds SET next_check_at = 'infinity'")
            [asked] = hub.subscribers.values()
            feeds.publish("blog")
            assert await hub.push(asked) == 202
            await owner.private.wait_for(lambda m: "Text of blog post 4" in m.text, within=30)
            await owner.says(f"/unsubscribe {address}")
            await hub.until(lambda: not hub.subscribers, within=60)
            assert await hub.push(asked) == 410
            await connection.close()
            logs = fleet.logs()
        assert asked.secret not in logs
        assert asked.callback.rpartition("/")[2] not in logs
        assert "Traceback" not in logs
