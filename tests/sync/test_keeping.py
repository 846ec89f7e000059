"""Readings of many feeds kept in one transaction: to the same effect as one by one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
from follower import Follower, item, items

from colmillo import PostgresStore
from colmillo.store import State
from heraldo_sync.batches import Batches
from heraldo_sync.database import Pool
from heraldo_sync.keeping import Kept
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.model import Fetched, Validators
from heraldo_sync.reading import Reading, read_whole
from heraldo_sync.services import SyncServices

HUB = "<atom:link xmlns:atom='http://www.w3.org/2005/Atom' rel='hub' href='https://hub.example/'/>"
MOVED = "https://new.example/feed"
BEFORE = items(item(3), item(2), item(1))
# What each feed shows next, and what is so about it.
NEXT = {
    "one new": items(item(4), item(3), item(2), item(1)),
    "two new": items(item(5), item(4), item(3), item(2)),
    "edited": items(item(3, title="said otherwise"), item(2), item(1)),
    "the same": BEFORE,
    "renumbered": items(*(item(n, guid=f"other-{n}") for n in (3, 2, 1))),
    "never read": items(item(2), item(1)),
    "failing": items(item(4), item(3), item(2), item(1)),
    "new ids": items(*(item(n, guid=f"other-{n}", title=f"No. {n}") for n in (4, 3, 2, 1))),
    "new hub": items(item(4), item(3)).replace(b"<link>", HUB.encode() + b"<link>", 1),
    "stale": items(item(4), item(3), item(2)),
    "moved": items(item(4), item(3)),
}
ALONE = {"failing", "new ids", "new hub", "stale"}
ABOUT = """
SELECT
    (SELECT array_agg((key, title, revision) ORDER BY id) FROM entries WHERE feed_id = f.id),
    (SELECT array_agg(
            (d.target_id - $2, d.status, coalesce(e.title, d.notice ->> 'kind'))
            ORDER BY d.target_id, d.id
        )
        FROM deliveries d JOIN subscriptions s ON s.id = d.subscription_id
        LEFT JOIN entries e ON e.id = d.entry_id
        WHERE s.feed_id = f.id),
    f.etag, f.body_hash, f.title, f.format, f.failures, f.told_at IS NULL, f.moved_to, f.moved_seen,
    f.posted_at > now() - interval '1 hour', f.marked_at > now() - interval '1 hour',
    (SELECT items FROM feed_items WHERE feed_id = f.id),
    (SELECT hub FROM websub WHERE feed_id = f.id)
