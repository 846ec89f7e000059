"""Bulk enqueues and the connection they go through."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from colmillo.copying import CHUNK, LEAST
from colmillo.postgres import PostgresStore
from colmillo.store import NewTask, State

if TYPE_CHECKING:
    from colmillo.database import Pool

MANY = [NewTask(name="work", queue=f"q{n % 2}", payload=f'{{"n":{n}}}') for n in range(LEAST)]


@pytest.fixture
def store(pool: "Pool") -> PostgresStore:
    return PostgresStore(pool)


async def test_ids_follow_the_input(store: PostgresStore) -> None:
    answers = await store.enqueue(MANY)
    assert all(answer.inserted for answer in answers)
    assert [answer.id for answer in answers] == sorted(answer.id for answer in answers)
    for answer, task in zip(answers, MANY, strict=True):
        record = await store.get(answer.id)
        assert record is not None
        assert (record.payload, record.queue, record.max_attempts) == (
            task.payload, task.queue, 25,
        )  # fmt: skip


async def test_times_are_the_databases(store: PostgresStore) -> None:
    now = await store.now()
    moment = now + timedelta(days=3)
    tasks = [
        MANY[0].with_options(delay=timedelta(hours=1)),
        MANY[0].with_options(run_at=moment),
        *MANY,
    ]
    delayed, fixed, plain = [await store.get(a.id) for a in (await store.enqueue(tasks))[:3]]
    assert delayed is not None
    assert fixed is not None
    assert plain is not None
    assert delayed.run_at == delayed.enqueued_at + timedelta(hours=1)
    assert fixed.run_at == moment
    assert now <= plain.run_at == plain.enqueued_at


async def test_copied_rows_are_the_inserted_ones(store: PostgresStore) -> None:
    """COPY's rows are written by us: nothing may depend on how many tasks come together."""
    moment = datetime(8999, 12, 30, 23, 59, 59, 999_999, tzinfo=timezone(-timedelta(seconds=1234)))
    odd = NewTask(name="ñ\t\\N", queue="día", payload='{"a":"\\\\ 🐘\\n\\""}')
    tasks = [
        odd,
        replace(odd, payload="", priority=-32_768, max_attempts=None),
        replace(odd, priority=32_767, max_attempts=2**31 - 1, run_at=moment),
        replace(odd, run_at=datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)),
        replace(odd, delay=timedelta(0)),
        replace(odd, delay=timedelta(days=3, microseconds=7)),
        *[replace(MANY[0], payload=f'{{"n":{n}}}') for n in range(2 * CHUNK)],
    ]
    seen: list[list[tuple[object, ...]]] = []
    for answers in (await store.enqueue(tasks), [(await store.enqueue([t]))[0] for t in tasks[:9]]):
        records = [await store.get(answer.id) for answer in answers]
        seen.append(
            [
                (
                    r.name, r.queue, r.payload, r.priority, r.max_attempts,
                    r.run_at if task.run_at else r.run_at - r.enqueued_at,
                )
                for r, task in zip(records, tasks, strict=False)
                if r is not None
            ]
        )  # fmt: skip
    copied, inserted = seen
    assert copied[:9] == inserted
    assert [row[2] for row in copied] == [task.payload for task in tasks]


async def test_callers_transaction_decides(pool: "Pool", store: PostgresStore) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await store.enqueue(MANY, connection=connection)
        assert await store.counts() == {}
        await transaction.rollback()
        assert await store.counts() == {}
        async with connection.transaction():
            await store.enqueue(MANY, connection=connection)
    assert (await store.counts())["q0", State.WAITING] == LEAST // 2


async def test_listeners_of_every_queue_are_woken(store: PostgresStore) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with store.listen(heard.put_nowait):
        await store.enqueue(MANY)
        async with asyncio.timeout(30):
            assert {await heard.get(), await heard.get()} == {"q0", "q1"}


async def test_calls_in_a_row_share_a_connection_that_returns_soon(dsn: str) -> None:
    resets = 0

    async def reset(_: Any) -> None:
        nonlocal resets
        resets += 1

    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, reset=reset) as pool:
        store = PostgresStore(pool)
        for _ in range(10):
            await store.now()
        assert resets == 0
        async with asyncio.timeout(30), pool.acquire() as connection:
            assert await connection.fetchval("SELECT 1") == 1
        assert resets >= 1


async def test_call_that_failed_leaves_its_connection_to_the_pool(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        with pytest.raises(asyncpg.UndefinedTableError):
            await PostgresStore(pool, schema="nowhere").counts()
        assert pool.get_idle_size() == 1
        assert await PostgresStore(pool).counts() == {}
