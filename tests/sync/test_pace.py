"""Moments to send in, handed out by the database to all workers."""

import asyncio
from datetime import timedelta

from heraldo_sync.database import Pool
from heraldo_sync.pace import EVERYBODY, Pace

SECOND = timedelta(seconds=1)


async def test_workers_that_ask_together_get_moments_one_interval_apart(pool: Pool) -> None:
    interval = timedelta(seconds=10)
    start = await pool.fetchval("SELECT clock_timestamp()")
    paces = [Pace(pool), Pace(pool)]
    slots = await asyncio.gather(
        *(
            paces[number % 2].reserve(7, interval, patience=timedelta(hours=1))
            for number in range(20)
        )
    )
    assert all(slot.taken for slot in slots)
    assert len({round(slot.wait / interval) for slot in slots}) == 20
    free_at = await pool.fetchval("SELECT free_at FROM pace WHERE chat_id = 7")
    assert free_at >= start + 20 * interval


async def test_a_moment_too_far_away_is_not_taken(pool: Pool) -> None:
    pace = Pace(pool)
    hour = timedelta(hours=1)
    first = await pace.reserve(7, hour, patience=SECOND)
    assert first.taken
    assert first.wait == timedelta(0)
    free_at = await pool.fetchval("SELECT free_at FROM pace")
    second = await pace.reserve(7, hour, patience=SECOND)
    assert not second.taken
    assert second.wait > hour - timedelta(minutes=1)
    assert await pool.fetchval("SELECT free_at FROM pace") == free_at
    assert (await pace.reserve(8, hour, patience=SECOND)).taken
    assert (await pace.reserve(EVERYBODY, hour, patience=SECOND)).taken


async def test_a_chat_that_telegram_told_to_wait_is_left_alone(pool: Pool) -> None:
    pace = Pace(pool)
    await pace.hold(7, timedelta(minutes=5))
    await pace.hold(7, timedelta(minutes=1))
    slot = await pace.reserve(7, SECOND, patience=SECOND)
    assert not slot.taken
    assert slot.wait > timedelta(minutes=4)
    assert (await pace.reserve(7, SECOND, patience=timedelta(minutes=6))).taken
