"""Whether a feed's ids have changed all at once, and what is done then."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from publisher import HOME
from town import Town

from colmillo import PostgresStore
from colmillo.store import State
from heraldo_sync.identity import Remembered, posts
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.model import ParsedEntry
from heraldo_sync.resets import is_reset

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def entries(
    first: int, count: int, *, ids: str = "old", dated: bool = True, link: str | None = None
) -> list[ParsedEntry]:
    return [
        ParsedEntry(
            guid=f"{ids}{number}",
            link=link or f"https://site.example/{number}",
            title=f"Post {number}",
            published_at=NOW + (number - 100) * HOUR if dated else None,
        )
        for number in range(first, first + count)
    ]


def remembered(shown: Sequence[ParsedEntry]) -> list[Remembered]:
    return [
        Remembered(
            id=number,
            key=post.traits.key,
            link=post.entry.link,
            title=post.entry.title,
            content=post.traits.content,
            published_at=post.entry.published_at,
            updated_at=None,
        )
        for number, post in enumerate(posts(shown))
    ]


def judged(old: list[ParsedEntry], new: list[ParsedEntry], *, more: int = 0) -> bool:
    shown = posts(new, home=HOME)
    return is_reset(shown, len(shown) + more, remembered(old), home=HOME, now=NOW)


def test_new_ids_of_the_same_links_are_held() -> None:
    old = entries(0, 10, dated=False)
    assert judged(old, entries(0, 10, ids="new", dated=False))
    assert judged(old, [replace(e, title="t") for e in entries(0, 10, ids="new", dated=False)])


def test_new_ids_and_links_of_the_same_titles_and_dates_are_held() -> None:
    moved = [replace(e, link=f"https://new.example/{e.title}") for e in entries(0, 10, ids="new")]
    assert judged(entries(0, 10), moved)


def test_another_feed_with_older_posts_is_held() -> None:
    other = [replace(e, link=None, title=f"Other {e.title}") for e in entries(10, 9, ids="x")]
    assert judged(entries(20, 5), other)
    assert not judged([], other)


@pytest.mark.parametrize("dated", [True, False])
def test_a_busy_feed_whose_posts_were_all_replaced_is_not_held(dated: bool) -> None:
    assert not judged(entries(0, 10, dated=dated), entries(20, 10, dated=dated))


def test_links_and_titles_that_all_posts_have_say_nothing() -> None:
    for link in (HOME, "https://site.example/show"):
        old, new = entries(0, 10, dated=False, link=link), entries(20, 10, dated=False, link=link)
        assert not judged(old, new)
        assert not judged(old[:1], new)
    daily = [replace(e, title="Daily report") for e in entries(0, 20)]
    assert not judged(daily[:10], daily[10:])


def test_a_date_in_the_future_makes_nothing_old() -> None:
    pinned = ParsedEntry(guid="pin", published_at=NOW + 9000 * HOUR)
    assert not judged([*entries(0, 10), pinned], entries(20, 10))


def test_a_few_new_posts_are_not_held() -> None:
    old, again = entries(0, 10, dated=False), entries(0, 10, ids="new", dated=False)
    assert not judged(old, again[:2])
    assert not judged(old, again[:7], more=3)
    assert judged(old, again[:8], more=2)
    assert not judged(old, again[:2] + entries(20, 8, dated=False))


def restamped(ids: str) -> Callable[[str, list[int]], tuple[bytes, str]]:
    def document(name: str, numbers: list[int]) -> tuple[bytes, str]:
        inside = "".join(
            f"<item><guid isPermaLink='false'>{ids}{number}</guid>"
            f"<link>https://site.example/{number}</link><title>{number}</title></item>"
            for number in reversed(numbers)
        )
        return f"<rss version='2.0'><channel>{inside}</channel></rss>".encode(), "text/xml"

    return document


async def renew(town: Town, ids: str) -> None:
    """The same posts under other ids; the server has forgotten what it told us."""
    town.feeds.add("blog", posts=5, document=restamped(ids))
    await town.pool.execute("UPDATE feeds SET etag = NULL")


async def reset_feed(town: Town, *targets: int) -> int:
    url = town.feeds.add("blog", posts=5, document=restamped("old"))
    feed_id = 0
    for target in targets:
        await town.follow(target, url)
    feed_id = await town.feed_id(url)
    await town.pool.execute("UPDATE deliveries SET status = 'sent'")
    await town.pool.execute("DELETE FROM colmillo.tasks")
    await renew(town, "new")
    assert await town.check(feed_id) == 5
    return feed_id


async def waiting(town: Town, target_id: int) -> list[str]:
    rows = await town.pool.fetch(
        "SELECT coalesce(e.title, d.notice ->> 'kind') AS what FROM deliveries d"
        " LEFT JOIN entries e ON e.id = d.entry_id"
        " WHERE d.target_id = $1 AND d.status = 'waiting' ORDER BY d.id",
        target_id,
    )
    return [row["what"] for row in rows]


async def test_held_posts_are_asked_about_once_and_each_subscriber_decides(
    town: Town, store: PostgresStore
) -> None:
    ana, ben, eva = await town.chat(1), await town.chat(2), await town.chat(3)
    feed_id = await reset_feed(town, ana, ben, eva)
    for target in (ana, ben, eva):
        assert await waiting(town, target) == ["held"]
    assert (await store.counts())[DELIVERY_QUEUE, State.WAITING] == 3
    town.feeds.publish("blog")
    assert await town.check(feed_id) == 1
    held = town.subscriptions.held
    found = await held.find(url=town.feeds.url("blog"))
    both = {one.target_id: one.subscription_id for one in found}
    assert set(both) == {ana, ben, eva}
    assert {one.posts for one in found} == {5}
    assert [one.target_id for one in await held.find(chat_id=2)] == [ben]
    assert [one.subscription_id for one in await held.find(target_id=eva)] == [both[eva]]
    assert len(await held.find()) == 3
    assert await held.find(url="https://nobody.example/") == []
    assert await held.send(ben, both[ana]) == 0
    assert await held.send(ana, both[ana]) == 5
    assert await held.send(ana, both[ana]) == 0
    assert await held.skip(ben, both[ben]) == 5
    assert await waiting(town, ana) == ["1", "2", "3", "4", "5", "held", "6"]
    assert await waiting(town, ben) == await waiting(town, eva) == ["held", "6"]
    assert await held.expire() == 0
    await town.pool.execute("UPDATE deliveries SET created_at = created_at - interval '8 days'")
    assert await held.expire() == 5
    assert await held.send(eva, both[eva]) == 0
    assert await town.check(feed_id) == 0


async def test_nobody_is_asked_again_within_a_week(town: Town) -> None:
    ana = await town.chat(1)
    feed_id = await reset_feed(town, ana)
    await renew(town, "newest")
    assert await town.check(feed_id) == 5
    assert await waiting(town, ana) == ["held"]
    [one] = await town.subscriptions.held.find(target_id=ana)
    assert await town.subscriptions.held.skip(ana, one.subscription_id) == 10
