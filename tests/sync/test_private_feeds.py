"""Private feeds among chats: who shares one, who never sees what, and that nothing is lost."""

import asyncio
import logging
from datetime import timedelta

import asyncpg
import pytest
from club import CANARY, Club

from colmillo.clock import SystemClock
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.check import check_feed
from heraldo_sync.housekeeping import forget_private_feeds
from heraldo_sync.inspection import inspect
from heraldo_sync.model import Failed
from heraldo_sync.private import private_address
from heraldo_sync.rekeying import rekey
from heraldo_sync.subscribing import Found, look, subscribe
from heraldo_sync.vault import Vault, new_key

HOURS = timedelta(hours=7)
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def test_two_chats_with_the_same_headers_share_a_feed(club: Club) -> None:
    one, two = await club.town.chat(1), await club.town.chat(2)
    await club.follow(one, "ana")
    await club.follow(two, "ana")
    [feed_id] = await club.feeds()
    club.site.publish("ana")
    before = len(club.site.asked)
    assert await club.check(feed_id) == 1
    assert len(club.site.asked) == before + 1
    for target in (one, two):
        assert await club.town.sent_to(target) == ["ana post 3", "ana post 4"]


async def test_others_never_see_what_is_private(club: Club) -> None:
    ana, ben, all_ = await club.town.chat(1), await club.town.chat(2), await club.town.chat(3)
    club.site.open_to_all = True
    for target, member in ((ana, "ana"), (ben, "ben"), (all_, None)):
        await club.follow(target, member)
    for account in ("ana", "ben", "public"):
        club.site.publish(account)
    for feed_id in await club.feeds():
        assert await club.check(feed_id) == 1
    assert len(await club.feeds()) == 3
    assert await club.town.sent_to(ana) == ["ana post 3", "ana post 4"]
    assert await club.town.sent_to(ben) == ["ben post 3", "ben post 4"]
    assert await club.town.sent_to(all_) == ["public post 3", "public post 4"]


async def test_subscribing_twice_with_the_same_headers_changes_nothing(club: Club) -> None:
    ana = await club.town.chat(1)
    first = await club.follow(ana, "ana")
    again = await club.follow(ana, "ana")
    assert (first.private, first.already, again.already) == (True, False, True)
    assert again.subscription_id == first.subscription_id
    assert await club.town.sent_to(ana) == ["ana post 3"]


async def test_a_check_after_a_change_of_validators_is_a_304(club: Club) -> None:
    ana = await club.town.chat(1)
    await club.follow(ana, "ana")
    [feed_id] = await club.feeds()
    assert await club.check(feed_id) == 0
    assert club.site.seen("If-None-Match")[-1] == '"ana-3"'
    assert club.site.seen("Cookie")[-1] == f"{CANARY}-ana"


async def test_new_headers_take_the_place_of_the_old_and_nothing_is_lost(club: Club) -> None:
    ana = await club.town.chat(1)
    first = await club.follow(ana, "ana")
    [old] = await club.feeds()
    del club.site.members["Cookie", f"{CANARY}-ana"]
    club.site.publish("ana")
    for _ in range(5):
        await club.check(old, after=HOURS)
    club.site.join("Cookie", f"{CANARY}-new", "ana")
    club.site.publish("ana")
    again = await club.follow(ana, "new")
    assert (again.replaced, again.subscription_id) == (True, first.subscription_id)
    assert await club.town.sent_to(ana) == ["ana post 3", "failing", "ana post 4", "ana post 5"]
    [new] = set(await club.feeds()) - {old}
    assert await club.feed_of(ana) == new
    club.site.publish("ana")
    assert await club.check(new) == 1
    assert (await club.town.sent_to(ana))[-1] == "ana post 6"
    assert await club.subscriptions(ana) == ["ana"]


async def test_what_waits_of_the_old_feed_is_sent_before_the_feed_goes(club: Club) -> None:
    ana = await club.town.chat(1)
    await club.follow(ana, "ana")
    [old] = await club.feeds()
    club.site.join("Cookie", f"{CANARY}-new", "ana")
    await club.follow(ana, "new")
    await forget_private_feeds(club.town.services)
    assert old in await club.feeds()
    await club.pool.execute("UPDATE deliveries SET status = 'sent'")
    await forget_private_feeds(club.town.services)
    assert old not in await club.feeds()
    assert len(await club.feeds()) == 1


