"""Locks that nobody lets go, rows that refuse, sessions in odd time zones."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from colmillo.errors import InvalidTask
from colmillo.postgres import PostgresStore
from colmillo.store import (
    Again,
    Finish,
    NewTask,
    Rescued,
    Settlement,
    State,
    WorkerId,
)

if TYPE_CHECKING:
    from colmillo.database import Pool

PLAIN = NewTask(name="work", queue="main", payload="{}")
LEASE = timedelta(minutes=1)


async def test_no_call_waits_for_ever(pool: "Pool", dsn: str) -> None:
    """Stands in for a network that went silent: the answer does not come."""
    patient = PostgresStore(pool)
    store = PostgresStore(pool, command_timeout=timedelta(milliseconds=200))
    worker = WorkerId(uuid4())
    await patient.register(worker, name="test", lease=LEASE)
    await patient.enqueue([PLAIN])
    (claimed,) = await patient.claim(worker, {"main": 1})
    now = await patient.now()
    settlement = Settlement(id=claimed.id, lease=claimed.lease, verdict=Finish())
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("BEGIN; LOCK TABLE colmillo.tasks, colmillo.workers")
        for call in (
            store.enqueue([PLAIN]),
            store.claim(worker, {"main": 1}),
            store.settle([settlement]),
            store.renew(worker, LEASE),
            store.rescue(max_crashes=5),
            store.tick("clean", now, PLAIN),
            store.next_due(["main"]),
            store.get(claimed.id),
        ):
            with pytest.raises(TimeoutError):
                await call
        await connection.execute("ROLLBACK")
    finally:
        await connection.close()
    assert await patient.settle([settlement]) == frozenset()


async def test_exhausted_pool_is_not_waited_for_for_ever(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as small:
        store = PostgresStore(small, command_timeout=timedelta(milliseconds=100))
        async with small.acquire():
            with pytest.raises(TimeoutError):
                await store.now()
        # What waited in vain has not taken the connection along.
        assert await PostgresStore(small).counts() == {}


async def test_rescue_goes_on_past_rows_that_refuse(
    pool: "Pool", caplog: pytest.LogCaptureFixture
) -> None:
    """A constraint of the operator's stands in for whatever makes one row odd."""
    await pool.execute(
        "ALTER TABLE colmillo.tasks ADD CHECK (payload <> 'odd' OR crashes = 0),"
        " ADD CHECK (payload <> 'far' OR crashes < 1)"
    )
    store = PostgresStore(pool)
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=LEASE)
    payloads = ["odd" if n == 700 else "far" if n == 3 else "{}" for n in range(1_200)]
    answers = await store.enqueue(
        [NewTask(name="work", queue="main", payload=payload) for payload in payloads]
    )
    assert len(await store.claim(worker, {"main": 2_000})) == 1_200
    await store.retire(worker)
    with caplog.at_level(logging.ERROR, logger="colmillo"):
        assert await store.rescue(max_crashes=5) == Rescued(released=1_198, quarantined=())
    assert await store.counts() == {("main", State.WAITING): 1_198, ("main", State.RUNNING): 2}
    named = sorted(record.__dict__["task_id"] for record in caplog.records)
    assert named == [answers[3].id, answers[700].id]
    await pool.execute("ALTER TABLE colmillo.tasks DROP CONSTRAINT tasks_check")
    assert (await store.rescue(max_crashes=1)).quarantined == (answers[3].id, answers[700].id)


async def test_delays_are_elapsed_time_in_every_time_zone(dsn: str) -> None:
    """A day that is added as a day has 23 or 25 hours where clocks change."""
    settings = {"timezone": "Europe/Madrid"}
    async with asyncpg.create_pool(dsn, min_size=1, server_settings=settings) as there:
        store = PostgresStore(there)
        worker = WorkerId(uuid4())
        await store.register(worker, name="test", lease=LEASE)
        for days in range(0, 365, 30):
            delay = timedelta(days=days)
            before = await store.now()
            (late,) = await store.enqueue(
                [NewTask(name="work", queue="late", payload="{}", delay=delay)]
            )
            await store.enqueue([PLAIN])
            (claimed,) = await store.claim(worker, {"main": 1})
            again = Again(delay=delay)
            await store.settle([Settlement(id=claimed.id, lease=claimed.lease, verdict=again)])
            after = await store.now()
            for task in (late.id, claimed.id):
                record = await store.get(task)
                assert record is not None
                assert before <= record.run_at - delay <= after
            due = await store.next_due(["late"])
            assert due == timedelta(0)
            await store.claim(worker, {"main": 1})


async def test_worker_names_are_checked(pool: "Pool") -> None:
    with pytest.raises(InvalidTask, match="worker's name contains a NUL"):
        await PostgresStore(pool).register(WorkerId(uuid4()), name="a\0b", lease=LEASE)


async def test_ids_past_32_bits(pool: "Pool") -> None:
    await pool.execute("ALTER SEQUENCE colmillo.tasks_id_seq RESTART WITH 5000000000")
    store = PostgresStore(pool)
    worker = WorkerId(uuid4())
    await store.register(worker, name="test", lease=LEASE)
    await store.enqueue([PLAIN])
    await store.enqueue([NewTask(name="w", queue="main", payload="{}", unique_hash=bytes(32))])
    claimed = await store.claim(worker, {"main": 2})
    assert [task.id for task in claimed] == [5_000_000_000, 5_000_000_001]
    done = [Settlement(id=task.id, lease=task.lease, verdict=Finish()) for task in claimed]
    assert await store.settle(done) == frozenset()
