"""From document to entries: what is read in parts is stored as what is read as a whole."""

import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from feed_server import FeedServer, rss
from hypothesis import HealthCheck, event, given, settings
from successions import successions

from colmillo import Queue
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.check import check_feed
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.model import Failed, Fetched, ParsedFeed
from heraldo_sync.parse import Parser
from heraldo_sync.reading import Familiar, Reading, read, read_whole
from heraldo_sync.services import SyncServices
from heraldo_sync.store import load_feeds, upsert_feed

URL = "https://example.org/blog/feed"
STORED = """
SELECT key, content, likeness, revision, title, link, author, html, published_at, updated_at,
    enclosures, categories, image, comments
FROM entries WHERE feed_id = $1 ORDER BY id
"""
DESCRIBED = "SELECT title, link, format FROM feeds WHERE id = $1"


class CountingParser(Parser):
    """Also says how many bytes it was given."""

    def __init__(self) -> None:
        super().__init__(workers=1)
        self.given: list[int] = []

    async def parse(
        self, body: bytes, *, url: str, content_type: str | None = None
    ) -> ParsedFeed | Failed:
        self.given.append(len(body))
        return await super().parse(body, url=url, content_type=content_type)


@pytest.fixture
async def parser() -> AsyncIterator[CountingParser]:
    async with CountingParser() as parser:
        yield parser


@pytest.fixture
async def services(pool: Pool, queue: Queue, parser: CountingParser) -> AsyncIterator[SyncServices]:
    async with Fetcher(AddressPolicy.parse("127.0.0.1")) as fetcher:
        yield SyncServices(
            pool=pool, queue=queue, fetcher=fetcher, parser=parser, rng=random.Random(1)
        )


async def new_feed(services: SyncServices) -> int:
    async with services.pool.acquire() as connection:
        return await upsert_feed(connection, f"{URL}?{random.random()}", "")


async def check(services: SyncServices, feed_id: int, body: bytes, *, whole: bool) -> str:
    """Checks a feed that shows this document; returns what was read."""
    fetched = Fetched(url=URL, body=body)
    async with services.pool.acquire() as connection:
        feed = (await load_feeds(connection, [feed_id]))[feed_id]
        if whole:
            answer: Reading | Familiar | Failed = await read_whole(services, fetched)
        else:
            answer = await read(services, fetched, seen=feed.items)
        if not isinstance(answer, Reading):
            return "nothing" if isinstance(answer, Familiar) else "failed"
        async with connection.transaction():
            await services.keeper.keep(connection, feed_id, answer)
        return "some" if answer.familiar else "all"


async def stored(services: SyncServices, feed_id: int) -> list[tuple[object, ...]]:
    rows = await services.pool.fetch(STORED, feed_id) + await services.pool.fetch(
        DESCRIBED, feed_id
    )
    return [tuple(row.values()) for row in rows]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bodies=successions())
async def test_reading_in_parts_stores_what_reading_all_stores(
    bodies: list[bytes], services: SyncServices
) -> None:
    parts, whole = await new_feed(services), await new_feed(services)
    for body in bodies:
        event(await check(services, parts, body, whole=False))
        await check(services, whole, body, whole=True)
        assert await stored(services, parts) == await stored(services, whole)


async def test_a_year_of_a_blog_is_read_in_parts(
    services: SyncServices, parser: CountingParser
) -> None:
    feed_id = await new_feed(services)
    read_as = Counter[str]()
    for last in range(10, 40):
        body, _ = rss("blog", list(range(last - 9, last + 1)))
        read_as[await check(services, feed_id, body, whole=False)] += 1
        # The same posts in another order, and one of them gone.
        body, _ = rss("blog", list(range(last, last - 9, -1)))
        read_as[await check(services, feed_id, body, whole=False)] += 1
    assert read_as == {"all": 1, "some": 29, "nothing": 30}
    assert max(parser.given[1:]) < 500
    assert len(await stored(services, feed_id)) == 39 + 1


async def test_large_documents_are_read_in_parts_too(services: SyncServices) -> None:
    feed_id = await new_feed(services)
    text = b"Text " * 20_000
    for last, read_as in ((10, "all"), (11, "some"), (11, "nothing")):
        body = rss("blog", list(range(last - 9, last + 1)))[0].replace(b"Text", text)
        assert len(body) > 500_000
        assert await check(services, feed_id, body, whole=False) == read_as


async def test_a_familiar_body_goes_to_no_parser(
    services: SyncServices, parser: CountingParser
) -> None:
    async with FeedServer() as feeds:
        built = iter(range(100))

        def stamped(name: str, posts: list[int]) -> tuple[bytes, str]:
            body, kind = rss(name, posts)
            stamp = b"<lastBuildDate>%d</lastBuildDate><item>" % next(built)
            return body.replace(b"<item>", stamp, 1), kind

        url = feeds.add("blog", document=stamped)
        async with services.pool.acquire() as connection:
            feed_id = await upsert_feed(connection, url, "")
        assert await check_feed(services, feed_id) == 3
        assert len(parser.given) == 1
        items = await services.pool.fetchval("SELECT xmin::text FROM feed_items")
        for _ in range(3):
            # Without validators the whole body comes again.
            await services.pool.execute("UPDATE feeds SET etag = NULL")
            assert await check_feed(services, feed_id) == 0
        assert len(parser.given) == 1
        assert await services.pool.fetchval("SELECT xmin::text FROM feed_items") == items
        feeds.publish("blog")
        assert await check_feed(services, feed_id) == 1
        assert len(parser.given) == 2
        assert await check_feed(services, feed_id) == 0


async def test_what_is_kept_of_the_items_is_written_when_it_changes(services: SyncServices) -> None:
    feed_id = await new_feed(services)
    versions: list[str] = []
    for text in (b"Q & A", b"A & Q", b"Text", b"<b>Text"):
        body = rss("blog", [1, 2])[0].replace(b"Text", text)
        assert await check(services, feed_id, body, whole=True) == "all"
        versions.append(await services.pool.fetchval("SELECT xmin::text FROM feed_items"))
    # Broken twice, whole, broken.
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3