async def test_another_account_s_old_posts_are_asked_about(club: Club) -> None:
    ana = await club.town.chat(1)
    await club.follow(ana, "ana")
    await club.follow(ana, "ben")
    assert await club.town.sent_to(ana) == ["ana post 3", *(f"ben post {n}" for n in (1, 2, 3)),
                                            "held"]  # fmt: skip
    held = await club.pool.fetchval("SELECT count(*) FROM deliveries WHERE status = 'held'")
    assert held == 3


async def test_who_shared_the_old_headers_keeps_them(club: Club) -> None:
    ana, other = await club.town.chat(1), await club.town.chat(2)
    await club.follow(ana, "ana")
    await club.follow(other, "ana")
    [old] = await club.feeds()
    club.site.join("Cookie", f"{CANARY}-new", "ana")
    await club.follow(ana, "new")
    assert await club.feed_of(other) == old
    club.site.publish("ana")
    for feed_id in await club.feeds():
        await club.check(feed_id)
    for target in (ana, other):
        assert await club.town.sent_to(target) == ["ana post 3", "ana post 4"]


async def test_a_public_subscription_becomes_private_and_not_back(club: Club) -> None:
    ana = await club.town.chat(1)
    club.site.open_to_all = True
    club.site.posts["public"] = [1]
    await club.follow(ana, None)
    assert (await club.follow(ana, "ana")).replaced
    again = await club.follow(ana, None)
    assert again.already
    assert await club.subscriptions(ana) == ["ana"]


async def test_two_requests_at_once_leave_one_subscription(club: Club) -> None:
    ana = await club.town.chat(1)
    services = club.town.services
    found = [
        await look(services, club.site.url(), club.cookie(member)) for member in ("ana", "ben")
    ]
    async with club.pool.acquire() as connection, connection.transaction():
        # Both have looked up that the chat follows nothing, and wait for its row.
        await connection.execute("SELECT FROM targets WHERE id = $1 FOR UPDATE", ana)
        tasks = [
            asyncio.create_task(subscribe(services, ana, one))
            for one in found
            if isinstance(one, Found)
        ]
        while await club.pool.fetchval(WAITING) < len(tasks):
            pass  # asking takes a round trip, so this is no busy loop
    done = await asyncio.gather(*tasks)
    assert sorted(one.replaced for one in done) == [False, True]
    assert len(await club.subscriptions(ana)) == 1


async def test_whoever_leaves_leaves_nothing_behind(club: Club) -> None:
    ana = await club.town.chat(1)
    subscribed = await club.follow(ana, "ana")
    await club.town.subscriptions.remove(ana, subscribed.subscription_id)
    assert await club.feeds() == []
    assert await club.pool.fetchval("SELECT count(*) FROM entries") == 0


async def test_a_feed_that_somebody_is_about_to_follow_is_not_forgotten(club: Club) -> None:
    ana, other = await club.town.chat(1), await club.town.chat(2)
    await club.follow(ana, "ana")
    [feed_id] = await club.feeds()
    await club.pool.execute("DELETE FROM subscriptions")
    async with club.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM feeds WHERE id = $1 FOR NO KEY UPDATE", feed_id)
        await forget_private_feeds(club.town.services)
        await connection.execute(
            "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2)", other, feed_id
        )
    await forget_private_feeds(club.town.services)
    assert await club.feed_of(other) == feed_id


async def test_a_refused_login_is_told_with_its_likely_cause(club: Club) -> None:
    ana = await club.town.chat(1)
    await club.follow(ana, "ana")
    [feed_id] = await club.feeds()
    club.site.members.clear()
    for _ in range(5):
        await club.check(feed_id, after=HOURS)
    notice = await club.pool.fetchval(
        "SELECT notice ->> 'reason' FROM deliveries WHERE notice IS NOT NULL"
    )
    assert "have expired" in notice
    assert CANARY not in notice


