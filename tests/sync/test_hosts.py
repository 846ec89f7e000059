"""How often all workers together ask a host that has many feeds, and what others see of that."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files

import asyncpg
import pytest
from crowd import Crowd

from colmillo import PostgresStore, Queue, Task, Worker
from colmillo.store import State
from colmillo.testing import drain
from heraldo_sync.addresses import AddressPolicy
from heraldo_sync.database import Pool
from heraldo_sync.fetch import Fetcher
from heraldo_sync.hosts import HOST_QUEUE, PATIENCE, TOGETHER, key_of, limit_hosts, take_turn
from heraldo_sync.limits import Limits
from heraldo_sync.parse import Parser
from heraldo_sync.services import SyncServices
from heraldo_sync.spreading import Met
from heraldo_sync.statements import statement
from heraldo_sync.tasks import SYNC_QUEUE, enqueue_due, sync_feed, tick, tidy

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MACHINE = AddressPolicy.parse("127.0.0.0/8")
SLOW = "127.0.0.1"
# A stalled host must not time out while others are counted.
PATIENT = Limits(read=MINUTE, total=MINUTE)


@pytest.fixture
async def services(pool: Pool, queue: Queue) -> AsyncIterator[SyncServices]:
    async with Fetcher(MACHINE) as fetcher, Parser(workers=1) as parser:
        yield SyncServices(
            pool=pool, queue=queue, fetcher=fetcher, parser=parser, rng=random.Random(1)
        )


def test_a_name_too_long_for_a_key_keeps_its_end() -> None:
    assert key_of("a.test") == "a.test"
    assert key_of("x" * 300 + ".test") == "x" * 195 + ".test"


async def fill(pool: Pool, host: str, feeds: int) -> None:
    await pool.executemany(
        "INSERT INTO feeds (url, next_check_at) VALUES ($1, now() - interval '1 second')",
        [(f"https://{host}/{number}",) for number in range(feeds)],
    )


async def queued(pool: Pool) -> list[tuple[str, str | None, int]]:
    """Queue, key and seconds from the enqueueing to the run of every task, in order."""
    rows = await pool.fetch(
        "SELECT queue, concurrency_key,"
        " round(extract(epoch FROM run_at - enqueued_at))::integer AS wait"
        " FROM colmillo.tasks ORDER BY run_at, id"
    )
    return [(row["queue"], row["concurrency_key"], row["wait"]) for row in rows]


async def test_the_tick_spreads_a_hosts_feeds_and_goes_on_after_the_last(
    services: SyncServices, pool: Pool
) -> None:
    slowly = replace(services, host_interval=10 * SECOND)
    await fill(pool, "few.test", 2)
    await fill(pool, "many.test", 4)
    assert await enqueue_due(slowly) == 6
    assert await queued(pool) == [
        *[(SYNC_QUEUE, None, 0)] * 2,
        *[(HOST_QUEUE, "many.test", seconds) for seconds in (0, 10, 20, 30)],
    ]
    waits = await pool.fetch(
        "SELECT round(extract(epoch FROM next_check_at - now()) / 10)::integer AS tens"
        " FROM feeds ORDER BY id"
    )
    assert [row["tens"] for row in waits] == [6, 6, 6, 7, 8, 9]
    # Known as busy: a single feed goes the same way now, after those that are there already.
    await pool.execute("DELETE FROM colmillo.tasks WHERE queue = $1", SYNC_QUEUE)
    await pool.execute("INSERT INTO feeds (url) VALUES ('http://me@many.test:81/new')")
    assert await enqueue_due(slowly) == 1
    assert (await queued(pool))[-1] == (HOST_QUEUE, "many.test", 40)


async def test_a_feed_is_queued_ahead_for_the_second_in_which_it_is_due(
    services: SyncServices, pool: Pool
) -> None:
    await pool.execute(
        "INSERT INTO feeds (url, next_check_at)"
        " SELECT 'https://' || n || '.test/', now() + n * interval '1 second'"
        " FROM unnest(ARRAY[-5, 2.5, 28.5, 31]) n"
    )
    assert await enqueue_due(services) == 3
    assert await queued(pool) == [(SYNC_QUEUE, None, seconds) for seconds in (0, 2, 28)]
    waits = await pool.fetch("SELECT next_check_at - now() AS wait FROM feeds ORDER BY id")
    assert [round(row["wait"] / SECOND) for row in waits] == [60, 62, 88, 31]


async def test_a_third_feed_makes_a_host_busy_in_whichever_tick_of_a_minute_it_comes(
    services: SyncServices, pool: Pool
) -> None:
    await fill(pool, "a.test", 2)
    await enqueue_due(services)
    # The same two feeds, however often, are no third.
    await pool.execute("DELETE FROM colmillo.tasks")
    await pool.execute("UPDATE feeds SET next_check_at = now() + interval '5.5 seconds'")
    await enqueue_due(services)
    await fill(pool, "b.test", 1)
    assert await queued(pool) == [(SYNC_QUEUE, None, 5)] * 2
    await fill(pool, "a.test/new", 1)
    await enqueue_due(services)
    assert sorted(await queued(pool), key=str) == [
        (SYNC_QUEUE, None, 0),
        *[(SYNC_QUEUE, None, 5)] * 2,
        (HOST_QUEUE, "a.test", 0),
    ]


async def test_what_was_met_is_remembered_for_a_minute_after_its_moment(
    services: SyncServices, pool: Pool
) -> None:
    await pool.execute(
        "INSERT INTO feeds (url, next_check_at) VALUES"
        " ('https://a.test/1', now()), ('https://a.test/2', now() + interval '20.5 seconds')"
    )
    await enqueue_due(services)
    left = await pool.fetchval("SELECT until - now() FROM met_feeds")
    assert round(left / SECOND) == 80
    await pool.execute("UPDATE met_feeds SET until = until - $1::interval", left + SECOND)
    await fill(pool, "a.test/new", 1)
    await enqueue_due(services)
    assert await pool.fetchval("SELECT count(*) FROM busy_hosts") == 0


async def test_a_feed_that_still_waits_for_its_moment_is_not_queued_twice(
    services: SyncServices, pool: Pool, store: PostgresStore
) -> None:
    await fill(pool, "many.test", 5)
    for _ in range(3):
        await pool.execute("UPDATE feeds SET next_check_at = now()")
        assert await enqueue_due(services) == 5
    assert (await store.counts())[HOST_QUEUE, State.WAITING] == 5


async def test_a_host_is_busy_until_no_feed_of_it_was_due_for_a_day(
    services: SyncServices, pool: Pool
) -> None:
    await fill(pool, "many.test", 3)
    await enqueue_due(services)
    await pool.execute(statement("forget_busy_hosts"))
    assert await pool.fetchval("SELECT host FROM busy_hosts") == "many.test"
    await pool.execute("UPDATE busy_hosts SET free_at = free_at - interval '25 hours'")
    await pool.execute(statement("forget_busy_hosts"))
    assert await pool.fetchval("SELECT count(*) FROM busy_hosts") == 0


async def test_turns_are_apart_whoever_takes_them(pool: Pool) -> None:
    feed_id = await pool.fetchval(
        "INSERT INTO feeds (url) VALUES ('https://many.test/') RETURNING id"
    )
    free = await take_turn(pool, feed_id, MINUTE)
    assert (free.wait, free.taken) == (timedelta(), True)
    await pool.execute("INSERT INTO busy_hosts (host, free_at) VALUES ('many.test', now())")

    async def take() -> int:
        row = await pool.fetchrow(statement("take_turn"), feed_id, MINUTE, timedelta(hours=1))
        assert row is not None
        assert row["taken"]
        wait: timedelta = row["wait"]
        return round(wait / MINUTE)

    assert sorted(await asyncio.gather(*(take() for _ in range(20)))) == list(range(20))
    late = await take_turn(pool, feed_id, MINUTE)
    assert (round(late.wait / MINUTE), late.taken) == (20, False)
    assert (await take_turn(pool, feed_id, MINUTE)).wait > 19 * MINUTE > PATIENCE


@asynccontextmanager
async def working(services: SyncServices, dsn: str, *, slots: int) -> AsyncIterator[None]:
    """Two workers that share nothing but the database, as two processes would."""
    async with AsyncExitStack() as stack:
        await limit_hosts(services.queue)
        for seed in (1, 2):
            pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=1, max_size=6))
            fetcher = await stack.enter_async_context(Fetcher(MACHINE, limits=PATIENT))
            store = PostgresStore(pool)
            own = replace(
                services,
                pool=pool,
                queue=Queue(store),
                fetcher=fetcher,
                rng=random.Random(seed),
            )
            worker = Worker(
                store,
                tasks=[sync_feed],
                queues={SYNC_QUEUE: slots, HOST_QUEUE: slots},
                resources=own,
            )
            running = asyncio.create_task(worker.run())
            stack.push_async_callback(_stop, worker, running)
        yield


async def _stop(worker: Worker, running: asyncio.Task[None]) -> None:
    worker.stop()
    await running


@pytest.mark.timeout(300)
async def test_a_slow_host_with_a_thousand_feeds_holds_nobody_up_and_has_its_turn_itself(
    services: SyncServices, dsn: str
) -> None:
    """Not timed: the others are all answered before the slow host has answered at all."""
    others = [f"127.0.1.{number}" for number in range(1, 101)]
    busy = "127.0.2.1"
    async with Crowd([SLOW]) as crowd:
        await crowd.add(services.pool, SLOW, 1000)
        for other in others:
            await crowd.add(services.pool, other, 1)
        await crowd.add(services.pool, busy, 20)
        met = Met()
        while await enqueue_due(services, met=met):
            pass
        async with working(services, dsn, slots=4):
            await crowd.met(lambda: crowd.asked[busy] == 20 and crowd.asked.keys() >= {*others})
            assert crowd.asked[SLOW] == crowd.most[SLOW] == TOGETHER
            crowd.release()
            await crowd.met(lambda: crowd.asked[SLOW] == 1000)
    assert crowd.most[SLOW] == TOGETHER
    assert crowd.most[busy] <= TOGETHER
    assert crowd.repeats == {}


async def test_a_check_costs_one_statement_more_if_its_host_is_busy_and_none_if_not(
    services: SyncServices, pool: Pool, store: PostgresStore, dsn: str
) -> None:
    folder = files("heraldo_sync") / "sql"
    ours = {file.read_text(encoding="utf-8"): file.name for file in folder.iterdir()}
    seen: list[str] = []

    async def watch(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(lambda query: seen.append(ours.get(query.query, "")))

    async with (
        Crowd() as crowd,
        asyncpg.create_pool(dsn, min_size=1, max_size=3, init=watch) as watched,
    ):
        await crowd.add(pool, "127.0.1.1", 2)
        await crowd.add(pool, "127.0.2.1", 3)
        await enqueue_due(services)
        own = replace(services, pool=watched)
        for queue, feeds in ((SYNC_QUEUE, 2), (HOST_QUEUE, 3)):
            await drain(store, tasks=[sync_feed], queues=[queue], resources=own)
            # The others are BEGIN and COMMIT, and what a connection is asked when it is new.
            counted = Counter(filter(None, seen))
            seen.clear()
            expected = {"feed.sql", "feed_failed.sql"}
            if queue == HOST_QUEUE:
                expected.add("take_turn.sql")
            assert counted == dict.fromkeys(expected, feeds)
        assert crowd.asked == {"127.0.1.1": 2, "127.0.2.1": 3}


async def test_a_check_whose_turn_is_far_away_comes_again_and_asks_nobody(
    services: SyncServices, pool: Pool, store: PostgresStore
) -> None:
    slowly = replace(services, host_interval=MINUTE)
    async with Crowd() as crowd:
        await crowd.add(pool, "127.0.2.1", 3)
        await enqueue_due(slowly)
        await pool.execute("UPDATE colmillo.tasks SET run_at = now()")
        await pool.execute("UPDATE busy_hosts SET asked_at = now()")
        drained = await drain(store, tasks=[sync_feed], resources=slowly)
        assert crowd.asked == {}
    assert len(drained.attempts) == len(drained.waiting) == 3
    assert await pool.fetchval("SELECT min(run_at) - now() FROM colmillo.tasks") > MINUTE / 2


async def test_the_tick_task_spreads_and_the_tidying_one_forgets(
    services: SyncServices, pool: Pool, store: PostgresStore
) -> None:
    await fill(pool, "many.test", 3)
    await fill(pool, "few.test", 2)
    await pool.execute("INSERT INTO busy_hosts VALUES ('old.test', now() - interval '2 days')")
    await pool.execute("INSERT INTO host_holds VALUES ('old.test', now() - interval '1 second')")
    await pool.execute("INSERT INTO met_feeds VALUES (now() - interval '1 second', '{1}', '{old}')")

    async def run(one: Task[[]]) -> None:
        await services.queue.enqueue(one.new())
        await drain(
            store, tasks=[tick, tidy], queues=["schedule"], resources=services, raise_failures=True
        )

    for _ in range(2):
        await run(tick)
        assert (await store.counts())[HOST_QUEUE, State.WAITING] == 3
        assert (await store.counts())[SYNC_QUEUE, State.WAITING] == 2
    await run(tidy)
    assert [row["host"] for row in await pool.fetch("SELECT host FROM busy_hosts")] == ["many.test"]
    assert await pool.fetchval("SELECT count(*) FROM host_holds") == 0
    assert await pool.fetchval("SELECT array_agg(hosts::text) FROM met_feeds") == [
        "{few.test,few.test}"
    ]


@pytest.mark.parametrize("between", [timedelta(), SECOND])
async def test_a_check_at_its_moment_does_not_wait(pool: Pool, between: timedelta) -> None:
    feed_id = await pool.fetchval("INSERT INTO feeds (url) VALUES ('https://a.test/') RETURNING id")
    await pool.execute(
        "INSERT INTO busy_hosts VALUES ('a.test', now(), now() - $1::interval)", between
    )
    turn = await take_turn(pool, feed_id, between)
    assert (turn.wait, turn.taken) == (timedelta(), True)
