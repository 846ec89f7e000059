"""Private feeds that move: within their origin, to their like, and never elsewhere unasked."""

from datetime import timedelta

from club import CANARY, Club
from private_site import PrivateSite

HOURS = timedelta(hours=7)


async def test_an_address_within_the_site_is_kept_when_it_moves(club: Club) -> None:
    ana = await club.town.chat(1)
    club.site.moved["/old"] = 302, "/feed"
    await club.follow(ana, "ana", "/old")
    [feed_id] = await club.feeds()
    club.site.moved["/old"] = 301, "/feed"
    for _ in range(3):
        await club.check(feed_id, after=HOURS)
    assert await club.pool.fetchval("SELECT url FROM feeds") == club.site.url()
    asked = club.site.seen("Cookie")
    await club.check(feed_id)
    assert club.site.seen("Cookie") == [*asked, f"{CANARY}-ana"]


async def test_a_move_merges_private_feeds_only_with_their_like(club: Club) -> None:
    ana, ben, all_ = await club.town.chat(1), await club.town.chat(2), await club.town.chat(3)
    club.site.open_to_all = True
    club.site.moved["/old"] = 302, "/feed"
    await club.follow(ana, "ana", "/old")
    await club.follow(ben, "ben")
    await club.follow(all_, None)
    feed_id = await club.feed_of(ana)
    club.site.moved["/old"] = 301, "/feed"
    for _ in range(3):
        await club.check(feed_id, after=HOURS)
    assert len(await club.feeds()) == 3
    club.site.publish("ana")
    await club.check(feed_id)
    assert await club.town.sent_to(ana) == ["ana post 3", "ana post 4"]
    assert await club.town.sent_to(ben) == ["ben post 3"]
    assert await club.town.sent_to(all_) == ["public post 3"]


async def test_a_move_to_another_server_is_told_once_and_not_followed(club: Club) -> None:
    ana = await club.town.chat(1)
    async with PrivateSite(open_to_all=True) as abroad:
        await club.follow(ana, "ana")
        [feed_id] = await club.feeds()
        club.site.moved["/feed"] = 301, abroad.url("/feed?token=abc")
        for _ in range(6):
            await club.check(feed_id, after=HOURS)
        assert CANARY not in str(abroad.asked)
        assert await club.pool.fetchval("SELECT url FROM feeds") == club.site.url()
        sent = await club.town.sent_to(ana)
        assert sent.count("left") == 1
        reason = await club.pool.fetchval(
            "SELECT notice ->> 'reason' FROM deliveries WHERE notice ->> 'kind' = 'left'"
        )
        assert reason == abroad.url("/feed?token=…")
