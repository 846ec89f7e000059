"""A feed whose address changes for good, and two feeds that turn out to be one."""

import asyncio
from datetime import timedelta

from town import Town

from heraldo_sync.check import check_feed
from heraldo_sync.health import Rules
from heraldo_sync.moving import settle_move
from heraldo_sync.outbox import Outbox
from heraldo_sync.statements import statement

HOURS = timedelta(hours=4)


async def test_a_new_address_is_kept_after_some_checks_and_hours(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("old"))
    new = town.feeds.add("new")
    town.feeds.move("old", "new")
    for after in (HOURS, HOURS):
        await town.check(feed_id, after=after)
        assert await town.feed_id(town.feeds.url("old")) == feed_id
    await town.check(feed_id, after=HOURS)
    assert await town.feed_id(new) == feed_id
    asked = town.feeds.requests["old"]
    await town.check(feed_id)
    assert town.feeds.requests["old"] == asked


async def test_an_answer_without_a_body_counts_as_well(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("old"))
    new = town.feeds.add("new")
    town.feeds.move("old", "new", 308)
    assert await town.check(feed_id) == 3
    for _ in range(2):
        assert await town.check(feed_id, after=HOURS) == 0
    assert await town.feed_id(new) == feed_id


async def test_a_redirect_that_is_not_meant_to_last_starts_the_count_again(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("old"))
    town.feeds.add("new")
    for status in (301, 301, 302, 301, 301):
        town.feeds.move("old", "new", status)
        await town.check(feed_id, after=HOURS)
    assert await town.feed_id(town.feeds.url("old")) == feed_id


async def test_another_target_starts_the_count_again(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("old"))
    for target in ("new", "new", "newer", "newer"):
        town.feeds.add(target)
        town.feeds.move("old", target)
        await town.check(feed_id, after=2 * HOURS)
    assert await town.feed_id(town.feeds.url("old")) == feed_id
    await town.check(feed_id, after=HOURS)
    assert await town.feed_id(town.feeds.url("newer")) == feed_id


async def test_a_page_that_is_no_feed_is_no_new_address(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("old"))
    town.feeds.add("portal", document=lambda _name, _posts: (b"<html>Log in</html>", "text/html"))
    town.feeds.move("old", "portal")
    for _ in range(4):
        await town.check(feed_id, after=HOURS)
    assert await town.feed_id(town.feeds.url("old")) == feed_id


async def two_feeds(town: Town) -> tuple[int, int]:
    """Feeds at two addresses that show the same posts."""
    document = town.feeds.same_as("new")
    old = await town.follow(await town.chat(1), town.feeds.add("old", document=document))
    new = await town.follow(await town.chat(2), town.feeds.add("new"))
    await town.follow(await town.chat(3), town.feeds.url("old"))
    await town.follow(await town.chat(3), town.feeds.url("new"))
    town.feeds.move("old", "new")
    return old, new


async def test_two_feeds_become_one_and_nothing_is_lost_or_repeated(town: Town) -> None:
    old, new = await two_feeds(town)
    await town.pool.execute("UPDATE deliveries SET status = 'sent' WHERE target_id = 1")
    await town.check(old, after=HOURS)
    await town.check(old, after=HOURS)
    # Three see post 4 at the old address, nobody yet at the new one.
    town.feeds.publish("new")
    await town.check(old, after=HOURS)
    assert await town.pool.fetchval("SELECT count(*) FROM feeds") == 1
    assert await town.feed_id(town.feeds.url("new")) == new
    for target in (1, 2, 3):
        assert await town.sent_to(target) == ["new post 3", "new post 4"]
        page = await town.subscriptions.page(target, offset=0, limit=9)
        assert [view.feed_id for view in page.items] == [new]
    town.feeds.publish("new")
    assert await town.check(new) == 1
    for target in (1, 2, 3):
        assert await town.sent_to(target) == ["new post 3", "new post 4", "new post 5"]
    assert await town.pool.fetchval("SELECT count(*) FROM entries") == 5
    assert await check_feed(town.services, old) == 0