async def test_without_its_key_a_private_feed_is_not_asked(club: Club) -> None:
    ana = await club.town.chat(1)
    await club.follow(ana, "ana")
    [feed_id] = await club.feeds()
    asked = len(club.site.asked)
    club.site.open_to_all = True
    for keys in ((), (new_key(),)):
        club.use(*keys)
        assert await check_feed(club.town.services, feed_id) == 0
    assert len(club.site.asked) == asked
    assert "SECRET_KEY" in await club.pool.fetchval("SELECT last_error FROM feeds")
    assert await club.town.sent_to(ana) == ["ana post 3"]


async def test_without_any_key_nothing_private_can_be_followed(club: Club) -> None:
    ana = await club.town.chat(1)
    club.use()
    with pytest.raises(ValueError, match="vault"):
        await club.follow(ana, "ana")
    assert await club.feeds() == []


async def test_a_new_key(club: Club) -> None:
    old, new = new_key(), new_key()
    ana, ben, late = await club.town.chat(1), await club.town.chat(2), await club.town.chat(3)
    club.use(old)
    await club.follow(ana, "ana")
    await club.follow(ben, "ben")
    club.use(new, old)
    await club.follow(late, "ana")
    assert len(await club.feeds()) == 2
    vault = club.town.services.vault
    assert vault is not None
    assert await rekey(club.pool, vault) == (2, 0)
    assert await rekey(club.pool, Vault([old])) == (0, 2)
    club.use(new)
    assert (await club.follow(ben, "ben")).already
    club.site.publish("ana")
    for feed_id in await club.feeds():
        await club.check(feed_id)
    assert await club.town.sent_to(late) == ["ana post 3", "ana post 4"]


async def everything(pool: asyncpg.Pool) -> str:
    """Every row of every table, as text."""
    tables = await pool.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    query = "SELECT string_agg(t::text, ' ') FROM {} t"
    texts = [await pool.fetchval(query.format(table["name"])) for table in tables]
    assert len(tables) > 10
    return "\n".join(filter(None, texts))


async def test_the_secret_is_in_no_table_no_log_and_no_view(
    club: Club, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ana = await club.town.chat(1)
    shown: list[object] = [await club.follow(ana, "ana")]
    [feed_id] = await club.feeds()
    club.site.publish("ana")
    await club.check(feed_id)
    secret = f"{CANARY}-login"
    account = private_address(club.site.url(login=f"me:{secret}@"))
    assert account[1] is not None
    club.site.join(*account[1].headers[0], "login")
    found = await look(club.town.services, club.site.url(login=f"me:{secret}@"))
    shown.append(found)
    assert isinstance(found, Found)
    shown.append(await subscribe(club.town.services, await club.town.chat(2), found))
    club.site.members.clear()
    for _ in range(6):
        await club.check(feed_id, after=HOURS)
    shown.append(await look(club.town.services, club.site.url(), club.cookie("ana")))
    assert isinstance(shown[-1], Failed)
    shown.append(await club.town.subscriptions.page(ana, offset=0, limit=9))
    services = club.town.services
    shown.append(
        await inspect(
            club.site.url(),
            policy=AddressPolicy.parse("127.0.0.1"),
            interval=services.interval,
            clock=SystemClock(),
            rng=services.rng,
            private=club.cookie("ana"),
        )
    )
    basic = account[1].headers[0][1].removeprefix("Basic ")
    for text in (await everything(club.pool), caplog.text, *map(repr, shown)):
        assert CANARY not in text
        assert basic not in text
        assert CANARY.encode().hex() not in text


async def test_a_feed_that_is_forgotten_while_somebody_subscribes_is_made_anew(club: Club) -> None:
    ana, other = await club.town.chat(1), await club.town.chat(2)
    await club.follow(ana, "ana")
    [old] = await club.feeds()
    services = club.town.services
    found = await look(services, club.site.url(), club.cookie("ana"))
    assert isinstance(found, Found)
    async with club.pool.acquire() as connection, connection.transaction():
        await connection.execute("DELETE FROM feeds WHERE id = $1", old)
        task = asyncio.create_task(subscribe(services, other, found))
        while not await club.pool.fetchval(WAITING):
            assert not task.done()
    assert not (await task).already
    [new] = await club.feeds()
    assert new != old
    assert await club.town.sent_to(other) == ["ana post 3"]
