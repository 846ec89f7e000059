"""What subscribers hear of a feed that fails, ends, or works again, and how often."""

from datetime import timedelta

from town import Town

from colmillo import PostgresStore
from colmillo.store import State
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.tasks import enqueue_due

HOURS = timedelta(hours=7)


async def test_a_feed_that_keeps_failing_is_told_once_and_that_it_works_once(
    town: Town, store: PostgresStore
) -> None:
    ana, ben = await town.chat(1), await town.chat(2)
    feed_id = await town.follow(ana, town.feeds.add("blog"))
    await town.follow(ben, town.feeds.url("blog"))
    await town.pool.execute("DELETE FROM colmillo.tasks")
    town.feeds.fail("blog", 503)
    for checks in range(1, 9):
        await town.check(feed_id, after=HOURS)
        told = ["failing"] if checks >= 5 else []
        assert await town.sent_to(ana) == await town.sent_to(ben) == ["blog post 3", *told]
    assert (await store.counts())[DELIVERY_QUEUE, State.WAITING] == 2
    town.feeds.fail("blog", 200)
    town.feeds.publish("blog")
    for _ in range(2):
        await town.check(feed_id)
    assert await town.sent_to(ana) == ["blog post 3", "failing", "working", "blog post 4"]


async def test_that_it_works_is_told_after_an_unchanged_answer_too(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("blog"))
    town.feeds.fail("blog", 503)
    for _ in range(5):
        await town.check(feed_id, after=HOURS)
    town.feeds.fail("blog", 200)
    for _ in range(2):
        await town.check(feed_id)
    assert await town.sent_to(ana) == ["blog post 3", "failing", "working"]


async def test_failures_that_nobody_was_told_of_end_in_silence(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("blog"))
    town.feeds.fail("blog", 404)
    for _ in range(50):
        await town.check(feed_id)
    town.feeds.fail("blog", 200)
    await town.check(feed_id)
    assert await town.sent_to(ana) == ["blog post 3"]


async def test_a_feed_that_is_gone_twice_hours_apart_ends_and_can_be_begun_again(
    town: Town,
) -> None:
    ana = await town.chat(1)
    url = town.feeds.add("blog")
    feed_id = await town.follow(ana, url)
    town.feeds.fail("blog", 410)
    await town.check(feed_id)
    await town.check(feed_id, after=HOURS / 2)
    assert await town.sent_to(ana) == ["blog post 3"]
    await town.check(feed_id, after=HOURS)
    await town.check(feed_id, after=HOURS)
    assert await town.sent_to(ana) == ["blog post 3", "ended"]
    await town.pool.execute("UPDATE feeds SET checked_at = now() - interval '9 days'")
    assert await enqueue_due(town.services) == 0
    view = await town.subscriptions.find(ana, url)
    assert view is not None
    assert view.ended
    town.feeds.fail("blog", 200)
    town.feeds.publish("blog")
    await town.follow(ana, url)
    assert await town.sent_to(ana) == ["blog post 3", "ended", "working", "blog post 4"]
    assert await town.next_check(feed_id) < timedelta(minutes=2)


async def test_another_answer_between_starts_the_time_of_a_410_again(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("blog"))
    for status in (410, 503, 410):
        town.feeds.fail("blog", status)
        await town.check(feed_id, after=HOURS)
    assert await town.sent_to(ana) == ["blog post 3"]


async def test_a_feeds_wish_stands_while_it_is_unchanged(town: Town) -> None:
    def slow(name: str, posts: list[int]) -> tuple[bytes, str]:
        items = "".join(f"<item><guid>{name}-{n}</guid><title>{n}</title></item>" for n in posts)
        text = f"<rss version='2.0'><channel><title>t</title><ttl>30</ttl>{items}</channel></rss>"
        return text.encode(), "text/xml"

    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("slow", document=slow))
    for _ in range(2):
        await town.check(feed_id)
        assert timedelta(minutes=29) < await town.next_check(feed_id) < timedelta(minutes=34)
    await town.pool.execute("UPDATE feeds SET etag = NULL, last_modified = NULL")
    await town.check(feed_id)
    assert timedelta(minutes=29) < await town.next_check(feed_id)
    town.feeds.publish("slow")
    assert await town.check(feed_id) == 1
    assert timedelta(minutes=29) < await town.next_check(feed_id)


async def test_a_feed_that_is_silent_for_long_is_asked_less_until_it_posts(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await town.follow(ana, town.feeds.add("blog"))
    await town.pool.execute("UPDATE feeds SET posted_at = now() - interval '1 hour'")
    assert await town.check(feed_id) == 0
    assert timedelta(minutes=4) < await town.next_check(feed_id) < timedelta(minutes=6)
    town.feeds.publish("blog")
    assert await town.check(feed_id) == 1
    assert await town.check(feed_id) == 0
    assert await town.next_check(feed_id) <= timedelta(minutes=1)
