"""From documents to delivery rows: every new post is fanned out once, no old post ever."""

import random
from collections.abc import Sequence

from follower import Follower, item, items
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from publisher import KINDS, Publisher

from heraldo_sync.services import SyncServices


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rng=st.randoms(use_true_random=False),
    kinds=st.sets(st.sampled_from(KINDS), min_size=1),
)
async def test_whatever_a_publisher_does_each_post_goes_out_once(
    rng: random.Random, kinds: set[str], services: SyncServices
) -> None:
    publisher = Publisher(rng, tuple(sorted(kinds)))
    follower = await Follower.of_a_new_feed(services)
    for check in range(rng.randint(1, 12)):
        before = len(publisher.posts)
        rng.choice([publisher.edit, publisher.rearrange])()
        for _ in range(rng.choice([0, 1, 2, 4])):
            publisher.publish()
        expected = [post.title for post in publisher.posts[before:]] if check else []
        found = await follower.check(publisher.rss(), crash=rng.random() < 0.2)
        assert sorted(found) == sorted(expected)


async def test_what_a_feed_shows_first_is_where_it_starts(services: SyncServices) -> None:
    follower = await Follower.of_a_new_feed(services)
    assert await follower.check(items(item(1), item(2))) == []
    assert await follower.check(items(item(3), item(2))) == ["3"]


async def test_a_feed_that_was_empty_at_first_loses_nothing(services: SyncServices) -> None:
    follower = await Follower.of_a_new_feed(services)
    assert await follower.check(items()) == []
    assert await follower.check(items(item(1))) == ["1"]


async def test_a_feed_that_shrinks_to_nothing_and_comes_back_sends_nothing_old(
    services: SyncServices,
) -> None:
    follower = await Follower.of_a_new_feed(services)
    shown: Sequence[str] = [item(number) for number in range(9)]
    await follower.check(items(*shown))
    assert await follower.check(items()) == []
    assert await follower.check(items(item(9), *shown)) == ["9"]
    assert await follower.check(items(*shown[:2])) == []
    assert await follower.check(items(*reversed(shown))) == []


async def test_the_latest_version_of_an_edited_post_is_kept_and_not_sent(
    services: SyncServices,
) -> None:
    follower = await Follower.of_a_new_feed(services)
    await follower.check(items(item(1), item(2)))
    for title in ("Second", "Third"):
        assert await follower.check(items(item(1, title=title), item(2))) == []
    rows = await services.pool.fetch(
        "SELECT title, revision, edited_at IS NOT NULL AS edited FROM entries"
        " WHERE feed_id = $1 ORDER BY title",
        follower.feed_id,
    )
    assert [tuple(row) for row in rows] == [("2", 0, False), ("Third", 2, True)]


async def test_dates_alone_are_written_once_a_day(services: SyncServices) -> None:
    """A feed that dates every post now must not have every row rewritten at every check."""
    follower = await Follower.of_a_new_feed(services)
    dated = "SELECT array_agg(to_char(published_at, 'SS')) FROM entries WHERE feed_id = $1"
    found: list[list[str]] = []
    for second in ("01", "02", "03"):
        body = items(item(1), item(2), item(3)).replace(b":00 GMT", f":{second} GMT".encode())
        assert await follower.check(body) == []
        found.append(await services.pool.fetchval(dated, follower.feed_id))
    assert found == [["01"] * 3, ["02"] * 3, ["02"] * 3]
    assert await services.pool.fetchval("SELECT max(revision) FROM entries") == 0


async def test_an_adopted_post_has_its_new_id_from_then_on(services: SyncServices) -> None:
    follower = await Follower.of_a_new_feed(services)
    await follower.check(items(item(1), item(2)))
    for _ in range(2):
        assert await follower.check(items(item(1, guid="new"), item(2))) == []
        assert await follower.check(items(item(2))) == []
    assert await services.pool.fetchval("SELECT count(*) FROM entries") == 2
