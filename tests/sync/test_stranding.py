"""A row added while its target's delivery task is ending must not be stranded (decision 3)."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from colmillo import PostgresStore, Queue
from colmillo.store import ClaimedTask, Finish, Settlement, WorkerId
from heraldo_sync.database import Pool
from heraldo_sync.messages import DELIVERY_QUEUE
from heraldo_sync.outbox import nothing_waits
from heraldo_sync.store import fan_out, lock_feed
from heraldo_sync.subscriptions import Subscriptions

LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A feed with one subscriber, one entry not yet fanned out, and a worker."""

    feed_id: int
    target_id: int
    entry_id: int
    worker: WorkerId


@pytest.fixture
async def scene(pool: Pool, queue: Queue, store: PostgresStore) -> Scene:
    target_id = await Subscriptions(pool, queue).target(chat_id=7, kind="private", title="Ana")
    feed_id = await pool.fetchval(
        "INSERT INTO feeds (url, succeeded_at) VALUES ('https://a.test/', now()) RETURNING id"
    )
    await pool.execute(
        "INSERT INTO subscriptions (target_id, feed_id) VALUES ($1, $2)", target_id, feed_id
    )
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=LEASE)
    return Scene(
        feed_id=feed_id,
        target_id=target_id,
        entry_id=await add_entry(pool, feed_id, 1),
        worker=worker,
    )


async def add_entry(pool: Pool, feed_id: int, number: int) -> int:
    entry_id: int = await pool.fetchval(
        "INSERT INTO entries (feed_id, key, content, title, html) VALUES ($1, $2, $2, 'T', '')"
        " RETURNING id",
        feed_id,
        number.to_bytes(32, "big"),
    )
    return entry_id


async def running_task(store: PostgresStore, pool: Pool, queue: Queue, scene: Scene) -> ClaimedTask:
    """A delivery task that has sent everything and is about to end."""
    async with pool.acquire() as connection, connection.transaction():
        await lock_feed(connection, scene.feed_id)
        await fan_out(connection, queue, {scene.feed_id: [scene.entry_id]})
    [claimed] = await store.claim(scene.worker, {DELIVERY_QUEUE: 10})
    await pool.execute("UPDATE deliveries SET status = 'sent'")
    return claimed


async def live_tasks(store: PostgresStore) -> int:
    return sum(
        number for (name, _), number in (await store.counts()).items() if name == DELIVERY_QUEUE
    )


async def blocked(pool: Pool) -> None:
    """Returns when some transaction of this database waits for a lock."""
    while not await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ):
        pass  # asking takes a round trip, so this is no busy loop


async def end(connection: Any, store: PostgresStore, task: ClaimedTask, target_id: int) -> bool:
    """What the delivery task does last, in one transaction of its own connection."""
    if not await nothing_waits(connection, target_id):
        return False
    lost = await store.settle(
        [Settlement(id=task.id, lease=task.lease, verdict=Finish())], connection=connection
    )
    assert not lost
    return True


async def test_a_row_committed_while_the_task_ends_keeps_it_going(
    pool: Pool, queue: Queue, store: PostgresStore, scene: Scene
) -> None:
    task = await running_task(store, pool, queue, scene)
    second = await add_entry(pool, scene.feed_id, 2)
    async with pool.acquire() as adding:
        transaction = adding.transaction()
        await transaction.start()
        await lock_feed(adding, scene.feed_id)
        await fan_out(adding, queue, {scene.feed_id: [second]})

        async def ending() -> bool:
            async with pool.acquire() as connection, connection.transaction():
                return await end(connection, store, task, scene.target_id)

        outcome = asyncio.create_task(ending())
        await blocked(pool)
        assert not outcome.done()
        await transaction.commit()
    assert await outcome is False
    assert await live_tasks(store) == 1


async def test_a_row_added_after_the_task_ended_gets_a_task_of_its_own(
    pool: Pool, queue: Queue, store: PostgresStore, scene: Scene
) -> None:
    task = await running_task(store, pool, queue, scene)
    second = await add_entry(pool, scene.feed_id, 2)
    async with pool.acquire() as ending:
        transaction = ending.transaction()
        await transaction.start()
        assert await end(ending, store, task, scene.target_id)

        async def adding() -> None:
            async with pool.acquire() as connection, connection.transaction():
                await lock_feed(connection, scene.feed_id)
                await fan_out(connection, queue, {scene.feed_id: [second]})

        outcome = asyncio.create_task(adding())
        await blocked(pool)
        assert not outcome.done()
        await transaction.commit()
    await outcome
    assert await live_tasks(store) == 1
    [claimed] = await store.claim(scene.worker, {DELIVERY_QUEUE: 10})
    assert claimed.id != task.id


async def test_a_chat_resumed_while_its_task_ends_gets_what_waited(
    pool: Pool, queue: Queue, store: PostgresStore, scene: Scene
) -> None:
    subscriptions = Subscriptions(pool, queue)
    async with pool.acquire() as connection, connection.transaction():
        await fan_out(connection, queue, {scene.feed_id: [scene.entry_id]})
    [task] = await store.claim(scene.worker, {DELIVERY_QUEUE: 10})
    await subscriptions.suspend_chat(7, "blocked")
    async with pool.acquire() as ending:
        transaction = ending.transaction()
        await transaction.start()
        assert await end(ending, store, task, scene.target_id)
        outcome = asyncio.create_task(subscriptions.resume_chat(7))
        await blocked(pool)
        await transaction.commit()
    assert await outcome
    assert await live_tasks(store) == 1