FROM feeds f WHERE f.id = $1
"""
TARGETS = """
INSERT INTO targets (chat_id, topic_id, closed_at)
VALUES ($1, 1, NULL), ($1, 2, NULL), ($1, 3, now()) RETURNING id
"""
SUBSCRIBED = "INSERT INTO subscriptions (target_id, feed_id) SELECT unnest($1::bigint[]), $2"


class Street:
    """A feed of each kind, and three targets: one for all, one for some, one that is closed."""

    def __init__(self, services: SyncServices, number: int) -> None:
        self.services = services
        self.pool = services.pool
        self.number = number
        self.targets: list[int] = []
        self.feeds: dict[str, int] = {}

    @classmethod
    async def built(cls, services: SyncServices, number: int, kinds: Sequence[str]) -> "Street":
        street = cls(services, number)
        await street.pool.execute("INSERT INTO chats (id, kind) VALUES ($1, 'group')", number)
        street.targets = [row["id"] for row in await street.pool.fetch(TARGETS, number)]
        for place, kind in enumerate(kinds):
            url = f"https://site{place}.example/{number}"
            feed_id = street.feeds[kind] = await street.pool.fetchval(
                "INSERT INTO feeds (url, title) VALUES ($1, '') RETURNING id", url
            )
            subscribers = [target for nth, target in enumerate(street.targets) if nth != 1 or place]
            await street.pool.execute(SUBSCRIBED, subscribers, feed_id)
            if kind != "never read":
                await street.keep_alone(feed_id, await street.reading(BEFORE))
        await street.change("failing", "failures = 5, told_at = now()")
        await street.change("stale", "marked_at = now() - interval '8 days'")
        await street.pool.execute(
            "UPDATE feeds SET posted_at = now() - interval '2 days' WHERE id = ANY($1)",
            list(street.feeds.values()),
        )
        return street

    async def change(self, kind: str, assignments: str) -> None:
        if kind in self.feeds:
            await self.pool.execute(
                f"UPDATE feeds SET {assignments} WHERE id = $1",  # noqa: S608
                self.feeds[kind],
            )

    async def reading(self, body: bytes, **fetched: Any) -> Reading:
        found = await read_whole(
            self.services, Fetched(url="https://site.example/feed", body=body, **fetched)
        )
        assert isinstance(found, Reading)
        return found

    async def news(self, kind: str) -> Reading:
        """What the feed of this kind shows next."""
        moved = MOVED if kind == "moved" else None
        return await self.reading(NEXT[kind], validators=Validators(etag=kind), permanent_url=moved)

    async def keep_alone(self, feed_id: int, reading: Reading) -> Kept:
        async with self.pool.acquire() as connection, connection.transaction():
            return await self.services.keeper.keep(connection, feed_id, reading)

    async def about(self, kind: str) -> tuple[Any, ...]:
        """All that is stored of a feed; targets by their place."""
        [row] = await self.pool.fetch(ABOUT, self.feeds[kind], self.targets[0])
        return tuple(row.values())

    async def fanned_out(self) -> list[tuple[int, str]]:
        rows = await self.pool.fetch(
            "SELECT s.feed_id, e.title FROM deliveries d"
            " JOIN subscriptions s ON s.id = d.subscription_id JOIN entries e ON e.id = d.entry_id"
            " WHERE d.target_id = $1 ORDER BY d.id",
            self.targets[0],
        )
        return [(row["feed_id"], row["title"]) for row in rows]


async def test_together_is_as_one_by_one(services: SyncServices) -> None:
    alone = await Street.built(services, 1, list(NEXT))
    together = await Street.built(services, 2, list(NEXT))
    one_by_one = {
        kind: await alone.keep_alone(feed_id, await alone.news(kind))
        for kind, feed_id in alone.feeds.items()
    }
    readings = {kind: await together.news(kind) for kind in NEXT}
    at_once = await asyncio.gather(
        *(services.batches.keep(together.feeds[kind], readings[kind]) for kind in NEXT)
    )
    for kind, kept in zip(NEXT, at_once, strict=True):
        assert kept.new == one_by_one[kind].new, kind
        assert (kept.moving is None) == (one_by_one[kind].moving is None) == (kind != "moved"), kind
        assert await together.about(kind) == await alone.about(kind), kind
    assert [kept.new for kept in at_once] == [1, 2, 0, 0, 0, 2, 1, 4, 1, 1, 1]


async def test_what_needs_more_than_storing_and_fanning_out_is_left_as_it_is(
    services: SyncServices,
) -> None:
    street = await Street.built(services, 1, list(NEXT))
    before = {kind: await street.about(kind) for kind in NEXT}
    readings = [(street.feeds[kind], await street.news(kind)) for kind in NEXT]
    async with street.pool.acquire() as connection, connection.transaction():
        kept = await services.keeper.keep_plain(connection, readings)
    assert {kind for kind, one in zip(NEXT, kept, strict=True) if one is None} == ALONE
    for kind in NEXT:
        assert (await street.about(kind) == before[kind]) == (kind in ALONE), kind


async def test_they_share_a_transaction_and_each_target_gets_its_posts_in_order(
    services: SyncServices, store: PostgresStore
) -> None:
    kinds = [f"blog {n}" for n in range(12)]
    street = await Street.built(services, 1, kinds)
    news = await street.reading(NEXT["two new"])
    transaction = "SELECT count(DISTINCT xmin::text) FROM entries WHERE title IN ('4', '5')"
    await asyncio.gather(
        *(services.batches.keep(feed_id, news) for feed_id in street.feeds.values())
    )
    assert await street.pool.fetchval(transaction) == 1
    fanned_out = await street.fanned_out()
    assert len(fanned_out) == len(set(fanned_out)) == 24
    for feed_id in street.feeds.values():
        assert [title for one, title in fanned_out if one == feed_id] == ["4", "5"]
    counts = await store.counts()
    assert counts[(DELIVERY_QUEUE, State.WAITING)] == 2


async def test_a_feed_that_somebody_holds_keeps_nobody_waiting(services: SyncServices) -> None:
    street = await Street.built(services, 1, ["blog 0", "blog 1", "blog 2"])
    held, *others = street.feeds.values()
    news = await street.reading(NEXT["one new"])
    async with street.pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT FROM feeds WHERE id = $1 FOR UPDATE", held)
        waiting = asyncio.create_task(services.batches.keep(held, news))
        async with asyncio.timeout(20):
            kept = await asyncio.gather(
                *(services.batches.keep(feed_id, news) for feed_id in others)
            )
        assert [one.new for one in kept] == [1, 1]
        assert not waiting.done()
        await transaction.rollback()
    assert (await waiting).new == 1
    assert sorted(await street.fanned_out()) == [(feed_id, "4") for feed_id in (held, *others)]


async def test_what_cannot_be_stored_costs_its_own_feed_only(services: SyncServices) -> None:
    street = await Street.built(services, 1, [f"blog {n}" for n in range(5)])
    news = await street.reading(NEXT["one new"])
    bad = replace(news, fetched=replace(news.fetched, validators=Validators(etag="\0")))
    first, second, broken, *others = street.feeds.values()
    found = await asyncio.gather(
        services.batches.keep(first, news),
        services.batches.keep(second, news),
        services.batches.keep(broken, bad),
        *(services.batches.keep(feed_id, news) for feed_id in others),
        return_exceptions=True,
    )
    assert isinstance(found[2], asyncpg.PostgresError)
    assert [one.new for one in found if isinstance(one, Kept)] == [1, 1, 1, 1]
    # Nothing of it is left, and nothing of the others came twice.
    expected = [(feed_id, "4") for feed_id in (first, second, *others)]
    assert sorted(await street.fanned_out()) == expected


async def test_two_readings_of_a_feed_at_once_bring_its_posts_once(services: SyncServices) -> None:
    street = await Street.built(services, 1, ["blog", "other"])
    news = await street.reading(NEXT["two new"])
    both = [street.feeds["other"], *[street.feeds["blog"]] * 3]
    kept = await asyncio.gather(*(services.batches.keep(feed_id, news) for feed_id in both))
    assert sorted(one.new for one in kept) == [0, 0, 2, 2]
    assert len(await street.fanned_out()) == 4


async def test_a_feed_that_is_gone_is_no_trouble(services: SyncServices) -> None:
    street = await Street.built(services, 1, ["blog", "other"])
    news = await street.reading(NEXT["one new"])
    kept = await asyncio.gather(
        services.batches.keep(street.feeds["blog"], news),
        services.batches.keep(max(street.feeds.values()) + 1, news),
        services.batches.keep(street.feeds["other"], news),
    )
    assert [one.new for one in kept] == [1, 0, 1]


async def test_workers_that_bring_news_to_the_same_targets_do_not_stop_each_other(
    services: SyncServices, pool: Pool
) -> None:
    """Whoever waits for a target, or for the task of one, holds only what comes before it."""
    street = await Street.built(services, 1, [f"blog {n}" for n in range(20)])
    workers = [Batches(pool, services.keeper) for _ in range(4)]
    for number in range(4, 14):
        news = await street.reading(items(item(number), item(number - 1)))
        kept = await asyncio.gather(
            *(
                workers[place % 4].keep(feed_id, news)
                for place, feed_id in enumerate(street.feeds.values())
            )
        )
        assert [one.new for one in kept] == [1] * 20
    fanned_out = await street.fanned_out()
    for feed_id in street.feeds.values():
        assert [title for one, title in fanned_out if one == feed_id] == [
            str(number) for number in range(4, 14)
        ]


async def test_a_follower_of_one_feed_sees_no_difference(services: SyncServices) -> None:
    follower = await Follower.of_a_new_feed(services)
    assert await follower.check(BEFORE) == []
    assert await follower.check(NEXT["two new"], crash=True) == ["4", "5"]
    assert await follower.check(NEXT["two new"]) == []
    async with services.pool.acquire() as connection:
        delay = await connection.fetchval("SELECT next_check_at - checked_at FROM feeds")
    assert timedelta() < delay <= timedelta(minutes=1)