async def test_of_two_copies_the_one_that_is_further_stays(town: Town) -> None:
    old, new = await two_feeds(town)
    copies = await town.pool.fetch("SELECT id FROM deliveries WHERE target_id = 3 ORDER BY id")
    await town.pool.execute(
        "UPDATE deliveries SET status = 'sent', message_ids = '{7}' WHERE id = $1", copies[1]["id"]
    )
    for _ in range(3):
        await town.check(old, after=HOURS)
    [left] = await town.pool.fetch("SELECT id, status FROM deliveries WHERE target_id = 3")
    assert (left["id"], left["status"]) == (copies[1]["id"], "sent")
    assert await town.feed_id(town.feeds.url("new")) == new


async def test_old_posts_of_either_feed_are_news_to_nobody(town: Town) -> None:
    old, new = await two_feeds(town)
    for feed_id in (old, new):
        await town.pool.execute(
            "INSERT INTO entries (feed_id, key, content, title, html, first_seen_at)"
            " VALUES ($1, sha256($2::text::bytea), sha256(''), $2, '', now() - interval '9 days')",
            feed_id,
            f"history {feed_id}",
        )
    for _ in range(3):
        await town.check(old, after=HOURS)
    for target in (1, 2, 3):
        assert await town.sent_to(target) == ["new post 3"]
    titles = await town.pool.fetch("SELECT title FROM entries WHERE feed_id = $1", new)
    assert {f"history {old}", f"history {new}"} < {row["title"] for row in titles}


async def test_a_check_of_the_other_feed_that_is_under_way_is_waited_for(town: Town) -> None:
    old, new = await two_feeds(town)
    for _ in range(2):
        await town.check(old, after=HOURS)
    await town.pool.execute("UPDATE feeds SET moved_seen = 3 WHERE id = $1", old)
    town.feeds.publish("new")
    merging: asyncio.Task[None]
    async with town.pool.acquire() as connection, connection.transaction():
        # What a check does: it holds the feed, then stores and fans out.
        await connection.execute("SELECT FROM feeds WHERE id = $1 FOR NO KEY UPDATE", new)
        merging = asyncio.create_task(
            settle_move(
                town.pool,
                town.services.queue,
                old,
                town.feeds.url("new"),
                Rules(moved_after=timedelta()),
            )
        )
        while not await town.pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        ):
            assert not merging.done()
        await town.keep(connection, new)
    await merging
    assert await town.pool.fetchval("SELECT count(*) FROM feeds") == 1
    for target in (1, 2, 3):
        assert await town.sent_to(target) == ["new post 3", "new post 4"]


async def copies(town: Town) -> tuple[int, int, list[int]]:
    """Two feeds about to become one, and the two copies of a post that wait for target 3."""
    old, new = await two_feeds(town)
    await town.pool.execute(
        "UPDATE feeds SET moved_to = $2, moved_seen = 3, moved_since = now() WHERE id = $1",
        old,
        town.feeds.url("new"),
    )
    rows = await town.pool.fetch("SELECT id FROM deliveries WHERE target_id = 3 ORDER BY id")
    return old, new, [row["id"] for row in rows]


async def merge(town: Town, old: int) -> None:
    rules = Rules(moved_after=timedelta())
    await settle_move(town.pool, town.services.queue, old, town.feeds.url("new"), rules)


async def test_a_copy_recorded_as_sent_while_its_feed_is_merged_is_the_one_that_stays(
    town: Town,
) -> None:
    old, _, [_, second] = await copies(town)
    async with town.pool.acquire() as connection, connection.transaction():
        await connection.execute(statement("part_sent"), second, 0, 77, True, None, None)
        merging = asyncio.create_task(merge(town, old))
        while not await town.pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock')"
        ):
            assert not merging.done()
    await merging
    [left] = await town.pool.fetch("SELECT id, status FROM deliveries WHERE target_id = 3")
    assert (left["id"], left["status"]) == (second, "sent")


async def test_what_was_on_its_way_is_recorded_with_the_copy_that_stays(town: Town) -> None:
    old, _, [first, second] = await copies(town)
    outbox = Outbox(town.pool)
    on_its_way = (await outbox.waiting(3, 9))[1]
    assert on_its_way.id == second
    await merge(town, old)
    assert await outbox.address_of(on_its_way) is None
    assert await outbox.part_sent(on_its_way, 0, 77, last=False)
    assert not await outbox.part_sent(on_its_way, 0, 77, last=False)
    assert await outbox.part_sent(on_its_way, 1, 78, last=True)
    [left] = await town.pool.fetch("SELECT * FROM deliveries WHERE target_id = 3")
    assert (left["id"], left["status"], left["message_ids"]) == (first, "sent", [77, 78])
