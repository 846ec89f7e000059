"""Loading and recording many checks in one statement, beside everything else that locks feeds."""

import asyncio
import random
from datetime import timedelta

import asyncpg
import pytest

from colmillo import PostgresStore, Queue
from heraldo_sync.batches import Batches, may_be_one_row
from heraldo_sync.database import Pool
from heraldo_sync.keeping import Keeper, Rhythm
from heraldo_sync.model import Validators
from heraldo_sync.store import Success, load_feeds

FREE = "SELECT id FROM feeds ORDER BY id FOR UPDATE SKIP LOCKED"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def feeds(pool: Pool) -> list[int]:
    rows = await pool.fetch(
        "INSERT INTO feeds (url, etag, body_hash, failures, last_reason, succeeded_at)"
        " SELECT 'https://example.org/' || n, 'old', 'hash', 2, 'timeout', now()"
        " FROM generate_series(1, 4) n RETURNING id"
    )
    return sorted(row["id"] for row in rows)


def batches_of(pool: Pool) -> Batches:
    """For what needs no keeper's rhythm."""
    rhythm = Rhythm(
        interval=timedelta(minutes=1), longest=timedelta(days=1), pushes=False, rng=random.Random(1)
    )
    return Batches(pool, Keeper(Queue(PostgresStore(pool)), rhythm))


def outcome(feed_id: int, etag: str = "new", *, leads_to: str | None = None) -> Success:
    return Success(
        feed_id=feed_id,
        next_check=timedelta(minutes=feed_id),
        validators=Validators(etag=etag),
        permanent_url=leads_to,
        body_hash=b"new" if feed_id % 2 else None,
    )


async def test_every_feed_gets_its_own_outcome(pool: Pool, feeds: list[int]) -> None:
    batches = batches_of(pool)
    await asyncio.gather(
        *(batches.succeeded(outcome(feed_id, f"etag {feed_id}")) for feed_id in feeds)
    )
    rows = await pool.fetch(
        "SELECT id, etag, body_hash, failures, last_reason,"
        " round(extract(epoch from next_check_at - checked_at) / 60) AS minutes FROM feeds"
    )
    assert {tuple(row.values()) for row in rows} == {
        (feed_id, f"etag {feed_id}", b"new" if feed_id % 2 else b"hash", 0, None, feed_id)
        for feed_id in feeds
    }


async def test_loading_many_finds_what_loading_one_does(pool: Pool, feeds: list[int]) -> None:
    batches = batches_of(pool)
    gone = max(feeds) + 1
    found = await asyncio.gather(*(batches.load(feed_id) for feed_id in [*feeds, gone]))
    assert found[-1] is None
    for feed_id, feed in zip(feeds, found[:-1], strict=True):
        async with pool.acquire() as connection:
            alone = (await load_feeds(connection, [feed_id]))[feed_id]
        assert feed is not None
        assert (feed.id, feed.url, feed.validators) == (feed_id, alone.url, alone.validators)
        assert (feed.failures, feed.body_hash, feed.seen) == (2, b"hash", True)


async def test_a_move_is_counted_as_it_is_alone(pool: Pool, feeds: list[int]) -> None:
    batches = batches_of(pool)
    moved, other, *_ = feeds
    there = "https://example.net/feed"
    for seen in (1, 2):
        moving, nothing = await asyncio.gather(
            batches.succeeded(outcome(moved, leads_to=there)), batches.succeeded(outcome(other))
        )
        assert nothing is None
        assert moving is not None
        assert (moving.target, moving.seen) == (there, seen)
    assert await batches.succeeded(outcome(moved)) is None
    assert await pool.fetchval("SELECT moved_seen FROM feeds WHERE id = $1", moved) == 0


async def test_feeds_are_locked_from_the_oldest_on(pool: Pool, feeds: list[int]) -> None:
    """Merging locks two feeds in that order: in another the two would wait for each other."""
    batches = batches_of(pool)
    async with pool.acquire() as holder, pool.acquire() as looker:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT FROM feeds WHERE id = $1 FOR UPDATE", feeds[0])
        running = [
            asyncio.create_task(batches.succeeded(outcome(feed_id))) for feed_id in reversed(feeds)
        ]
        # While somebody has the oldest, none of the younger ones is held by the one that waits.
        while not await looker.fetchval(WAITING):
            await looker.execute("SELECT pg_sleep(0.01)")
        free = [row["id"] for row in await looker.fetch(FREE)]
        await transaction.rollback()
        await asyncio.gather(*running)
    assert free == feeds[1:]


async def test_a_feed_that_is_gone_is_no_trouble(pool: Pool, feeds: list[int]) -> None:
    batches = batches_of(pool)
    found = await asyncio.gather(
        batches.succeeded(outcome(max(feeds) + 1)), batches.succeeded(outcome(feeds[0]))
    )
    assert set(found) == {None}
    assert await pool.fetchval("SELECT etag FROM feeds WHERE id = $1", feeds[0]) == "new"


async def test_what_cannot_be_stored_costs_its_own_feed_only(pool: Pool, feeds: list[int]) -> None:
    batches = batches_of(pool)
    found = await asyncio.gather(
        *(
            batches.succeeded(outcome(feed_id, "\0" if feed_id == feeds[1] else "new"))
            for feed_id in feeds
        ),
        return_exceptions=True,
    )
    assert [type(each) is not type(None) for each in found] == [False, True, False, False]
    etags = await pool.fetch("SELECT etag FROM feeds ORDER BY id")
    assert [row["etag"] for row in etags] == ["new", "old", "new", "new"]


async def test_two_checks_of_a_feed_leave_the_later_answer(pool: Pool, feeds: list[int]) -> None:
    batches = batches_of(pool)
    feed_id = feeds[0]
    await asyncio.gather(
        *(batches.succeeded(outcome(feed_id, etag)) for etag in ("first", "second", "third"))
    )
    assert await pool.fetchval("SELECT etag FROM feeds WHERE id = $1", feed_id) == "third"


def test_only_what_one_row_can_cause_is_tried_again_alone() -> None:
    assert may_be_one_row(asyncpg.CharacterNotInRepertoireError("NUL"))
    assert may_be_one_row(ValueError("cannot be encoded"))
    assert not may_be_one_row(asyncpg.ConnectionDoesNotExistError("gone"))
    assert not may_be_one_row(asyncpg.AdminShutdownError("shutting down"))
    assert not may_be_one_row(OSError("refused"))
