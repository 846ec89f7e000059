"""Two feeds of one site, checked at the same time again and again: each post comes once."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from application import application_running, make_services
from documents import Document
from feed_server import FeedServer

from heraldo.botapi import BotApiServer, Message
from heraldo.limits import SendLimits
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.check import check_feed
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher

MOMENT = timedelta(milliseconds=1)
QUICK = SendLimits(overall=MOMENT, person=MOMENT, group=MOMENT)
ROUNDS = 20


def of_the_site(feed: str) -> Document:
    """The site's posts as one of its feeds shows them: titles and guids of its own."""

    def document(_name: str, numbers: list[int]) -> tuple[bytes, str]:
        items = "".join(
            f"<item><guid isPermaLink='false'>{feed}-{n}</guid><title>{feed} {n}</title>"
            f"<link>https://site.example/posts/{n}/?utm_source={feed}</link></item>"
            for n in reversed(numbers)
        )
        head = f"<title>{feed}</title><link>https://site.example/</link>"
        return f"<rss version='2.0'><channel>{head}{items}</channel></rss>".encode(), "text/xml"

    return document


def saying(words: str) -> Callable[[Message], bool]:
    return lambda message: words in message.text


async def test_two_feeds_checked_at_the_same_time_bring_each_post_once(
    pool: Pool, feeds: FeedServer
) -> None:
    async with (
        BotApiServer() as server,
        Fetcher(AddressPolicy.parse("127.0.0.1")) as fetcher,
        make_services(pool, server, fetcher, QUICK) as services,
    ):
        owner = server.person("Olga")
        async with application_running(services, server, owner):
            await owner.says("/fold on")
            await owner.private.wait_for(saying("Folding is on"))
            for name in ("main", "news"):
                url = feeds.add(name, posts=1, document=of_the_site(name))
                await owner.says(f"/subscribe {url}")
                # What shows a new subscriber the posts comes although the other feed had it.
                await owner.private.wait_for(saying(f"{name} 1"))
            ids = [row["id"] for row in await pool.fetch("SELECT id FROM feeds ORDER BY id")]
            for _ in range(ROUNDS):
                feeds.publish("main")
                feeds.publish("news")
                assert await asyncio.gather(*(check_feed(services, one) for one in ids)) == [1, 1]
            while await pool.fetchval("SELECT count(*) FROM deliveries WHERE status = 'waiting'"):
                pass  # asking takes a round trip, so this is no busy loop
    posts = Counter(
        line.split()[1]
        for message in owner.private.from_bot
        for line in message.text.splitlines()
        if line.split()[:1] in (["main"], ["news"]) and len(line.split()) == 2
    )
    assert {number: posts[str(number)] for number in range(2, ROUNDS + 2)} == dict.fromkeys(
        range(2, ROUNDS + 2), 1
    )
    counted = await pool.fetch("SELECT status, count(*) AS n FROM deliveries GROUP BY 1")
    assert {row["status"]: row["n"] for row in counted} == {"sent": ROUNDS + 2, "folded": ROUNDS}
