"""What is dropped, what stays, and that nothing dropped makes an old post new."""

import itertools
from datetime import timedelta

from follower import Follower, item, items

from colmillo import PostgresStore, Worker
from colmillo.testing.working import working
from heraldo_sync.housekeeping import clean_feeds, drop_deliveries, keep_house
from heraldo_sync.services import SyncServices
from heraldo_sync.tasks import SCHEDULE_QUEUE

_NUMBERS = itertools.count()
WEEK = timedelta(days=8)
CONTENTS = "SELECT title FROM entries WHERE feed_id = $1 AND author IS NOT NULL ORDER BY title"
TITLES = "SELECT title FROM entries WHERE feed_id = $1 ORDER BY title"
WRITTEN = "SELECT array_agg(xmin::text ORDER BY id) FROM entries"


def post(number: int, title: str | None = None) -> str:
    return item(number, title=title).replace("</item>", "<author>Ana</author></item>")


class Years(Follower):
    """A feed that is checked for long; the database's time is moved back instead."""

    async def pass_weeks(self, weeks: int, body: bytes) -> list[str]:
        """Checks once a week; returns what was sent."""
        sent: list[str] = []
        for _ in range(weeks):
            await self.services.pool.execute(
                "UPDATE entries SET shown_at = shown_at - $1::interval", WEEK
            )
            await self.services.pool.execute(
                "UPDATE feeds SET marked_at = marked_at - $1::interval,"
                " cleaned_at = cleaned_at - $1::interval",
                WEEK,
            )
            await self.services.pool.execute(
                "UPDATE deliveries SET created_at = created_at - $1::interval,"
                " settled_at = settled_at - $1::interval",
                WEEK,
            )
            # Another description, so that the document is read as a whole and marked.
            told = f"<description>{next(_NUMBERS)}</description><link>".encode()
            sent += await self.check(body.replace(b"<link>", told, 1))
        return sent

    async def titles(self, query: str) -> list[str]:
        return [row["title"] for row in await self.services.pool.fetch(query, self.feed_id)]

    async def settle(self) -> None:
        await self.services.pool.execute(
            "UPDATE deliveries SET status = 'sent', settled_at = now() WHERE status = 'waiting'"
        )


async def years(services: SyncServices) -> Years:
    feed = await Years.of_a_new_feed(services)
    assert isinstance(feed, Years)
    return feed


async def test_contents_go_when_nobody_needs_them_and_come_back_with_an_edit(
    services: SyncServices,
) -> None:
    feed = await years(services)
    await feed.check(items(post(0)))
    await feed.check(items(post(2), post(1), post(0)))
    assert await feed.pass_weeks(12, items(post(3), post(0))) == ["3"]
    await clean_feeds(services)
    assert await feed.titles(CONTENTS) == ["0", "1", "2", "3"]
    await feed.settle()
    assert await feed.pass_weeks(1, items(post(3), post(0))) == []
    await clean_feeds(services)
    assert await feed.titles(CONTENTS) == ["0", "3"]
    assert await feed.check(items(post(1), post(2, "2 edited"), post(3), post(0))) == []
    assert await feed.titles(CONTENTS) == ["0", "2 edited", "3"]


async def test_what_a_feed_shows_is_kept_for_ever_however_it_is_read(
    services: SyncServices,
) -> None:
    feed = await years(services)
    shown = [post(number) for number in range(9)]
    await feed.check(items(*shown))
    for year in range(3):
        for number in range(9):
            # Nothing new; one new post, read alone; the whole.
            shown = [post(10 * year + number + 20), *shown[:12]]
            await feed.check(items(*shown))
            await feed.check(items(*reversed(shown)))
            await feed.pass_weeks(5, items(*shown[1:]))
            await feed.settle()
        await clean_feeds(services, remember=0)
        kept = await feed.titles(TITLES)
        assert all(any(f"<title>{title}<" in part for title in kept) for part in shown[1:])
    assert await feed.check(items(*shown)) == []


async def test_an_old_post_that_comes_back_after_a_year_is_remembered_among_the_latest(
    services: SyncServices,
) -> None:
    feed = await years(services)
    old = [post(number) for number in range(9)]
    await feed.check(items(*old))
    assert await feed.pass_weeks(60, items(post(9))) == ["9"]
    await feed.settle()
    await clean_feeds(services)
    await drop_deliveries(services)
    assert await feed.check(items(*old, post(9))) == []
    assert await feed.pass_weeks(60, items(post(9))) == []
    await clean_feeds(services, remember=4)
    assert await feed.titles(TITLES) == ["6", "7", "8", "9"]


async def test_a_post_that_nobody_read_yet_is_never_forgotten(services: SyncServices) -> None:
    feed = await years(services)
    await feed.check(items(post(0)))
    assert await feed.check(items(post(1))) == ["1"]
    await feed.pass_weeks(60, items(post(2)))
    await clean_feeds(services, remember=0)
    await drop_deliveries(services)
    assert await feed.fanned_out() == ["1", "2"]


async def test_deliveries_go_when_they_were_settled_long_ago(services: SyncServices) -> None:
    feed = await years(services)
    await feed.check(items(post(0)))
    await feed.check(items(post(2), post(1), post(0)))
    await feed.settle()
    assert await feed.pass_weeks(5, items(post(3), post(2), post(1))) == ["3"]
    await drop_deliveries(services)
    assert await feed.fanned_out() == ["3"]
    assert await feed.check(items(post(0), post(1), post(2), post(3))) == []


async def test_checks_within_a_week_write_no_row_of_what_they_find(services: SyncServices) -> None:
    feed = await years(services)
    shown = items(*map(post, range(9)))
    await feed.check(shown)
    written = await services.pool.fetchval(WRITTEN)
    for number in range(3):
        told = f"<description>{number}</description><link>".encode()
        await feed.check(shown.replace(b"<link>", told, 1))
        assert await services.pool.fetchval(WRITTEN) == written
    await feed.pass_weeks(1, shown)
    assert await services.pool.fetchval(WRITTEN) != written


async def test_the_daily_task_forgets_links_that_are_too_long_ago_to_fold_into(
    services: SyncServices, store: PostgresStore
) -> None:
    await services.pool.execute(
        "INSERT INTO known_links (target_id, link, feed_id, sent_at) VALUES"
        " (1, sha256('old'), 1, now() - interval '31 days'), (1, sha256('new'), 1, now())"
    )
    await services.queue.enqueue(keep_house.new())
    worker = Worker(store, tasks=[keep_house], queues={SCHEDULE_QUEUE: 1}, resources=services)
    async with working(worker):
        while await store.counts():
            pass  # asking takes a round trip, so this is no busy loop
    rows = await services.pool.fetch("SELECT link = sha256('new') AS new FROM known_links")
    assert [row["new"] for row in rows] == [True]
